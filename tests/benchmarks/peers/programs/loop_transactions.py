"""A loop with transactions: scores, the states that changed and the offsets are committed together, once an interval.

States live in memory; those of the customers seen since the last commit go to a compacted changelog, into the partition of the
same number as the input's. A start aborts what its predecessor left open, reads the changelog and goes on at the committed offsets.
A process has its partitions for good (`assign`), so that no rebalance moves states.
"""

from __future__ import annotations

import time
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Producer, TopicPartition

from tests.benchmarks.peers.plain import engine
from tests.benchmarks.peers.plain.state import State, load
from tests.benchmarks.peers.programs.clients import BATCH, CONSUMER, PRODUCER, sound
from tests.benchmarks.peers.programs.task import Task, given


def changelog(name: str) -> str:
    """The topic of a run's states."""
    return f"{name}.changelog"


def restore(task: Task, options: dict[str, Any]) -> dict[bytes, State]:
    """The states as of the last commit. Called after `init_transactions`, so nothing of the predecessor's is open any more.

    The end of a partition is told by an event: an offset would not do, since the last record may be a transaction's marker.
    """
    consumer = Consumer({**options, "enable.partition.eof": True})
    consumer.assign([TopicPartition(changelog(task.name), partition, OFFSET_BEGINNING) for partition in task.partitions])
    raw, left = {}, set(task.partitions)
    while left:
        messages = consumer.consume(BATCH, 0.2)
        raw.update((message.key(), message.value()) for message in sound(messages))
        ended = [message for message in messages if message.error() is not None and message.error().code() == KafkaError._PARTITION_EOF]
        left -= {message.partition() for message in ended}
    consumer.close()
    return {key: load(value) for key, value in raw.items()}


def main() -> None:
    """Reads its partitions until it is killed."""
    task = given()
    step = engine.make(task.settings)
    servers = {"bootstrap.servers": task.bootstrap_servers}
    options = {**CONSUMER, **servers, "group.id": task.name, "enable.auto.commit": False, "isolation.level": "read_committed"}
    consumer = Consumer(options)
    producer = Producer({**PRODUCER, **servers, "transactional.id": f"{task.name}-{task.process}", "transaction.timeout.ms": 60_000})
    producer.init_transactions()
    states = restore(task, options)
    at = consumer.committed([TopicPartition(task.source, partition) for partition in task.partitions], timeout=30)
    parts = [TopicPartition(part.topic, part.partition, part.offset if part.offset >= 0 else OFFSET_BEGINNING) for part in at]
    consumer.assign(parts)
    known, produce, sink, states_topic = states.get, producer.produce, task.sink, changelog(task.name)
    changed: dict[bytes, int] = {}
    while True:
        messages = sound(consumer.consume(BATCH, 0.1))
        if not messages:
            continue
        begun = time.monotonic()
        producer.begin_transaction()
        while True:
            for message in messages:
                key = message.key()
                states[key], score = step(known(key), message.value())
                if score is not None:
                    produce(sink, score, key)
                changed[key] = message.partition()
            if time.monotonic() - begun >= task.checkpoint_s:
                break
            messages = sound(consumer.consume(BATCH, 0.1))
        for key, partition in changed.items():
            produce(states_topic, states[key].dump(), key, partition)
        changed.clear()
        producer.send_offsets_to_transaction(consumer.position(parts), consumer.consumer_group_metadata())
        producer.commit_transaction()


if __name__ == "__main__":
    main()
