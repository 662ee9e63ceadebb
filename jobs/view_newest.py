"""What the view is to hold by the topics: the newest record of each key, and which keys are empty since their customer was erased.

Tombstones of an erased customer stand in the topic of scores alone; what other topics hold of the customer from before is not to come
back either. A tombstone's header `as_of` says before from after, by event time, as the job's own sink has it. And a customer of whom the
scores hold nothing at all was erased long ago: a compacted topic forgets tombstones (`delete.retention.ms`), but never a last score.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from keepline.schemas.packed import DECISIONS, INTERVENTIONS, SCORES
from keepline.schemas.records import RecordError, to_record

MOMENT = {SCORES: "as_of", INTERVENTIONS: "decided_at", DECISIONS: "decided_at"}
"""The field that is the frame's as_of."""


class Entry(NamedTuple):
    """The newest record of a key."""

    channel: int
    customer: str
    moment: int
    value: bytes


class ViewNewest:
    """Takes the records of all topics, each topic's in its own order, the scores first."""

    def __init__(self, keys: Mapping[int, str]) -> None:
        """`keys` are the templates of the Redis keys, by channel."""
        self._keys = keys
        self._newest: dict[str, Entry] = {}
        self._told: dict[str, Entry] = {}
        self._emptied: set[str] = set()
        self._erased: dict[str, int] = {}

    def take(self, channel: int, key: bytes, value: bytes | None, erased_at: int = 0) -> bool:
        """One record; `value` None: a tombstone, which erases what is of `erased_at` (epoch ms) or before. False if it cannot be read."""
        if value is None:
            return self._tombstone(channel, key, erased_at)
        try:
            record = to_record(value)[1]
        except RecordError:
            return False
        place, customer = self._keys[channel].format_map(record), str(record["customer_id"])
        entry = Entry(channel, customer, int(record[MOMENT[channel]]), value)
        known = self._newest.get(place)
        if (known is None or entry.moment >= known.moment) and (channel == SCORES or entry.moment > self._erased.get(customer, -1)):
            self._newest[place] = entry
        return True

    def _tombstone(self, channel: int, key: bytes, erased_at: int) -> bool:
        try:
            # As the sink's View takes a key apart.
            customer, score, _ = key.decode().rsplit("|", 2) if channel == SCORES else (key.decode(), "", "")
            self._empty(self._keys[channel].format(customer_id=customer, score=score))
            if channel == SCORES:
                self._erased[customer] = until = max(erased_at, self._erased.get(customer, 0))
                for place in [template.format(customer_id=customer) for each, template in self._keys.items() if each != SCORES]:
                    self._emptied.add(place)
                    if place in self._newest and self._newest[place].moment <= until:
                        del self._newest[place]
        except (ValueError, KeyError):  # not UTF-8 or not of three parts; a template that names more than a key holds
            return False
        return True

    def _empty(self, place: str) -> None:
        self._newest.pop(place, None)
        self._emptied.add(place)

    def changes(self) -> tuple[set[str], dict[str, Entry]]:
        """The keys to remove and the entries to write, each but once."""
        scored = {entry.customer for entry in self._newest.values() if entry.channel == SCORES}
        wanted = {place: entry for place, entry in self._newest.items() if entry.customer in scored}
        changed = {place: entry for place, entry in wanted.items() if self._told.get(place) is not entry}
        emptied = (self._emptied | self._told.keys()) - wanted.keys()
        self._told, self._emptied = wanted, set()
        return emptied, changed

    def counts(self) -> Counter[int]:
        """How many keys of each channel there are to be."""
        return Counter(entry.channel for entry in self._told.values())
