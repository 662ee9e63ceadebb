"""bytewax with recovery: Kafka in, a stateful step, Kafka out; a snapshot of all changed states each epoch, so at least once.

Source and sink are connectors of our own, as the documentation shows how to write them. Those that bytewax ships make two objects of a
dataclass for each event, and its sink waits for the broker after every batch; here the sink waits before a snapshot. With two processes
each runs the flow on a partition of its own, since a cluster of two would pickle every other event from one process to the other.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.operators import StatefulBatchLogic
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from tests.benchmarks.peers.plain import engine
from tests.benchmarks.peers.plain.state import State, load
from tests.benchmarks.peers.programs.clients import BATCH, CONSUMER, PRODUCER, sound
from tests.benchmarks.peers.programs.task import Task, given

Keyed = tuple[str, bytes]


class Reading(StatefulSourcePartition[Keyed, int]):
    """One partition of the source; its offset is its state."""

    def __init__(self, task: Task, partition: int, offset: int | None) -> None:
        self._offset = OFFSET_BEGINNING if offset is None else offset
        self._consumer = Consumer({**CONSUMER, "bootstrap.servers": task.bootstrap_servers, "group.id": task.name})
        self._consumer.assign([TopicPartition(task.source, partition, self._offset)])

    def next_batch(self) -> Iterable[Keyed]:
        messages = sound(self._consumer.consume(BATCH, 0.001))
        if messages:
            self._offset = messages[-1].offset() + 1
        return [(message.key().decode(), message.value()) for message in messages]

    def snapshot(self) -> int:
        return self._offset


class Source(FixedPartitionedSource[Keyed, int]):
    """This process's partitions."""

    def __init__(self, task: Task) -> None:
        self._task = task

    def list_parts(self) -> list[str]:
        return [str(partition) for partition in self._task.partitions]

    def build_part(self, step_id: str, for_part: str, resume_state: int | None) -> Reading:
        return Reading(self._task, int(for_part), resume_state)


class Writing(StatefulSinkPartition[Any, None]):
    """The producer: all that an epoch wrote is in Kafka before the epoch's snapshot."""

    def __init__(self, task: Task) -> None:
        self._topic = task.sink
        self._producer = Producer({**PRODUCER, "bootstrap.servers": task.bootstrap_servers, "acks": "all"})

    def write_batch(self, values: list[Keyed]) -> None:
        produce, topic = self._producer.produce, self._topic
        for key, score in values:
            produce(topic, score, key)
        self._producer.poll(0)

    def snapshot(self) -> None:
        if self._producer.flush(60):
            msg = "the broker did not take an epoch's output within 60 s"
            raise RuntimeError(msg)


class Sink(FixedPartitionedSink[Any, None]):
    """One producer a process."""

    def __init__(self, task: Task) -> None:
        self._task = task

    def list_parts(self) -> list[str]:
        return ["only"]

    def part_fn(self, item_key: str) -> int:
        return 0

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> Writing:
        return Writing(self._task)


class Customer(StatefulBatchLogic[bytes, Any, bytes]):
    """One customer."""

    step: engine.Step

    def __init__(self, snapshot: bytes | None) -> None:
        self._state: State | None = None if snapshot is None else load(snapshot)

    def on_batch(self, values: list[bytes]) -> tuple[Iterable[Any], bool]:
        out = []
        for value in values:
            self._state, score = self.step(self._state, value)
            if score is not None:
                out.append(score)
        return out, False

    def snapshot(self) -> bytes:
        assert self._state is not None  # there is a logic because there was a value
        return self._state.dump()


def flow(task: Task) -> Dataflow:
    """The dataflow."""
    Customer.step = staticmethod(engine.make(task.settings))
    dataflow = Dataflow(task.name.replace("-", "_"))
    events = op.input("events", dataflow, Source(task))
    scores = op.stateful_batch("customers", events, Customer)
    routed = op.flat_map_batch("routed", scores, lambda batch: [("", pair) for pair in batch])
    op.output("scores", routed, Sink(task))
    return dataflow


def main() -> None:
    """Runs until it is killed."""
    task = given()
    recovery = Path(task.folder) / f"recovery-{task.process}"
    if not recovery.exists():
        recovery.mkdir()
        init_db_dir(recovery, 1)
    interval = timedelta(seconds=task.checkpoint_s)
    cli_main(flow(task), workers_per_process=1, epoch_interval=interval, recovery_config=RecoveryConfig(recovery))


if __name__ == "__main__":
    main()
