"""The part `latency`: created → Redis and created → committed at shares of the drain rate, and at the rates that are promised."""

from __future__ import annotations

from tests.benchmarks import events, latency
from tests.benchmarks.peers.bench import Bench
from tests.benchmarks.peers.journal import Journal
from tests.benchmarks.peers.options import Sizes
from tests.benchmarks.peers.ratios import figure
from tests.benchmarks.peers.runner import run_once
from tests.benchmarks.peers.systems import keepline

CUSTOMERS, CHECKPOINT_S = 20_000, 1.0


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


def measure(bench: Bench, journal: Journal, sizes: Sizes) -> None:
    """One run a rate, on a job of its own."""
    from keepline.jobs.stack.redis import EmbeddedRedis

    drain = drain_rate(bench, journal, sizes)
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
                found = latency.run(bench.broker, redis.url, name, stream, rate, sizes.latency_seconds, sizes.latency_seconds, bench.say)
            except Exception as error:  # noqa: BLE001 - a rate that cannot be held says so in its row, the others are measured
                found = {"rate": rate, "void": f"void: {error}"}
            finally:
                bench.clean_topics()
            journal.add(row | {"drain": drain, "share": share} | found)
