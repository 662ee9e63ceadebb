"""Made-up logs of people with one kind of habit each, to hold rankers against each other. Apps are shared, tastes are not."""

from __future__ import annotations

import random

from keepline.models.next_app.log import OPEN, UNLOCK, Log, Row, make_log

START, HOUR = 1_750_000_000_000, 3_600_000
APPS = [f"org.app{i:02}" for i in range(30)]
COMMON = [2.0 ** (-i / 4) for i in range(len(APPS))]
"""How common an app is among people."""
KINDS = ("random", "markov", "hour", "drift", "mixed")


def life(kind: str, user: int, opens: int, seed: int) -> list[Row]:
    """One person's unlocks and opens; an app never follows itself."""
    dice = random.Random(f"{kind} {user} {seed}")
    liked = {app: common * dice.expovariate(1) ** 2 for app, common in zip(APPS, COMMON, strict=True)}
    liked = dict(sorted(liked.items(), key=lambda item: -item[1])[:15])
    after = {app: {other: dice.expovariate(1) ** 3 for other in liked if other != app} for app in liked}
    hour = {app: dice.randrange(24) for app in liked}
    t, last, rows = START + dice.randrange(24 * HOUR), "", list[Row]()
    for i in range(opens):
        t += int(dice.expovariate(1 / HOUR)) + 1000
        if kind == "drift" and i % 80 == 79:
            liked = dict(zip(liked, dice.sample(list(liked.values()), len(liked)), strict=True))
        weights = dict(liked)
        if kind in ("markov", "mixed") and last and (kind == "markov" or dice.random() < 0.5):
            weights = {app: after[last].get(app, 0.0) for app in liked}
        if kind in ("hour", "mixed"):
            distance = {app: (t // HOUR - hour[app]) % 24 for app in liked}
            weights = {app: weight * (8.0 if min(distance[app], 24 - distance[app]) <= 2 else 0.3) for app, weight in weights.items()}
        weights[last] = 0.0
        unlocked = dice.random() < 0.3
        if unlocked:
            rows.append(
                Row(f"u{user}", f"k{i}", t - 500, UNLOCK, "", dice.randrange(101), False, dice.randrange(6), f"c{dice.randrange(3)}")
            )
        last = dice.choices(list(weights), list(weights.values()))[0]
        rows.append(Row(f"u{user}", f"o{i}", t, OPEN, last, dice.randrange(101), False, dice.randrange(6), f"c{dice.randrange(3)}"))
    return rows


def people(kind: str, users: int, opens: int, seed: int = 0) -> Log:
    """A log of some people of one kind."""
    rows = [row for user in range(users) for row in life(kind, user, opens, seed)]
    return make_log(sorted(rows, key=lambda row: row.time)).log
