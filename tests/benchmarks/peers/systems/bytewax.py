"""bytewax with recovery, at least once."""

from __future__ import annotations

from keepline.jobs.stack.process import Child
from tests.benchmarks.peers.launch import launch
from tests.benchmarks.peers.programs.task import tell
from tests.benchmarks.peers.system import Run, System


def start(run: Run) -> Child:
    """The processes."""
    return launch(run, "-m", "tests.benchmarks.peers.programs.bytewax_flow", tell(run))


SYSTEM = System(
    name="bytewax",
    label="bytewax with recovery",
    guarantee="at least once",
    start=start,
    packages=("bytewax==0.21.1", "confluent-kafka==2.16.1", "fastavro==1.13.1"),
    processes=(1, 2),
    share=0.25,
)
