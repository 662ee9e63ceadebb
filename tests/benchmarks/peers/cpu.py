"""CPU seconds of processes and all that they started, those that have ended included."""

from __future__ import annotations

import psutil

from tests.benchmarks.processes import tree


class TreeCpu:
    """Remembers what each process of the trees had when last seen, so a process that ends does not take its time with it.

    What a process uses after the last look before its end is lost: look often.
    """

    def __init__(self, *pids: int) -> None:
        self._pids = pids
        self._seen: dict[tuple[int, float], float] = {}

    def seconds(self) -> float:
        """Looks, and returns the sum."""
        for pid in self._pids:
            for process in tree(pid):
                try:
                    times = process.cpu_times()
                    self._seen[process.pid, process.create_time()] = times.user + times.system
                except psutil.NoSuchProcess:
                    continue
        return sum(self._seen.values())
