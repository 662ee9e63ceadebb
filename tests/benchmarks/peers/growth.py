"""The part `customers`: what an event costs as the number of customers grows, on the heap and on RocksDB.

Few customers fit the processor's cache, more fit the operator's slab, the rest is in Flink's state: each step costs more. One run a
point; every customer has at least one event on average, so the largest points hold new customers too.
"""

from __future__ import annotations

from tests.benchmarks.peers.bench import Bench
from tests.benchmarks.peers.journal import Journal
from tests.benchmarks.peers.options import Sizes
from tests.benchmarks.peers.runner import run_once
from tests.benchmarks.peers.systems import keepline

CHECKPOINT_S = 10.0


def event_count(customers: int, sizes: Sizes) -> int:
    """The events of a point."""
    return max(sizes.customer_events, customers * 6 // 5)


def measure(bench: Bench, journal: Journal, sizes: Sizes) -> None:
    """Each number of customers, all backends; its input is removed before the next."""
    for customers in sorted({point for points in sizes.customer_points.values() for point in points}):
        n = event_count(customers, sizes)
        for backend, points in sizes.customer_points.items():
            row = {
                "part": "customers", "system": "keepline", "backend": backend, "processes": 1, "customers": customers,
                "checkpoint_s": CHECKPOINT_S, "events": n, "round": 1,
            }  # fmt: skip
            if customers not in points or journal.find(row):
                continue
            bench.step(f"{customers:,} customers on {backend}")
            found = run_once(bench, keepline.SYSTEM, backend=backend, processes=1, customers=customers, checkpoint_s=CHECKPOINT_S, n=n)
            journal.add(row | found)
        bench.forget(customers, n)
