"""Keepline without its contact policy: what the other systems do and nothing else. A comparison of equal work; no target counts it."""

from __future__ import annotations

from tests.benchmarks.peers.system import Run, System
from tests.benchmarks.peers.systems.keepline import Job


def start(run: Run) -> Job:
    """The job of users with `--policy none`: it scores and contacts nobody."""
    return Job(run, "--policy", "none")


SYSTEM = System(
    name="keepline_scores", label="Keepline without its contact policy", guarantee="exactly once", start=start, backends=("heap",)
)
