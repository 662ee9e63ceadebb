"""What the job committed: all of it for the comparison, and as it comes, for the time to the first new score."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Mapping

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, TopicPartition

from keepline.jobs.stack.kafka import EmbeddedKafka
from keepline.jobs.tail import as_record
from keepline.operators.spec import CHANNELS
from tests.chaos.records import Grouped, Records
from tests.whole.support import owner, plain

PARTITIONS = 2
"""Of each output topic."""


def _consumer(kafka: EmbeddedKafka) -> Consumer:
    return Consumer({
        **kafka.admin, "group.id": "chaos-reader", "isolation.level": "read_committed", "enable.auto.commit": False,
        "enable.partition.eof": True, "log_level": 0, "reconnect.backoff.max.ms": 500,
    })  # fmt: skip


class Committed:
    """All output of a job so far, read on from where the last reading ended."""

    def __init__(self, kafka: EmbeddedKafka, prefix: str) -> None:
        self._kafka = kafka
        self._next = {(f"{prefix}.{channel}", number): OFFSET_BEGINNING for channel in CHANNELS for number in range(PARTITIONS)}
        self._prefix = prefix
        self.outputs: dict[str, dict[str, Records]] = {channel: defaultdict(Records) for channel in CHANNELS}

    def read(self, seconds: float = 60) -> Grouped:
        """Up to the end that every partition has now for committed readers. AssertionError where nothing has come for so many seconds."""
        consumer, left = _consumer(self._kafka), set(self._next)
        came = time.monotonic()
        try:
            consumer.assign([TopicPartition(topic, number, at) for (topic, number), at in self._next.items()])
            while left:
                assert time.monotonic() < came + seconds, f"no end of {sorted(left)}, and nothing came for {seconds:.0f} s"
                for message in consumer.consume(1000, 0.2):
                    trouble, place = message.error(), (message.topic(), message.partition())
                    if trouble is None:
                        self._take(message)
                        came = time.monotonic()
                        self._next[place] = message.offset() + 1
                    elif trouble.code() == KafkaError._PARTITION_EOF:
                        left.discard(place)
        finally:
            consumer.close()
        return self.outputs

    def _take(self, message: Message) -> None:
        record = plain(as_record(message))
        channel = str(message.topic()).removeprefix(f"{self._prefix}.")
        self.outputs[channel][owner(record)].append(record)


class Watch:
    """Follows what comes of events, and notes when each record became visible, and when the event behind it was sent."""

    def __init__(self, kafka: EmbeddedKafka, prefix: str) -> None:
        self._topics = {f"{prefix}.{channel}": channel for channel in ("scores", "interventions", "dead-letters")}
        self._seen: Mapping[str, list[tuple[float, float]]] = {channel: [] for channel in self._topics.values()}
        self._stop = threading.Event()
        self._consumer = _consumer(kafka)
        places = [TopicPartition(topic, number, OFFSET_BEGINNING) for topic in self._topics for number in range(PARTITIONS)]
        self._consumer.assign(places)
        self._thread = threading.Thread(target=self._go, name="watch", daemon=True)
        self._thread.start()

    def _go(self) -> None:
        while not self._stop.is_set():
            for message in self._consumer.consume(1000, 0.1):
                now = time.time()
                created = dict(message.headers() or ()).get("created_ms") if message.error() is None else None
                if created:
                    self._seen[self._topics[str(message.topic())]].append((int(created) / 1000, now))

    def first(self, channel: str, since: float) -> float | None:
        """When the first committed record of an event that was sent at `since` or later was visible; None: there is none yet."""
        return next((visible for sent, visible in self._seen[channel] if sent >= since), None)

    def count(self, channel: str, since: float) -> int:
        """Committed records of events that were sent at `since` or later."""
        return sum(sent >= since for sent, _ in self._seen[channel])

    def close(self) -> None:
        self._stop.set()
        self._thread.join(10)
        self._consumer.close()
