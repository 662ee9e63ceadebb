"""A known stream at a steady rate: the crowd of tests/whole/history.py, day after day, until it is told to stop.

Event time runs faster than the clock (`DAYS_A_SECOND`), so that a round holds active days, silences and their ticks. Everything sent is
kept, in order: that is what `replay` gets. A fault that is one of input changes what is sent (`change`) or adds to it (`add`).
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from keepline.jobs.stack.kafka import EmbeddedKafka
from tests.whole.history import DAY, HOUR, START, Crowd, Sent, closing
from tests.whole.support import wait

DAYS_A_SECOND = 0.5
SILENCE = 3.0
"""Days of a silence; each leads to ticks of everybody."""
Change = Callable[[list[Sent]], list[Sent]]


def unchanged(records: list[Sent]) -> list[Sent]:
    return records


class Feed:
    """Sends in a thread of its own; `sent` grows in the order in which records went to their partitions."""

    def __init__(self, kafka: EmbeddedKafka, topic: str, seed: int, *, customers: int, partitions: int, rate: int) -> None:
        self.crowd = Crowd(seed, customers, partitions)
        self.sent: list[Sent] = []
        self.change: Change = unchanged
        self.begin = START
        """Event time at which the piece at hand begins: what is added meanwhile with this time is not ahead of what is still to come."""
        self.muted: frozenset[int] = frozenset()
        """Partitions that get nothing for now; what is theirs is not made at all."""
        self._draw = random.Random(f"{seed} feed")
        self._kafka, self._topic, self._rate = kafka, topic, rate
        # Records wait here as long as a broker may be away.
        self._producer = Producer({
            **kafka.admin, "enable.idempotence": True, "linger.ms": 5, "message.timeout.ms": 600_000, "log_level": 0,
            "reconnect.backoff.max.ms": 500,
        })  # fmt: skip
        self._round: list[Sent] = []
        self._newest, self._pieces = START, 0
        self._lock, self._gate = threading.Lock(), threading.Lock()
        self._running, self._stop = threading.Event(), threading.Event()
        self._idle = threading.Event()
        self._idle.set()
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._go, name="feed", daemon=True)
        self._thread.start()

    @property
    def partitions(self) -> int:
        return self.crowd.partitions

    def start(self) -> None:
        """Goes on from where event time is; a piece has begun when it returns."""
        before = self._pieces
        self._running.set()
        wait("the feed begins", lambda: self._pieces > before or self._failed, 60)

    def pause(self) -> None:
        """Returns when the piece at hand is sent and Kafka has it."""
        with self._gate:
            self._running.clear()
        wait("the feed pauses", self._idle.is_set, 120)
        self.check()
        left = self._producer.flush(180)
        assert not left, f"Kafka did not take {left} records"

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Nothing is sent meanwhile."""
        self.pause()
        yield
        self.start()

    def close_round(self) -> None:
        """After `pause`: the clocks' last records, hours later, so that every watermark is where replay's ends."""
        with self._lock:
            last = closing(self._round, self.partitions)
            self._send(last)
            assert last[0].event is not None
            self.begin = last[0].event["event_time"] + HOUR
            self._round = []
        assert not self._producer.flush(180)

    def add(self, records: Iterable[Sent]) -> None:
        """More records, at once, among those of a piece."""
        with self._lock:
            self._send(list(records))

    def add_now(self, make: Callable[[int], Iterable[Sent]]) -> None:
        """The same; they are made for the newest event time so far, so that none of them comes late."""
        with self._lock:
            self._send(list(make(self._newest)))

    def close(self) -> None:
        self._stop.set()
        self._running.set()
        self._thread.join(30)

    def check(self) -> None:
        if self._failed:
            raise self._failed

    def _go(self) -> None:
        try:
            while not self._stop.is_set():
                if not self._running.wait(0.05):
                    continue
                with self._gate:  # who pauses meets either a piece to wait for, or nobody who begins one
                    if not self._running.is_set():
                        continue
                    self._idle.clear()
                    self._pieces += 1
                if not self._stop.is_set():
                    self._piece()
                self._idle.set()
        except BaseException as error:  # noqa: BLE001 - handed to who waits
            self._failed = error
            self._idle.set()

    def _piece(self) -> None:
        """A second of the stream, or a silence."""
        with self._lock:
            if self._draw.random() < 0.08:
                records, days, seconds = self.crowd.silent(self.begin, SILENCE), SILENCE, 0.2
            else:
                days, seconds = DAYS_A_SECOND, 1.0
                records = self.crowd.active(self.begin, days, int(self._rate / days))
            records = [record for record in self.change(records) if record.partition not in self.muted]
        start, count = time.monotonic(), max(1, len(records))
        step = 20
        for at in range(0, len(records), step):
            with self._lock:
                self._send(records[at : at + step])
            ahead = start + seconds * (at + step) / count - time.monotonic()
            if ahead > 0:
                time.sleep(ahead)
        self.begin += int(days * DAY)

    def _send(self, records: list[Sent]) -> None:
        created = [("created_ms", str(int(time.time() * 1000)).encode())]
        for record in records:
            self.sent.append(record)
            self._round.append(record)
            moment = record.event["event_time"] if record.event else 0
            self._newest = max(self._newest, moment)
            while True:
                try:
                    self._producer.produce(
                        self._topic, record.value, record.key, partition=record.partition, timestamp=max(moment, 1), headers=created,
                        on_delivery=self._delivered,
                    )  # fmt: skip
                    break
                except BufferError:
                    self._producer.poll(0.1)
                except KafkaException as error:  # an added partition that this producer has not heard of
                    if error.args[0].code() != KafkaError._UNKNOWN_PARTITION:
                        raise
                    self._producer.list_topics(self._topic, 10)
                    time.sleep(0.1)
        self._producer.poll(0)

    def _delivered(self, error: Any, _message: Any) -> None:
        if error is not None:
            self._failed = AssertionError(f"the feed itself lost a record: {error}")
