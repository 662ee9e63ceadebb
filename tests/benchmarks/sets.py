"""What a second feature set costs the job: `--scores churn,clv` beside churn alone and clv alone, on the same events, in turn.

    events ──► kernel without Flink, each side ──► Expected: which scores there must be, bit for bit
           └─► the job, each side and round    ──► events accepted and CPU, over time; the committed scores, compared

Sides put out different numbers of scores: churn one an event, clv three at each Purchase and at a customer's first event of a UTC day, once
there was an order. So progress is counted in input events, on all sides alike: those that the customer operator says it has accepted.
events/s and CPU per event are of those between the first third and 97 % (throughput.py); a run ends with the last score. No policy, so that
only features and scores are compared.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from confluent_kafka import TopicPartition

from keepline.jobs.operator_spec import operator_spec
from keepline.jobs.settings import RetentionSettings
from keepline.operators import stats
from keepline.operators.spec import OperatorSpec
from tests.benchmarks import events, kernel, load, throughput
from tests.benchmarks.job import PARTITIONS, Job

CUSTOMERS, CHECKPOINT = 20_000, "1s"
ALONE, BOTH = "churn", "churn,clv"
SIDES = (ALONE, BOTH, "clv")
LEAST_RATIO, MOST_STATE = 0.7, 6 * 1024
"""The targets: events/s of both to that of churn alone, and bytes of state a customer."""
MEASURED = ("events/s", "CPU µs/event", "broker's CPU µs/event", "checkpoint, bytes/customer")
ACCEPTED = "customer.keepline.events_accepted_total"
STEP = 200_000


class Expected(NamedTuple):
    """What a side must put out. Scores stand at [number of their name in Score.avsc, number of their event]."""

    scores: Any
    seen: Any
    state_bytes: int

    def total(self) -> int:
        """All scores."""
        return int(self.seen.sum(dtype=np.int64))


def spec(side: str) -> OperatorSpec:
    """What the job tells its operator, with the committed models."""
    return operator_spec(RetentionSettings(scores=tuple(side.split(",")), emit="every", policy="none"))  # type: ignore[call-arg, arg-type]


def reference(stream: events.Stream, n: int, side: str, batch: int = kernel.BATCH) -> Expected:
    """The scores of events 0…n − 1 by the kernel without Flink; RuntimeError where the stream is not one that this can be known of."""
    feed = kernel.Feed(stream.customers, batch, spec(side))
    scores, seen = taken(n)
    for first in range(0, n, STEP):
        made = events.make(stream, first, min(STEP, n - first), packed=True)
        feed.run(made, lambda out, end: events.note_named_frames(out, end, scores, seen))
    accepted, ticks = (int(feed.kernel.stats[each]) for each in (stats.ACCEPTED, stats.TICKS))
    if accepted != n or ticks:
        msg = f"{side}: of {n} synthetic events {accepted} were accepted, and {ticks} ticks ran; expected all and none: take more a day"
        raise RuntimeError(msg)
    return Expected(scores, seen, feed.kernel.state_size)


def taken(n: int) -> tuple[Any, Any]:
    """Room for the scores of n events, and for how often each came."""
    return np.zeros((len(stats.SCORE_NAMES), n)), np.zeros((len(stats.SCORE_NAMES), n), np.uint8)


def read_back(servers: str, topic: str, n: int, total: int, say: Callable[[str], None]) -> tuple[Any, Any]:
    """What is committed: until `total` scores and whatever comes behind them are read, or no score has come for long. Ticks' are none."""
    consumer = throughput._consumer(servers)
    consumer.assign([TopicPartition(topic, p, 0) for p in range(PARTITIONS)])
    scores, seen = taken(n)
    found, since = 0, time.monotonic()
    while time.monotonic() - since < throughput.PATIENCE_S:
        values = [m.value() for m in consumer.consume(50_000, 0.5) if not m.error()]
        if not values and found >= total:
            break
        raw, lengths = np.frombuffer(b"".join(values), np.uint8), np.fromiter(map(len, values), np.int64, len(values))
        new = events.note_named_values(raw, lengths, scores, seen)
        if new:
            found, since = found + new, time.monotonic()
        say(f"reading committed scores: {found / total:.0%}")
    consumer.close()
    return scores, seen


def verdict(expected: Expected, scores: Any, seen: Any) -> str:
    """ "" where all is as the kernel alone says, else why the run is void."""
    there, wanted = seen > 0, expected.seen > 0
    found = {
        "missing": wanted & ~there,
        "unexpected": there & ~wanted,
        "double": seen > 1,
        "different": there & wanted & (scores.view(np.int64) != expected.scores.view(np.int64)),
    }
    counts = {name: int(each.sum()) for name, each in found.items()}
    return f"void: scores {', '.join(f'{count} {name}' for name, count in counts.items())}. " if any(counts.values()) else ""


def measure(
    broker: Any, name: str, topic: str, n: int, side: str, expected: Expected, more: tuple[str, ...], say: Callable[[str], None]
) -> dict[str, Any]:
    """One run of one side; the topic holds events 0…n − 1."""
    total, looks = expected.total(), Looks()
    with Job(broker, name, topic, checkpoint=CHECKPOINT, more=("--scores", side, "--policy", "none", *more)) as job:
        progress, since, before = throughput.Progress(broker, job), time.monotonic(), -1
        while (out := progress.sample()) < total:
            if out > before:
                since, before = time.monotonic(), out
            if out:
                looks.add(accepted(job), progress.samples[-1])
            job.check()
            if time.monotonic() - since > (throughput.PATIENCE_S if out else throughput.START_S):
                msg = f"{name}: no more scores after {out} of {total}. The end of the log:\n{job.tail()}"
                raise RuntimeError(msg)
            say(f"{name}: {out / total:.0%}")
            time.sleep(throughput.SAMPLE_S)
        void = verdict(expected, *read_back(broker.bootstrap_servers, job.scores, n, total, say))
        restarts, stored = job.facts()["restarts"], checkpoint_bytes(job)
    if restarts:
        void = f"void: {restarts} restarts. {void}"
    progress.samples = looks.found
    steady = progress.steady(n)
    figures = (steady["events_s"], steady["cpu_us"], steady["broker_cpu_us"], stored / CUSTOMERS)
    return {"void": void and f"{name}: {void}", "seconds": steady["seconds"], **dict(zip(MEASURED, figures, strict=True))}


class Looks:
    """(time, events accepted, CPU s of the job, CPU s of the broker), where the count is a new one.

    Flink fetches metrics after it was asked, so a count is as old as one step between two looks; one that has not changed is older.
    """

    def __init__(self) -> None:
        self.found: list[tuple[float, int, float, float]] = []

    def add(self, count: int, sample: tuple[float, int, float, float]) -> None:
        """Takes the count with the time and CPU of a sample of `throughput.Progress`."""
        if count > (self.found[-1][1] if self.found else 0):
            at, _, cpu, broker_cpu = sample
            self.found.append((at, count, cpu, broker_cpu))


def accepted(job: Job) -> int:
    """Events that the customer operator has accepted so far; 0 where Flink does not know yet."""
    return int(job.rest.metrics(*job._customer(), [ACCEPTED]).get(ACCEPTED, 0))


def checkpoint_bytes(job: Job) -> int:
    """Bytes of the newest completed checkpoint: states, timers, and the little that source and sink keep."""
    (number,) = job.rest.jobs()
    return int(job.rest.checkpoints(number)["latest"]["completed"]["state_size"])


def run(broker: Any, rounds: int, n: int, more: tuple[str, ...], say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Each round: churn, both, clv."""
    stream, topic = events.Stream(CUSTOMERS, PARTITIONS, shop=True), "sets-input"
    broker.create_topics([topic], partitions=PARTITIONS)
    load.fill(broker.bootstrap_servers, topic, stream, n, say)
    expected = {}
    for side in SIDES:
        say(f"the kernel without Flink, {side}")
        expected[side] = reference(stream, n, side)
    found: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
    for number in range(1, rounds + 1):
        for side in SIDES:
            name = f"sets-{side.replace(',', '-')}-{number}"
            found[side].append(measure(broker, name, topic, n, side, expected[side], more, say))
    sides = {
        side: {"state_bytes": expected[side].state_bytes, "scores_an_event": expected[side].total() / n, "rounds": found[side]}
        for side in SIDES
    }
    return [{"events": n, "customers": CUSTOMERS, "void": "".join(each["void"] for side in SIDES for each in found[side]), "sides": sides}]


def span(values: list[float]) -> tuple[float, float, float]:
    """(min, median, max)."""
    return min(values), statistics.median(values), max(values)


def spans(result: dict[str, Any], side: str) -> dict[str, tuple[float, float, float]]:
    """(min, median, max) of each figure of one side."""
    return {name: span([each[name] for each in result["sides"][side]["rounds"]]) for name in MEASURED}


def ratios(result: dict[str, Any]) -> dict[str, tuple[float, float, float]]:
    """(min, median, max) of both to churn alone, each round with itself."""
    pairs = list(zip(result["sides"][BOTH]["rounds"], result["sides"][ALONE]["rounds"], strict=True))
    return {name: span([both[name] / alone[name] for both, alone in pairs]) for name in MEASURED}


def targets(result: dict[str, Any]) -> dict[str, str]:
    """Whether both sets together keep to the targets, by the row of the table: the median of the ratios, and the bytes."""
    ratio, size = ratios(result)["events/s"][1], result["sides"][BOTH]["state_bytes"]
    return {
        "events/s": f"at least {LEAST_RATIO}: {'met' if ratio >= LEAST_RATIO else 'missed'}",
        "state, bytes/customer": f"at most {MOST_STATE:,}: {'met' if size <= MOST_STATE else 'missed'}",
    }
