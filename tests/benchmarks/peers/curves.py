"""The part `latency`: created → Redis and created → committed at shares of the drain rate, and at the rates that are promised.

Other exactly-once systems have no live view: they are measured created → committed, at one rate.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tests.benchmarks import events, latency, load
from tests.benchmarks.peers.bench import Bench
from tests.benchmarks.peers.journal import Journal
from tests.benchmarks.peers.options import Sizes, latency_times
from tests.benchmarks.peers.ratios import figure
from tests.benchmarks.peers.runner import run_once
from tests.benchmarks.peers.system import System
from tests.benchmarks.peers.systems import keepline

CUSTOMERS, CHECKPOINT_S = 20_000, 1.0
OTHERS = ("java_flink", "expert", "loop_transactions")
OTHERS_RATE = 20_000


def drain_rate(bench: Bench, journal: Journal, sizes: Sizes) -> float:
    """Events a second of Keepline with a full backlog: the median of the rounds, or else of one run now."""
    runs = [
        row
        for row in (*journal.of("throughput"), *journal.of("drain"))
        if (row["system"], row.get("backend"), row["customers"], row.get("checkpoint_s")) == ("keepline", "heap", CUSTOMERS, CHECKPOINT_S)
    ]
    found = figure(runs, "events_s")
    if found:
        return found.median
    bench.step("the drain rate, for the latencies")
    row = {"part": "drain", "round": 1, "system": "keepline", "backend": "heap", "processes": 1, "customers": CUSTOMERS,
           "checkpoint_s": CHECKPOINT_S, "events": sizes.scaling_events}  # fmt: skip
    measured = run_once(
        bench, keepline.SYSTEM, backend="heap", processes=1, customers=CUSTOMERS, checkpoint_s=CHECKPOINT_S, n=sizes.scaling_events
    )
    journal.add(row | measured)
    if measured["void"]:
        raise RuntimeError(measured["void"])
    return float(measured["events_s"])


def measure(bench: Bench, journal: Journal, sizes: Sizes, systems: Iterable[System]) -> None:
    """One run a rate, on a job of its own; then the others."""
    keeplines(bench, journal, sizes)
    for system in systems:
        row = {"part": "latency", "system": system.name, "variant": f"{OTHERS_RATE}", "round": 1}
        if system.name in OTHERS and not journal.find(row):
            bench.step(f"latency of {system.name} at {OTHERS_RATE:,} events/s")
            processes = next((found["processes"] for found in journal.of("throughput") if found["system"] == system.name), 1)
            journal.add(row | {"rate": OTHERS_RATE, "share": 0.0} | committed(bench, system, processes, *latency_times(OTHERS_RATE, sizes)))


def committed(bench: Bench, system: System, processes: int, warm: float, seconds: float) -> dict[str, Any]:
    """Created → committed of a system that reads a topic and writes Scores."""
    backend, stream = next(iter(system.backends), ""), events.Stream(CUSTOMERS)
    n = latency.BACKLOG + int(OTHERS_RATE * (warm + seconds))
    run = bench.prepare(system, backend, processes, CUSTOMERS, CHECKPOINT_S, n, own=True)
    running = None
    try:
        load.fill(run.bootstrap_servers, run.source, stream, latency.BACKLOG, bench.say)
        running = system.start(run)

        def check() -> None:
            if not running.running:
                msg = f"{system.name} ended. The end of its log:\n{running.tail()}"
                raise RuntimeError(msg)

        return latency.measure(run.bootstrap_servers, run.source, run.sink, stream, OTHERS_RATE, warm, seconds, bench.say, check)
    except Exception as error:  # noqa: BLE001 - the others are measured all the same
        return {"void": f"void: {error}"}
    finally:
        if running is not None:
            running.kill()
        bench.clean(run)


def keeplines(bench: Bench, journal: Journal, sizes: Sizes) -> None:
    """Keepline at every rate."""
    from keepline.jobs.stack.redis import EmbeddedRedis

    drain = drain_rate(bench, journal, sizes) if sizes.latency_shares else 0.0
    rates = dict.fromkeys(sizes.latency_rates, 0.0) | {int(drain * share / 100) * 100: share for share in sizes.latency_shares}
    stream = events.Stream(CUSTOMERS)
    with EmbeddedRedis() as redis:
        for rate, share in sorted(rates.items()):
            row = {"part": "latency", "system": "keepline", "variant": f"{share:g}" if share else f"{rate}", "round": 1}
            if journal.find(row):
                continue
            bench.step(f"latency at {rate:,} events/s")
            name = f"latency-{rate}"
            try:
                found = latency.run(bench.broker, redis, name, stream, rate, *latency_times(rate, sizes), bench.say)
            except Exception as error:  # noqa: BLE001 - a rate that cannot be held says so in its row, the others are measured
                found = {"rate": rate, "void": f"void: {error}"}
            finally:
                bench.clean_topics()
            journal.add(row | {"drain": drain, "share": share} | found)
