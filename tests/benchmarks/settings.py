"""What the values in flink-conf/ do: the job with a value and without it, in turn, on one machine.

A value's effect is measured where its comment says that it has one: on the latency of a score at a steady rate, or on the rate and CPU at
which a backlog is worked off. What shows only with several machines, under pressure for memory, or when something is lost, is not here
(`recovery` has the last). Every arm is a job of its own; arms that differ in the cluster's settings get a cluster of their own.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from confluent_kafka import Consumer, Producer, TopicPartition

from keepline.jobs.stack.flink import FlinkCluster
from keepline.jobs.stack.java import ROOT
from keepline.operators.spec import CHANNELS
from tests.benchmarks import events, load
from tests.benchmarks.processes import tree_cpu

PARTITIONS, CUSTOMERS = 2, 20_000
LATENCY, DRAIN = "latency", "drain"
RATE, WARM_S, SECONDS = 2_000, 6.0, 8.0
PATIENCE_S = 120.0
TAKEN = "customer.keepline.entries_total"
SHOWN = {LATENCY: ("written p50", "written p99", "committed p50"), DRAIN: ("events/s", "CPU µs/event", "checkpoint ms")}


@dataclass(frozen=True, slots=True)
class Arm:
    """How a job is run: flags of the job, settings of the cluster."""

    job: tuple[str, ...] = ()
    cluster: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Value:
    """One value of flink-conf/, against what is there without it."""

    file: str
    text: str
    instead_of: str
    probe: str
    without: Arm
    with_it: Arm


def _flink(key: str, value: str) -> tuple[str, ...]:
    return ("--flink", f"{key}={value}")


def _kafka(**values: object) -> tuple[str, ...]:
    return tuple(word for key, value in values.items() for word in ("--kafka", f"{key.replace('_', '.')}={value}"))


BUFFERS = "execution.buffer-timeout.interval"
DEBLOAT = "taskmanager.network.memory.buffer-debloat"
GC = "env.java.opts.taskmanager"
PAGES = "-XX:+UseTransparentHugePages"
VALUES = {
    "buffers": Value("config", f"{BUFFERS}: 0 ms", "100 ms", LATENCY, Arm(_flink(BUFFERS, "100 ms")), Arm()),
    "pages": Value("config", f"{GC}: {PAGES}", "none", DRAIN, Arm((), {GC: "-XX:-UseTransparentHugePages"}), Arm()),
    "checkpoints": Value("low-latency", "checkpoint_interval: 200ms", "1s", LATENCY, Arm(), Arm(("--checkpoint-interval", "200ms"))),
    "fetch": Value("low-latency", "fetch.max.wait.ms: 2", "5", LATENCY, Arm(), Arm(_kafka(fetch_max_wait_ms=2))),
    "linger": Value("low-latency", "linger.ms: 0", "20", LATENCY, Arm(), Arm(_kafka(linger_ms=0))),
    "pauses": Value(
        "low-latency", "-XX:MaxGCPauseMillis=10", "200", LATENCY, Arm(), Arm((), {GC: f"{PAGES} -XX:+UseG1GC -XX:MaxGCPauseMillis=10"})
    ),
    "debloat": Value(
        "low-latency", "buffer-debloat.enabled: true", "false", DRAIN, Arm(),
        Arm((), {f"{DEBLOAT}.enabled": "true", f"{DEBLOAT}.target": "100 ms"}),
    ),
    "checkpoints-5": Value("throughput", "checkpoint_interval: 5s", "1s", DRAIN, Arm(), Arm(("--checkpoint-interval", "5s"))),
    "sizes": Value(
        "throughput", "linger, batch.size, fetch.min.bytes, fetch.max.wait", "the job's own", DRAIN, Arm(),
        Arm(_kafka(linger_ms=50, batch_size=524288, fetch_min_bytes=65536, fetch_max_wait_ms=50)),
    ),
    "segments": Value("throughput", "segment-size: 64kb", "32kb", DRAIN, Arm(), Arm((), {"taskmanager.memory.segment-size": "64kb"})),
    "parallel": Value(
        "throughput", "-XX:+UseParallelGC", "G1", DRAIN, Arm((), {GC: f"{PAGES} -XX:+UseG1GC"}),
        Arm((), {GC: f"{PAGES} -XX:+UseParallelGC"}),
    ),
    "emit": Value("throughput", "emit: delta", "every", DRAIN, Arm(("--emit", "every")), Arm(("--emit", "delta"))),
    "incremental": Value(
        "backfill", "checkpointing.incremental: true", "false", DRAIN, Arm(("--state-backend", "rocksdb")),
        Arm(("--state-backend", "rocksdb", *_flink("execution.checkpointing.incremental", "true"))),
    ),
}  # fmt: skip


class Bench:
    """A broker and, as long as their settings are the same, one cluster."""

    def __init__(self, broker: Any, n: int) -> None:
        self._broker, self._n, self._count = broker, n, 0
        self._stream = events.Stream(CUSTOMERS, PARTITIONS)
        self._flink: FlinkCluster | None = None
        self._settings: dict[str, str] | None = None
        self._filled = ""

    def close(self) -> None:
        """Ends the cluster."""
        if self._flink:
            self._flink.close()
        self._flink = None

    def _cluster(self, settings: dict[str, str]) -> FlinkCluster:
        if self._flink is None or settings != self._settings:
            self.close()
            own = {"metrics.fetcher.update-interval": "250"}
            self._flink, self._settings = FlinkCluster(settings=own | settings).start(), settings
        return self._flink

    def arm(self, arm: Arm, probe: str, say: Callable[[str], None]) -> dict[str, float]:
        """One run; its figures by the names of SHOWN."""
        self._count += 1
        prefix = f"settings-{self._count}"
        topic = self._backlog(say) if probe == DRAIN else f"{prefix}.in"
        new = [f"{prefix}.{channel}" for channel in CHANNELS] + ([] if probe == DRAIN else [topic])
        self._broker.create_topics(new, partitions=PARTITIONS)
        flink = self._cluster(arm.cluster)
        flags = {"--checkpoint-interval": "1s", "--emit": "every"}
        flags = {key: value for key, value in flags.items() if key not in arm.job}
        job = flink.submit(
            ROOT / "jobs" / "retention.py", "--bootstrap-servers", self._broker.bootstrap_servers, "--topics", topic, "--redis-url", "",
            "--output-prefix", prefix, "--job-name", prefix, *(word for pair in flags.items() for word in pair), *arm.job,
        )  # fmt: skip
        flink.rest.wait_running(job, PATIENCE_S)
        try:
            measure = self._drain if probe == DRAIN else self._latency
            return measure(flink, job, topic, prefix)
        finally:
            flink.rest.cancel(job)
            flink.rest.wait(job)

    def _backlog(self, say: Callable[[str], None]) -> str:
        if not self._filled:
            self._filled = "settings-backlog"
            self._broker.create_topics([self._filled], partitions=PARTITIONS)
            load.fill(self._broker.bootstrap_servers, self._filled, self._stream, self._n, say)
        return self._filled

    def _drain(self, flink: FlinkCluster, job: str, _topic: str, prefix: str) -> dict[str, float]:
        """Progress is what the customer operator has worked through, ticks included, so that runs which put out less can be compared."""
        pid = next(pid for name, pid in flink.processes.items() if name.startswith("tm-"))
        vertex = next(each["id"] for each in flink.rest.job(job)["vertices"] if "customer" in each["name"])
        samples: list[tuple[float, float, float]] = []
        deadline = time.monotonic() + PATIENCE_S
        while not samples or samples[-1][1] < 0.97 * self._n:
            if time.monotonic() > deadline:
                msg = f"{prefix}: {samples[-1][1]:.0f} of {self._n} events after {PATIENCE_S:.0f} s"
                raise RuntimeError(msg)
            taken = flink.rest.metrics(job, vertex, [TAKEN]).get(TAKEN, 0.0)
            samples.append((time.monotonic(), taken, tree_cpu(pid)))
            time.sleep(0.25)
        part = [sample for sample in samples if sample[1] >= self._n / 3]
        (t0, n0, c0), (t1, n1, c1) = part[0], part[-1]
        duration = flink.rest.checkpoints(job)["summary"]["end_to_end_duration"]["avg"]
        return {"events/s": (n1 - n0) / (t1 - t0), "CPU µs/event": (c1 - c0) / (n1 - n0) * 1e6, "checkpoint ms": float(duration)}

    def _latency(self, _flink: FlinkCluster, _job: str, topic: str, prefix: str) -> dict[str, float]:
        servers = self._broker.bootstrap_servers
        found: dict[str, list[float]] = {"written": [], "committed": []}
        done = threading.Event()
        isolation = {"written": "read_uncommitted", "committed": "read_committed"}
        readers = [
            threading.Thread(target=_read, args=(servers, f"{prefix}.scores", isolation[name], values, done))
            for name, values in found.items()
        ]
        for reader in readers:
            reader.start()
        _send(servers, topic, self._stream)
        time.sleep(3)
        done.set()
        for reader in readers:
            reader.join()
        wanted = int(RATE * SECONDS)
        short = {name: len(values) for name, values in found.items() if len(values) < 0.95 * wanted}
        if short:
            msg = f"{prefix}: of {wanted} scores only {short} were read"
            raise RuntimeError(msg)
        p50 = {name: float(np.quantile(values, 0.5)) for name, values in found.items()}
        return {
            "written p50": p50["written"], "written p99": float(np.quantile(found["written"], 0.99)), "committed p50": p50["committed"],
        }  # fmt: skip


def _send(servers: str, topic: str, stream: events.Stream) -> None:
    """RATE events a second; those after the warm-up say when they were due."""
    producer = Producer({"bootstrap.servers": servers, "linger.ms": 1})
    n, warm = int(RATE * (WARM_S + SECONDS)), int(RATE * WARM_S)
    made = events.make(stream, 0, n)
    raw, at, who = made.buffer.tobytes(), made.at.tolist(), made.customer.tolist()
    start, sent = time.time() + 0.05, 0
    while sent < n:
        due = min(n, int((time.time() - start) * RATE) + 1)
        for k in range(sent, due):
            headers = [("created_ms", b"%d" % int((start + k / RATE) * 1000))] if k >= warm else None
            place = who[k] % stream.partitions
            producer.produce(topic, raw[at[k] : at[k + 1]], events.key(who[k]), partition=place, headers=headers)
        sent = max(sent, due)
        producer.poll(0)
        time.sleep(0.001)
    producer.flush(30)


def _read(servers: str, topic: str, isolation: str, found: list[float], done: threading.Event) -> None:
    consumer = Consumer(
        {"bootstrap.servers": servers, "group.id": isolation, "isolation.level": isolation, "enable.auto.commit": False,
         "fetch.wait.max.ms": 5}
    )  # fmt: skip
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
    while not done.is_set():
        messages = consumer.consume(500, 0.02)
        now = time.time() * 1000
        for message in messages:
            created = dict(message.headers() or []).get("created_ms") if not message.error() else None
            if created:
                found.append(now - float(created))
    consumer.close()


def run(broker: Any, names: list[str], rounds: int, n: int, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Each value: without, with, without, with, …"""
    bench, results = Bench(broker, n), []
    try:
        for name in names:
            value = VALUES[name]
            found: dict[str, list[dict[str, float]]] = {"without": [], "with": []}
            for number in range(rounds):
                for side, arm in (("without", value.without), ("with", value.with_it)):
                    say(f"{value.file}, {value.text}: round {number + 1} of {rounds}, {side}")
                    found[side].append(bench.arm(arm, value.probe, say))
            results.append(
                {"name": name, "file": value.file, "text": value.text, "instead_of": value.instead_of, "probe": value.probe} | found
            )
    finally:
        bench.close()
    return results


def spans(result: dict[str, Any], side: str) -> dict[str, tuple[float, float, float]]:
    """(min, median, max) of each figure of one side."""
    found = {}
    for name in SHOWN[result["probe"]]:
        values = [each[name] for each in result[side]]
        found[name] = min(values), statistics.median(values), max(values)
    return found


def verdict(without: tuple[float, float, float], with_it: tuple[float, float, float]) -> str:
    """The change of the median; "none seen" where the ranges touch."""
    if with_it[0] <= without[2] and without[0] <= with_it[2]:
        return "none seen"
    return f"{with_it[1] / without[1] - 1:+.0%}"
