"""The part `throughput`: the number of processes of each system is tried once, then come the rounds A B C A B C …

Whatever the machine does meanwhile, it does to all systems of a round; so ratios are taken within rounds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tests.benchmarks import events
from tests.benchmarks.kernel import Feed
from tests.benchmarks.peers.bench import Bench
from tests.benchmarks.peers.journal import Journal
from tests.benchmarks.peers.options import BACKEND_SHARE, Scenario, Sizes
from tests.benchmarks.peers.runner import run_once
from tests.benchmarks.peers.system import System

GIVE_UP = 2
"""A system that has failed so often in a row is left out of the rounds that remain."""
KERNEL_EVENTS = 400_000
KERNEL_CUSTOMERS = (1_000, 20_000)
"""States that fit the processor's cache, and not."""


class Entry(NamedTuple):
    """A system on one of its backends."""

    system: System
    backend: str


def entries(systems: Sequence[System], scenario: Scenario) -> Iterator[Entry]:
    """Who takes part in a scenario, in the order of a round."""
    for system in systems:
        if not scenario.only or system.name in scenario.only:
            for backend in system.backends or ("",):
                yield Entry(system, backend)


def event_count(entry: Entry, sizes: Sizes) -> int:
    """The events of one run."""
    share = entry.system.share if entry.system.share == 1 else entry.system.share * sizes.slow_share
    return max(1, int(sizes.events * share * BACKEND_SHARE.get(entry.backend, 1.0)))


def measure(bench: Bench, journal: Journal, systems: Sequence[System], sizes: Sizes) -> None:
    """All scenarios; what the journal holds already is not run again."""
    counts: dict[str, int] = {}
    for scenario in sizes.scenarios:
        name = f"{scenario.customers}/{scenario.checkpoint_s:g}"
        chosen = list(entries(systems, scenario))
        scored = [event_count(entry, sizes) for entry in chosen if entry.system.puts == "scores"]
        if scored:
            bench.expected(scenario.customers, max(scored))  # once, and shorter runs use its beginning
        for entry in chosen:
            if entry.system.name not in counts:
                counts[entry.system.name] = best_count(bench, journal, entry, scenario, sizes, name)
        failed = dict.fromkeys(chosen, 0)
        for number in range(1, min(sizes.rounds, scenario.rounds) + 1):
            for entry in chosen:
                if failed[entry] >= GIVE_UP:
                    continue
                n = event_count(entry, sizes)
                row = {"part": "throughput", "scenario": name, "round": number}
                found = once(bench, journal, entry, counts[entry.system.name], scenario, n, row)
                failed[entry] = failed[entry] + 1 if found["void"] else 0
            for customers in sorted({*KERNEL_CUSTOMERS, scenario.customers}):
                kernel_alone(bench, journal, customers, number)


def best_count(bench: Bench, journal: Journal, entry: Entry, scenario: Scenario, sizes: Sizes, name: str) -> int:
    """The number of processes with which a system does most, by one run each on its first backend in its first scenario.

    As long as a round's: in a shorter one the JVM's compiler decides.
    """
    system = entry.system
    if len(system.processes) == 1:
        return system.processes[0]
    n = event_count(entry, sizes)
    tried = {
        count: once(bench, journal, entry, count, scenario, n, {"part": "trial", "scenario": name, "round": 0})
        for count in system.processes
    }
    return max(tried, key=lambda count: 0.0 if tried[count]["void"] else tried[count]["events_s"])


def once(bench: Bench, journal: Journal, entry: Entry, count: int, scenario: Scenario, n: int, row: Mapping[str, Any]) -> dict[str, Any]:
    """One run, or what the journal has of it."""
    whole = {
        **row, "system": entry.system.name, "backend": entry.backend, "processes": count, "customers": scenario.customers,
        "checkpoint_s": scenario.checkpoint_s, "events": n,
    }  # fmt: skip
    done = journal.find(whole)
    if done:
        return done
    bench.step(f"{row['part']} {row['scenario']}, round {row['round']}: {entry.system.name} {entry.backend} ×{count}")
    found = run_once(
        bench, entry.system, backend=entry.backend, processes=count, customers=scenario.customers, checkpoint_s=scenario.checkpoint_s, n=n
    )
    return journal.add(whole | found)


def kernel_alone(bench: Bench, journal: Journal, customers: int, number: int) -> None:
    """The limit that nothing can pass: from bytes to frames in one thread, no Kafka and no Flink."""
    row = {"part": "kernel", "round": number, "system": "kernel", "customers": customers}
    if journal.find({**row, "events": KERNEL_EVENTS}):
        return
    bench.say(f"the kernel alone, {customers:,} customers")
    feed, warm, stream = Feed(customers), 10 * customers, events.Stream(customers)
    for first in range(0, warm, KERNEL_EVENTS):
        feed.run(events.make(stream, first, min(KERNEL_EVENTS, warm - first), packed=True))
    spent = feed.run(events.make(stream, warm, KERNEL_EVENTS, packed=True)) / KERNEL_EVENTS
    journal.add(row | {"events": KERNEL_EVENTS, "void": "", "events_s": 1 / spent, "cpu_us": spent * 1e6, "broker_cpu_us": 0.0})
