"""The scores of lifetime value as the job commits them, in the order of their topic: who is in which segment, and who moved.

retention.scores, read committed ──► head: the few fields that are looked at of every record (a million and more come in a minute)
  ──► Board.take ──► the newest of each customer and score, its moves between segments, and of one UTC day the last whole record
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from keepline.models.clv.scorer import SCORES
from keepline.schemas.catalog import output_schema
from keepline.schemas.framing import SINGLE_OBJECT_HEADER
from keepline.schemas.records import to_record

BANDS = ("LOW", "MEDIUM", "HIGH")
_DOUBLE = struct.Struct("<d")
_NAMES: tuple[str, ...] = next(tuple(field["type"]["symbols"]) for field in output_schema("Score")["fields"] if field["name"] == "score")


class Head(NamedTuple):
    """The first fields of a Score, as schemas/outputs/Score.avsc has them; `band` is 0 LOW, 1 MEDIUM, 2 HIGH."""

    customer_id: str
    score: str
    value: float
    band: int
    as_of: int
    event_id: str


class Move(NamedTuple):
    """A customer whose score came into another segment."""

    head: Head
    before: int
    """The band it left."""


def head(value: bytes) -> Head:
    """The first six fields of a Score as it stands in its topic."""
    customer, at = _text(value, SINGLE_OBJECT_HEADER)
    score = _NAMES[value[at] >> 1]
    (number,) = _DOUBLE.unpack_from(value, at + 1)
    band = value[at + 9] >> 1
    as_of, at = _long(value, at + 10)
    event_id, _ = _text(value, at)
    return Head(customer, score, number, band, as_of, event_id)


def _long(value: bytes, at: int) -> tuple[int, int]:
    """An Avro long, and where it ends."""
    byte = value[at]
    found, shift = byte & 127, 7
    while byte > 127:
        at += 1
        byte = value[at]
        found |= (byte & 127) << shift
        shift += 7
    return (found >> 1) ^ -(found & 1), at + 1


def _text(value: bytes, at: int) -> tuple[str, int]:
    size, at = _long(value, at)
    return value[at : at + size].decode(), at + size


class Board:
    """What has been committed so far. One thread takes records, others read."""

    def __init__(self, first_ms: int, end_ms: int) -> None:
        """Of the scores as of `first_ms` or later and before `end_ms`, the last whole records are kept."""
        self.newest: dict[str, dict[str, Head]] = {score: {} for score in SCORES}
        """By score, by customer."""
        self.moves: list[Move] = []
        self.of_events: Counter[tuple[str, str]] = Counter()
        """How many scores of each name an event has, by (event_id, score)."""
        self.of_ticks = 0
        """Scores of silent customers."""
        self.clock = 0
        """The newest moment that a score is of."""
        self._first, self._end = first_ms, end_ms
        self._last: dict[tuple[str, str], bytes] = {}

    @property
    def scores(self) -> int:
        """How many scores there were."""
        return self.of_ticks + self.of_events.total()

    def take(self, value: bytes) -> None:
        """One Score."""
        found = head(value)
        if found.event_id:
            self.of_events[found.event_id, found.score] += 1
        else:
            self.of_ticks += 1
        self.clock = max(self.clock, found.as_of)
        by_customer = self.newest[found.score]
        before = by_customer.get(found.customer_id)
        if before is not None and before.band != found.band:
            self.moves.append(Move(found, before.band))
        by_customer[found.customer_id] = found
        if self._first <= found.as_of < self._end:
            self._last[found.customer_id, found.score] = value

    def segments(self, score: str) -> list[int]:
        """How many customers are LOW, MEDIUM and HIGH by a score."""
        counted = Counter(each.band for each in list(self.newest[score].values()))
        return [counted[band] for band in range(len(BANDS))]

    def moved(self, score: str, since_ms: int) -> Counter[tuple[int, int]]:
        """The moves of a score since a time of the stream, by (before, after)."""
        return Counter(
            (each.before, each.head.band) for each in list(self.moves) if each.head.score == score and each.head.as_of >= since_ms
        )

    def complete(self, customers: int) -> bool:
        """Whether so many customers have all scores of the day."""
        return len(self._last) == customers * len(SCORES)

    def of_the_day(self) -> Mapping[tuple[str, str], dict[str, Any]]:
        """The last records of the day that was asked for, by (customer_id, score)."""
        return {key: to_record(value)[1] for key, value in self._last.items()}
