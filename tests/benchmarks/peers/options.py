"""The command line, and the sizes that follow from it."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.machine import ROOT

PARTS = ("throughput", "latency", "customers", "scaling")
JOURNAL = ROOT / "build" / "bench-peers.jsonl"
EPILOG = """examples:
  python -m tests.benchmarks.peers --only keepline --events 1e6 --customers 20000 --rounds 1
  python -m tests.benchmarks.peers --markdown              all systems and parts, docs/benchmarks.md and docs/plots written
  python -m tests.benchmarks.peers --resume --markdown     goes on where the last run was stopped
  python -m tests.benchmarks.peers --report --markdown     page and plots anew, from what has been measured
"""
BACKEND_SHARE = {"rocksdb": 0.3}
"""Runs on RocksDB take fewer events: a write costs more."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A number of customers and a checkpoint interval."""

    customers: int
    checkpoint_s: float
    only: tuple[str, ...] = ()
    """The systems that take part; none: all."""
    rounds: int = 99
    """At most so many rounds."""


FULL = (Scenario(20_000, 1.0), Scenario(200_000, 5.0, only=("keepline", "keepline_scores", "java_flink"), rounds=3))


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured."""

    events: int
    rounds: int
    scenarios: tuple[Scenario, ...] = FULL
    slow_share: float = 0.4
    """Systems whose own share is below 1 run so many of it: a fifth of a minute is enough for a rate without a compiler's warm-up."""
    latency_shares: tuple[float, ...] = (0.1, 0.5, 0.8)
    latency_rates: tuple[int, ...] = (5_000, 20_000)
    latency_warm: float = 25.0
    latency_seconds: float = 12.0
    latency_most: int = 3_000_000
    """Events of a latency run, at most: they are made beforehand. A higher rate has less time."""
    customer_points: dict[str, tuple[int, ...]] = field(
        default_factory=lambda: {"heap": (1_000, 10_000, 100_000, 1_000_000), "rocksdb": (1_000, 10_000, 100_000, 1_000_000, 5_000_000)}
    )
    customer_events: int = 2_000_000
    """Events of a point; with more customers than that, as many as customers and a fifth more."""
    scaling_events: int = 3_000_000
    scaling_rounds: int = 2


def latency_times(rate: int, sizes: Sizes) -> tuple[float, float]:
    """Seconds of warm-up, and of what counts, at a rate."""
    whole = sizes.latency_warm + sizes.latency_seconds
    part = min(1.0, sizes.latency_most / (rate * whole))
    return sizes.latency_warm * part, sizes.latency_seconds * part


def sizes(options: argparse.Namespace) -> Sizes:
    """What the flags ask for."""
    scenarios = FULL
    if options.customers:
        scenarios = (Scenario(options.customers, options.checkpoint),)
    if options.smoke:
        points = {"heap": (2_000,), "rocksdb": (2_000,)}
        return Sizes(
            int(options.events or 4e5), options.rounds or 1, (Scenario(2_000, 1.0),), slow_share=1.0, latency_shares=(),
            latency_rates=(2_000,), latency_warm=3.0, latency_seconds=4.0, customer_points=points, customer_events=400_000,
            scaling_events=400_000, scaling_rounds=1,
        )  # fmt: skip
    if not options.quick:
        return Sizes(int(options.events or 8e6), options.rounds or 5, scenarios)
    return Sizes(
        int(options.events or 3e6), options.rounds or 3, scenarios, latency_shares=(0.1, 0.8), latency_warm=15.0, latency_seconds=10.0,
        customer_points={"heap": (1_000, 100_000), "rocksdb": (1_000, 100_000)}, customer_events=1_000_000, scaling_events=2_000_000,
        scaling_rounds=1,
    )  # fmt: skip


def parser() -> argparse.ArgumentParser:
    """All flags."""
    flags = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.peers",
        description="Keepline beside its peers: the same events, one broker, interleaved rounds, and a gate that every output must pass.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = flags.add_argument
    add("--parts", default=",".join(PARTS), help="comma-separated (default: %(default)s; with --only: throughput)")
    add("--only", default="", help="systems, comma-separated (default: all)")
    add("--events", type=float, help="events of a run of the fastest systems (default: 8e6)")
    add("--rounds", type=int, help="interleaved rounds (default: 5)")
    add("--customers", type=int, help="one scenario with so many customers (default: 20000, and 200000 with 5 s checkpoints)")
    add("--checkpoint", type=float, default=1.0, help="seconds between checkpoints, with --customers (default: 1)")
    add("--cores", default="0,1", help="processor cores of all processes (default: %(default)s)")
    add("--quick", action="store_true", help="3 M events, 3 rounds, fewer points")
    add("--smoke", action="store_true", help="few events and points: does all run?")
    add("--resume", action="store_true", help="go on with the session that the journal ends with")
    add("--report", action="store_true", help="measure nothing: tables, page and plots from the journal")
    add("--markdown", action="store_true", help="write the section of docs/benchmarks.md and the plots in docs/plots")
    add("--json", type=Path, help="write machine and all runs to this file")
    add("--journal", type=Path, default=JOURNAL, help="each finished run is appended here (default: build/bench-peers.jsonl)")
    return flags


def parse(given: list[str] | None = None) -> argparse.Namespace:
    """The flags, checked."""
    flags = parser()
    found = flags.parse_args(given)
    found.only = [name for name in found.only.split(",") if name]
    parts = "throughput" if found.only and found.parts == ",".join(PARTS) else found.parts
    found.parts = parts.split(",")
    unknown = set(found.parts) - set(PARTS)
    if unknown:
        flags.error(f"--parts {','.join(sorted(unknown))}: expected some of {','.join(PARTS)}")
    return found
