"""Reads a topic's committed records as dictionaries: outputs and events decoded, tombstones as such, anything else as base64."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, Message, TopicPartition
from confluent_kafka import KafkaError as ClientError

from keepline.jobs.kafka_client import KafkaError, client, partitions, properties, reader
from keepline.schemas.catalog import OUTPUT_NAMES
from keepline.schemas.records import RecordError, to_record

WAIT_SECONDS = 0.2
AT_ONCE = 1000
AWAY = (ClientError._TRANSPORT, ClientError._ALL_BROKERS_DOWN)
"""The client goes on trying; so does who follows."""


def as_record(message: Message) -> dict[str, Any]:
    """The record of one Kafka message, with the field names of the contract; a tombstone is {"key": …, "tombstone": true}."""
    value = message.value()
    key = message.key()
    if value is None:
        return {"key": (key or b"").decode(errors="replace"), "tombstone": True}
    try:
        name, record = to_record(value)
    except RecordError:
        return {"key": key or b"", "value": value}
    return record if name in OUTPUT_NAMES else {"type": name} | record


class _Reader:
    """One pass over a topic's partitions."""

    def __init__(self, topic: str, servers: str, given: dict[str, str], *, follow: bool, latest: bool, begin: Mapping[int, int]) -> None:
        self._name, self._follow = f"topic {topic!r} at {servers}", follow
        self._consumer: Consumer = client(Consumer, reader(servers, given))
        try:
            self._left = set(partitions(self._consumer, servers, topic))
            start = OFFSET_END if latest else OFFSET_BEGINNING
            self._consumer.assign([TopicPartition(topic, partition, begin.get(partition, start)) for partition in self._left])
        except BaseException:
            self.close()
            raise

    @property
    def at_end(self) -> bool:
        """Whether every partition was read to the end it has for committed readers: an open transaction is beyond it."""
        return not self._left

    def take(self) -> Iterator[Message]:
        """What has arrived."""
        for message in self._consumer.consume(AT_ONCE, WAIT_SECONDS):
            trouble = message.error()
            if trouble is None:
                yield message
            elif trouble.code() == ClientError._PARTITION_EOF:
                self._left.discard(message.partition())
            elif trouble.code() == ClientError.GROUP_AUTHORIZATION_FAILED:
                continue  # the client asks for its group's coordinator, but reads assigned partitions and needs none
            elif not (self._follow and trouble.code() in AWAY):
                msg = f"{self._name}: {trouble.str()}"
                raise KafkaError(msg)

    def close(self) -> None:
        """Leaves."""
        self._consumer.close()


def messages(
    topic: str,
    servers: str,
    given: Iterable[str] = (),
    *,
    follow: bool = False,
    latest: bool = False,
    begin: Mapping[int, int] | None = None,
) -> Iterator[Message]:
    """Committed messages of a topic; without `follow`, up to the end that each partition has now.

    `begin` are offsets to begin at, by partition; where there is none, that is the beginning, or with `latest` the end.
    """
    found = _Reader(topic, servers, properties(given), follow=follow, latest=latest, begin=begin or {})
    try:
        while follow or not found.at_end:
            yield from found.take()
    finally:
        found.close()


def records(
    topic: str, servers: str, given: Iterable[str] = (), *, follow: bool = False, latest: bool = False, limit: int = 0
) -> Iterator[dict[str, Any]]:
    """Committed records of a topic, at most `limit` of them (0: all)."""
    for count, message in enumerate(messages(topic, servers, given, follow=follow, latest=latest), 1):
        yield as_record(message)
        if count == limit:
            return
