"""A job that has met everything, and what Prometheus would read of it.

`run` starts the retention job as users start it (a Flink inside the process, `--metrics-port`), sends it events, duplicates, late events,
dead letters of every kind that a test can send, and silences; waits until all is scored, committed and in Redis; and yields the scrape.
"""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import Producer
from prometheus_client.parser import text_string_to_metric_families

from keepline.jobs.cluster.rest import FlinkRest
from keepline.jobs.stack.kafka import EmbeddedKafka
from keepline.jobs.stack.ports import free_ports
from keepline.jobs.stack.process import Child
from tests.whole.history import Sent, encoded, no_events, partition_of, strewn, whole_history
from tests.whole.support import KEEPLINE, drained, environment, topics, wait

PARTITIONS = 2
PREFIX = "flink_taskmanager_job_task_operator_keepline_"
"""Of all metrics of our own."""
Labels = dict[str, str]


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a scrape."""

    name: str
    labels: Labels
    value: float


@dataclass(frozen=True, slots=True)
class Scrape:
    """All series of one answer of /metrics, and the type that it gives each name."""

    series: tuple[Series, ...]
    types: dict[str, str]

    def find(self, name: str, **labels: str) -> list[Series]:
        return [each for each in self.series if each.name == name and labels.items() <= each.labels.items()]

    def sum(self, name: str, **labels: str) -> float:
        """Sum over the subtasks; fails where there is no such series."""
        found = self.find(name, **labels)
        assert found, f"no series {name}{labels}"
        return sum(each.value for each in found)


def parse(text: str) -> Scrape:
    families = list(text_string_to_metric_families(text))
    series = tuple(Series(sample.name, dict(sample.labels), sample.value) for family in families for sample in family.samples)
    return Scrape(series, {family.name: family.type for family in families})


def read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=20) as answer:
        return answer.read().decode()


def scrape(url: str) -> Scrape:
    return parse(read(url))


def history() -> list[Sent]:
    """Ten busy days, silences, late events; among them what makes dead letters of every reason."""
    records = whole_history(seed=3, customers=30, partitions=PARTITIONS, per_day=150, silence=91)
    ahead = {"type": "Message", "customer_id": "c001", "event_id": "ahead", "event_time": int(time.time() * 1000) + 10 * 86_400_000}
    future = Sent(partition_of(b"c001", PARTITIONS), b"c001", encoded(ahead), ahead, "FUTURE_TIME")
    return strewn([*no_events(PARTITIONS), future], records, seed=5)


def send(kafka: EmbeddedKafka, topic: str, records: list[Sent]) -> None:
    """As a producer that stamps its records with when it sends them."""
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "enable.idempotence": True, "linger.ms": 5, "log_level": 3})
    for record in records:
        stamp = {"created_ms": str(time.time_ns() // 1_000_000).encode()}
        producer.produce(topic, record.value, record.key, partition=record.partition, headers=stamp)
        producer.poll(0)
    assert producer.flush(60) == 0


@dataclass(frozen=True, slots=True)
class Run:
    """The running job: its records, its address, and a scrape when all was done."""

    records: list[Sent]
    url: str
    text: str
    scrape: Scrape
    rest: FlinkRest


@contextmanager
def run(kafka: EmbeddedKafka, redis_url: str, model: Path, name: str, folder: Path) -> Iterator[Run]:
    records, topic = history(), topics(kafka, name, PARTITIONS)
    port, metrics = free_ports(2)
    words = [
        str(KEEPLINE), "run", "retention", "--bootstrap-servers", kafka.bootstrap_servers, "--topics", topic, "--output-prefix", name,
        "--redis-url", redis_url, "--model", str(model), "--job-name", name, "--emit", "every", "--parallelism", "2", "--idle-after", "0s",
        "--checkpoint-interval", "500ms", "--checkpoint-dir", (folder / "checkpoints").as_uri(), "--rest-port", str(port),
        "--metrics-port", str(metrics),
    ]  # fmt: skip
    rest, url = FlinkRest(f"http://127.0.0.1:{port}"), f"http://127.0.0.1:{metrics}/metrics"
    with Child(name, words, folder / "job.log", env=environment()) as job:
        job.wait_until(lambda: rest.answers() and bool(rest.jobs()), 200)
        (number,) = rest.jobs()
        rest.wait_running(number, 200)
        send(kafka, topic, records)  # stamped while the job waits, so that latencies are what they look like
        drained(kafka, rest, number, topic, name)
        wait("Redis has all", lambda: scrape(url).sum(f"{PREFIX}redis_pending_keys") == 0)
        text = read(url)
        yield Run(records, url, text, parse(text), rest)
        job.kill()
