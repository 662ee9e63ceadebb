"""The limit of a Python loop on Kafka."""

from __future__ import annotations

from keepline.jobs.stack.process import Child
from tests.benchmarks.peers.launch import launch
from tests.benchmarks.peers.system import Run, System


def start(run: Run) -> Child:
    """The loop."""
    return launch(run, "-m", "tests.benchmarks.peers.limits.loop", run.bootstrap_servers, run.source, run.sink, run.name)


SYSTEM = System(
    name="limit_loop",
    label="Consume and produce the same bytes: confluent-kafka, whole batches",
    guarantee="none",
    start=start,
    processes=(1, 2),
    puts="copies",
)
