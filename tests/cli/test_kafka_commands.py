"""`produce`, `tail` and `doctor` against a real broker and a real Redis."""

from __future__ import annotations

import base64
import json
import logging
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, Producer, TopicPartition

from keepline.jobs import kafka_client
from keepline.jobs.stack.kafka import EmbeddedKafka
from keepline.jobs.stack.redis import EmbeddedRedis
from keepline.jobs.stack.registry import EmbeddedRegistry
from keepline.schemas.catalog import event_type
from keepline.schemas.framing import fingerprint, pack
from keepline.schemas.records import from_record, to_record
from keepline.schemas.registry import Registry
from tests.cli.conftest import Command, call, write_lines

TIME = 1_767_225_600_000
QUIET = logging.getLogger("silent")
QUIET.addHandler(logging.NullHandler())
QUIET.propagate = False
PROGRAM = Path(sys.executable).with_name("keepline")


@pytest.fixture
def topic(kafka: EmbeddedKafka) -> str:
    name = f"cli-{uuid.uuid4().hex}"
    kafka.create_topics([name])
    return name


def read(kafka: EmbeddedKafka, topic: str, count: int) -> list[Message]:
    config = {"bootstrap.servers": kafka.bootstrap_servers, "group.id": uuid.uuid4().hex}
    consumer = Consumer(config, logger=QUIET)
    try:
        consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
        found: list[Message] = consumer.consume(count, timeout=20)
        assert not [message.error() for message in found if message.error()]
        return found
    finally:
        consumer.close()


@pytest.fixture
def writer(kafka: EmbeddedKafka) -> Iterator[Producer]:
    """A transactional producer."""
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "transactional.id": uuid.uuid4().hex}, logger=QUIET)
    producer.init_transactions(30)
    yield producer
    producer.purge()


def score(number: int) -> dict[str, Any]:
    return {
        "customer_id": f"c{number}", "score": "churn", "value": 0.5, "band": "LOW", "as_of": TIME + number, "event_id": "e",
        "model_id": "m", "model_version": 1, "role": "CHAMPION", "reasons": [{"feature": "calls_7d", "value": 1.0, "contribution": 0.25}],
    }  # fmt: skip


def test_produce_sends_canonical_records(keepline: Command, kafka: EmbeddedKafka, topic: str, tmp_path: Path) -> None:
    events = [call(f"ü{i % 3}", i, TIME + i) for i in range(10)]
    path = write_lines(tmp_path / "e.jsonl", [*events, "{bad", events[0] | {"event_time": "noon"}])
    before = int(time.time() * 1000)
    result = keepline("produce", "--events", path, "--bootstrap-servers", kafka.bootstrap_servers, "--topic", topic, "--json")
    assert (result.code, result.json) == (0, {"sent": 10, "rejected": 2})
    reported = result.err.splitlines()
    assert [line.split(": ")[:2] for line in reported] == [["e.jsonl:11", "MALFORMED"], ["e.jsonl:12", "INVALID_FIELD"]]
    for message, event in zip(read(kafka, topic, 10), events, strict=True):
        assert message.key() == event["customer_id"].encode()
        assert message.timestamp()[1] == event["event_time"]
        ((name, created),) = message.headers()
        assert (name, before <= int(created) <= time.time() * 1000) == ("created_ms", True)
        assert message.value()[:2] == b"\xc3\x01"
        kind, record = to_record(message.value())
        assert kind == "Call"
        assert record == record | {name: value for name, value in event.items() if name != "type"}


def test_produce_strict_and_csv(keepline: Command, kafka: EmbeddedKafka, topic: str, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("customer_id,event_id,event_time\nc,1,2026-01-01T00:00:00Z\nc,2,never\n")
    args = ["produce", "--events", path, "--bootstrap-servers", kafka.bootstrap_servers, "--topic", topic]
    assert "give --type" in keepline(*args).err
    result = keepline(*args, "--type", "Message", "--strict")
    assert (result.code, result.out) == (1, f"{topic}: 1 events sent, 1 lines rejected\n")
    assert [message.key() for message in read(kafka, topic, 1)] == [b"c"]


def test_produce_keeps_its_rate(keepline: Command, kafka: EmbeddedKafka, topic: str, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "e.jsonl", [call("c", i, TIME + i) for i in range(300)])
    assert keepline("produce", "--events", path, "--bootstrap-servers", kafka.bootstrap_servers, "--topic", topic, "--rate", 200).code == 0
    sent = [int(message.headers()[0][1]) for message in read(kafka, topic, 300)]
    assert 1.2 < (sent[-1] - sent[0]) / 1000 < 4.0
    assert max(b - a for a, b in pairwise(sent)) < 1000


def test_settings_name_the_brokers(
    keepline: Command, kafka: EmbeddedKafka, topic: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_lines(tmp_path / "e.jsonl", [call("c", 1, TIME)])
    monkeypatch.setenv("KEEPLINE_BOOTSTRAP_SERVERS", kafka.bootstrap_servers)
    assert keepline("produce", "--events", path, "--topic", topic).code == 0
    assert json.loads(keepline("tail", topic, "--no-follow").out)["event_id"] == "c-1"


def test_librdkafka_is_not_heard(kafka: EmbeddedKafka, topic: str, tmp_path: Path) -> None:
    """Its own log goes to file descriptor 2 unless it is routed."""
    path = write_lines(tmp_path / "e.jsonl", [call("c", i, TIME + i) for i in range(50)])
    where = ["--bootstrap-servers", kafka.bootstrap_servers]
    sent = subprocess.run([PROGRAM, "produce", "--events", path, "--topic", topic, *where], capture_output=True, text=True, check=True)
    told = subprocess.run([PROGRAM, "tail", topic, "-F", *where], capture_output=True, text=True, check=True)
    assert (sent.stderr, told.stderr, told.stdout.count("\n")) == ("", "", 50)


def test_a_broker_that_is_not_there_is_one_error(keepline: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_client.partitions, "__defaults__", (1.0,))
    path = write_lines(tmp_path / "e.jsonl", [call("c", 1, TIME)])
    for args in (["produce", "--events", path], ["tail", "t"], ["tail", "t", "-F"]):
        begin = time.monotonic()
        result = keepline(*args, "--bootstrap-servers", "127.0.0.1:1")
        assert time.monotonic() - begin < 10
        assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
        assert result.err.startswith("error: no answer from Kafka at 127.0.0.1:1 within 1 s (")
        assert "keepline doctor" in result.err
    assert kafka_client.PATIENCE_SECONDS <= 10


def test_a_topic_that_is_not_there_is_one_error(keepline: Command, kafka: EmbeddedKafka, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "e.jsonl", [call("c", 1, TIME)])
    for args in (["produce", "--events", path, "--topic", "absent"], ["tail", "absent"]):
        result = keepline(*args, "--bootstrap-servers", kafka.bootstrap_servers)
        assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
        assert result.err.startswith(f"error: topic 'absent' at {kafka.bootstrap_servers}: ")


def test_client_properties_are_passed_through(keepline: Command, kafka: EmbeddedKafka, topic: str) -> None:
    args = ["tail", topic, "--no-follow", "--bootstrap-servers", kafka.bootstrap_servers]
    assert keepline(*args, "--kafka", "client.id=me", "--kafka", "fetch.wait.max.ms=50").code == 0
    wrong = keepline(*args, "--kafka", "no.such=1")
    assert (wrong.code, 'No such configuration property: "no.such"' in wrong.err) == (2, True)
    plain = keepline(*args, "--kafka", "client.id")
    assert plain.err == "error: --kafka 'client.id': expected name=value, such as security.protocol=SASL_SSL\n"


def test_tail_shows_what_is_committed(keepline: Command, kafka: EmbeddedKafka, topic: str, writer: Producer) -> None:
    other = Producer({"bootstrap.servers": kafka.bootstrap_servers, "transactional.id": uuid.uuid4().hex}, logger=QUIET)
    other.init_transactions(30)

    def put(producer: Producer, number: int) -> None:
        producer.produce(topic, from_record("Score", score(number)), key=f"c{number}|churn|CHAMPION")

    for number, end in ((1, writer.commit_transaction), (2, writer.abort_transaction), (3, writer.commit_transaction)):
        writer.begin_transaction()
        put(writer, number)
        writer.flush(10)
        end(30)
    # One that stays open, and after it one that is committed: its records cannot be read before the first has ended.
    writer.begin_transaction()
    put(writer, 4)
    assert writer.flush(10) == 0
    other.begin_transaction()
    put(other, 5)
    other.commit_transaction(30)
    args = ["tail", topic, "--bootstrap-servers", kafka.bootstrap_servers]
    begin = time.monotonic()
    result = keepline(*args, "--no-follow")
    assert time.monotonic() - begin < 15
    assert [json.loads(line) for line in result.out.splitlines()] == [score(1), score(3)]
    writer.abort_transaction(30)
    shown = [json.loads(line)["customer_id"] for line in keepline(*args, "--no-follow").out.splitlines()]
    assert shown == ["c1", "c3", "c5"]
    assert len(keepline(*args, "--follow", "--limit", 2).out.splitlines()) == 2
    assert keepline(*args, "--no-follow", "--latest").out == ""


def test_tail_reads_every_partition(keepline: Command, kafka: EmbeddedKafka, tmp_path: Path) -> None:
    topic = f"cli-{uuid.uuid4().hex}"
    kafka.create_topics([topic], partitions=4)
    path = write_lines(tmp_path / "e.jsonl", [call(f"c{i}", i, TIME + i) for i in range(40)])
    assert keepline("produce", "--events", path, "--bootstrap-servers", kafka.bootstrap_servers, "--topic", topic).code == 0
    lines = keepline("tail", topic, "-F", "--bootstrap-servers", kafka.bootstrap_servers).out.splitlines()
    assert sorted(json.loads(line)["customer_id"] for line in lines) == sorted(f"c{i}" for i in range(40))
    assert all(json.loads(line)["type"] == "Call" for line in lines)


def test_tail_shows_bytes_as_base64_and_tombstones_as_such(keepline: Command, kafka: EmbeddedKafka, topic: str, writer: Producer) -> None:
    letter = {
        "topic": "telemetry", "partition": 1, "offset": 2, "timestamp": 3, "key": b"\xff\0", "value": b"\xc3\x01raw", "value_length": 5,
        "value_sha256": b"\x01" * 32, "reason": "MALFORMED", "message": "ü",
    }  # fmt: skip
    writer.begin_transaction()
    writer.produce(topic, from_record("DeadLetter", letter), key=b"\xff\0")
    writer.produce(topic, None, key="c1|churn|CHAMPION")
    writer.produce(topic, b"not ours", key=b"k")
    writer.commit_transaction(30)
    result = keepline("tail", topic, "-F", "--bootstrap-servers", kafka.bootstrap_servers)
    dead, tombstone, foreign = map(json.loads, result.out.splitlines())
    as_text = {name: base64.b64encode(value).decode() if isinstance(value, bytes) else value for name, value in letter.items()}
    assert dead == as_text
    assert "ü" in result.out
    assert tombstone == {"key": "c1|churn|CHAMPION", "tombstone": True}
    assert foreign == {"key": base64.b64encode(b"k").decode(), "value": base64.b64encode(b"not ours").decode()}


def test_tail_into_head_is_quiet(kafka: EmbeddedKafka, topic: str, tmp_path: Path, keepline: Command) -> None:
    path = write_lines(tmp_path / "e.jsonl", [call("c", i, TIME + i) for i in range(5000)])
    assert keepline("produce", "--events", path, "--bootstrap-servers", kafka.bootstrap_servers, "--topic", topic).code == 0
    line = f"{PROGRAM} tail {topic} --bootstrap-servers {kafka.bootstrap_servers} | head -n 3"
    done = subprocess.run(line, shell=True, capture_output=True, text=True, check=True, timeout=30)
    assert (done.stdout.count("\n"), done.stderr) == (3, "")


def test_ctrl_c_ends_a_following_tail_quietly(kafka: EmbeddedKafka, topic: str) -> None:
    with subprocess.Popen(
        [PROGRAM, "tail", topic, "--bootstrap-servers", kafka.bootstrap_servers], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as tail:
        sender = Producer({"bootstrap.servers": kafka.bootstrap_servers}, logger=QUIET)
        sender.produce(topic, from_record("Score", score(1)))
        sender.flush(10)
        assert tail.stdout is not None
        assert json.loads(tail.stdout.readline()) == score(1)
        tail.send_signal(signal.SIGINT)
        out, err = tail.communicate(timeout=20)
    assert (tail.returncode, out, err) == (130, "", "")


def test_doctor_finds_everything(keepline: Command, kafka: EmbeddedKafka, redis_server: EmbeddedRedis) -> None:
    args = ["doctor", "--bootstrap-servers", kafka.bootstrap_servers, "--redis-url", redis_server.url]
    result = keepline(*args, "--json", "--kafka", "client.id=me")
    assert (result.code, result.err) == (0, "")
    assert {check["name"]: check["ok"] for check in result.json}.keys() >= {"Java", "Job jar", "Model", "Kafka", "Redis"}
    assert all(check["ok"] and not check["fix"] for check in result.json)
    assert all(line.startswith("ok   ") for line in keepline(*args).out.splitlines())


def test_doctor_says_how_to_put_it_right(keepline: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from keepline.jobs.stack import doctor

    monkeypatch.setattr(doctor, "PATIENCE", 0.5)
    args = ["doctor", "--bootstrap-servers", "127.0.0.1:1", "--redis-url", "redis://u:s3cret@127.0.0.1:1", "--model", tmp_path]
    result = keepline(*args)
    assert (result.code, result.err) == (1, "")
    assert "s3cret" not in result.out
    for name in ("Kafka", "Redis", "Model"):
        assert f"FAIL {name}: " in result.out
    assert result.out.count("     fix: ") == 3
    assert [check["name"] for check in keepline(*args, "--json").json if not check["ok"]] == ["Model", "Kafka", "Redis"]
    unknown = keepline("doctor", "--bootstrap-servers", "127.0.0.1:1", "--kafka", "no.such=1")
    assert (unknown.code, "no.such" in unknown.out) == (1, True)


def test_produce_confluent_registers_and_writes_ids(keepline: Command, kafka: EmbeddedKafka, topic: str, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    names = ["Call", "Message"] * 3
    events = [{"type": name, "customer_id": "c", "event_id": f"e{i}", "event_time": i, "duration_s": 1.0} for i, name in enumerate(names)]
    path.write_text("".join(json.dumps(event) + "\n" for event in events), encoding="utf-8")
    args = ["produce", "--events", path, "--bootstrap-servers", kafka.bootstrap_servers, "--topic", topic, "--framing", "confluent"]
    with EmbeddedRegistry(user_info="u:s3cret") as registry:
        args += ["--registry-url", registry.url, "--registry", "basic.auth.user.info=u:s3cret"]
        missing = keepline(*args, "--no-register")
        assert (missing.code, missing.out) == (2, "")
        assert "does not have schemas/events/Call.avsc under the subject keepline.events.Call" in missing.err
        assert keepline(*args).code == 0
        assert keepline(*args, "--no-register").code == 0
        values = [message.value() for message in read(kafka, topic, 12)]
        assert [int.from_bytes(value[:5], "big") for value in values] == [1, 2] * 6
        for value, event in zip(values[:6], events, strict=True):
            schema = Registry(registry.url, {"basic.auth.user.info": "u:s3cret"}).schema(int.from_bytes(value[1:5], "big"))
            assert schema == event_type(str(event["type"])).schema
            assert to_record(pack(value[5:], fingerprint(schema)))[1]["event_id"] == event["event_id"]
        doctor = keepline("doctor", "--registry-url", registry.url, "--registry", "basic.auth.user.info=u:s3cret")
        assert "ok   Schema registry: 2 subjects, 2 of them keepline.events.*" in doctor.out
        refused = keepline("doctor", "--registry-url", registry.url.replace("//", "//u:wr0ng@"))
        assert refused.code == 1
        assert "HTTP 401" in refused.out
        assert "wr0ng" not in refused.out + refused.err
    away = keepline(*args)
    assert away.code == 2
    assert away.err.startswith(f"error: no answer from the schema registry at {registry.url}")
    assert "s3cret" not in away.err


def test_produce_confluent_needs_a_registry(keepline: Command, kafka: EmbeddedKafka, topic: str, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text("", encoding="utf-8")
    args = ["produce", "--events", path, "--bootstrap-servers", kafka.bootstrap_servers, "--topic", topic, "--framing"]
    assert "name the schema registry with --registry-url" in keepline(*args, "confluent").err
    assert keepline(*args, "avro").err == "error: --framing 'avro': expected single-object or confluent\n"
