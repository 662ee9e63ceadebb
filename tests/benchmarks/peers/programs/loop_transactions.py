"""A loop with transactions: scores, the states that changed and the offsets are committed together, once an interval.

States live in memory; those of the customers seen since the last commit go to a compacted changelog, into the partition of the
same number as the input's. A start aborts what its predecessor left open, reads the changelog and goes on at the committed offsets.
A process has its partitions for good (`assign`), so that no rebalance moves states.
"""

from __future__ import annotations

import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from tests.benchmarks.peers.plain import engine
from tests.benchmarks.peers.plain.state import State, load
from tests.benchmarks.peers.programs.clients import BATCH, CONSUMER, PRODUCER, sound
from tests.benchmarks.peers.programs.task import Task, given


def changelog(name: str) -> str:
    """The topic of a run's states."""
    return f"{name}.changelog"


def restore(consumer: Consumer, task: Task) -> dict[bytes, State]:
    """The states as of the last commit. Called after `init_transactions`, so nothing of the predecessor's is open any more."""
    topic, raw = changelog(task.name), {}
    parts = [TopicPartition(topic, partition, 0) for partition in task.partitions]
    ends = {part.partition: consumer.get_watermark_offsets(part, timeout=30)[1] for part in parts}
    consumer.assign(parts)
    while any(at.offset < ends[at.partition] for at in consumer.position(parts)) and any(ends.values()):
        raw.update((message.key(), message.value()) for message in sound(consumer.consume(BATCH, 0.2)))
    return {key: load(value) for key, value in raw.items()}


def main() -> None:
    """Reads its partitions until it is killed."""
    task = given()
    step = engine.make(task.settings)
    servers = {"bootstrap.servers": task.bootstrap_servers}
    options = {"group.id": task.name, "enable.auto.commit": False, "isolation.level": "read_committed"}
    consumer = Consumer({**CONSUMER, **servers, **options})
    producer = Producer({**PRODUCER, **servers, "transactional.id": f"{task.name}-{task.process}", "transaction.timeout.ms": 60_000})
    producer.init_transactions()
    states = restore(consumer, task)
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
