"""One run of one system: start, watch, wait for the last commit, end it, gate."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from tests.benchmarks.peers import gate
from tests.benchmarks.peers.bench import Bench
from tests.benchmarks.peers.cpu import TreeCpu
from tests.benchmarks.peers.system import PARTITIONS, Run, Running, System
from tests.benchmarks.throughput import SAMPLE_S, Progress

PATIENCE_S, START_S = 60.0, 240.0
QUIET_S = 1.0
"""So long without a new record, and all that is there committed: a system is done. (The count alone cannot say so: it holds
transaction markers.)"""


class Watched:
    """A running system as `Progress` wants it."""

    def __init__(self, run: Run, running: Running) -> None:
        self.scores, self._tree = run.sink, TreeCpu(*getattr(running, "pids", (running.pid,)))

    def cpu(self) -> float:
        """CPU seconds so far, of all its processes."""
        return self._tree.seconds()


class Ends:
    """Where the sink ends, for those who read all and for those who read committed records."""

    def __init__(self, servers: str, topic: str) -> None:
        levels = ("read_uncommitted", "read_committed")
        self._probes = [Consumer({"bootstrap.servers": servers, "group.id": "ends", "isolation.level": level}) for level in levels]
        self._parts = [TopicPartition(topic, partition) for partition in range(PARTITIONS)]

    def look(self) -> tuple[int, int]:
        """(all, committed)."""
        everything, committed = (sum(probe.get_watermark_offsets(part, timeout=10)[1] for part in self._parts) for probe in self._probes)
        return everything, committed


def await_end(run: Run, running: Running, progress: Progress, label: str, say: Any) -> None:
    """Samples until the sink holds the last record and all is committed. Raises RuntimeError, with the log's end."""
    since, before, ends = time.monotonic(), -1, Ends(run.bootstrap_servers, run.sink)
    while True:
        out = progress.sample()
        if out > before:
            since, before = time.monotonic(), out
        idle = time.monotonic() - since
        if out >= run.n and idle > QUIET_S:
            everything, committed = ends.look()
            if everything == committed:
                return
        if not running.running:
            everything, committed = ends.look()
            if everything == committed and everything >= run.n:
                return  # a system that ends when all is done
            msg = f"{label} ended after {out} of {run.n} records. The end of its log:\n{running.tail()}"
            raise RuntimeError(msg)
        if idle > (PATIENCE_S if out else START_S):
            msg = f"{label}: no more records after {out} of {run.n}. The end of its log:\n{running.tail()}"
            raise RuntimeError(msg)
        say(f"{label}: {min(1, out / run.n):.0%}")
        time.sleep(SAMPLE_S)


def run_once(bench: Bench, system: System, *, backend: str, processes: int, customers: int, checkpoint_s: float, n: int) -> dict[str, Any]:
    """The figures of one run; `void` says why they count for nothing, `gate` what the gate alone said."""
    began = time.monotonic()
    label = f"{system.label}{f', {backend}' if backend else ''}, {customers:,} customers"
    expected = bench.expected(customers, n) if system.puts == "scores" else Path()
    run = bench.prepare(system, backend, processes, customers, checkpoint_s, n)
    found: dict[str, Any] = {
        "system": system.name, "backend": backend, "processes": processes, "customers": customers, "checkpoint_s": checkpoint_s, "events": n
    }  # fmt: skip
    running = None
    try:
        running = system.start(run)
        progress = Progress(bench.broker, Watched(run, running))
        await_end(run, running, progress, label, bench.say)
        facts = running.facts() if hasattr(running, "facts") else {}
        running.kill()
        running = None
        bench.say(f"{label}: the gate")
        verdict = gate.judge(bench.pool, system, run.bootstrap_servers, run.sink, n, customers, expected)
        void = f"void: {facts['restarts']} restarts. {verdict.void}" if facts.get("restarts") else verdict.void
        found |= {"void": void, "gate": verdict.void, "doubled": verdict.doubled, "pause_ms": verdict.pause_ms} | facts
        found |= progress.steady(n)
    except Exception as error:  # noqa: BLE001 - whatever a system does, the others get their rounds; the row says what it was
        found |= {"void": found.get("void") or f"void: {error}", "logs": str(bench.keep_logs(run))}
    finally:
        if running is not None:
            running.kill()
        bench.clean(run)
    return found | {"took_s": time.monotonic() - began}
