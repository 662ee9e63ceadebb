"""Telemetry into Kafka: as fast as possible before a run, and by the clock during one."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from confluent_kafka import Producer

from tests.benchmarks import events

CHUNK = 100_000
QUEUE = 400_000
TICK_S = 0.001
"""Between two looks at the clock while events are sent by it."""


def _producer(servers: str, **more: Any) -> Producer:
    return Producer({"bootstrap.servers": servers, "compression.type": "lz4", "queue.buffering.max.messages": 2 * QUEUE, "acks": 1, **more})


def fill(servers: str, topic: str, stream: events.Source, n: int, say: Callable[[str], None]) -> None:
    """Produces events 0…n − 1, those of a customer into one partition and in order."""
    producer = _producer(servers, **{"linger.ms": 50, "batch.size": 1 << 20, "queue.buffering.max.kbytes": 1 << 20})
    keys = [events.key(customer) for customer in range(stream.customers)]
    for first in range(0, n, CHUNK):
        say(f"producing {n / 1e6:g} M events of {stream.customers:,} customers: {first / n:.0%}")
        made = stream.make(first, min(CHUNK, n - first))
        raw, at, who = made.buffer.tobytes(), made.at.tolist(), made.customer.tolist()
        batches: list[list[dict[str, bytes]]] = [[] for _ in range(stream.partitions)]
        for k, customer in enumerate(who):
            batches[customer % stream.partitions].append({"value": raw[at[k] : at[k + 1]], "key": keys[customer]})
        while len(producer) > QUEUE:
            producer.poll(0.05)
        for partition, messages in enumerate(batches):
            if producer.produce_batch(topic, messages, partition=partition) != len(messages):
                msg = f"the producer's queue of {2 * QUEUE} is full: {topic} is not complete"
                raise RuntimeError(msg)
    if producer.flush(120):
        msg = f"the broker did not take all of {n} events within two minutes"
        raise RuntimeError(msg)


def open_loop(servers: str, topic: str, stream: events.Source, first: int, rate: int, warm_s: float, seconds: float, told: Any) -> None:
    """Sends `rate` events a second by the clock, whatever becomes of them, for `warm_s` and then `seconds`.

    `created_ms` is when an event was due, not when it was sent; events of the warm-up carry none, so nobody counts them.
    Everything is made before the clock starts and nothing is collected while it runs, so that the generator takes little of the
    machine and keeps its times. Runs as a process of its own; `told` is a queue that receives when the first measured event is due (s
    since the epoch), and at the end when each was due and how late it was handed to the client (s).
    """
    producer = _producer(servers, **{"linger.ms": 1})
    n, warm = int(rate * (warm_s + seconds)), int(rate * warm_s)
    made = stream.make(first, n)
    raw, at, who = made.buffer.tobytes(), made.at.tolist(), made.customer.tolist()
    values = [raw[at[k] : at[k + 1]] for k in range(n)]
    keys = [events.key(customer) for customer in range(stream.customers)]
    gc.collect()
    gc.freeze()
    gc.disable()
    start, sent, produce, partitions = time.time() + 0.05, 0, producer.produce, stream.partitions
    told.put(start + warm / rate)
    ticks: list[tuple[int, float]] = []
    while sent < n:
        now = time.time()
        due = min(n, int((now - start) * rate) + 1)
        for k in range(sent, due):
            customer = who[k]
            headers = [("created_ms", b"%d" % int((start + k / rate) * 1000))] if k >= warm else None
            produce(topic, values[k], keys[customer], customer % partitions, headers=headers)
        if due > sent:
            ticks.append((due, time.time() - start))
            sent = due
            producer.poll(0)
        time.sleep(TICK_S)
    producer.flush(30)
    ends, times = np.array([end for end, _ in ticks]), np.array([moment for _, moment in ticks])
    due_at = np.arange(n) / rate
    late = np.repeat(times, np.diff(ends, prepend=0)) - due_at
    told.put((start + due_at[warm:], late[warm:]))
