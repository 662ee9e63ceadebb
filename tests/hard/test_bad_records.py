"""A stream of good events among every kind of bad record, on real Kafka, Redis and Flink: no good event lost, each bad one a dead letter.

Then the dead letters go back: those that are sound as they are, those that a person repaired, and the outputs equal a replay of it all.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from keepline.jobs.settings import RetentionSettings
from keepline.jobs.stack.flink import FlinkCluster
from keepline.jobs.stack.java import ROOT
from keepline.jobs.stack.kafka import EmbeddedKafka
from keepline.jobs.stack.redis import EmbeddedRedis
from keepline.jobs.tail import messages
from keepline.operators.spec import MAX_KEY
from keepline.schemas.packed import MAX_VALUE
from tests.hard.bad_records import CALL, CUSTOMER, Bad, bad_records, flood, framed
from tests.whole.history import Sent, closing, partition_of, sent, strewn, whole_history
from tests.whole.support import (
    FROM_FILES,
    alive,
    assert_equal,
    assert_view_soon,
    command,
    drained,
    flat,
    live,
    replayed,
    send,
    settings_file,
    topics,
)

PARTITIONS = 2
RETENTION = ROOT / "jobs" / "retention.py"
LARGE = 2 << 20


def as_sent(bad: Bad) -> Sent:
    return Sent(partition_of(bad.key or b"", PARTITIONS), bad.key, bad.value, None, bad.reason)


def send_large(kafka: EmbeddedKafka, topic: str, records: list[Sent]) -> None:
    """As `send`, for values of a megabyte."""
    config = {"bootstrap.servers": kafka.bootstrap_servers, "enable.idempotence": True, "log_level": 3, "message.max.bytes": LARGE}
    producer = Producer(config)
    for record in records:
        moment = record.event["event_time"] if record.event else 1
        producer.produce(topic, record.value, record.key, partition=record.partition, timestamp=moment)
        producer.poll(0)
        if len(record.value or b"") > MAX_VALUE:
            producer.flush(60)
    assert producer.flush(120) == 0


def by_place(records: list[Sent]) -> dict[tuple[int, int], Sent]:
    """The records by partition and offset, as they arrive in an empty topic."""
    ends: Counter[int] = Counter()
    found = {}
    for record in records:
        found[record.partition, ends[record.partition]] = record
        ends[record.partition] += 1
    return found


def assert_letters(letters: list[dict[str, Any]], records: list[Sent], topic: str) -> None:
    """Each bad record has one dead letter, with its place, reason, key, value, length and hash; and nothing else has one."""
    wanted = {place: record for place, record in by_place(records).items() if record.reason}
    made = {(letter["partition"], letter["offset"]): letter for letter in letters}
    assert len(made) == len(letters)
    assert sorted(made) == sorted(wanted)
    for place, record in wanted.items():
        letter, value = made[place], record.value or b""
        what = (place, record.reason, (record.key or b"")[:40], value[:40])
        assert (letter["topic"], letter["reason"]) == (topic, record.reason), what
        assert b64decode(letter["key"]) == (record.key or b"")[:MAX_KEY], what
        assert b64decode(letter["value"]) == value[:MAX_VALUE], what
        assert (letter["value_length"], b64decode(letter["value_sha256"])) == (len(value), hashlib.sha256(value).digest()), what
        assert letter["message"], what


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_good_events_among_bad_records(flink: FlinkCluster, kafka: EmbeddedKafka, model: Path, name: str, tmp_path: Path) -> None:
    name = f"hard-{name}"
    history = whole_history(seed=21, customers=60, partitions=PARTITIONS, per_day=400, silence=20)
    end = max(record.event["event_time"] for record in history if record.event)
    broken = (framed(customer_id=f"r-{n}", event_time=end, duration_s=-1.0) for n in range(5))
    repairable = [Bad("a number below its least", "INVALID_FIELD", f"r-{n}".encode(), value) for n, value in enumerate(broken)]
    bad = [as_sent(each) for each in bad_records()]
    row = [as_sent(each) for each in flood(3000)]
    middle = len(history) // 2
    # Those to be repaired come last: their time, the newest of all, moves event time, as that of any record does.
    last_ones = [as_sent(each) for each in repairable * 2]
    records = [*strewn(bad, history[:middle], seed=5), *row, *strewn(bad, history[middle:], seed=6), *last_ones]
    topic = f"{name}.in"
    topics(kafka, name, PARTITIONS, {"max.message.bytes": str(LARGE)})
    send_large(kafka, topic, records)
    with EmbeddedRedis() as redis:
        file = settings_file(
            tmp_path, job_name=name, bootstrap_servers=kafka.bootstrap_servers, topics=topic, output_prefix=name, redis_url=redis.url,
            model=str(model), emit="every", idle_after="0s", checkpoint_interval="500ms",
        )  # fmt: skip
        job = flink.submit(RETENTION, "--config", str(file))
        try:
            drained(kafka, flink.rest, job, topic, name, 400)
            found = live(kafka, name)
            wanted = replayed(RetentionSettings(model=model, emit="every"), records, tmp_path)
            assert_equal(found, wanted, FROM_FILES)
            assert_view_soon(redis.url, found, records)
            assert_letters(flat(found["dead-letters"]), records, topic)
            assert len(flat(found["scores"])) > 5000
            assert flink.rest.restarts(job) == 0
            redriven(kafka, name, end, tmp_path)
            last = closing([*history, *closing(history, PARTITIONS)], PARTITIONS)
            send(kafka, topic, last)
            drained(kafka, flink.rest, job, topic, name, 400)
            assert flink.rest.restarts(job) == 0
        except BaseException:
            print(flink.rest.state(job), flink.rest.cause(job)[:3000])
            raise
        finally:
            flink.rest.cancel(job)
            flink.rest.wait(job)
    again = live(kafka, name)
    assert len(flat(again["dead-letters"])) == len(flat(found["dead-letters"])), "what was sent back was accepted"
    repaired = [CALL | {"customer_id": f"r-{n}", "event_time": end, "duration_s": 1.0} for n in range(5)]
    mended = [sent(event, PARTITIONS) for event in [*(each for each in repaired for _ in range(2)), *[CALL] * 14]]
    whole = replayed(RetentionSettings(model=model, emit="every"), [*records, *mended, *last], tmp_path / "again")
    assert_equal(again, whole, FROM_FILES)
    assert {f"r-{n}" for n in range(5)} | {CUSTOMER} <= set(again["scores"])


def redriven(kafka: EmbeddedKafka, name: str, end: int, folder: Path) -> None:
    """Sends back what is sound as it is, and what is repaired by hand; twice, which changes nothing."""
    arguments = ["redrive", "--bootstrap-servers", kafka.bootstrap_servers, "--dead-letters", f"{name}.dead-letters"]
    file = folder / "letters.jsonl"
    exported = command(*arguments, "--reason", "INVALID_FIELD", "--export", str(file))
    assert exported.returncode == 0, exported.stderr
    lines = [line for line in map(json.loads, file.read_text().splitlines()) if line.get("event", {}).get("event_time") == end]
    assert len(lines) == 10
    for line in lines:
        assert line["event"]["duration_s"] == -1.0
        line["event"]["duration_s"] = 1.0
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    for count in (10, 0):
        done = command(*arguments, "--repaired", str(file), "--json")
        assert json.loads(done.stdout)["sent"] == count, done.stderr
    for count in (14, 0):
        done = command(*arguments, "--reason", "KEY_MISMATCH", "--json")
        assert json.loads(done.stdout)["sent"] == count, done.stderr
    sent_back = [message for message in messages(f"{name}.in", kafka.bootstrap_servers) if message.headers()]
    assert Counter(message.key() for message in sent_back) == Counter({CUSTOMER.encode(): 14} | {f"r-{n}".encode(): 2 for n in range(5)})


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_an_empty_topic_and_an_empty_partition(flink: FlinkCluster, kafka: EmbeddedKafka, model: Path, name: str, tmp_path: Path) -> None:
    """Events are scored as they come; only ticks of silence wait, for as long as `idle_after` says: here for ever."""
    name = f"hard-{name}"
    topic = topics(kafka, name, 3)
    kafka.create_topics([f"{name}.empty"])
    records = whole_history(seed=22, customers=20, partitions=2, per_day=60, silence=3)
    send(kafka, topic, records)
    file = settings_file(
        tmp_path, job_name=name, bootstrap_servers=kafka.bootstrap_servers, topics=[topic, f"{name}.empty"], output_prefix=name,
        redis_url="",
        model=str(model), emit="every", idle_after="0s", checkpoint_interval="300ms",
    )  # fmt: skip
    job = flink.submit(RETENTION, "--config", str(file))
    try:
        drained(kafka, flink.rest, job, topic, name, 300)
        assert flink.rest.restarts(job) == 0
    finally:
        flink.rest.cancel(job)
        flink.rest.wait(job)
    found, wanted = live(kafka, name), replayed(RetentionSettings(model=model, emit="every"), records, tmp_path)
    for customer, scores in wanted["scores"].items():
        made = alive(found["scores"][customer])
        assert made == scores[: len(made)]
        assert not any(score["event_id"] for score in scores[len(made) :])
    assert sum(map(len, found["scores"].values())) > 500
