"""The whole job, Kafka to Kafka exactly once: events a second and CPU time an event, in the steady part of a run.

The input stands in Kafka before the job starts. While it works through it, the end of the output topic and the CPU time of
the job's processes are sampled; the first third of the events is warm-up and does not count. Then every score is read back,
committed ones only, and compared with what the kernel makes of the same events without Flink: a missing, double or
different score makes the run void.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
from confluent_kafka import Consumer, KafkaException, TopicPartition

from tests.benchmarks import events
from tests.benchmarks.job import PARTITIONS, Job
from tests.benchmarks.processes import tree_cpu
from tests.benchmarks.stages import microseconds

SAMPLE_S = 0.25
PATIENCE_S, START_S = 60.0, 180.0
STEADY_FROM, STEADY_TO = 1 / 3, 0.97


def _consumer(servers: str) -> Consumer:
    return Consumer(
        {
            "bootstrap.servers": servers, "group.id": "benchmark", "isolation.level": "read_committed", "enable.auto.commit": False,
            "queued.min.messages": 500_000, "fetch.max.bytes": 64 << 20, "max.partition.fetch.bytes": 16 << 20,
        }
    )  # fmt: skip


class Progress:
    """Records in the score topic, uncommitted ones included, and CPU seconds, over time."""

    def __init__(self, broker: Any, job: Job) -> None:
        self._job, self._broker_pid = job, broker._child.pid
        self._probe = Consumer(
            {"bootstrap.servers": broker.bootstrap_servers, "group.id": "progress", "isolation.level": "read_uncommitted"}
        )
        self._parts = [TopicPartition(job.scores, p) for p in range(PARTITIONS)]
        self.samples: list[tuple[float, int, float, float]] = []

    def sample(self) -> int:
        """Takes one sample; returns the records so far."""
        try:
            out = sum(self._probe.get_watermark_offsets(part, timeout=10)[1] for part in self._parts)
        except KafkaException:  # a new topic's partitions are still getting their leaders
            out = self.samples[-1][1] if self.samples else 0
        self.samples.append((time.monotonic(), out, self._job.cpu(), tree_cpu(self._broker_pid)))
        return out

    def steady(self, n: int) -> dict[str, float]:
        """Rates between the warm-up and the end. Transaction markers are in the counts: some in a million."""
        part = [s for s in self.samples if STEADY_FROM * n <= s[1] <= STEADY_TO * n]
        if len(part) < 4:
            msg = f"only {len(part)} samples in the steady part: take more events"
            raise RuntimeError(msg)
        (t0, n0, c0, b0), (t1, n1, c1, b1) = part[0], part[-1]
        done = n1 - n0
        # The longest time without output: what a barrier costs a reader of uncommitted records.
        moves = [t for (t, out, *_), (_, before, *_) in zip(part[1:], part, strict=False) if out > before]
        return {
            "events_s": done / (t1 - t0), "cpu_us": (c1 - c0) / done * 1e6, "broker_cpu_us": (b1 - b0) / done * 1e6, "seconds": t1 - t0,
            "stall_s": max(np.diff(moves), default=0.0),
        }  # fmt: skip


def read_back(servers: str, topic: str, n: int, say: Callable[[str], None]) -> tuple[Any, Any]:
    """(scores, how often each came), by event number, from what is committed; waits while more is coming."""
    consumer = _consumer(servers)
    consumer.assign([TopicPartition(topic, p, 0) for p in range(PARTITIONS)])
    scores, seen = np.full(n, np.nan), np.zeros(n, np.int32)
    found, since = 0, time.monotonic()
    while found < n and time.monotonic() - since < PATIENCE_S:
        values = [m.value() for m in consumer.consume(50_000, 0.3) if not m.error()]
        if values:
            raw = np.frombuffer(b"".join(values), np.uint8)
            events.note_values(raw, np.fromiter(map(len, values), np.int64, len(values)), scores, seen)
            found, since = found + len(values), time.monotonic()
            say(f"reading committed scores: {found / n:.0%}")
    consumer.close()
    return scores, seen


def verdict(scores: Any, seen: Any, expected: Any) -> str:
    """ "" where all is as the kernel alone says, else why the run is void."""
    missing, double = int((seen == 0).sum()), int((seen > 1).sum())
    other = int((scores.view(np.int64) != expected.view(np.int64)).sum()) - missing
    return "" if not (missing or double or other) else f"void: {missing} scores missing, {double} double, {other} different"


def run(
    broker: Any,
    name: str,
    topic: str,
    stream: events.Stream,
    n: int,
    checkpoint: str,
    expected: Any,
    more: tuple[str, ...],
    say: Callable[[str], None],
) -> dict[str, Any]:
    """One run; the topic holds events 0…n − 1 of the stream."""
    with Job(broker, name, topic, checkpoint=checkpoint, more=more) as job:
        progress, since, before = Progress(broker, job), time.monotonic(), -1
        write_backs: list[float] = [0.0]
        looks: list[tuple[int, Counter[str]]] = []
        while True:
            out = progress.sample()
            if out >= n:
                break
            if out > before:
                since, before = time.monotonic(), out
            if out > STEADY_FROM * n:
                write_backs.append(job.write_back_ms())
                if out <= STEADY_TO * n:
                    looks.append((out, job.stages()))
            job.check()
            if time.monotonic() - since > (PATIENCE_S if out else START_S):
                msg = f"{name}: no more scores after {out} of {n}. The end of the log:\n{job.tail()}"
                raise RuntimeError(msg)
            say(f"{stream.customers:,} customers, checkpoints each {checkpoint}: {out / n:.0%}")
            time.sleep(SAMPLE_S)
        pause = {"write_back_ms": max(write_backs), "snapshot_ms": job.snapshot_ms(), "stages_us": microseconds(looks)}
        scores, seen = read_back(broker.bootstrap_servers, job.scores, n, say)
        found = progress.steady(n) | job.facts()
    why = verdict(scores, seen, expected)
    if found["restarts"]:
        why = f"void: {found['restarts']} restarts. {why}"
    return {"customers": stream.customers, "checkpoint": checkpoint, "events": n, "void": why, **pause, **found}
