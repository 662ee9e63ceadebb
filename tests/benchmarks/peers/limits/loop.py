"""Consume and produce whole batches, nothing between, no guarantee.

python -m tests.benchmarks.peers.limits.loop SERVERS SOURCE SINK GROUP
"""

from __future__ import annotations

import os
import sys

from confluent_kafka import Consumer, Producer, TopicPartition

from tests.benchmarks.peers.system import PARTITIONS

BATCH = 20_000


def main(servers: str, source: str, sink: str, group: str) -> None:
    """The process; it has the partitions whose number is its own modulo the number of processes."""
    me, processes = int(os.environ["PEER_PROCESS"]), int(os.environ["PEER_PROCESSES"])
    consumer = Consumer(
        {
            "bootstrap.servers": servers, "group.id": group, "enable.auto.commit": False, "queued.min.messages": 200_000,
            "fetch.message.max.bytes": 4 << 20,
        }
    )  # fmt: skip
    producer = Producer(
        {
            "bootstrap.servers": servers, "compression.type": "lz4", "linger.ms": 20, "batch.size": 1 << 20, "acks": 1,
            "queue.buffering.max.messages": 2_000_000, "queue.buffering.max.kbytes": 1 << 20,
        }
    )  # fmt: skip
    consumer.assign([TopicPartition(source, p, 0) for p in range(PARTITIONS) if p % processes == me])
    while True:
        messages = consumer.consume(BATCH, 0.05)
        if messages:
            records = [{"key": m.key(), "value": m.value()} for m in messages]
            while len(producer) > 10 * BATCH:
                producer.poll(0.01)
            if producer.produce_batch(sink, records) != len(records):
                msg = f"{sink}: the producer's queue is full"
                raise RuntimeError(msg)
        producer.poll(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
