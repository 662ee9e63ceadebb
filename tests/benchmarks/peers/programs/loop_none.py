"""A loop without any guarantee: states in memory alone, offsets committed by the client when it likes."""

from __future__ import annotations

from confluent_kafka import Consumer, Producer, TopicPartition

from tests.benchmarks.peers.plain import engine
from tests.benchmarks.peers.plain.state import State
from tests.benchmarks.peers.programs.clients import BATCH, CONSUMER, PRODUCER, sound
from tests.benchmarks.peers.programs.task import given


def main() -> None:
    """Reads its partitions until it is killed."""
    task = given()
    step = engine.make(task.settings)
    consumer = Consumer({**CONSUMER, "bootstrap.servers": task.bootstrap_servers, "group.id": task.name})
    consumer.assign([TopicPartition(task.source, partition) for partition in task.partitions])
    producer = Producer({**PRODUCER, "bootstrap.servers": task.bootstrap_servers, "acks": 1})
    states: dict[bytes, State] = {}
    known, produce, sink = states.get, producer.produce, task.sink
    while True:
        for message in sound(consumer.consume(BATCH, 0.1)):
            key = message.key()
            states[key], score = step(known(key), message.value())
            if score is not None:
                produce(sink, score, key)
        producer.poll(0)


if __name__ == "__main__":
    main()
