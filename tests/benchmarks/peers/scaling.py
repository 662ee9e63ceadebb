"""The part `scaling`: everything, broker included, on one core and on two; one TaskManager with two slots, two with one.

A core fewer needs a broker that was started with a core fewer, so each number of cores has a session of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from keepline.jobs.stack.flink import FlinkCluster
from tests.benchmarks.job import facts
from tests.benchmarks.machine import ROOT
from tests.benchmarks.peers.bench import Bench
from tests.benchmarks.peers.journal import Journal
from tests.benchmarks.peers.options import Sizes
from tests.benchmarks.peers.runner import run_once
from tests.benchmarks.peers.system import Run, Running
from tests.benchmarks.peers.systems import keepline

CUSTOMERS, CHECKPOINT_S = 20_000, 1.0


class Cluster:
    """The job on a standalone cluster, as `Running`."""

    def __init__(self, run: Run, taskmanagers: int) -> None:
        keepline.make_outputs(run)
        slots = max(1, run.processes // taskmanagers)
        # Memory for the slots of one process: as much for each as flink-conf/config.yaml gives to one.
        memory = {"taskmanager.memory.process.size": f"{2000 * slots}m", "taskmanager.memory.task.off-heap.size": f"{400 * slots}m"}
        settings = {"taskmanager.numberOfTaskSlots": str(slots), **memory}
        folder = run.folder / "flink"
        folder.mkdir()
        self._flink = FlinkCluster(taskmanagers=taskmanagers, settings=settings, folder=folder)
        try:
            self._flink.start()
            self._flink.submit(ROOT / "jobs" / "retention.py", *keepline.flags(run), parallelism=run.processes)
        except BaseException:
            self._flink.close()
            raise
        self.pids = self._flink.pids()
        self.pid = self.pids[0]

    @property
    def running(self) -> bool:
        """Whether the JobManager answers."""
        return self._flink.rest.answers()

    def tail(self) -> str:
        """The ends of all logs."""
        return self._flink.logs()

    def facts(self) -> dict[str, Any]:
        """What Flink says."""
        return facts(self._flink.rest)

    def kill(self) -> None:
        """Ends all."""
        self._flink.close()


class Variant(NamedTuple):
    """One way to run the job."""

    name: str
    label: str
    cores: int
    processes: int
    start: Callable[[Run], Running]


VARIANTS = (
    Variant("one core", "1 core, parallelism 1", 1, 1, keepline.Job),
    Variant("two cores", "2 cores, parallelism 1", 2, 1, keepline.Job),
    Variant("two slots", "2 cores, one TaskManager with 2 slots", 2, 2, lambda run: Cluster(run, 1)),
    Variant("two taskmanagers", "2 cores, two TaskManagers with 1 slot", 2, 2, lambda run: Cluster(run, 2)),
)


def measure(open_bench: Callable[[], Bench], journal: Journal, sizes: Sizes) -> None:
    """All variants, the two-core ones interleaved."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        return
    n = sizes.scaling_events
    for count in (1, 2):
        todo = []
        for number in range(1, sizes.scaling_rounds + 1):
            for variant in VARIANTS:
                row = {
                    "part": "scaling", "variant": variant.name, "round": number, "system": "keepline", "backend": "heap",
                    "processes": variant.processes, "customers": CUSTOMERS, "checkpoint_s": CHECKPOINT_S, "events": n,
                }  # fmt: skip
                if variant.cores == count and not journal.find(row):
                    todo.append((variant, row))
        if not todo:
            continue
        os.sched_setaffinity(0, cores[:count])
        try:
            with open_bench() as bench:
                for variant, row in todo:
                    bench.step(f"scaling, round {row['round']}: {variant.label}")
                    system = replace(keepline.SYSTEM, start=variant.start, label=f"Keepline, {variant.label}")
                    found = run_once(
                        bench, system, backend="heap", processes=variant.processes, customers=CUSTOMERS, checkpoint_s=CHECKPOINT_S, n=n
                    )
                    journal.add(row | found)
        finally:
            os.sched_setaffinity(0, cores)
