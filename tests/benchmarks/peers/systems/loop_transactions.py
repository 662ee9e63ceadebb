"""The same loop with transactions: scores, changed states and offsets are one."""

from __future__ import annotations

from confluent_kafka.admin import AdminClient

from keepline.jobs.stack.process import Child
from tests.benchmarks.peers.launch import create_topics, launch
from tests.benchmarks.peers.programs.loop_transactions import changelog
from tests.benchmarks.peers.programs.task import tell
from tests.benchmarks.peers.system import PARTITIONS, Run, System


def start(run: Run) -> Child:
    """The changelog's topic, unless a start before made it, and the processes."""
    topic = changelog(run.name)
    if topic not in AdminClient({"bootstrap.servers": run.bootstrap_servers}).list_topics(timeout=30).topics:
        create_topics(run, [topic], PARTITIONS, **{"cleanup.policy": "compact"})
    return launch(run, "-m", "tests.benchmarks.peers.programs.loop_transactions", tell(run))


SYSTEM = System(
    name="loop_transactions",
    label="confluent-kafka loop, plain Python, transactions",
    guarantee="exactly once",
    start=start,
    packages=("confluent-kafka==2.16.1", "fastavro==1.13.1"),
    processes=(1, 2),
    share=0.5,
)
