"""quixstreams, exactly once."""

from __future__ import annotations

from keepline.jobs.stack.process import Child
from tests.benchmarks.peers.launch import launch
from tests.benchmarks.peers.programs.task import tell
from tests.benchmarks.peers.system import Run, System


def start(run: Run) -> Child:
    """The processes."""
    return launch(run, "-m", "tests.benchmarks.peers.programs.quixstreams_app", tell(run))


SYSTEM = System(
    name="quixstreams",
    label="quixstreams",
    guarantee="exactly once",
    start=start,
    packages=("quixstreams==3.28.1", "confluent-kafka==2.12.2", "fastavro==1.13.1", "rocksdict==0.3.29"),
    processes=(1, 2),
    share=0.125,
)
