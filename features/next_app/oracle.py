"""The naive twin of the `next_app` kernel: the rows of all candidates recomputed from the raw events, from the definitions alone.

It shares no code with the kernel and is as slow as it looks: an app keeps all its opens. Data passes as `records in order of arrival →
accept → phone → rows`. Definitions are in docs/features.md, "The set next_app".
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from keepline.features.next_app.constants import Constants
from keepline.features.oracle import CONTROL, History, Record

HOUR = 3_600_000
DAY = 24 * HOUR
PLACES, NAME_BYTES, ALL_NAME_BYTES = 64, 127, 1424
NETWORKS = ("UNKNOWN", "WIFI", "G2", "G3", "G4", "G5")
GROUPS = {"hour": 24, "weekend": 2, "battery": 5, "network": 6, "city": 5}


@dataclass
class App:
    """A kept app."""

    name: str
    used: int  # newest AppOpen, epoch ms
    opens: list[int] = field(default_factory=list)  # times of the opens that count
    profile: dict[str, list[int]] = field(default_factory=lambda: {group: [0] * size for group, size in GROUPS.items()})
    successors: list[tuple[str, int]] = field(default_factory=list)  # app, count; the one that followed last comes first


@dataclass
class Phone:
    """What is known of a user after some records."""

    constants: Constants
    places: list[App | None] = field(default_factory=lambda: [None] * PLACES)
    screen: str | None = None
    opened: int | None = None  # time of the newest AppOpen
    cities: list[tuple[str, int]] = field(default_factory=list)  # city, when last seen
    now: int = 0

    @property
    def apps(self) -> list[App]:
        """The kept apps in the order of their places."""
        return [app for app in self.places if app is not None]

    def app(self, name: str) -> App | None:
        """The kept app of that name."""
        return next((app for app in self.apps if app.name == name), None)


def accept(records: Iterable[Record]) -> History:
    """Take records of one user in order of arrival: duplicate, late, else accepted. The state is never dropped."""
    history = History()
    for place, record in enumerate(records):
        if record["type"] in CONTROL:
            continue
        if record["event_id"] in [kept["event_id"] for kept in history.accepted[-32:]]:
            history.duplicates.append(place)
        elif history.newest is not None and history.newest - record["event_time"] > 90 * DAY:
            history.late.append(place)
        else:
            history.accepted.append(record)
    return history


def phone(accepted: Sequence[Record], constants: Constants | None = None) -> Phone:
    """What is known after all accepted records, in order of arrival."""
    known = Phone(Constants() if constants is None else constants)
    for i, record in enumerate(accepted):
        known.now = record["event_time"] if i == 0 else max(known.now, record["event_time"])
        if record["type"] in ("AppOpen", "Unlock"):
            _see_city(known, record)
        if record["type"] == "AppOpen":
            _open(known, record)
    return known


def _see_city(known: Phone, record: Record) -> None:
    city, t = record.get("city_hash"), record["event_time"]
    names = [name for name, _ in known.cities]
    if city is None:
        return
    if city in names:
        i = names.index(city)
        known.cities[i] = (city, max(known.cities[i][1], t))
    elif len(names) < 4:
        known.cities.append((city, t))
    else:
        i = min(range(4), key=lambda k: (known.cities[k][1], k))
        known.cities[i] = (city, t)
        for app in known.apps:
            app.profile["city"][1 + i] = 0


def context(known: Phone, record: Record) -> dict[str, int]:
    """The category of each circumstance of an Unlock or AppOpen."""
    local = record["event_time"] + record.get("utc_offset_minutes", 0) * 60_000
    percent = record.get("battery_percent")
    if record.get("charging", False):
        battery = 0
    elif percent is None:
        battery = 4
    else:
        battery = 1 if percent > 50 else 3 if percent < 20 else 2
    city = record.get("city_hash")
    names = [name for name, _ in known.cities]
    return {
        "hour": local % DAY // HOUR,
        "weekend": int((local // DAY + 3) % 7 >= 5),  # days of the week from Monday
        "battery": battery,
        "network": NETWORKS.index(record.get("network", "UNKNOWN")),
        "city": 0 if city is None else 1 + names.index(city) if city in names else 5,
    }


def frequency(app: App, at: int, constants: Constants) -> float:
    """The opens, each halved for every half-life since."""
    return math.fsum(2.0 ** ((t - at) / (constants.half_life_days * DAY)) for t in app.opens)


def opens(known: Phone, now: int) -> float:
    """The decayed opens of all kept apps."""
    return math.fsum(frequency(app, now, known.constants) for app in known.apps)


def _usefulness(app: App, known: Phone) -> int:
    # As of the last use, so that a frequency of decades ago is still a number.
    value = frequency(app, app.used, known.constants)
    if value == 0:
        return -1000 * 65_536
    log = math.log2(value) - (known.now - app.used) / (known.constants.half_life_days * DAY)
    return math.floor(max(log, -1000.0) * 65_536 + 0.5)


def _keep(known: Phone, name: str, t: int) -> App:
    size = len(name.encode())
    while len(known.apps) == PLACES or sum(len(app.name.encode()) for app in known.apps) + size > ALL_NAME_BYTES:
        gone = min(known.apps, key=lambda app: (_usefulness(app, known), app.used))
        known.places[known.places.index(gone)] = None
        for app in known.apps:
            app.successors = [(other, n) for other, n in app.successors if other != gone.name]
        if known.screen == gone.name:
            known.screen = None
    app = App(name, t)
    known.places[known.places.index(None)] = app
    return app


def _follow(app: App, name: str) -> None:
    count = dict(app.successors).get(name, 0)
    if count == 255:
        app.successors = [(other, (n + 1) // 2) for other, n in app.successors]
        count = 128
    if count == 0 and len(app.successors) == 8:
        least = min(n for _, n in app.successors)
        last = max(i for i, (_, n) in enumerate(app.successors) if n == least)
        del app.successors[last]
    app.successors = [(name, count + 1)] + [(other, n) for other, n in app.successors if other != name]


def _open(known: Phone, record: Record) -> None:
    name, t = record["app"], record["event_time"]
    in_order = known.opened is None or t >= known.opened
    if in_order:
        known.opened = t
    if not 1 <= len(name.encode()) <= NAME_BYTES:
        if in_order:
            known.screen = None
        return
    app = known.app(name) or _keep(known, name, t)
    app.used = max(app.used, t)
    if in_order and known.screen == name:
        return
    app.opens.append(t)
    for group, i in context(known, record).items():
        counters = app.profile[group]
        if counters[i] == 15:
            counters[:] = [n // 2 for n in counters]
        counters[i] += 1
    if in_order:
        if known.screen is not None:
            before = known.app(known.screen)
            assert before is not None  # noqa: S101  (the screen is emptied when its app goes)
            _follow(before, name)
        known.screen = name


def _opens(app: App, now: int, length: int, hop: int, most: int) -> int:
    begin = (now - length) // hop * hop
    buckets = Counter(t // hop for t in app.opens if begin <= t <= now)
    return sum(min(n, most) for n in buckets.values())


def rows(known: Phone, now: int, unlock: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """The row of each candidate at `now`, by app, in the order of their places, in the circumstances of `unlock`."""
    constants = known.constants
    where = context(known, dict(unlock))
    frequencies = {app.name: frequency(app, now, constants) + constants.frequency_smoothing for app in known.apps}
    screen = None if known.screen is None else known.app(known.screen)
    out: dict[str, dict[str, float]] = {}
    for app in known.apps:
        if app is screen:
            continue
        share = frequencies[app.name] / math.fsum(frequencies.values())
        follows = dict(screen.successors) if screen is not None else {}
        back_off = constants.transition_smoothing
        hours = app.profile["hour"]
        near = (hours[(where["hour"] - 1) % 24] + hours[(where["hour"] + 1) % 24]) / 2
        hour = (hours[where["hour"]] + near) / 2
        out[app.name] = {
            "log_seconds_since_use": math.log1p((now - app.used) / 1000),
            "log_transition": math.log((follows.get(app.name, 0) + back_off * share) / (sum(follows.values()) + back_off)),
            "log_hour": math.log((hour + constants.hour_smoothing / 24) / (sum(hours) + constants.hour_smoothing)),
            "log_opens_24h": math.log1p(_opens(app, now, DAY, HOUR, 255)),
            "log_opens_7d": math.log1p(_opens(app, now, 7 * DAY, DAY, 65_535)),
            "log_frequency": math.log(share),
        }
        for group in ("weekend", "battery", "network", "city"):
            counters = app.profile[group]
            n = counters[where[group]] if where[group] < len(counters) else 0
            smoothing = constants.context_smoothing
            out[app.name][f"log_{group}"] = math.log((n + smoothing / len(counters)) / (sum(counters) + smoothing))
    return out
