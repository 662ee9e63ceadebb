"""What a checked mapping does at run time: `Source.map(record, origin)` gives the events of one foreign record, or why it has none.

A record is taken whole or not at all: if one of its events cannot be made, it is rejected, so that a repaired record sent again doubles
nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from keepline.jobs.mapping.conditions import Condition
from keepline.jobs.mapping.fields import ABSENT, Read, Refused, show
from keepline.jobs.mapping.paths import Getter, Origin
from keepline.operators.spec import MAX_TIME_MS, MIN_TIME_MS
from keepline.schemas.cities import City, hashed
from keepline.schemas.encode import Ok, Rejected, encode
from keepline.schemas.status import Reason
from keepline.schemas.times import TimeError, to_rfc3339

MOST_EVENTS = 10_000
"""Events of one record; a list that is longer is no record of usage."""


@dataclass(frozen=True, slots=True)
class UsedPath:
    """A path of an event, for the report of paths that no sample has."""

    place: str
    what: str
    text: str
    get: Getter


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of `events`."""

    place: str
    name: str
    when: Condition | None
    each: Getter | None
    each_text: str
    fields: tuple[tuple[str, Read], ...]
    paths: tuple[UsedPath, ...] = ()

    def items(self, record: Any, origin: Origin) -> list[Any]:
        """What the event's paths are relative to: the record, or the items of `each`."""
        if self.each is None:
            return [record]
        found = self.each(record, origin)
        if found is None:
            return []
        if not isinstance(found, list):
            raise Refused(f"each of {self.name}: {self.each_text} is {show(found)}: expected a list")  # noqa: EM102, TRY003
        if len(found) > MOST_EVENTS:
            raise Refused(f"each of {self.name}: {self.each_text} has {len(found)} items: expected at most {MOST_EVENTS}")  # noqa: EM102, TRY003
        return found

    def make(self, item: Any, origin: Origin, city: City | None) -> Ok | Rejected:
        """The event of one item that the filter takes."""
        made: dict[str, Any] = {}
        for name, read in self.fields:
            value = read(item, origin)
            if value is not ABSENT:
                made[name] = value
        time = made["event_time"]
        if not MIN_TIME_MS <= time < MAX_TIME_MS:
            return Rejected(
                Reason.OUT_OF_BOUNDS_TIME,
                f"{self.place}: {self.name}.event_time is {_moment(time)}: expected a time from {_moment(MIN_TIME_MS)} to "
                f"{_moment(MAX_TIME_MS)}; check its format (epoch_s or epoch_ms?)",
                "event_time",
                self.name,
                made["customer_id"],
            )
        return encode(hashed(made, city), self.name)


@dataclass(frozen=True, slots=True)
class Source:
    """One entry of `sources`, compiled."""

    name: str
    topics: tuple[str, ...]
    files: tuple[str, ...]
    format: str
    schemas: tuple[dict[str, Any], ...]
    events: tuple[Event, ...]
    reject_unmatched: bool
    csv_delimiter: str = field(default=",")

    def map(self, record: Any, origin: Origin, city: City | None = None) -> list[Ok] | Rejected:
        """The events of one record, in the order of the file; none where no filter takes it (skipped). `city` hashes names of cities."""
        if type(record) is not dict:
            return Rejected(Reason.MALFORMED, f"the record is {show(record)}: expected an object with named fields")
        origin = origin._replace(record=record)
        made: list[Ok] = []
        event = None
        try:
            for event in self.events:
                for item in event.items(record, origin):
                    if event.when is None or event.when(item, origin):
                        one = event.make(item, origin, city)
                        if isinstance(one, Rejected):
                            return one
                        made.append(one)
        except Refused as refused:
            place, name = (event.place, event.name) if event else (self.name, "")
            return Rejected(Reason.INVALID_FIELD, f"{place}: {refused}", type_name=name)
        if not made and self.reject_unmatched:
            return Rejected(
                Reason.INVALID_FIELD,
                f"{self.name}: no event of the mapping takes the record: expected one whose when: holds; add one, or set unmatched: skip",
            )
        return made if len(made) < 2 else self._distinct(made)

    def _distinct(self, made: list[Ok]) -> list[Ok] | Rejected:
        """Two events of one customer need two ids: the second would be taken for a repeat of the first."""
        seen: set[tuple[str, bytes]] = set()
        for one in made:
            identity = (one.customer_id, event_id(one))
            if identity in seen:
                return Rejected(
                    Reason.INVALID_FIELD,
                    f"{self.name}: two events of the record have the event_id {identity[1].decode()!r}: expected an id each; give one of "
                    "them a prefix:, or a hash: of paths that differ",
                    "event_id",
                    customer_id=one.customer_id,
                )
            seen.add(identity)
        return made


def event_id(event: Ok) -> bytes:
    """The id in an event's value: the second string behind the framing."""
    value, at = event.value, 10
    for skipped in (True, False):
        length = shift = 0
        while True:
            byte = value[at]
            at += 1
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        length >>= 1
        if skipped:
            at += length
    return value[at : at + length]


def _moment(ms: int) -> str:
    try:
        return f"{to_rfc3339(ms)} ({ms})"
    except TimeError:
        return str(ms)
