"""Telemetry into Kafka: as fast as possible before a run, and by the clock during one."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import Producer

from tests.benchmarks import events

CHUNK = 100_000
QUEUE = 400_000


def _producer(servers: str, **more: Any) -> Producer:
    return Producer({"bootstrap.servers": servers, "compression.type": "lz4", "queue.buffering.max.messages": 2 * QUEUE, "acks": 1, **more})


def fill(servers: str, topic: str, stream: events.Stream, n: int, say: Callable[[str], None]) -> None:
    """Produces events 0…n − 1, those of a customer into one partition and in order."""
    producer = _producer(servers, **{"linger.ms": 50, "batch.size": 1 << 20, "queue.buffering.max.kbytes": 1 << 20})
    keys = [events.key(customer) for customer in range(stream.customers)]
    for first in range(0, n, CHUNK):
        say(f"producing {n / 1e6:g} M events of {stream.customers:,} customers: {first / n:.0%}")
        made = events.make(stream, first, min(CHUNK, n - first))
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


def open_loop(servers: str, topic: str, stream: events.Stream, first: int, rate: int, warm_s: float, seconds: float, told: Any) -> None:
    """Sends `rate` events a second by the clock, whatever becomes of them, for `warm_s` and then `seconds`.

    `created_ms` is when an event was due, not when it was sent; events of the warm-up carry none, so nobody counts them.
    Runs as a process of its own; `told` is a queue that receives (events sent, measured ones, largest delay in ms).
    """
    producer = _producer(servers, **{"linger.ms": 1})
    n = int(rate * (warm_s + seconds))
    made = events.make(stream, first, n)
    raw, at, who = made.buffer.tobytes(), made.at.tolist(), made.customer.tolist()
    start, warm, late, sent = time.time() + 0.05, int(rate * warm_s), 0.0, 0
    while sent < n:
        now = time.time()
        due = min(n, int((now - start) * rate) + 1)
        if due > sent:
            late = max(late, now - start - sent / rate) if sent >= warm else 0.0
        for k in range(sent, due):
            headers = [("created_ms", b"%d" % int((start + k / rate) * 1000))] if k >= warm else None
            customer = who[k]
            producer.produce(topic, raw[at[k] : at[k + 1]], events.key(customer), partition=customer % stream.partitions, headers=headers)
        sent = max(sent, due)
        producer.poll(0)
        time.sleep(0.001)
    producer.flush(30)
    told.put((n, n - warm, late * 1000))
