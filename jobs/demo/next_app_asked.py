"""What each unlock of the demo led to, and where two plain orders had that app: the most frequently and the most recently used.

    events in order ──► asked: per Unlock the user's next open, before the next Unlock ──► Asked
                        MFU and MRU (models/next_app/baselines.py) are asked at each unlock, and told of each open after it

As `keepline next-app evaluate --collapse --exclude-current` counts: an open of the app that is on screen already is none, and the app on
screen is no answer. A prediction has five apps, so all orders are cut after the fifth.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from keepline.models.next_app.baselines import Mfu, Mru
from keepline.models.next_app.evaluation import place
from keepline.models.next_app.log import NONE, OPEN, Device, Event
from keepline.models.next_app.ranker import Context, Ranker

TOP = 5
PREDICTED = "Keepline"
Record = dict[str, Any]


@dataclass
class Asked:
    """An unlock. `opened` is "" where nothing was opened before the next one, or the app that was on screen already."""

    event_id: str
    user: str
    time: int
    on_screen: str
    opened: str = ""
    opened_at: int = 0
    ranks: dict[str, int] = field(default_factory=dict)
    """Of the app that was opened, by the plain orders: 1 to 5, or 0."""


def asked(events: Sequence[Record], since_ms: int) -> list[Asked]:
    """All unlocks in order; those before `since_ms` have no ranks."""
    orders: tuple[Ranker, ...] = (Mfu(), Mru())
    # By name, which breaks their ties.
    apps = {app: number for number, app in enumerate(sorted({event["app"] for event in events if event["type"] == "AppOpen"}))}
    users: dict[str, int] = {}
    screens: dict[str, str] = {}
    open_: dict[str, tuple[Asked, list[Sequence[int]]]] = {}
    found = []
    for event in events:
        user, time = event["customer_id"], event["event_time"]
        number = users.setdefault(user, len(users))
        screen = screens.get(user, "")
        if event["type"] == "Unlock":
            made = Asked(event["event_id"], user, time, screen)
            context = Context(time, apps.get(screen, NONE))
            open_[user] = made, [order.rank(number, context) for order in orders] if time >= since_ms else []
            found.append(made)
        elif event["app"] != screen:
            app = apps[event["app"]]
            if user in open_:
                made, rankings = open_.pop(user)
                made.opened, made.opened_at = event["app"], time
                for order, ranking in zip(orders, rankings, strict=bool(rankings)):
                    made.ranks[order.name] = first(place(ranking, app, apps.get(screen, NONE)))
            for order in orders:
                order.update(Event(number, time, OPEN, app, Device()))
            screens[user] = event["app"]
        else:
            open_.pop(user, None)
    return found


def first(rank: int) -> int:
    """A rank among the first five, else 0."""
    return rank if rank <= TOP else 0


def shares(ranks: Sequence[int]) -> dict[str, float]:
    """Hit rates at 1, 3 and 5 and the mean reciprocal rank of ranks 1 to 5, or 0."""
    counted = Counter(ranks)
    n = max(len(ranks), 1)
    found = {f"HR@{k}": sum(counted[rank] for rank in range(1, k + 1)) / n for k in (1, 3, TOP)}
    return found | {f"MRR@{TOP}": sum(counted[rank] / rank for rank in range(1, TOP + 1)) / n}
