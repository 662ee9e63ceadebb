"""Live output against replay: lost, duplicated and changed records, by channel.

Equal is what the contract calls equal: per customer, in order, every field but topic, partition, offset and timestamp. A record is
known by its identity (an intervention by its id, a score by customer, moment and event); then

    lost        in replay and not live
    duplicated  live more often than in replay
    changed     live under the identity of another content, or in another place of its customer's order, or unknown to replay

Dead letters without a key are nobody's: Kafka spreads them over the partitions, so they have no order. The tombstones of erased customers
stand in the topic of scores and in no file: they are counted apart, one for each Erasure.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from keepline.operators.spec import CHANNELS
from tests.chaos.records import Grouped, Record
from tests.whole.support import alive, is_tombstone, without_place

Identity = tuple[Any, ...]
IDENTITY: dict[str, Callable[[Record], Identity]] = {
    "scores": lambda record: (record["score"], record["role"], record["as_of"], record["event_id"]),
    "interventions": lambda record: (record["intervention_id"],),
    "decisions": lambda record: (record["decision_id"],),
    "dead-letters": lambda record: (record["key"], record["value_sha256"]),
    "late-events": lambda record: (record["key"], record["value"]),
    "labelled-outcomes": lambda record: (record["decision_id"], record["intervention_id"], record["status"], record["closed_at"]),
    "erasure-receipts": lambda record: (record["request_id"], record["erased_at"]),
    "tombstones": lambda record: (record["key"],),
}
FREE = {"dead-letters": ("message",)}
"""Fields that replay cannot know: it never sees the bytes that no file of events can hold."""


@dataclass
class Difference:
    """What a round found. All 0: equal."""

    lost: int = 0
    duplicated: int = 0
    changed: int = 0
    records: int = 0
    """Live records compared."""
    examples: list[str] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        return not (self.lost or self.duplicated or self.changed)

    def told(self) -> str:
        counts = f"{self.lost} lost, {self.duplicated} duplicated, {self.changed} changed of {self.records} records"
        return "\n".join([counts, *self.examples[:8]])

    def note(self, text: str) -> None:
        if len(self.examples) < 8:
            self.examples.append(text)


def difference(found: Grouped, wanted: Grouped) -> Difference:
    """All channels, customer by customer; `wanted` has a channel "tombstones" beside the job's, and `found` has them among the scores."""
    told = Difference()
    gone: dict[str, list[Record]] = {}
    for channel in CHANNELS:
        here, there = found[channel], wanted[channel]
        for customer in sorted({*here, *there}):
            made: Sequence[Record] = here.get(customer, [])
            if channel == "scores":
                tombstones = [record for record in made if is_tombstone(record)]
                if tombstones:
                    gone[customer], made = tombstones, alive(made)
            _one(channel, customer, made, there.get(customer, []), told)
    for customer in sorted({*gone, *wanted["tombstones"]}):
        _one("tombstones", customer, gone.get(customer, []), wanted["tombstones"].get(customer, []), told)
    return told


def _one(channel: str, customer: str, found: Sequence[Record], wanted: Sequence[Record], told: Difference) -> None:
    told.records += len(found)
    if [_content(channel, record) for record in found] == [_content(channel, record) for record in wanted]:
        return
    name = IDENTITY[channel]
    ours, theirs = _by_name(name, found), _by_name(name, wanted)
    before = (told.lost, told.duplicated, told.changed)
    for identity in {**theirs, **ours}:
        live, replay = ours.get(identity, []), theirs.get(identity, [])
        where = f"{channel} of {customer}, {identity}"
        if not replay:
            told.changed += len(live)
            told.note(f"{where}: unknown to replay: {live[0]}")
            continue
        if len(live) < len(replay):
            told.lost += len(replay) - len(live)
            told.note(f"{where}: lost: {replay[-1]}")
        if len(live) > len(replay):
            told.duplicated += len(live) - len(replay)
            told.note(f"{where}: {len(live)} times, {len(replay)} in replay")
        for one, other in zip(live, replay, strict=False):
            if _content(channel, one) != _content(channel, other):
                told.changed += 1
                told.note(f"{where}: changed:\n  live   {one}\n  replay {other}")
    if customer and before == (told.lost, told.duplicated, told.changed):
        moved = sum(name(one) != name(other) for one, other in zip(found, wanted, strict=True))
        told.changed += moved
        told.note(f"{channel} of {customer}: {moved} records in another place of the order")


def _by_name(name: Callable[[Record], Identity], records: Sequence[Record]) -> dict[Identity, list[Record]]:
    grouped: dict[Identity, list[Record]] = defaultdict(list)
    for record in records:
        grouped[name(record)].append(record)
    return grouped


def _content(channel: str, record: Record) -> Record:
    free = FREE.get(channel, ())
    return {field: value for field, value in without_place(record).items() if field not in free}


def counts(outputs: Grouped) -> Counter[str]:
    """Records by channel."""
    return Counter({channel: sum(map(len, made.values())) for channel, made in outputs.items()})
