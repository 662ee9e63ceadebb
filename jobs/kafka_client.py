"""Client configurations for confluent-kafka, with the user's properties passed through."""

from __future__ import annotations

from collections.abc import Iterable

from keepline.schemas.errors import KeeplineError


class KafkaError(KeeplineError):
    """Kafka does not answer or refuses; the message says what to check."""


def properties(pairs: Iterable[str]) -> dict[str, str]:
    """`name=value` pairs as client properties.

    >>> properties(["security.protocol=SASL_SSL"])
    {'security.protocol': 'SASL_SSL'}
    """
    given = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not (name and sign):
            msg = f"--kafka {pair!r}: expected name=value, such as security.protocol=SASL_SSL"
            raise KafkaError(msg)
        given[name] = value
    return given


def producer(servers: str, given: dict[str, str]) -> dict[str, str | int | bool]:
    """An idempotent producer that partitions keys as Java clients do."""
    return {
        "bootstrap.servers": servers,
        "enable.idempotence": True,
        "linger.ms": 5,
        "compression.type": "lz4",
        "partitioner": "murmur2_random",
        "queue.buffering.max.messages": 500_000,
        **given,
    }


def reader(servers: str, given: dict[str, str], *, latest: bool = False) -> dict[str, str | int | bool]:
    """A reader of committed records that leaves no offsets behind."""
    return {
        "bootstrap.servers": servers,
        "group.id": "keepline-reader",
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "latest" if latest else "earliest",
        **given,
    }
