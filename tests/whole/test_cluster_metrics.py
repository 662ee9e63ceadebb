"""What Prometheus reads of a cluster: every process has an address of its own, and together they have what the dashboard asks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from keepline.jobs.stack.flink import FlinkCluster
from keepline.jobs.stack.java import ROOT
from keepline.jobs.stack.kafka import EmbeddedKafka
from tests.monitoring.promql import faults
from tests.monitoring.running import PREFIX, scrape
from tests.monitoring.test_expressions import alerts, queries
from tests.whole.history import START, Crowd
from tests.whole.support import drained, send, settings_file, topics
from tests.whole.test_cluster import running


@pytest.mark.slow
def test_each_process_is_scraped(flink: FlinkCluster, kafka: EmbeddedKafka, model: Path, name: str, tmp_path: Path) -> None:
    records = Crowd(7, customers=40, partitions=2).active(START, days=3, per_day=100)
    topic = topics(kafka, name, 2)
    send(kafka, topic, records)
    file = settings_file(
        tmp_path, job_name=name, bootstrap_servers=kafka.bootstrap_servers, topics=topic, output_prefix=name, redis_url="",
        model=str(model),
        parallelism=2, checkpoint_interval="500ms", idle_after="0s",
    )  # fmt: skip
    job = flink.submit(ROOT / "jobs" / "retention.py", "--config", str(file), parallelism=2)
    with running(flink, job):
        drained(kafka, flink.rest, job, topic, name, 180)
        workers = {worker: scrape(flink.metrics[worker]) for worker in flink.rest.taskmanagers()}
        manager = scrape(flink.metrics["jobmanager"])
    shares = {worker: found.sum(f"{PREFIX}entries_total", job_name=name) for worker, found in workers.items()}
    assert len(shares) == 2
    assert all(shares.values()), shares
    names = [f"{PREFIX}events_{what}_total" for what in ("accepted", "duplicate", "control")]
    outcomes = [found.sum(counter) for found in workers.values() for counter in names]
    assert sum(outcomes) == len(records)
    assert manager.sum("flink_jobmanager_job_numberOfCompletedCheckpoints", job_name=name) > 0
    # Without Redis, and with what Prometheus adds itself (`up`) left out, as on the local run.
    series = (*manager.series, *(each for found in workers.values() for each in found.series))
    texts = [text for _, text, _ in queries()] + [rule["expr"] for rule in alerts()]
    wrong = {text: found for text in texts if "redis" not in text and not text.startswith("up") and (found := faults(text, series))}
    assert not wrong, wrong
