"""A dead-letter topic as letters: where each lies, and what it holds."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from confluent_kafka import Consumer, Message, TopicPartition
from confluent_kafka import KafkaError as ClientError

from keepline.jobs.kafka_client import KafkaError
from keepline.operators.spec import MAX_TIME_MS
from keepline.schemas.packed import NO_TIME, peek
from keepline.schemas.partial import Partial
from keepline.schemas.records import RecordError, to_record

WAIT_SECONDS = 0.2
AT_ONCE = 500


class Letter(NamedTuple):
    """One dead letter: its own place, when it was written (epoch ms), its record, and the bytes of the event it is about."""

    topic: str
    partition: int
    offset: int
    written: int
    record: dict[str, Any]

    @property
    def place(self) -> str:
        """Where the letter lies, as `redriven_from` and exported lines name it."""
        return f"{self.topic}-{self.partition}-{self.offset}"

    @property
    def value(self) -> bytes:
        """What is kept of the event's value."""
        return bytes(self.record["value"])

    @property
    def cut(self) -> bool:
        """Whether the value was longer than a letter keeps."""
        return int(self.record["value_length"]) != len(self.value)

    @property
    def key(self) -> bytes | None:
        """The key to send the value with: its customer_id where that can be read, else as received."""
        customer = peek(self.value)[0]
        return customer if customer is not None else self.record["key"] or None

    @property
    def event_time(self) -> int:
        """The value's event time where a Kafka timestamp can say it, else the one the record came with."""
        seen = peek(self.value)[1]
        return seen if seen != NO_TIME and 0 <= seen < MAX_TIME_MS else max(int(self.record["timestamp"]), 0)


def exported(letter: Letter, read: Callable[[bytes], Partial | None]) -> dict[str, Any]:
    """A letter as a line for a person to repair: the event where `read` can read it, else its bytes."""
    record = letter.record
    line: dict[str, Any] = {"from": letter.place} | {name: record[name] for name in ("reason", "message", "topic", "partition", "offset")}
    if record["key"]:
        try:
            line["key"] = record["key"].decode()
        except UnicodeDecodeError:
            line["key"] = {"bytes": base64.b64encode(record["key"]).decode()}
    partial = None if letter.cut else read(letter.value)
    if partial is not None:
        line["event"] = partial.event
    if partial is None or not partial.whole:
        line["value"] = base64.b64encode(letter.value).decode()
    if letter.cut:
        line["value_length"] = record["value_length"]
    return line


def letters(consumer: Consumer, starts: list[TopicPartition]) -> Iterator[Letter]:
    """All letters from these offsets to the ends that the partitions have now; KafkaError where one is none."""
    left = {start.partition for start in starts}
    consumer.assign(starts)
    while left:
        for found in consumer.consume(AT_ONCE, WAIT_SECONDS):
            trouble = found.error()
            if trouble is None:
                if found.partition() in left and found.value() is not None:  # a tombstone is no letter
                    yield _letter(found)
            elif trouble.code() == ClientError._PARTITION_EOF:
                left.discard(found.partition())
            elif trouble.code() not in (ClientError._TRANSPORT, ClientError._ALL_BROKERS_DOWN):
                msg = f"topic {starts[0].topic!r}: {trouble.str()}"
                raise KafkaError(msg)


def _letter(found: Message) -> Letter:
    where = f"{found.topic()}-{found.partition()}-{found.offset()}"
    try:
        name, record = to_record(found.value())
    except RecordError as error:
        msg = f"the record {where} is no dead letter: {error}; name the job's own topic with --dead-letters"
        raise KafkaError(msg) from None
    if name != "DeadLetter":
        msg = f"the record {where} is a {name}, no dead letter; name the job's own topic with --dead-letters"
        raise KafkaError(msg)
    return Letter(found.topic(), found.partition(), found.offset(), found.timestamp()[1], record)
