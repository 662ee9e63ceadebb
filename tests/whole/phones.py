"""Telemetry of some phones: habits, disorder, duplicates, late records, erasures, records that are no events, and a long silence.

Records come in order of arrival. The last of every partition is a clock's at one time, as in tests/whole/history.py.
"""

from __future__ import annotations

import random
from typing import Any

from tests.whole.history import DAY, HOUR, START, Sent, partition_of, sent

APPS = [f"org.example.app{number:02d}" for number in range(70)]
SILENCE = 401 * DAY


def phone_history(seed: int, users: int = 40, partitions: int = 2, unlocks: int = 60) -> list[Sent]:
    """Some `unlocks` of each user on both sides of a silence in which everybody is forgotten."""
    draw = random.Random(seed)
    events: list[tuple[int, dict[str, Any]]] = []
    for number in range(users):
        events += _life(draw, f"u{number:03d}", START, unlocks)
        events += _life(draw, f"u{number:03d}", START + SILENCE, unlocks // 3)
    events.sort(key=lambda each: each[0])
    records = [sent(event, partitions) for _, event in events]
    for place in sorted(draw.sample(range(len(records)), len(records) // 50), reverse=True):
        again = draw.randrange(3)
        if again == 0:  # comes twice
            records.insert(place + 1, records[place])
        elif again == 1:  # no event, with the oldest time
            key = f"u{draw.randrange(users):03d}".encode()
            records.insert(place, Sent(partition_of(key, partitions), key, b"\x01\x02no event", None, "MALFORMED"))
    end = START + SILENCE + 40 * DAY
    clocks = [
        {"type": "AppOpen", "customer_id": f"clock-{p}", "event_id": "last", "event_time": end, "app": "clock"} for p in range(partitions)
    ]
    return records + [sent(clock, partitions, partition=p) for p, clock in enumerate(clocks)]


def _life(draw: random.Random, user: str, start: int, unlocks: int) -> list[tuple[int, dict[str, Any]]]:
    """(arrival, event) of one user; arrivals are up to a minute and now and then hours behind the event's time."""
    own = draw.sample(APPS, draw.randrange(4, 30))
    t, out = start + draw.randrange(DAY), list[tuple[int, dict[str, Any]]]()
    count = 0

    def put(kind: str, **more: Any) -> None:
        nonlocal count
        count += 1
        phone = {
            "battery_percent": draw.choice([None, 5, 40, 90]),
            "network": draw.choice(["WIFI", "G4"]),
            "city_hash": draw.choice(["a", "b", None]),
        }
        event = {"type": kind, "customer_id": user, "event_id": f"{user}-{start}-{count}", "event_time": t, **phone, **more}
        if draw.random() < 0.03:
            event["event_time"] -= draw.choice([30_000, 2 * HOUR, 100 * DAY])
        out.append((t + draw.randrange(0, 60_000 if draw.random() < 0.1 else 10), event))

    for _ in range(unlocks):
        t += draw.choice([5 * 60_000, HOUR, 3 * HOUR, DAY])
        put("Unlock")
        for _ in range(draw.randrange(1, 4)):
            t += draw.randrange(1000, 90_000)
            put("AppOpen", app=own[min(int(draw.expovariate(0.5)), len(own) - 1)])
        if draw.random() < 0.004:
            erasure = {"type": "Erasure", "customer_id": user, "event_id": f"{user}-{start}-x{count}", "event_time": t}
            out.append((t, {**erasure, "request_id": f"{user}-{start}-{count}"}))
    return out
