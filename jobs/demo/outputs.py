"""What the job has committed: one thread reads all its output topics, read committed, and keeps what the demo shows and counts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from confluent_kafka import Consumer, IsolationLevel, TopicPartition
from confluent_kafka import KafkaError as ClientError
from confluent_kafka.admin import AdminClient, OffsetSpec

from keepline.jobs.kafka_client import reader
from keepline.operators.spec import CHANNELS
from keepline.schemas.packed import DECISIONS, ERASURE_RECEIPTS, INTERVENTIONS, LABELLED_OUTCOMES, SCORES
from keepline.schemas.records import to_record

Record = dict[str, Any]
JOIN_SECONDS = 5


class Outputs:
    """Lists of records that grow while it reads; whoever shows them copies first."""

    channels: ClassVar[Sequence[str]] = CHANNELS

    def __init__(self, servers: str, prefix: str, intervened: Callable[[Record], object]) -> None:
        """`intervened` is told of each intervention. Topics have one partition each."""
        self.interventions: list[Record] = []
        self.decisions: list[Record] = []
        self.labelled: list[Record] = []
        self.receipts: list[Record] = []
        self.scored: set[str] = set()
        """Ids of the events that have a score."""
        self.scores = 0
        """Scores of events, so more than `scored` if one came twice."""
        self.ticks = 0
        """Scores of silent customers."""
        self.refused = 0
        """Dead letters and late events: there should be none."""
        self._takes: dict[str, Callable[[Record], object]] = {
            CHANNELS[SCORES]: self._scored,
            CHANNELS[INTERVENTIONS]: self._intervened,
            CHANNELS[DECISIONS]: self.decisions.append,
            CHANNELS[LABELLED_OUTCOMES]: self.labelled.append,
            CHANNELS[ERASURE_RECEIPTS]: self.receipts.append,
        }
        self._servers, self._prefix, self._tell = servers, prefix, intervened
        self._read_to: dict[str, int] = {}
        self._stop = threading.Event()
        self._failed: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the thread; before the broker goes, or the client would complain."""
        self._stop.set()
        self._thread.join(JOIN_SECONDS)

    def at_end(self, admin: AdminClient) -> bool:
        """Whether all that the job has written is committed and has been read. Raises what the reading failed with."""
        if self._failed is not None:
            raise self._failed
        asked = {TopicPartition(f"{self._prefix}.{channel}", 0): OffsetSpec.latest() for channel in self.channels}
        found = admin.list_offsets(asked, isolation_level=IsolationLevel.READ_UNCOMMITTED)  # so that an open transaction shows
        return all(self._read_to.get(each.topic, 0) >= end.result().offset for each, end in found.items())

    def _run(self) -> None:
        consumer = Consumer(reader(self._servers, {}))
        try:
            consumer.assign([TopicPartition(f"{self._prefix}.{channel}", 0, 0) for channel in self.channels])
            while not self._stop.is_set():
                self._take(consumer.consume(5000, 0.2))
        except Exception as error:  # noqa: BLE001 — raised again in the thread that waits for the records
            self._failed = error
        finally:
            consumer.close()

    def _take(self, messages: Sequence[Any]) -> None:
        for message in messages:
            error = message.error()
            if error is not None:
                if error.code() == ClientError._PARTITION_EOF:
                    self._read_to[message.topic()] = message.offset()
            elif message.value():  # else a tombstone
                self.take(message.topic().removeprefix(f"{self._prefix}."), message.value())

    def take(self, channel: str, value: bytes) -> None:
        """One committed record."""
        self._takes.get(channel, self._refused)(to_record(value)[1])

    def _scored(self, score: Record) -> None:
        if score["event_id"]:
            self.scored.add(score["event_id"])
            self.scores += 1
        else:
            self.ticks += 1

    def _intervened(self, intervention: Record) -> None:
        self.interventions.append(intervention)
        self._tell(intervention)

    def _refused(self, _record: Record) -> None:
        self.refused += 1
