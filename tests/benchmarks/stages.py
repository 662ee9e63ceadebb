"""Where the CPU time of a run goes: by thread of the job's processes, and within the operator's thread by what the operator counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import psutil

from tests.benchmarks.processes import tree

STAGES = {
    "fetch: Kafka's client, records into blocks": ("Source Data Fet",),
    "source's task: watermarks, keyBy, into buffers": ("Source: ",),
    "operator's task: out of buffers, states found, kernel, states written, into buffers": ("customer",),
    "sink's task: out of buffers, Kafka's client encodes and compresses": ("frames", "kafka-sink"),
    "produce: requests, callbacks": ("kafka-producer",),
    "checkpoints: states and timers to files": ("AsyncOperations",),
    "the JVM compiles": ("C1 Compiler", "C2 Compiler", "Sweeper"),
    "the JVM collects": ("GC Thread", "G1 ", "VM Thread", "ParGC"),
}
"""Stage → how the names of its threads begin, of which Linux keeps 15 characters."""
REST = "all else: Flink's and Python's own threads"
COUNTED = {
    "python_ms_total": "kernel, with the call into Python",
    "emit_ms_total": "its results taken: timers, frames",
    "write_back_ms_total": "states written at barriers",
    "write_ahead_ms_total": "states written ahead of them",
}
"""Metrics of the operator, in milliseconds by the clock, and what they count."""


def stage_of(thread: str) -> str:
    """The stage of a thread's name."""
    return next((stage for stage, names in STAGES.items() if thread.startswith(names)), REST)


def cpu_by_stage(pid: int) -> Counter[str]:
    """CPU seconds so far of a process and all below it, by stage. What a thread that has ended used is in none."""
    found: Counter[str] = Counter()
    for process in tree(pid):
        try:
            threads = process.threads()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        for thread in threads:
            try:
                name = Path(f"/proc/{process.pid}/task/{thread.id}/comm").read_text().strip()
            except OSError:  # it has ended since
                continue
            found[stage_of(name)] += thread.user_time + thread.system_time
    return found


def microseconds(looks: Sequence[tuple[int, Counter[str]]]) -> dict[str, float]:
    """Per event, between the first and the last look at (events so far, seconds so far)."""
    if not looks or looks[-1][0] == looks[0][0]:
        return {}
    (n0, before), (n1, after) = looks[0], looks[-1]
    return {name: (after[name] - before[name]) / (n1 - n0) * 1e6 for name in after}
