"""The ingest job on real Kafka and Flink: foreign JSON and Avro to canonical events, exactly once, through killed TaskManagers and stops.

The foreign records are made from canonical events, so what has to come out is known without the mapper.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Message

from keepline.jobs.replay import retention as replay_retention
from keepline.jobs.settings import RetentionSettings
from keepline.jobs.stack.flink import FlinkCluster
from keepline.jobs.stack.java import ROOT
from keepline.jobs.stack.kafka import EmbeddedKafka
from keepline.jobs.stack.ports import free_ports
from keepline.jobs.stack.registry import EmbeddedRegistry
from keepline.jobs.tail import messages
from keepline.operators.code import code_hash
from keepline.operators.spec import CHANNELS
from keepline.schemas.encode import Ok, encode
from keepline.schemas.framing import pack_confluent
from keepline.schemas.records import to_record
from tests.whole.foreign import JSON_TYPES, MAPPING, SCHEMA, TYPES, avro_bytes, foreign, quantised
from tests.whole.history import START, Crowd, Event, Sent
from tests.whole.support import command, drained, send, wait
from tests.whole.test_cluster import running
from tests.whole.test_commands import commands

pytestmark = pytest.mark.timeout(900)
INGEST = ROOT / "jobs" / "ingest.py"
PARTITIONS = 2
WHEN = b'"start": "2025-03-11 10:00:00.000000"'
BAD_JSON = [
    (b"{not json", "MALFORMED", "the value is not JSON"),
    (b'{"kind": "SMS", "id": "1", ' + WHEN + b"}", "INVALID_FIELD", "Message.customer_id from subscriber.msisdn"),
    (b'{"kind": "SMS", "id": "1", "start": "yesterday", "subscriber": {"msisdn": 1}}', "INVALID_FIELD",
     'is "yesterday": expected a time as %Y'),
    (b'{"kind": "SMS", "id": "1", "start": "1970-03-11 10:00:00.0", "subscriber": {"msisdn": 1}}', "OUT_OF_BOUNDS_TIME",
     "event_time is 1970"),
    (b'{"x": "' + b"x" * 300_000 + b'"}', "OVERSIZED", "expected at most 262144"),
]  # fmt: skip
SKIPPED = [b'{"kind": "HEARTBEAT"}', b"{}"]


def telemetry(seed: int, days: int = 4) -> list[Event]:
    """Canonical events as far as foreign records hold them, some twice, in order of arrival."""
    sent = Crowd(seed, customers=40).active(START, days, 300)
    return [quantised(record.event) for record in sent if record.event and record.event["type"] in TYPES]


def as_sent(events: Iterable[Event], *, frame: int | None = None) -> tuple[list[Sent], list[Sent]]:
    """(records of the JSON topic, of the Avro topic). `frame`: the Avro behind this schema id."""
    found: tuple[list[Sent], list[Sent]] = ([], [])
    for event in events:
        key = event["customer_id"].encode()
        is_json = event["type"] in JSON_TYPES
        value = foreign(event)
        if not is_json and frame is not None:
            value = pack_confluent(value, frame)
        found[0 if is_json else 1].append(Sent(sum(key) % PARTITIONS, key, value, event))
    return found


def created(kafka: EmbeddedKafka, folder: Path, name: str, format_: str = "format: avro\n    schema: usage.avsc") -> Path:
    """Makes topics and the mapping file."""
    kafka.create_topics([f"{name}.json", f"{name}.avro"], PARTITIONS)
    kafka.create_topics([f"{name}.telemetry", f"{name}.dead"], PARTITIONS)
    (folder / "usage.avsc").write_text(json.dumps(SCHEMA))
    file = folder / f"{name}.yaml"
    file.write_text(MAPPING.format(json=f"{name}.json", avro=f"{name}.avro", format=format_))
    return file


def flags(kafka: EmbeddedKafka, name: str, file: Path) -> list[str]:
    where = ["--bootstrap-servers", kafka.bootstrap_servers, "--topic", f"{name}.telemetry", "--dead-letters", f"{name}.dead"]
    return ["--mapping", str(file), "--job-name", name, "--checkpoint-interval", "200ms", *where]


def value_of(event: Event) -> bytes:
    made = encode(event)
    assert isinstance(made, Ok), made
    return made.value


def committed(kafka: EmbeddedKafka, topic: str) -> list[Message]:
    return list(messages(topic, kafka.bootstrap_servers))


def assert_ingested(kafka: EmbeddedKafka, name: str, events: list[Event]) -> list[Message]:
    """The same events, each as often, as canonical records."""
    found = committed(kafka, f"{name}.telemetry")
    assert Counter(message.value() for message in found) == Counter(value_of(event) for event in events)
    for message in found:
        event = to_record(message.value())[1]
        assert message.key() == event["customer_id"].encode()
        assert message.timestamp()[1] == event["event_time"]
        ((header, when),) = message.headers()
        assert header == "created_ms"
        assert int(when) > 0
    return found


def replayed(events: Iterable[Event], model: Path, folder: Path) -> dict[str, list[str]]:
    """What the retention job makes of these events, in the order of their times."""
    folder.mkdir()
    ordered = sorted(events, key=lambda event: (event["event_time"], event["customer_id"], event["event_id"]))
    (folder / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in ordered))
    replay_retention(RetentionSettings(model=model, emit="every"), [folder / "events.jsonl"], folder / "out")
    return {channel: (folder / "out" / f"{channel}.jsonl").read_text().splitlines() for channel in CHANNELS}


@pytest.mark.slow
def test_exactly_once_through_killed_taskmanagers_and_stops(
    flink: FlinkCluster, kafka: EmbeddedKafka, model: Path, name: str, tmp_path: Path
) -> None:
    events = telemetry(21)
    assert len(events) > 800
    file = created(kafka, tmp_path, name)
    parts = [events[part * len(events) // 4 : (part + 1) * len(events) // 4] for part in range(4)]

    def put(part: list[Event]) -> None:
        for topic, records in zip(("json", "avro"), as_sent(part), strict=True):
            send(kafka, f"{name}.{topic}", records)

    bad = [Sent(0, b"\xffkey", value) for value, _, _ in BAD_JSON] + [Sent(1, None, value) for value in SKIPPED]
    broken = [Sent(1, b"k", b"\x00\x01"), Sent(0, b"k", avro_bytes({"sub": {"msisdn": "1"}, "id": "1", "at": 1, "kind": "PROBE"}))]

    def all_read(job: str) -> None:
        for topic in ("json", "avro"):
            drained(kafka, flink.rest, job, f"{name}.{topic}", name, 180)

    args = ("ingest", *flags(kafka, name, file))
    put(parts[0])
    with commands(flink, name) as keepline:
        job = keepline.json("submit", *args, "--parallelism", "2")["job"]
        with running(flink, job):
            told = keepline.run("submit", *args, code=2)
            assert f"job '{name}' is RUNNING on {flink.rest.url}" in told
            assert "--output-prefix" not in told
            aside = file.parent.rename(tmp_path.with_name(f"{tmp_path.name}-aside"))  # TaskManagers have no such files
            wait("a checkpoint", lambda: flink.rest.checkpoints(job)["counts"]["completed"] > 0)
            send(kafka, f"{name}.json", bad)
            send(kafka, f"{name}.avro", broken)
            restored = flink.rest.checkpoints(job)["counts"]["restored"]
            lost = flink.kill_taskmanager(0)
            put(parts[1])  # while the job is down
            wait("the loss noticed", lambda: lost not in flink.rest.taskmanagers(), 60)
            flink.start_taskmanager(0)
            wait("a restore", lambda: flink.rest.checkpoints(job)["counts"]["restored"] > restored, 120)
            flink.rest.wait_running(job)
            all_read(job)
            (shown,) = keepline.json("status", name)
            assert (shown["state"], shown["parallelism"], shown["lag"], shown["code"]) == ("RUNNING", 2, 0, code_hash())
            assert f"/savepoints/{name}/savepoint-" in keepline.json("savepoint", name)["savepoint"]
            stopped = keepline.json("stop", name)
            assert stopped["state"] == "FINISHED"
        aside.rename(file.parent)
        place = stopped["savepoint"].removeprefix("file:").lstrip("/")
        told = keepline.run("submit", *args, code=2)
        assert place in told
        assert "--fresh to go on from the consumer group's offsets" in told
        put(parts[2])
        again = keepline.json("restore", "ingest", "latest", *args[1:])
        assert again["restored"].endswith(place)
        with running(flink, again["job"]):
            all_read(again["job"])
        # Cancelled, and started again without a state: it goes on from the offsets that the last checkpoint committed.
        put(parts[3])
        fresh = keepline.json("submit", *args, "--fresh")
        assert fresh["restored"] is None
        with running(flink, fresh["job"]):
            all_read(fresh["job"])
    found = assert_ingested(kafka, name, events)
    letters = [to_record(message.value())[1] for message in committed(kafka, f"{name}.dead")]
    told = sorted((letter["value_length"], letter["reason"], letter["key"]) for letter in letters)
    wanted = [(len(value), reason, b"\xffkey") for value, reason, _ in BAD_JSON] + [(2, "MALFORMED", b"k")]
    assert told == sorted(wanted)
    for value, _, words in BAD_JSON:
        (letter,) = [one for one in letters if one["value"] == value[:262_144]]
        assert words in letter["message"]
        assert (letter["topic"], letter["partition"], letter["offset"] >= 0) == (f"{name}.json", 0, True)
    back = [{"type": kind} | record for kind, record in (to_record(message.value()) for message in found)]
    assert replayed(back, model, tmp_path / "ingested") == replayed(events, model, tmp_path / "direct")


@pytest.mark.slow
def test_a_registry_that_is_away_holds_the_job_up_and_loses_nothing(
    flink: FlinkCluster, kafka: EmbeddedKafka, name: str, tmp_path: Path
) -> None:
    events = telemetry(22, days=1)
    with EmbeddedRegistry() as registry:
        number = registry.register(f"{name}.avro-value", SCHEMA)
        registry.stop()
        file = created(kafka, tmp_path, name, "format: avro-confluent")
        as_json, as_avro = as_sent(events, frame=number)
        send(kafka, f"{name}.json", as_json)
        send(kafka, f"{name}.avro", [Sent(0, b"k", pack_confluent(b"", 4711)), *as_avro])
        job = flink.submit(INGEST, *flags(kafka, name, file), "--registry-url", registry.url)
        with running(flink, job):
            wait("the registry missed for so long that the job restarts", lambda: flink.rest.restarts(job) > 0, 120)
            assert not [m for m in committed(kafka, f"{name}.telemetry") if to_record(m.value())[0] in {"DataSession", "Bill", "Payment"}]
            registry.start()
            for topic in ("json", "avro"):
                drained(kafka, flink.rest, job, f"{name}.{topic}", name, 180)
        assert_ingested(kafka, name, events)
        (letter,) = [to_record(message.value())[1] for message in committed(kafka, f"{name}.dead")]
    assert letter["reason"] == "UNKNOWN_SCHEMA"
    assert "schema id 4711 is unknown to the registry" in letter["message"]


def test_one_command_from_topics_to_telemetry(kafka: EmbeddedKafka, name: str, tmp_path: Path) -> None:
    """On a Flink of its own, to the end of what is there."""
    events = telemetry(23, days=1)
    file = created(kafka, tmp_path, name)
    (port,) = free_ports(1)
    for topic, records in zip(("json", "avro"), as_sent(events), strict=True):
        send(kafka, f"{name}.{topic}", records)
    done = command("run", "ingest", *flags(kafka, name, file), "--bounded", "--rest-port", str(port), timeout=400)
    assert done.returncode == 0, done.stderr[-3000:]
    assert_ingested(kafka, name, events)


def test_what_cannot_work_is_refused_at_submit(kafka: EmbeddedKafka, name: str, tmp_path: Path) -> None:
    file = created(kafka, tmp_path, name)
    args = flags(kafka, name, file)

    def refused(words: str, *more: Any) -> None:
        done = command("run", "ingest", *map(str, [*args, *more]), timeout=120)
        assert done.returncode == 2, done.stderr
        assert done.stderr.startswith("error: "), done.stderr
        assert words in done.stderr, done.stderr
        assert "Traceback" not in done.stderr

    refused(f"has no topic {name}.gone: create", "--topic", f"{name}.gone")
    refused("is read and written", "--topic", f"{name}.json")
    file.write_text(file.read_text().replace("unit: ms", "unit: sec"))
    refused(f"{file}:13:52: unit of Call.duration_s is 'sec'")
    created_again = tmp_path / "c.yaml"
    created_again.write_text(MAPPING.format(json=f"{name}.json", avro=f"{name}.avro", format="format: avro-confluent"))
    refused("format avro-confluent needs the schema registry", "--mapping", created_again)
