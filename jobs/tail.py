"""Reads a topic's committed records as dictionaries: outputs and events decoded, anything else as base64."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaException, Message, TopicPartition
from confluent_kafka import KafkaError as ClientError

from keepline.jobs.kafka_client import KafkaError, properties, reader
from keepline.schemas.catalog import OUTPUT_NAMES
from keepline.schemas.records import RecordError, to_record

METADATA_SECONDS = 10


def as_record(message: Message) -> dict[str, Any]:
    """The record of one Kafka message, with the field names of the contract."""
    value = message.value()
    key = message.key()
    if value is None:
        return {"key": (key or b"").decode(errors="replace"), "tombstone": True}
    try:
        name, record = to_record(value)
    except RecordError:
        return {"key": key or b"", "value": value}
    return record if name in OUTPUT_NAMES else {"type": name} | record


def messages(
    topic: str, servers: str, given: Iterable[str] = (), *, follow: bool = False, latest: bool = False
) -> Iterator[Message]:
    """Committed messages of a topic; without `follow`, up to the end that each partition has now."""
    consumer = Consumer(reader(servers, properties(given), latest=latest))
    try:
        metadata = consumer.list_topics(topic, timeout=METADATA_SECONDS).topics[topic]
    except KafkaException as error:
        consumer.close()
        msg = f"Kafka at {servers} does not answer within {METADATA_SECONDS} s: {error}; check --bootstrap-servers, and run `keepline doctor`"
        raise KafkaError(msg) from error
    try:
        if metadata.error is not None:
            msg = f"topic {topic!r} at {servers}: {metadata.error}; list the topics, or start the job that writes it"
            raise KafkaError(msg)
        start = OFFSET_END if latest else OFFSET_BEGINNING
        consumer.assign([TopicPartition(topic, partition, start) for partition in metadata.partitions])
        ended: set[int] = set()
        while follow or len(ended) < len(metadata.partitions):
            for message in consumer.consume(1000, 0.2):
                error = message.error()
                if error is None:
                    yield message
                elif error.code() == ClientError._PARTITION_EOF:  # noqa: SLF001 — the client's public name of this code
                    ended.add(message.partition())
                else:
                    msg = f"topic {topic!r} at {servers}: {error}"
                    raise KafkaError(msg)
    finally:
        consumer.close()


def records(
    topic: str, servers: str, given: Iterable[str] = (), *, follow: bool = False, latest: bool = False, limit: int = 0
) -> Iterator[dict[str, Any]]:
    """Committed records of a topic, at most `limit` of them (0: all)."""
    for count, message in enumerate(messages(topic, servers, given, follow=follow, latest=latest), 1):
        yield as_record(message)
        if count == limit:
            return
