"""A phone next to the stream: made-up users, and models that a training could have made."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from keepline.features.next_app.layout import FEATURES
from keepline.features.next_app.single import User
from keepline.models.next_app.export import phone_of
from keepline.models.next_app.manifest import Loaded, Term, checked
from keepline.models.next_app.predict import predict
from keepline.models.on_device import Phone
from tests.models.next_app.models import made_up

HOUR, DAY = 3_600_000, 86_400_000
START = 1_767_225_600_000
Event = dict[str, Any]
LIKELY = (-0.42, 0.81, 0.37, 0.24, 0.11, 0.33, 0.06, 0.09, 0.04, 0.12)
"""Coefficients of the size that training finds, in the order of the features."""


def model(coefficients: tuple[float, ...] | None = LIKELY, seed: int = 0, **more: Any) -> Loaded:
    """A logistic model with these coefficients, or random ones."""
    raw = made_up(seed=seed, **more)
    if coefficients is None:
        return checked(raw)
    linear = [Term(name=name, coefficient=value, center=0.5) for name, value in zip(FEATURES, coefficients, strict=True)]
    return checked(raw.model_copy(update={"linear": linear}))


def life(seed: int, days: int) -> list[Event]:
    """A user with habits: apps by the hour and by the app before, weekdays, places, a charger at night; unlocks begin sessions."""
    dice = random.Random(seed)
    apps = [f"app{i}" for i in range(dice.randrange(12, 90))]
    by_hour = [dice.choices(apps, [1 / (1 + i) for i in range(len(apps))], k=5) for _ in range(24)]
    after = {app: dice.choices(apps, k=3) for app in apps}
    out: list[Event] = []
    for day in range(days):
        t = START + day * DAY + dice.randrange(6 * HOUR, 8 * HOUR)
        while t < START + day * DAY + 23 * HOUR:
            t += int(dice.expovariate(1 / (0.6 * HOUR)))
            hour = t // HOUR % 24
            phone = {
                "battery_percent": dice.randrange(100),
                "charging": hour < 7,
                "network": "WIFI" if hour < 9 or hour > 18 else "G4",
                "city_hash": "home" if hour < 9 or hour > 18 else "work",
                "utc_offset_minutes": 60,
            }
            out.append({"type": "Unlock", "event_time": t} | phone)
            app = dice.choice(by_hour[hour])
            for _ in range(dice.randrange(1, 6)):
                t += dice.randrange(1_000, 90_000)
                out.append({"type": "AppOpen", "event_time": t, "app": app} | phone)
                app = dice.choice(after[app]) if dice.random() < 0.6 else dice.choice(apps)
    return [event | {"customer_id": "c", "event_id": f"e{i}"} for i, event in enumerate(out)]


def plain(event: Mapping[str, Any]) -> Event:
    """The event as a phone sees it."""
    return {name: value for name, value in event.items() if name not in ("customer_id", "event_id")}


def tell(phone: Phone, event: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Give the phone an event through its own methods; the ranking after an unlock."""
    own = plain(event)
    kind, t = own.pop("type"), own.pop("event_time")
    if kind == "Unlock":
        return phone.unlock(t, **own)
    phone.open(own.pop("app"), t, **own)
    return []


class Told(NamedTuple):
    """What both said at an unlock."""

    stream: list[tuple[str, float]]
    phone: list[tuple[str, float]]


def side_by_side(loaded: Loaded, events: list[Event], exported_at: int, saved_every: int = 97) -> Iterator[Told]:
    """The stream sees all events, the phone those after the profile was exported; it is restarted often."""
    user = User(loaded.constants)
    for event in events[:exported_at]:
        user.apply(event)
    phone = phone_of(loaded, user.state, "c")
    for i, event in enumerate(events[exported_at:]):
        user.apply(event)
        ranked = tell(phone, event)
        if event["type"] == "Unlock":
            yield Told(predict(loaded, user, event), ranked)
        if i % saved_every == 0:
            phone = Phone.from_bytes(phone.to_bytes())
    assert phone.to_bytes() == phone_of(loaded, user.state, "c").to_bytes(), "the same profile, to the last bit"


def agreement(told: list[Told]) -> tuple[float, float]:
    """Share of the unlocks with the same top 5 in the same order, and with the same set."""
    names = [([app for app, _ in each.stream], [app for app, _ in each.phone]) for each in told]
    n = len(names)
    return sum(a == b for a, b in names) / n, sum(set(a) == set(b) for a, b in names) / n
