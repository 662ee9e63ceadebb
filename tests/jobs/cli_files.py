"""Event files for the tests of `features` and `replay`: some customers' months, with all that can be wrong with a line."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path
from typing import Any

from keepline.schemas.times import to_rfc3339

START = 1_767_225_600_000  # 2026-01-01
HOUR, DAY = 3_600_000, 86_400_000

BAD = [  # (line, reason)
    ("{nonsense", "MALFORMED"),
    ("[1]", "MALFORMED"),
    ('{"customer_id": "c0"}', "MALFORMED"),
    ('{"type": "Cal", "customer_id": "c0"}', "UNKNOWN_SCHEMA"),
    ('{"type": "Message", "event_id": "e", "event_time": 1767225600000}', "INVALID_FIELD"),
    ('{"type": "Message", "customer_id": "c0", "event_id": "e", "event_time": "yesterday"}', "INVALID_FIELD"),
    ('{"type": "Call", "customer_id": "c0", "event_id": "e", "event_time": 1767225600000, "duration_s": "long"}', "INVALID_FIELD"),
    ('{"type": "Call", "customer_id": "c0", "event_id": "e", "event_time": 1767225600000, "duration_s": -1.0}', "INVALID_FIELD"),
    ('{"type": "Call", "customer_id": "", "event_id": "e", "event_time": 1767225600000, "duration_s": 1.0}', "INVALID_FIELD"),
    ('{"type": "Message", "customer_id": "c0", "event_id": "nul\\u0000", "event_time": 1767225600000}', "INVALID_FIELD"),
    ('{"type": "Message", "customer_id": "c0", "event_id": "e", "event_time": 631151999999}', "OUT_OF_BOUNDS_TIME"),
    ('{"type": "Message", "customer_id": "c0", "event_id": "e", "event_time": "2100-01-01T00:00:00.001Z"}', "OUT_OF_BOUNDS_TIME"),
]


def event(dice: random.Random, customer: str, number: int, time: int) -> dict[str, Any]:
    """Any event of the churn set, or one that has no place in it."""
    head = {"customer_id": customer, "event_id": f"{customer}-{number}", "event_time": time}
    made: list[dict[str, Any]] = [
        {"type": "Call", "duration_s": round(dice.expovariate(1 / 120), 1), "outcome": dice.choice(["COMPLETED", "DROPPED", "FAILED"])},
        {"type": "DataSession", "megabytes": round(dice.expovariate(1 / 60), 2)},
        {"type": "Message"},
        {"type": "SupportContact", "topic": dice.choice(["COMPLAINT", "CANCELLATION", "QUESTION"])},
        {"type": "Bill", "bill_id": f"b{number}", "amount": float(dice.randrange(20, 90)), "due_time": time + 5 * DAY},
        {"type": "Payment", "amount": 40.0},
        {
            "type": "Subscription", "plan": "p", "started_time": time - dice.randrange(900) * DAY, "contract_months": 12,
            "monthly_charge": 39.9, "internet": dice.choice(["DSL", "FIBER"]), "autopay": True, "ended": dice.random() < 0.2,
        },
        {"type": "Purchase", "order_id": "o", "amount": 5.0},
        {"type": "Consent", "purpose": "MARKETING", "status": "GRANTED"},
    ]  # fmt: skip
    (body,) = dice.choices(made, [30, 25, 15, 8, 6, 6, 4, 3, 3])
    return head | body


def months(seed: int = 1, customers: int = 12, each: int = 60, days: int = 150) -> list[dict[str, Any]]:
    """Mixed customers by time, a little out of order; some events twice, some too late, one customer nearly silent."""
    dice = random.Random(seed)
    found: list[dict[str, Any]] = []
    for c in range(customers):
        found += [event(dice, f"c{c}", number, START + dice.randrange(days * DAY)) for number in range(1 if c == 0 else each)]
    found.sort(key=lambda made: made["event_time"])
    for _ in range(len(found) // 10):
        i = dice.randrange(len(found) - 1)
        found[i], found[i + 1] = found[i + 1], found[i]
    for _ in range(len(found) // 15):
        i = dice.randrange(len(found) - 10)
        found.insert(i + dice.randrange(1, 10), found[i])
    return found + [event(dice, f"c{place + 1}", 9000 + place, START - 20 * DAY) for place in range(5)]


def lines(events: list[dict[str, Any]], bad: bool = True, seed: int = 2) -> list[str]:
    """JSON Lines, some times as text, with bad lines and empty ones in between."""
    dice = random.Random(seed)
    found = []
    for made in events:
        time = to_rfc3339(made["event_time"]) if dice.random() < 0.3 else made["event_time"]
        found.append(json.dumps(made | {"event_time": time, "unknown": 1}))
    if bad:
        for line, _ in BAD * 2:
            found.insert(dice.randrange(len(found)), line)
        found.insert(3, "")
    return found


def write(path: Path, texts: list[str]) -> Path:
    path.write_text("".join(text + "\n" for text in texts), encoding="utf-8")
    return path


def by_type(folder: Path, events: list[dict[str, Any]]) -> Path:
    """One CSV file a type in a folder, as the contract has them."""
    folder.mkdir()
    for name in sorted({made["type"] for made in events}):
        own = [{key: value for key, value in made.items() if key != "type"} for made in events if made["type"] == name]
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(own[0]))
            writer.writeheader()
            writer.writerows({key: str(value).lower() if isinstance(value, bool) else value for key, value in row.items()} for row in own)
    return folder


def merged(parts: list[tuple[str, list[dict[str, Any]]]]) -> list[dict[str, Any]]:
    """Several files' events in the order of the contract: (event_time, file name, line)."""
    keyed = [(made["event_time"], name, line, made) for name, own in parts for line, made in enumerate(own)]
    return [made for *_, made in sorted(keyed, key=lambda entry: entry[:3])]
