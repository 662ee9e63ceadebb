"""Judges the predictions that the job committed: one for each unlock, and what Python makes of the same events.

the events that were sent ──► features.next_app.single.User, an event at a time ──► models.next_app.predict at each Unlock ──┐
device.app-predictions, read committed (next_app_board.py) ──────────────────────────────────────────────────────────────────┴► Verdict
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from keepline.features.next_app.single import User
from keepline.jobs.demo.next_app_asked import TOP
from keepline.jobs.demo.next_app_board import Apps
from keepline.models.next_app.manifest import Loaded
from keepline.models.next_app.predict import predict

EXACT = 1e-9
Record = Mapping[str, Any]


@dataclass(frozen=True)
class Verdict:
    """What was compared."""

    unlocks: int
    predictions: int
    """As they stand in the topic."""
    lost: int
    """Unlocks without a prediction."""
    doubled: int
    """Predictions of an unlock that had one."""
    foreign: int
    """Predictions of no unlock that was sent."""
    others: int
    """Predictions with other apps, or in another order, than Python's."""
    difference: float
    """The largest between two probabilities of the same app."""

    @property
    def once(self) -> bool:
        """Whether each unlock has exactly one prediction."""
        return not self.lost and not self.doubled and not self.foreign

    @property
    def equal(self) -> bool:
        """Whether all predictions are Python's."""
        return not self.others and self.difference <= EXACT


def judge(events: Iterable[Record], made: Mapping[str, Apps], count: Mapping[str, int], model: Loaded) -> Verdict:
    """`events` in the order in which they were sent; `made` and `count`: what was committed, by unlock."""
    users: dict[str, User] = {}
    unlocks = lost = others = 0
    known: set[str] = set()
    largest = 0.0
    for event in events:
        user = users.get(event["customer_id"])
        if user is None:
            user = users[event["customer_id"]] = User(model.constants)
        user.apply(event)
        if event["type"] != "Unlock":
            continue
        unlocks += 1
        known.add(event["event_id"])
        found = made.get(event["event_id"])
        if found is None:
            lost += 1
            continue
        wanted = predict(model, user, event, TOP)
        if [app for app, _ in found] == [app for app, _ in wanted]:
            largest = max(largest, *(abs(mine - its) for (_, mine), (_, its) in zip(found, wanted, strict=True)))
        else:
            others += 1
    foreign = sum(n for unlock, n in count.items() if unlock not in known)
    doubled = sum(n - 1 for unlock, n in count.items() if unlock in known)
    return Verdict(unlocks, sum(count.values()), lost, doubled, foreign, others, largest)


def is_prior(apps: Apps, model: Loaded) -> bool:
    """Whether a prediction is the model's prior alone: its first apps with their shares."""
    first = model.manifest.prior[: len(apps)]
    return [app for app, _ in apps] == [each.app for each in first] and all(
        abs(probability - each.share) <= EXACT for (_, probability), each in zip(apps, first, strict=True)
    )
