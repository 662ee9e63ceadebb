"""The loop: consume a batch, run the kernel, produce its scores; each second the changed states and the offsets join the transaction.

    python -m tests.benchmarks.peers.expert.loop RUN.json

A process has the partitions whose number is its own modulo the number of processes, and states, changelog partitions and transactional
id to match. A start reads the changelog of its partitions back, committed records only, and goes on at the committed offsets: so states,
scores and offsets are of one moment, whenever it is killed.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Producer, TopicPartition

from tests.benchmarks.peers.expert.batches import ENTRIES, Batches

CAPACITY = 6_000_000
"""Customers there is address space for; memory is taken as they come."""


def consumer(servers: str, group: str, **more: Any) -> Consumer:
    """One that leaves offsets to the transactions."""
    return Consumer(
        {
            "bootstrap.servers": servers, "group.id": group, "enable.auto.commit": False, "isolation.level": "read_committed",
            "auto.offset.reset": "earliest", "queued.min.messages": 200_000, "fetch.message.max.bytes": 4 << 20, **more,
        }
    )  # fmt: skip


class Loop:
    """One process."""

    def __init__(self, run: dict[str, Any], me: int, processes: int) -> None:
        self.run = run
        self.sink, self.changes = run["sink"], run["changes"]
        self.parts = [p for p in range(run["partitions"]) if p % processes == me]
        self.batches = Batches(Path(run["manifest"]), CAPACITY)
        self.slots: dict[bytes, int] = {}
        self.keys: list[bytes] = []
        self.home: list[int] = []
        """Partition of the customer in a slot: its states go to the changelog partition of the same number."""
        self.dirty = np.zeros(CAPACITY, bool)
        self.consumer = consumer(run["servers"], run["name"])
        self.producer = Producer(
            {
                "bootstrap.servers": run["servers"], "transactional.id": f"{run['name']}-{me}", "transaction.timeout.ms": 60_000,
                "compression.type": "lz4", "linger.ms": 20, "batch.size": 1 << 20, "queue.buffering.max.messages": 2_000_000,
                "queue.buffering.max.kbytes": 1 << 20,
            }
        )  # fmt: skip
        self.producer.init_transactions(60)

    def slot(self, key: bytes, partition: int) -> int:
        """A new customer's place."""
        found = self.slots.get(key)
        if found is None:
            found = self.slots[key] = len(self.keys)
            self.keys.append(key)
            self.home.append(partition)
        return found

    def restore(self) -> int:
        """States as of the last committed transaction; returns how many records told them."""
        reader, records = consumer(self.run["servers"], f"{self.run['name']}-restore", **{"enable.partition.eof": True}), 0
        reader.assign([TopicPartition(self.changes, p, OFFSET_BEGINNING) for p in self.parts])
        open_ = set(self.parts)
        while open_:
            for m in reader.consume(5000, 1.0):
                if m.error() is None:
                    self.batches.restore(self.slot(m.key(), m.partition()), m.value())
                    records += 1
                elif m.error().code() == KafkaError._PARTITION_EOF:
                    open_.discard(m.partition())
        reader.close()
        return records

    def start(self) -> None:
        """Goes on where the last committed transaction ended."""
        wanted = [TopicPartition(self.run["source"], p) for p in self.parts]
        places = self.consumer.committed(wanted, timeout=30)
        for place in places:
            if place.offset < 0:
                place.offset = OFFSET_BEGINNING
        self.consumer.assign(places)

    def forever(self) -> None:
        """Until somebody ends us."""
        interval, began, open_ = self.run["checkpoint_s"], 0.0, False
        get, produce_batch = self.slots.__getitem__, self.producer.produce_batch
        while True:
            messages = self.consumer.consume(ENTRIES, 0.05)
            if messages:
                if not open_:
                    self.producer.begin_transaction()
                    open_, began = True, time.monotonic()
                keys, values = [m.key() for m in messages], [m.value() for m in messages]
                try:
                    slots = list(map(get, keys))
                except KeyError:
                    slots = [self.slot(m.key(), m.partition()) for m in messages]
                places = np.array(slots, np.int64)
                scores = self.batches.run(places, keys, values)
                self.dirty[places] = True
                self.send(self.sink, [{"key": key, "value": score} for key, score in zip(keys, scores, strict=True)], produce_batch)
            if open_ and time.monotonic() - began >= interval:
                self.commit(produce_batch)
                open_ = False

    def commit(self, produce_batch: Any) -> None:
        """Changed states and offsets with the scores, or nothing of them."""
        changed = np.flatnonzero(self.dirty[: len(self.keys)]).tolist()
        state, keys, home = self.batches.state, self.keys, self.home
        for first in range(0, len(changed), ENTRIES):
            part = [{"key": keys[s], "value": state(s), "partition": home[s]} for s in changed[first : first + ENTRIES]]
            self.send(self.changes, part, produce_batch)
        self.dirty[: len(self.keys)] = False
        position = self.consumer.position(self.consumer.assignment())
        self.producer.send_offsets_to_transaction([p for p in position if p.offset >= 0], self.consumer.consumer_group_metadata())
        self.producer.commit_transaction()

    def send(self, topic: str, records: list[dict[str, Any]], produce_batch: Any) -> None:
        """All of them; where the client's queue is full, it is given time."""
        while (sent := produce_batch(topic, records)) < len(records):
            records = [record for record in records[:] if "_error" in record] if sent else records
            for record in records:
                record.pop("_error", None)
            self.producer.poll(0.05)
        self.producer.poll(0)


def main(file: str) -> None:
    """The process."""
    run = json.loads(Path(file).read_text())
    loop = Loop(run, int(os.environ["PEER_PROCESS"]), int(os.environ["PEER_PROCESSES"]))
    print(f"{loop.restore()} changes read back, {len(loop.keys)} customers", flush=True)
    loop.start()
    loop.forever()


if __name__ == "__main__":
    main(sys.argv[1])
