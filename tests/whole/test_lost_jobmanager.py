"""A JobManager killed in mid-stream, with high availability on: the next one takes the job up, and the output is that of an
uninterrupted replay."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from keepline.jobs.cluster.rest import FlinkRest, NoLeaderError
from keepline.jobs.settings import RetentionSettings
from keepline.jobs.stack.flink import FlinkCluster
from keepline.jobs.stack.java import ROOT
from keepline.jobs.stack.kafka import EmbeddedKafka
from keepline.jobs.stack.redis import EmbeddedRedis
from keepline.jobs.stack.zookeeper import EmbeddedZooKeeper
from tests.whole.history import whole_history
from tests.whole.support import assert_equal, assert_view_soon, drained, flat, live, replayed, send, settings_file, topics, wait
from tests.whole.test_cluster import running, slowly


def restored(rest: FlinkRest, job: str) -> int:
    """How often the job was restored by the JobManager that leads; 0 while none does."""
    try:
        return int(rest.checkpoints(job)["counts"]["restored"])
    except NoLeaderError:
        return 0


@pytest.mark.slow
def test_the_next_jobmanager_goes_on(kafka: EmbeddedKafka, model: Path, name: str, tmp_path: Path) -> None:
    # A seed with which no event that is months old comes first after the silence, where live and replay may differ (docs/architecture.md).
    records = whole_history(seed=14, customers=24, partitions=2, per_day=150, silence=91)
    topic = topics(kafka, name, 2)
    thirds = [records[part * len(records) // 3 : (part + 1) * len(records) // 3] for part in range(3)]
    with EmbeddedRedis() as redis, EmbeddedZooKeeper() as zookeeper, FlinkCluster(zookeeper=zookeeper.connect) as flink:
        file = settings_file(
            tmp_path, job_name=name, bootstrap_servers=kafka.bootstrap_servers, topics=topic, output_prefix=name, redis_url=redis.url,
            model=str(model), emit="every", idle_after="0s", checkpoint_interval="200ms",
        )  # fmt: skip
        send(kafka, topic, thirds[0])
        job = flink.submit(ROOT / "jobs" / "retention.py", "--config", str(file))
        with running(flink, job):
            wait("a checkpoint", lambda: flink.rest.checkpoints(job)["counts"]["completed"] > 0)
            sending = slowly(kafka, topic, thirds[1], 2)
            time.sleep(1)  # in mid-stream
            assert restored(flink.rest, job) == 0
            taskmanagers = flink.rest.taskmanagers()
            flink.kill_jobmanager()
            assert not flink.rest.answers()
            flink.start_jobmanager()
            wait("a restore", lambda: restored(flink.rest, job) > 0, 120)
            flink.rest.wait_running(job)
            assert flink.rest.taskmanagers() == taskmanagers  # they stayed, and so did what they had imported
            sending.join()
            send(kafka, topic, thirds[2])
            drained(kafka, flink.rest, job, topic, name)
            found = live(kafka, name)
            assert_equal(found, replayed(RetentionSettings(model=model, emit="every"), records, tmp_path))
            assert_view_soon(redis.url, found, records)
    assert len(flat(found["scores"])) > 2_000
    assert len(flat(found["interventions"])) > 5
