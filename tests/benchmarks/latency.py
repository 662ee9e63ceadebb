"""Latency of an answer at a fixed rate of events: from when the event was due to its score in Redis, and to a committed read.

Open loop: the producer keeps its schedule whatever happens, and `created_ms` is the scheduled moment, so a stall counts for
all events it delays. How late the producer itself was is in that, and is told beside it. The Redis figure is the sink's own,
taken at the acknowledgement. The committed figure is a consumer's that reads committed records only and knows an event by the
number in its score, so `measure` serves every system that reads the topic and writes Scores. A job whose answers are others says by
`Answers` to which events there is one, and how it is known.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import queue
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from confluent_kafka import Consumer, TopicPartition
from redis import Redis

from tests.benchmarks import events, load
from tests.benchmarks.job import PARTITIONS, RETENTION, Job, Kind
from tests.benchmarks.processes import tree_cpu

SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
FIELDS = {"p50": "p50_ms", "p90": "p90_ms", "p99": "p99_ms", "p99.9": "p999_ms", "max": "max_ms"}
"""The sink's names of them."""
PATIENCE_S, START_S = 30.0, 180.0
METER_S = 20.0
"""The sink reports once a second, later where it waits for the processor."""
BACKLOG = 800_000
"""Events that stand in the topic while the system starts: a day of 20 k customers, and work enough that Java's compiler is done when
the schedule begins."""


def quantiles(values: Any) -> dict[str, float]:
    """The shares of SHARES, ms, of seconds."""
    return {name: float(np.quantile(values, share, method="higher")) * 1000 for name, share in SHARES.items()}


def meter(redis: Redis, job: str) -> dict[str, float]:
    """What the Redis sink has measured, ms, and how many events that is."""
    found = redis.hgetall(f"keepline:meter:{job}:0")
    fields = {key.decode(): float(value) for key, value in found.items()}  # type: ignore[union-attr]
    return {**{name: fields.get(field, np.nan) for name, field in FIELDS.items()}, "count": fields.get("count", 0)}


class Answers(NamedTuple):
    """To which events there is exactly one answer, bool[events], and what takes answers down, as `events.note_arrivals` does."""

    wanted: Any
    note: Callable[..., None] = events.note_arrivals


class SilentError(RuntimeError):
    """No score for too long."""


class Committed:
    """Reads a topic's committed scores, and notes when that of each event came."""

    def __init__(
        self, servers: str, topic: str, n: int, check: Callable[[], None], note: Callable[..., None] = events.note_arrivals
    ) -> None:
        self._note = note
        self.arrived, self.seen, self.found = np.zeros(n), np.zeros(n, np.int32), 0
        self._topic, self._check, self._since = topic, check, time.monotonic()
        # A fetch is answered as soon as a commit makes something visible; the wait only bounds how often an empty one is asked again.
        self._consumer = Consumer(
            {
                "bootstrap.servers": servers,
                "group.id": "latency",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 100,
            }
        )
        self._consumer.assign([TopicPartition(topic, p, 0) for p in range(PARTITIONS)])

    def read(self, patience_s: float = PATIENCE_S) -> None:
        """Takes what is there, after a short wait. SilentError where nothing has come for `patience_s`."""
        values = [m.value() for m in self._consumer.consume(5000, 0.02) if not m.error()]
        now = time.time()
        if values:
            raw = np.frombuffer(b"".join(values), np.uint8)
            self._note(raw, np.fromiter(map(len, values), np.int64, len(values)), now, self.arrived, self.seen)
            self.found, self._since = self.found + len(values), time.monotonic()
        self._check()
        if time.monotonic() - self._since > patience_s:
            msg = f"no committed score in {self._topic} for {patience_s:.0f} s, after {self.found} of {len(self.seen)}"
            raise SilentError(msg)

    def close(self) -> None:
        """Leaves the broker."""
        self._consumer.close()


def measure(
    servers: str, topic: str, scores: str, stream: events.Source, rate: int, warm_s: float, seconds: float,
    say: Callable[[str], None], check: Callable[[], None], cpu: Callable[[], dict[str, float]] = dict, backlog: int = BACKLOG,
    answers: Answers | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Latency created → committed of a system that reads `topic`, which holds the events below `backlog`, and writes Scores to `scores`.

    `check` is called all the time, and raises if the system is gone. `cpu` gives CPU seconds so far, by process; the result has how many
    cores each took, while the events that count came.
    """
    context = multiprocessing.get_context("spawn")
    told = context.Queue()
    n = backlog + int(rate * (warm_s + seconds))
    answers = answers or Answers(np.ones(n, bool))
    total, before = int(answers.wanted.sum()), int(answers.wanted[:backlog].sum())
    reader = Committed(servers, scores, n, check, answers.note)
    while reader.found < before:
        reader.read(START_S)
    sender = context.Process(target=load.open_loop, args=(servers, topic, stream, backlog, rate, warm_s, seconds, told), daemon=True)
    sender.start()
    sent: list[Any] = []
    used: list[tuple[float, dict[str, float]]] = []
    while len(used) < 2 or reader.found < total:
        reader.read(PATIENCE_S if sent else START_S)
        say(f"latency at {rate:,} events/s: {(reader.found - before) / (total - before):.0%}")
        with contextlib.suppress(queue.Empty):
            sent.append(told.get_nowait())
        if (sent and not used and time.time() >= sent[0]) or (len(sent) == len(used) + 1 == 2):
            used.append((time.time(), cpu()))
    reader.close()
    due, late = sent[1]
    (since, used_before), (until, used_after) = used
    sender.join()
    first = n - len(due)
    counted, wrong = answers.wanted[first:], int((reader.seen != answers.wanted).sum())
    return {
        "rate": rate,
        "events": int(counted.sum()),
        "producer_late_ms": quantiles(late),
        "cores": {name: (used_after[name] - used_before[name]) / (until - since) for name in used_after},
        "committed_ms": quantiles((reader.arrived[first:] - due)[counted]),
        "void": f"void: {wrong} events without exactly one answer. " if wrong else "",
    }


def run(
    broker: Any, view: Any, name: str, stream: events.Source, rate: int, warm_s: float, seconds: float, say: Callable[[str], None],
    more: tuple[str, ...] = (), kind: Kind = RETENTION, backlog: int = BACKLOG, answers: Answers | None = None,
) -> dict[str, Any]:  # fmt: skip
    """One rate, on a job of its own with its view in `view`, a Redis; the warm-up is a backlog and then the same rate."""
    topic = f"{name}.telemetry"
    broker.create_topics([topic], partitions=PARTITIONS)
    load.fill(broker.bootstrap_servers, topic, stream, backlog, lambda _: None)
    with Job(broker, name, topic, checkpoint=kind.checkpoint, redis_url=view.url, more=more, kind=kind) as job:

        def cpu() -> dict[str, float]:
            return {"job": job.cpu(), "broker": tree_cpu(broker._child.pid), "Redis": tree_cpu(view._child.pid)}

        say(f"latency at {rate:,} events/s: starting")
        try:
            found = measure(
                broker.bootstrap_servers, topic, job.scores, stream, rate, warm_s, seconds, say, job.check, cpu, backlog, answers
            )
        except SilentError as e:
            msg = f"{name}: {e}. The end of the log:\n{job.tail()}"
            raise RuntimeError(msg) from e
        with Redis.from_url(view.url) as redis:
            deadline = time.monotonic() + METER_S
            while (shown := meter(redis, name))["count"] < found["events"] and time.monotonic() < deadline:
                time.sleep(0.2)
            found["redis_ms"] = shown
        found |= job.facts()
    if found["redis_ms"]["count"] < found["events"]:
        found["void"] += f"void: Redis' figures are of {found['redis_ms']['count']:.0f} of {found['events']} events. "
    if found["restarts"]:
        found["void"] += f"void: {found['restarts']} restarts. "
    return found
