"""What the view is to hold by the topics: the newest record of each key, and which keys are empty since their customer was erased.

Tombstones of an erased customer stand in the topic of scores alone; what other topics hold of the customer from before is not to come
back either. A tombstone has no event time, so Kafka's own timestamps tell before from after. And a customer of whom the scores hold
nothing at all was erased long ago: a compacted topic forgets tombstones (`delete.retention.ms`), but never a customer's last score.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from keepline.schemas.packed import DECISIONS, INTERVENTIONS, SCORES
from keepline.schemas.records import RecordError, to_record

MOMENT = {SCORES: "as_of", INTERVENTIONS: "decided_at", DECISIONS: "decided_at"}
"""The field that is the frame's as_of."""
LAG_MS = 10_000
"""What the policy made before an erasure has a longer way to Kafka than the tombstone: so much later by Kafka's clock it still counts
as from before."""


class Entry(NamedTuple):
    """The newest record of a key."""

    channel: int
    customer: str
    moment: int
    stamp: int
    """Kafka's timestamp, ms."""
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

    def take(self, channel: int, key: bytes, value: bytes | None, stamp: int) -> bool:
        """One record, `value` None for a tombstone, `stamp` Kafka's timestamp; False where it cannot be read."""
        if value is None:
            return self._tombstone(channel, key, stamp)
        try:
            record = to_record(value)[1]
        except RecordError:
            return False
        place, customer = self._keys[channel].format_map(record), str(record["customer_id"])
        entry = Entry(channel, customer, int(record[MOMENT[channel]]), stamp, value)
        known = self._newest.get(place)
        if (known is None or entry.moment >= known.moment) and (channel == SCORES or stamp > self._erased.get(customer, stamp - 1)):
            self._newest[place] = entry
        return True

    def _tombstone(self, channel: int, key: bytes, stamp: int) -> bool:
        try:
            # As the sink's View takes a key apart.
            customer, score, _ = key.decode().rsplit("|", 2) if channel == SCORES else (key.decode(), "", "")
            self._empty(self._keys[channel].format(customer_id=customer, score=score))
            if channel == SCORES:
                self._erased[customer] = until = max(stamp + LAG_MS, self._erased.get(customer, 0))
                for place in [template.format(customer_id=customer) for each, template in self._keys.items() if each != SCORES]:
                    if place not in self._newest or self._newest[place].stamp <= until:
                        self._empty(place)
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
