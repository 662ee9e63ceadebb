"""The limit of any Flink job from Kafka to Kafka."""

from __future__ import annotations

import sys

from keepline.jobs.stack.process import Child
from tests.benchmarks.peers.launch import launch_flink
from tests.benchmarks.peers.system import Run, System


def start(run: Run) -> Child:
    """A local Flink, as Keepline's; `processes` is its parallelism."""
    command = [
        sys.executable, "-m", "tests.benchmarks.peers.limits.flink", run.bootstrap_servers, run.source, run.sink, run.name,
        str(int(run.checkpoint_s * 1000)), (run.folder / "checkpoints").as_uri(), str(run.processes),
    ]  # fmt: skip
    return launch_flink(run, command)


SYSTEM = System(
    name="limit_flink",
    label="Consume and produce the same bytes: Flink, no operator between",
    guarantee="exactly once",
    start=start,
    processes=(1, 2),
    puts="copies",
)
