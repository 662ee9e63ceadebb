"""A consume-produce loop in plain Python that guarantees nothing: the ceiling of Python one event at a time."""

from __future__ import annotations

from keepline.jobs.stack.process import Child
from tests.benchmarks.peers.launch import launch
from tests.benchmarks.peers.programs.task import tell
from tests.benchmarks.peers.system import Run, System


def start(run: Run) -> Child:
    """The processes."""
    return launch(run, "-m", "tests.benchmarks.peers.programs.loop_none", tell(run))


SYSTEM = System(
    name="loop_none",
    label="confluent-kafka loop, plain Python",
    guarantee="none",
    start=start,
    packages=("confluent-kafka==2.16.1", "fastavro==1.13.1"),
    processes=(1, 2),
    share=0.5,
)
