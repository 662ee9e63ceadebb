"""What the project set out to reach, each beside what was found: met, missed, or not measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from tests.benchmarks.peers.journal import Journal
from tests.benchmarks.peers.ratios import Range, Runs, figure, paired, valid

MANY, FEW = "200000/5", "20000/1"
TIMES = {"quixstreams": 12.0, "pyflink_thread": 25.0, "loop_transactions": 3.0, "loop_none": 3.0, "expert": 1.5, "java_flink": 1.2}
"""Keepline's events a second over those of a system, at 20,000 customers."""
NAMES = {
    "quixstreams": "quixstreams",
    "pyflink_thread": "plain PyFlink in thread mode",
    "loop_transactions": "the transactional loop in plain Python",
    "loop_none": "the loop in plain Python without guarantee",
    "expert": "the expert's loop",
    "java_flink": "hand-written Java",
}


class Target(NamedTuple):
    """One line."""

    text: str
    found: str
    verdict: str
    """met, missed, or not measured."""


def _judge(text: str, found: Range | float | None, good: Callable[[float], bool], unit: str, digits: int = 0) -> Target:
    """By the median."""
    if found is None:
        return Target(text, "-", "not measured")
    median, told = (found.median, found.text(digits)) if isinstance(found, Range) else (found, f"{found:,.{digits}f}")
    return Target(text, f"{told}{unit}", "met" if good(median) else "missed")


def runs(journal: Journal, scenario: str, system: str, backend: str = "") -> Runs:
    """A system's rounds; of one with backends, those on the heap unless another is named."""
    found = [row for row in journal.of("throughput") if row["scenario"] == scenario and row["system"] == system]
    return [row for row in found if (row.get("backend") or "") in ((backend,) if backend else ("", "heap"))]


def _times(text: str, ours: Runs, theirs: Runs, least: float) -> Target:
    """A ratio; where the ranges touch there is none to quote, and a target above 1 is missed."""
    if not valid(ours) or not valid(theirs):
        return Target(text, "-", "not measured")
    held = paired(ours, theirs)
    if held is None:
        return Target(text, "the ranges touch", "missed")
    return _judge(text, held, lambda median: median >= least, "×", 2)


def few(journal: Journal) -> Iterator[Target]:
    """20,000 customers, checkpoints each second."""
    where, ours = "20 k customers, 1 s checkpoints", runs(journal, FEW, "keepline")
    yield _judge(f"{where}: at least 250,000 events/s", figure(ours, "events_s"), lambda v: v >= 250_000, "")
    yield _judge(f"{where}: at most 5 CPU µs/event", figure(ours, "cpu_us"), lambda v: v <= 5, "", 2)
    for name, least in TIMES.items():
        yield _times(f"{where}: at least {least:g} × {NAMES[name]}", ours, runs(journal, FEW, name), least)
    mine = figure(ours, "cpu_us")
    peers = {row["system"] for row in journal.of("throughput") if row["scenario"] == FEW} & TIMES.keys()
    theirs = {name: found.median for name in peers if (found := figure(runs(journal, FEW, name), "cpu_us"))}
    text = f"{where}: less CPU per event than any of them"
    if mine is None or not theirs:
        yield Target(text, "-", "not measured")
        return
    least = min(theirs, key=lambda name: theirs[name])
    yield Target(
        text, f"{mine.text(2)} µs; least of the others: {theirs[least]:.2f} µs ({NAMES[least]})",
        "met" if mine.median < theirs[least] else "missed",
    )  # fmt: skip


def many(journal: Journal) -> Iterator[Target]:
    """200,000 customers, checkpoints each five seconds."""
    where, ours = "200 k customers, 5 s checkpoints", runs(journal, MANY, "keepline")
    java = runs(journal, MANY, "java_flink")
    yield _judge(f"{where}: at least 150,000 events/s", figure(ours, "events_s"), lambda v: v >= 150_000, "")
    one, other = figure(ours, "events_s"), figure(java, "events_s")
    text = f"{where}: never below hand-written Java"
    if one and other:
        yield Target(text, f"{one.text()} against {other.text()} events/s", "met" if one.low >= other.high else "missed")
    else:
        yield Target(text, "-", "not measured")
    yield _judge(f"{where}: no pause above 50 ms (longest time without output)", figure(ours, "pause_ms"), lambda v: v <= 50, " ms")
    rocks = "200 k customers on RocksDB, 5 s checkpoints: at least 1.5 × hand-written Java on RocksDB"
    yield _times(rocks, runs(journal, MANY, "keepline", "rocksdb"), runs(journal, MANY, "java_flink", "rocksdb"), 1.5)


def kernel(journal: Journal) -> Iterator[Target]:
    """From bytes to score with reasons."""
    for customers, most in ((1_000, 0.5), (20_000, 0.9)):
        rows = [row for row in journal.of("kernel") if row["customers"] == customers]
        yield _judge(
            f"the kernel, {customers:,} customers: at most {most} µs/event", figure(rows, "cpu_us"), lambda v, m=most: v <= m, "", 2
        )


def latency(journal: Journal) -> Iterator[Target]:
    """Created → Redis, with checkpoints each second."""
    for rate, most in ((5_000, 50), (20_000, 100)):
        rows = [row for row in valid(journal.of("latency")) if row["system"] == "keepline" and row["rate"] == rate]
        found = figure([{**row, "p99": row["redis_ms"]["p99"]} for row in rows], "p99")
        yield _judge(f"created → Redis, {rate:,} events/s: p99 at most {most} ms", found, lambda v, m=most: v <= m, " ms")


def cores(journal: Journal) -> Iterator[Target]:
    """Two cores against one; the best way to use two counts."""
    one = [row for row in journal.of("scaling") if row["variant"] == "one core"]
    ways: dict[str, Runs] = {}
    for row in journal.of("scaling"):
        if row["variant"] != "one core":
            ways.setdefault(row["variant"], []).append(row)  # type: ignore[attr-defined]
    best = max(ways.values(), key=lambda runs: found.median if (found := figure(runs, "events_s")) else 0.0, default=[])
    yield _times("two cores, all processes pinned: at least 1.6 × one core", best, one, 1.6)


def targets(journal: Journal) -> list[Target]:
    """All of them."""
    return [*few(journal), *many(journal), *kernel(journal), *latency(journal), *cores(journal)]
