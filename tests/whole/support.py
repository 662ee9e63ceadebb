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
PLACE = ("topic", "partition", "offset", "timestamp")
"""Fields in which a live record and its replay differ."""
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
    """The customer a record is about; of a dead letter or late event, the key."""
    return str(record["customer_id"] if "customer_id" in record else record["key"])


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
    """All channels equal, with the first difference in the message."""
    for channel in channels:
        here, there = found[channel], wanted[channel]
        assert sorted(here) == sorted(there), f"{channel}: customers differ: {sorted(set(here) ^ set(there))[:5]}"
        for customer in there:
            ours, theirs = ([without_place(record) for record in side[customer]] for side in (here, there))
            for place, (a, b) in enumerate(zip(ours, theirs, strict=False)):
                where = f"{channel} of {customer}, record {place} of {len(theirs)}"
                assert a == b, f"{where}:\n  live   {a}\n  replay {b}\n  before {theirs[max(0, place - 1) : place]}"
            more = (ours if len(ours) > len(theirs) else theirs)[min(len(ours), len(theirs)) :]
            assert not more, f"{channel} of {customer}: {len(ours)} live, {len(theirs)} in replay; without a twin: {more[0]}"


def assert_view(redis_url: str, outputs: Outputs, prefix: str = "") -> None:
    """Redis holds the last score and the newest intervention of every customer, and of nobody else (whose id begins with `prefix`)."""
    redis = Redis.from_url(redis_url, decode_responses=True)
    for kind, channel in (("score", "scores"), ("intervention", "interventions")):
        wanted = {}
        for customer, made in outputs[channel].items():
            wanted[f"keepline:{kind}:{customer}" + (f":{made[-1]['score']}" if kind == "score" else "")] = made[-1]
        assert set(redis.keys(f"keepline:{kind}:{prefix}*")) == set(wanted)
        for key, record in wanted.items():
            stored = redis.hgetall(key)
            assert int(stored.pop("sequence")) > 0
            moment = int(stored.pop("as_of"))
            assert moment == record["as_of" if kind == "score" else "decided_at"], key
            expected = {name: value for name, value in record.items() if value is not None and name != "as_of"}
            typed = {name: json.loads(text) if name == "reasons" else type(expected[name])(text) for name, text in stored.items()}
            assert typed == expected, key


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


def assert_view_soon(redis_url: str, outputs: Outputs, seconds: float = 20) -> None:
    """`assert_view`, given time: no checkpoint waits for the view, so it may come later."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            assert_view(redis_url, outputs)
        except AssertionError:
            time.sleep(0.2)
        else:
            return
    assert_view(redis_url, outputs)


def settings_file(folder: Path, **settings: object) -> Path:
    """The settings of a job as a keepline.toml."""
    path = folder / f"{settings['job_name']}.toml"
    path.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items()), encoding="utf-8")
    return path
