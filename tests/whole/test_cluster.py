"""The job on a standalone cluster: TaskManagers killed, jobs side by side, stopped with a savepoint. All equal to an uninterrupted replay.

The input ends with a clock's record in every partition, sent when the job has recovered: its watermark is what lets the last ticks
out (see test_live_equals_replay.py; a restored source knows no watermark before its next event).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from keepline.jobs.settings import RetentionSettings
from keepline.jobs.stack.flink import FlinkCluster
from keepline.jobs.stack.java import ROOT
from keepline.jobs.stack.kafka import EmbeddedKafka
from keepline.jobs.stack.redis import EmbeddedRedis
from tests.whole.history import Sent, whole_history
from tests.whole.support import (
    assert_equal,
    assert_erased,
    assert_view_soon,
    drained,
    flat,
    live,
    replayed,
    send,
    settings_file,
    topics,
    wait,
)

SMALL_SLOTS = Path(__file__).with_name("small_slots.py")
RETENTION = ROOT / "jobs" / "retention.py"


@contextmanager
def running(flink: FlinkCluster, *jobs: str) -> Iterator[None]:
    """Cancels the jobs at the end; a failure shows the cluster's logs."""
    try:
        for job in jobs:
            flink.rest.wait_running(job)
        yield
    except BaseException:
        print(flink.logs())
        for job in jobs:
            print(job, flink.rest.state(job), flink.rest.cause(job))
        raise
    finally:
        for job in jobs:
            if flink.rest.state(job) not in ("FINISHED", "CANCELED", "FAILED"):
                flink.rest.cancel(job)
                flink.rest.wait(job)


def slowly(kafka: EmbeddedKafka, topic: str, records: list[Sent], seconds: float) -> threading.Thread:
    """Sends over some seconds, while the test goes on."""

    def go() -> None:
        pieces = 20
        for piece in range(pieces):
            send(kafka, topic, records[piece * len(records) // pieces : (piece + 1) * len(records) // pieces])
            time.sleep(seconds / pieces)

    thread = threading.Thread(target=go)
    thread.start()
    return thread


@pytest.mark.slow
def test_killed_taskmanagers(flink: FlinkCluster, kafka: EmbeddedKafka, model: Path, name: str, tmp_path: Path) -> None:
    records = whole_history(seed=11, customers=120, partitions=4, per_day=900, silence=91)
    topic = topics(kafka, name, 4)
    quarters = [records[part * len(records) // 4 : (part + 1) * len(records) // 4] for part in range(4)]
    send(kafka, topic, quarters[0])
    with EmbeddedRedis() as redis:
        file = settings_file(
            tmp_path, job_name=name, bootstrap_servers=kafka.bootstrap_servers, topics=topic, output_prefix=name, redis_url=redis.url,
            model=str(model), emit="every", parallelism=2, idle_after="0s", checkpoint_interval="200ms",
        )  # fmt: skip
        job = flink.submit(SMALL_SLOTS, str(file), parallelism=2)
        with running(flink, job):
            for lost in (0, 1):
                wait("a checkpoint", lambda: (flink.rest.checkpoints(job)["counts"]["completed"]) > 0)
                sending = slowly(kafka, topic, quarters[1 + lost], 2)
                time.sleep(1)  # in mid-stream
                restored = flink.rest.checkpoints(job)["counts"]["restored"]
                name_of_lost = flink.kill_taskmanager(lost)
                wait("the loss noticed", lambda n=name_of_lost: n not in flink.rest.taskmanagers(), 30)
                flink.start_taskmanager(lost)
                wait("a restore", lambda r=restored: flink.rest.checkpoints(job)["counts"]["restored"] > r)
                flink.rest.wait_running(job)
                sending.join()
            send(kafka, topic, quarters[3])
            drained(kafka, flink.rest, job, topic, name)
            found = live(kafka, name)
            wanted = replayed(RetentionSettings(model=model, emit="every"), records, tmp_path)
            assert_equal(found, wanted)
            assert_erased(found, records)
            assert_view_soon(redis.url, found, records)
    assert len(flat(found["scores"])) > 15_000
    assert len(flat(found["interventions"])) > 20


@pytest.mark.slow
def test_side_by_side_and_from_a_savepoint(flink: FlinkCluster, kafka: EmbeddedKafka, model: Path, name: str, tmp_path: Path) -> None:
    records = whole_history(seed=12, customers=60, partitions=2, per_day=300, silence=20)
    topic = topics(kafka, name, 2)
    other = f"{name}-other"
    topics(kafka, other, 2)
    half = len(records) // 2
    send(kafka, topic, records[:half])

    def submit(job_name: str, emit: str, savepoint: str | None = None) -> str:
        return flink.submit(
            RETENTION, "--bootstrap-servers", kafka.bootstrap_servers, "--topics", topic, "--output-prefix", job_name, "--redis-url", "",
            "--model", str(model), "--job-name", job_name, "--emit", emit, "--idle-after", "0s", "--checkpoint-interval", "200ms",
            savepoint=savepoint,
        )  # fmt: skip

    first, second = submit(name, "every"), submit(other, "band")
    with running(flink, first, second):
        drained(kafka, flink.rest, first, topic, name)
        savepoint = flink.rest.savepoint(first, flink.savepoints, stop=True)
        assert flink.rest.wait(first) == "FINISHED"
        send(kafka, topic, records[half:])
        third = submit(name, "every", savepoint)
        with running(flink, third):
            for job, job_name in ((third, name), (second, other)):
                drained(kafka, flink.rest, job, topic, job_name)
    for job_name, emit in ((name, "every"), (other, "band")):
        wanted = replayed(RetentionSettings(model=model, emit=emit), records, tmp_path / emit)
        assert_equal(live(kafka, job_name), wanted)
