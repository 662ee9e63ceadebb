"""Starting the plain PyFlink job: one process, whose Flink has as many slots as the run asks for processes."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from keepline.jobs.stack.process import Child
from tests.benchmarks.peers.launch import launch
from tests.benchmarks.peers.programs.task import tell
from tests.benchmarks.peers.system import Run


def start(run: Run, mode: Literal["thread", "process"]) -> Child:
    """The job in a Flink of its own."""
    env = {"PEER_PROCESSES": str(run.processes), "FLINK_LOG_DIR": str(run.folder)}
    return launch(replace(run, processes=1), "-m", "tests.benchmarks.peers.programs.pyflink_job", tell(run), mode, env=env)
