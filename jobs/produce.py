"""Sends event files to Kafka: key customer_id, Avro, timestamp event_time, send time in header created_ms."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException, Producer

from keepline.jobs.kafka_client import KafkaError, client, partitions, producer, properties, reason
from keepline.jobs.mapping.files import SKIPPED, read_mapped
from keepline.jobs.mapping.load import Mapping
from keepline.jobs.pseudonyms import Pseudonyms
from keepline.schemas.encode import Ok
from keepline.schemas.files import find_files, lines, read_events

FLUSH_SECONDS = 60
POLL_EVERY = 256


class Sender:
    """A Kafka producer of canonical events that counts, keeps to a rate, and reports failed deliveries."""

    def __init__(self, servers: str, topic: str, given: dict[str, str] | None = None, rate: float = 0.0, *, stamped: bool = True) -> None:
        """`rate` in events a second, 0 = as fast as possible; `stamped`: send the header created_ms."""
        self._producer = client(Producer, producer(servers, given or {}))
        partitions(self._producer, servers, topic)
        self._topic, self._rate, self._stamped = topic, rate, stamped
        self._failed: str | None = None
        self._start = time.time()
        self.sent = 0

    def _delivered(self, error: Any, _message: Any) -> None:
        if error is not None and self._failed is None:
            self._failed = str(error)

    def send(self, key: bytes | None, value: bytes, event_time: int) -> None:
        """Queues one record."""
        while True:
            try:
                self._producer.produce(
                    self._topic,
                    value,
                    key,
                    timestamp=max(event_time, 0),
                    headers=[("created_ms", str(int(time.time() * 1000)).encode())] if self._stamped else None,
                    on_delivery=self._delivered,
                )
                break
            except BufferError:
                self._producer.poll(0.1)
                self._check()
            except KafkaException as error:
                msg = f"topic {self._topic!r}: the record for {key!r} at {event_time} cannot be sent: {reason(error)}"
                raise KafkaError(msg) from None
        self.sent += 1
        if self.sent % POLL_EVERY == 0 or self._rate:
            self._producer.poll(0)
            self._check()
        if self._rate:
            ahead = self.sent / self._rate - (time.time() - self._start)
            if ahead > 0.002:
                time.sleep(ahead)

    def _check(self) -> None:
        if self._failed:
            msg = f"topic {self._topic!r}: a record could not be delivered: {self._failed}"
            raise KafkaError(msg)

    def flush(self) -> None:
        """Waits until all is acknowledged."""
        left = self._producer.flush(FLUSH_SECONDS)
        self._check()
        if left:
            msg = f"topic {self._topic!r}: {left} records were not acknowledged within {FLUSH_SECONDS} s; is the broker up?"
            raise KafkaError(msg)


def produce(
    paths: Sequence[Path],
    servers: str,
    topic: str,
    rate: float,
    type_name: str | None,
    given: Iterable[str],
    rejected: Callable[[str], None],
    progress: Callable[[int], None] | None = None,
    mapping: Mapping | None = None,
    framing: Callable[[Ok], bytes] | None = None,
    pseudonyms: Pseudonyms | None = None,
) -> dict[str, Any]:
    """Sends what is an event, reports what is not; returns {sent, rejected}, with a mapping of foreign files also {skipped}.

    `framing` gives another than single-object encoding. With `pseudonyms` no customer's id is sent in clear: what cannot be replaced is
    rejected.
    """
    counts: Counter[str] = Counter()
    city = None if pseudonyms is None else pseudonyms.city
    if mapping is None:
        find_files(paths)  # a wrong path is told before Kafka is asked
        events = read_events(paths, type_name, progress, city=city)
    else:
        events = lines(read_mapped(paths, mapping, progress, counts, city))
    sender = Sender(servers, topic, properties(given), rate)
    bad = 0
    for line in events:
        event = pseudonyms.event(line.event) if pseudonyms is not None and isinstance(line.event, Ok) else line.event
        if isinstance(event, Ok):
            value = event.value if framing is None else framing(event)
            sender.send(event.customer_id.encode(errors="surrogateescape"), value, event.event_time)
        else:
            bad += 1
            rejected(f"{line.file}:{line.number}: {event.reason.name}: {event.message}")
    sender.flush()
    return {"sent": sender.sent, "rejected": bad} | ({"skipped": counts[SKIPPED]} if mapping is not None else {})
