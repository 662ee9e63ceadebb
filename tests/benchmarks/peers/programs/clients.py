"""Settings of librdkafka that the loops share, for throughput on two cores that the broker needs as well.

From a trial of four rounds on a busy machine against librdkafka's own mock broker, 200,000 messages of a score's size: `produce` took
less of the loop's thread than `produce_batch`, which wants a dict for each message (medians 0.76 and 0.92 µs a message); in three rounds
of four lz4 took less CPU, in all threads, than no compression, and a `linger.ms` of 5 less than 20.
"""

from __future__ import annotations

from typing import Any

from confluent_kafka import KafkaException, Message

CONSUMER: dict[str, Any] = {
    "auto.offset.reset": "earliest",
    "queued.min.messages": 200_000,
    "queued.max.messages.kbytes": 1 << 18,
    "fetch.max.bytes": 64 << 20,
    "max.partition.fetch.bytes": 8 << 20,
}
PRODUCER: dict[str, Any] = {
    "linger.ms": 5,
    "batch.size": 1 << 20,
    "batch.num.messages": 100_000,
    "compression.type": "lz4",
    "queue.buffering.max.messages": 4_000_000,
    "queue.buffering.max.kbytes": 2 << 20,
    "delivery.report.only.error": True,
}
BATCH = 5_000
"""Messages asked for in one call."""


def sound(messages: list[Message]) -> list[Message]:
    """The messages without those that are errors. Clients get over all but fatal ones by themselves, which raise KafkaException."""
    for message in messages:
        if message.error() is not None:
            fatal = [each.error() for each in messages if each.error() is not None and each.error().fatal()]
            if fatal:
                raise KafkaException(fatal[0])
            return [each for each in messages if each.error() is None]
    return messages
