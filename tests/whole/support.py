"""What the tests of the whole job share: sending, running, reading back, and the two comparisons.

"Equal to replay" is the contract's: per customer, in order, all fields but topic, partition, offset and timestamp.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from redis import Redis

from keepline.jobs.cluster.rest import FlinkRest
from keepline.jobs.replay import retention as replay_retention
from keepline.jobs.settings import RetentionSettings
from keepline.jobs.stack.kafka import EmbeddedKafka
from keepline.jobs.stack.ports import free_ports
from keepline.jobs.tail import records as tail
from keepline.operators.spec import CHANNELS
from keepline.schemas.records import to_json
from tests.whole.history import Sent

KEEPLINE = Path(sys.executable).with_name("keepline")
FROM_FILES = [channel for channel in CHANNELS if channel != "dead-letters"]
"""The channels that replay knows in full: of what is no event, a file holds only some."""
PLACE = ("topic", "partition", "offset", "timestamp")
"""Fields in which a live record and its replay differ."""
CONTROL = ("Consent", "Outcome", "Erasure")
Record = dict[str, Any]
Outputs = dict[str, dict[str, list[Record]]]
"""By channel, by customer (dead letters: by key), the records in order."""


def topics(kafka: EmbeddedKafka, name: str, partitions: int = 1, configs: Mapping[str, str] | None = None) -> str:
    """Creates the job's topics, `NAME.in` (with these configs) and `NAME.scores` …; returns the input."""
    kafka.create_topics([f"{name}.in"], partitions, configs)
    kafka.create_topics([f"{name}.{channel}" for channel in CHANNELS], 2)
    return f"{name}.in"


def send(kafka: EmbeddedKafka, topic: str, records: Iterable[Sent]) -> None:
    """Sends the records in this order, each to its partition."""
    producer = Producer({**kafka.admin, "enable.idempotence": True, "linger.ms": 5, "log_level": 3})
    for record in records:
        moment = record.event["event_time"] if record.event else 0
        while True:
            try:
                producer.produce(topic, record.value, record.key, partition=record.partition, timestamp=max(moment, 1))
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(60) == 0


def environment(**more: str) -> dict[str, str]:
    """Ours without the settings of whoever runs the tests."""
    return {key: value for key, value in os.environ.items() if not key.startswith("KEEPLINE_") or key == "KEEPLINE_JAR"} | more


def command(*arguments: str, timeout: float = 60, **variables: str) -> subprocess.CompletedProcess[str]:
    """`keepline …` as a user types it."""
    return subprocess.run(
        [str(KEEPLINE), *arguments], capture_output=True, text=True, check=False, timeout=timeout, env=environment(**variables),
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


def run_job(folder: Path, *arguments: str, timeout: float = 120) -> str:
    """`keepline run retention --bounded …` to its end; what it wrote. Fails with Flink's cause if it does not end in time or well."""
    (port,) = free_ports(1)
    rest, log = FlinkRest(f"http://127.0.0.1:{port}"), folder / "run.log"
    words = [str(KEEPLINE), "run", "retention", "--bounded", "--rest-port", str(port), *arguments]
    with log.open("w") as out, subprocess.Popen(words, stdout=out, stderr=out, stdin=subprocess.DEVNULL, env=environment()) as job:
        try:
            status = job.wait(timeout)
        except subprocess.TimeoutExpired:
            causes = [f"{rest.state(each)}, {rest.restarts(each)} restarts: {rest.cause(each)[:3000]}" for each in rest.jobs()]
            pytest.fail(f"the job did not end within {timeout:.0f} s: {causes}\n{log.read_text()[-3000:]}")
        finally:
            job.kill()
    assert status == 0, log.read_text()[-3000:]
    return log.read_text()


def live(kafka: EmbeddedKafka, name: str) -> Outputs:
    """What a job committed."""
    given = [f"{key}={value}" for key, value in kafka.admin.items()]
    return {channel: by_customer(map(plain, tail(f"{name}.{channel}", kafka.bootstrap_servers, given))) for channel in CHANNELS}


def replayed(settings: RetentionSettings, records: Iterable[Sent], folder: Path) -> Outputs:
    """What `keepline replay` makes of the same records, in the same order."""
    return {channel: by_customer(map(json.loads, path.open())) for channel, path in replay_files(settings, records, folder).items()}


def replay_files(settings: RetentionSettings, records: Iterable[Sent], folder: Path) -> dict[str, Path]:
    """The files of JSON Lines that `keepline replay` makes of the same records, by channel."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "events.jsonl"
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(record.event) + "\n" for record in records if record.event)
    replay_retention(settings, [path], folder / "out")
    return {channel: folder / "out" / f"{channel}.jsonl" for channel in CHANNELS}


def plain(record: Record) -> Record:
    """As it stands in a file."""
    return dict(json.loads(to_json(record)))


def owner(record: Record) -> str:
    """The customer a record is about, be it a tombstone; of a receipt the request, of a dead letter the key.

    Of another score than churn `customer|score`: a topic keeps the order of a key, and each score has its own.
    """
    if is_tombstone(record):  # customer_id|score|role
        customer, score, _ = str(record["key"]).rsplit("|", 2)
        return customer if score == "churn" else f"{customer}|{score}"
    if "role" in record and record["score"] != "churn":
        return f"{record['customer_id']}|{record['score']}"
    return str(next(record[name] for name in ("customer_id", "request_id", "key") if name in record))


def is_tombstone(record: Record) -> bool:
    """Whether it is what `tail` makes of a record without a value."""
    return "tombstone" in record


def by_customer(records: Iterable[Record]) -> dict[str, list[Record]]:
    grouped: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        grouped[owner(record)].append(record)
    return dict(grouped)


def flat(outputs: Mapping[str, list[Record]]) -> list[Record]:
    return [record for each in outputs.values() for record in each]


def without_place(record: Record) -> Record:
    return {name: value for name, value in record.items() if name not in PLACE}


def assert_equal(found: Outputs, wanted: Outputs, channels: Iterable[str] = CHANNELS) -> None:
    """All channels equal, with the first difference in the message. Tombstones, which files have none of, aside: see `assert_erased`."""
    for channel in channels:
        here = {customer: made for customer, all_made in found[channel].items() if (made := alive(all_made))}
        there = wanted[channel]
        assert sorted(here) == sorted(there), f"{channel}: customers differ: {sorted(set(here) ^ set(there))[:5]}"
        for customer in there:
            ours, theirs = ([without_place(record) for record in side[customer]] for side in (here, there))
            for place, (a, b) in enumerate(zip(ours, theirs, strict=False)):
                where = f"{channel} of {customer}, record {place} of {len(theirs)}"
                assert a == b, f"{where}:\n  live   {a}\n  replay {b}\n  before {theirs[max(0, place - 1) : place]}"
            more = (ours if len(ours) > len(theirs) else theirs)[min(len(ours), len(theirs)) :]
            assert not more, f"{channel} of {customer}: {len(ours)} live, {len(theirs)} in replay; without a twin: {more[0]}"


def alive(records: Iterable[Record]) -> list[Record]:
    """The records that are no tombstones."""
    return [record for record in records if not is_tombstone(record)]


def erasures(records: Iterable[Sent]) -> dict[str, list[Record]]:
    """The Erasure events of each customer, as sent."""
    asked: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        if record.event and record.event["type"] == "Erasure" and not record.reason:
            asked[record.event["customer_id"]].append(record.event)
    return dict(asked)


def assert_erased(found: Outputs, records: Iterable[Sent]) -> None:
    """Every Erasure has its receipt, and its tombstone stands in the topic of scores between what came before it and what came after."""
    records = list(records)
    asked = erasures(records)
    receipts = [record["request_id"] for record in flat(found["erasure-receipts"])]
    assert sorted(receipts) == sorted(event["request_id"] for events in asked.values() for event in events)
    assert {customer for customer, made in found["scores"].items() if len(alive(made)) < len(made)} == set(asked)
    for customer, events in asked.items():
        own = [record.event for record in records if record.event and record.event["customer_id"] == customer]
        arrived = [event["event_id"] for event in own if event["type"] not in CONTROL]
        gone = [place for place, record in enumerate(found["scores"][customer]) if is_tombstone(record)]
        assert len(gone) == len(events), customer
        erased = [place for place, event in enumerate(own) if event["type"] == "Erasure"]
        for place, at in zip(gone, erased, strict=True):
            known = sum(event["type"] not in CONTROL for event in own[:at])
            before, after = set(arrived[:known]), set(arrived[known:])
            made = found["scores"][customer]
            above, below = ({score["event_id"] for score in alive(part)} for part in (made[:place], made[place:]))
            assert not above & (after - before), f"{customer}: scored before the tombstone of an erasure that came first"
            assert not below & (before - after), f"{customer}: scored after the tombstone of an erasure that came later"


VIEW = (("score", "scores", "as_of"), ("intervention", "interventions", "decided_at"), ("decision", "decisions", "decided_at"))
"""Name in the key, channel, and the field that is the moment."""


def assert_view(redis_url: str, outputs: Outputs, records: Iterable[Sent], prefix: str = "") -> None:
    """Redis holds every customer's last score, newest intervention and newest decision, and nothing of anybody else (by the id's prefix).

    Of a customer who was erased it holds what is later than the erasure.
    """
    redis = Redis.from_url(redis_url, decode_responses=True)
    gone = {customer: erased_at(events, outputs["scores"].get(customer, [])) for customer, events in erasures(records).items()}
    for kind, channel, clock in VIEW:
        wanted = {}
        for customer, made in outputs[channel].items():
            held = [record for record in alive(made) if record[clock] > gone.get(customer, -1)]
            if held:
                newest = max(record[clock] for record in held)
                last = [record for record in held if record[clock] == newest][-1]
                wanted[f"keepline:{kind}:{customer}" + (f":{last['score']}" if kind == "score" else "")] = last
        there = {key for key in redis.keys(f"keepline:{kind}:{prefix}*") if not redis.hexists(key, "erased")}
        assert there == set(wanted), f"{kind}: {sorted(there ^ set(wanted))[:5]}"
        for key, record in wanted.items():
            stored = redis.hgetall(key)
            assert int(stored.pop("sequence")) > 0
            assert int(stored.pop("as_of")) == record[clock], key
            expected = {name: value for name, value in record.items() if value is not None and name != "as_of"}
            typed = {name: json.loads(text) if name == "reasons" else type(expected[name])(text) for name, text in stored.items()}
            assert typed == expected, key


def erased_at(events: Iterable[Record], scores: list[Record]) -> int:
    """The moment of the last tombstone: the erasure's, or the customer's `now` if that is later."""
    gone = max((place for place, record in enumerate(scores) if is_tombstone(record)), default=0)
    begin = max((place for place, record in enumerate(scores[:gone]) if is_tombstone(record)), default=0)
    return max([event["event_time"] for event in events] + [record["as_of"] for record in alive(scores[begin:gone])])


def wait(what: str, ready: Callable[[], object], seconds: float = 60) -> None:
    """Polls until it is so."""
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.1)


def drained(kafka: EmbeddedKafka, rest: FlinkRest, job: str, topic: str, group: str, seconds: float = 90) -> None:
    """Waits until all that the topic holds is in a checkpoint, and what it led to is committed.

    The source commits its offsets when a checkpoint is complete; the sink commits its transaction on the same news, and surely before
    the second checkpoint after it.
    """
    consumer = Consumer({**kafka.admin, "group.id": group, "enable.auto.commit": False})
    try:
        partitions = [TopicPartition(topic, number) for number in consumer.list_topics(topic, 10).topics[topic].partitions]
        ends = {part.partition: consumer.get_watermark_offsets(part, 10)[1] for part in partitions}

        def reached() -> bool:
            try:
                committed = {part.partition: part.offset for part in consumer.committed(partitions, 10)}
            except KafkaException:  # a broker that has just started looks for its coordinator
                return False
            return all(committed[number] >= end for number, end in ends.items() if end)

        def completed() -> int:
            return int(rest.checkpoints(job)["counts"]["completed"])

        wait(f"{group} has read {topic} to its end", reached, seconds)
        before = completed()
        wait("two more checkpoints", lambda: completed() >= before + 2)
    finally:
        consumer.close()


def assert_view_soon(redis_url: str, outputs: Outputs, records: Iterable[Sent], seconds: float = 20) -> None:
    """`assert_view`, given time: no checkpoint waits for the view, so it may come later."""
    records = list(records)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            assert_view(redis_url, outputs, records)
        except AssertionError:
            time.sleep(0.2)
        else:
            return
    assert_view(redis_url, outputs, records)


def settings_file(folder: Path, **settings: object) -> Path:
    """The settings of a job as a keepline.toml."""
    path = folder / f"{settings['job_name']}.toml"
    path.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items()), encoding="utf-8")
    return path
