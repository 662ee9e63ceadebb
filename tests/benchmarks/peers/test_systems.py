"""The Python peers do the whole work and keep what they promise: each is held against the kernel, some after having been killed midway.

Every system runs in the environment that its packages make, as in the comparison.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from keepline.jobs.stack.kafka import EmbeddedKafka
from tests.benchmarks import events, load
from tests.benchmarks.peers import gate, reference
from tests.benchmarks.peers.system import PARTITIONS, Run, System, discover
from tests.benchmarks.peers.test_plain import COMMITTED, told
from tests.benchmarks.peers.venvs import interpreter

CUSTOMERS = 200
FEW, MANY = 3_000, 60_000
SYSTEMS = discover()
pytestmark = pytest.mark.timeout(600)


class Given:
    """An input with its reference."""

    def __init__(self, kafka: EmbeddedKafka, folder: Path, n: int) -> None:
        self.kafka, self.n, self.topic, self.expected = kafka, n, f"peers-{n}", folder / "expected"
        self.settings = told(folder, COMMITTED)
        reference.make(CUSTOMERS, n, lambda _: None).save(self.expected)
        kafka.create_topics([self.topic], partitions=PARTITIONS)
        load.fill(kafka.bootstrap_servers, self.topic, events.Stream(CUSTOMERS, PARTITIONS), n, lambda _: None)

    def run(self, system: System, folder: Path, processes: int) -> Run:
        """A run of a system, its sink made."""
        name = f"peers-{self.n}-{system.name}-{processes}"
        self.kafka.create_topics([f"{name}.scores"], partitions=PARTITIONS)
        return Run(
            python=interpreter(system.packages, lambda _: None), bootstrap_servers=self.kafka.bootstrap_servers, source=self.topic,
            sink=f"{name}.scores", name=name, n=self.n, customers=CUSTOMERS, checkpoint_s=0.3, processes=processes, backend="",
            folder=folder, settings=self.settings,
        )  # fmt: skip

    def verdict(self, system: System, run: Run) -> str:
        """The gate's."""
        parts = [
            gate.read_partition(run.bootstrap_servers, run.sink, partition, self.n, CUSTOMERS, str(self.expected), system.puts)
            for partition in range(PARTITIONS)
        ]
        return gate.verdict(system, self.n, parts).void


@pytest.fixture(scope="module")
def few(kafka: EmbeddedKafka, tmp_path_factory: pytest.TempPathFactory) -> Given:
    return Given(kafka, tmp_path_factory.mktemp("few"), FEW)


@pytest.fixture(scope="module")
def many(kafka: EmbeddedKafka, tmp_path_factory: pytest.TempPathFactory) -> Given:
    return Given(kafka, tmp_path_factory.mktemp("many"), MANY)


@pytest.fixture
def committed(kafka: EmbeddedKafka) -> Iterator[Callable[[Run], int]]:
    """How far committed readers of a run's sink come (transaction markers count)."""
    probe = Consumer({"bootstrap.servers": kafka.bootstrap_servers, "group.id": "peers", "isolation.level": "read_committed"})

    def ends(run: Run) -> int:
        return sum(probe.get_watermark_offsets(TopicPartition(run.sink, partition), timeout=30)[1] for partition in range(PARTITIONS))

    yield ends
    probe.close()


def wait(running: Any, until: Callable[[], bool]) -> None:
    """Polls, and fails with the end of the log should the system end or nothing come of it."""
    deadline = time.monotonic() + 240
    while not until():
        assert running.running, running.tail()
        assert time.monotonic() < deadline, running.tail()
        time.sleep(0.1)


@pytest.mark.parametrize(("name", "processes"), [("loop_none", 2), ("quixstreams", 1), ("pyflink_thread", 1), ("pyflink_process", 1)])
def test_each_event_gets_its_score(name: str, processes: int, few: Given, tmp_path: Path, committed: Callable[[Run], int]) -> None:
    system = SYSTEMS[name]
    run = few.run(system, tmp_path, processes)
    running = system.start(run)
    try:
        wait(running, lambda: committed(run) >= FEW and not few.verdict(system, run))
    finally:
        running.kill()


@pytest.mark.parametrize(("name", "processes"), [("loop_transactions", 1), ("loop_transactions", 2), ("bytewax", 2)])
def test_what_is_promised_holds_over_a_kill(
    name: str, processes: int, many: Given, tmp_path: Path, committed: Callable[[Run], int]
) -> None:
    """Killed as soon as something is committed, started again: nothing is missing or other, and nothing double where that is promised."""
    system = SYSTEMS[name]
    run = many.run(system, tmp_path, processes)
    running = system.start(run)
    try:
        wait(running, lambda: committed(run) > 0)
        running.kill()
        assert many.verdict(system, run).startswith("void: of 60,000 records"), "all was done before the kill"
        running = system.start(run)
        wait(running, lambda: committed(run) >= MANY and not many.verdict(system, run))
    finally:
        running.kill()
