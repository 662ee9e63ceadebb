"""Made-up people who unlock their phones and open apps. None of it is data: every app, person and habit here is invented.

    people(count, seed) → Person: apps, favourites, habits, places ──► events(people, days): Unlock, then AppOpens, by time

An open is drawn, in this order, from

| Habit | What it does |
|---|---|
| routine | an app at its hour, on working days, at weekends or every day (the weather at seven, the bank on Fridays) |
| what follows | after some apps another one comes: the browser after mail. Most such pairs are shared by many people, some are one's own |
| favourites | a few apps get most opens. They drift from day to day, apps are installed, seldom one is all the rage for days |
| circumstances | favourites count more or less by hour, weekend, network, battery and place: podcasts on the way, maps in another city |

A person's events depend on nothing but the seed and the person's number: more people change nobody else's.
"""

from __future__ import annotations

import hashlib
import heapq
import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, NamedTuple

Event = dict[str, Any]
SECOND_MS, HOUR_MS, DAY_MS = 1000, 3_600_000, 86_400_000
START_MS = 1_748_822_400_000
"""2025-06-02T00:00:00Z, a Monday."""
WORKING_DAYS, WEEKEND = frozenset(range(5)), frozenset((5, 6))
EVERY_DAY = WORKING_DAYS | WEEKEND
ZONES = (0, 60, 120, 180)
"""Minutes that a person's clock is ahead of UTC."""
CITIES = 12
AWAY_DAYS = 0.08
"""Share of the days that are spent elsewhere."""
RAGE = 0.06
"""Share of the days on which an app becomes all the rage."""
AFTER_UNLOCK = 0.35
"""How much less the app that was left on screen counts for what follows, once the phone was locked."""
GOES_ON = 0.48
"""How often another app is opened after one."""
PAUSE_MS = 20 * SECOND_MS
"""The least time from an open to the next unlock."""

PEAKS: Mapping[str, tuple[float, ...]] = {
    "mail": (9, 14), "chat": (13, 20), "browser": (11, 21), "news": (7, 18), "weather": (7,), "maps": (17,), "transit": (8, 17),
    "music": (8, 18), "podcasts": (8, 22), "video": (21,), "photos": (20,), "camera": (13, 16), "calendar": (9,), "clock": (7, 23),
    "notes": (10,), "bank": (12, 19), "wallet": (13, 18), "shop": (20,), "food": (12, 19), "fitness": (7, 18), "health": (22,),
    "puzzle": (22,), "cards": (21,), "reader": (22,), "translate": (15,), "phone": (11, 17), "messages": (12, 20), "files": (11,),
    "settings": (15,), "social": (12, 22), "forum": (15, 23), "travel": (20,), "taxi": (1, 23), "parking": (9,), "radio": (7,),
    "recipes": (18,),
}  # fmt: skip
"""The apps, the commonest about first, and the hours at which they are opened most."""
APPS = tuple(PEAKS)
FOLLOWS: Mapping[str, str] = {
    "mail": "browser", "news": "forum", "camera": "photos", "photos": "social", "weather": "transit", "calendar": "mail", "bank": "wallet",
    "shop": "wallet", "transit": "podcasts", "food": "wallet", "fitness": "music", "recipes": "notes", "travel": "maps", "clock": "weather",
    "chat": "photos", "phone": "messages", "parking": "wallet", "video": "social",
}  # fmt: skip
"""What comes after an app for most of those who have both."""
ON_THE_WAY = frozenset(("music", "podcasts", "transit", "maps", "radio", "parking", "taxi"))
AT_HOME = frozenset(("video", "reader", "puzzle", "cards", "recipes", "shop"))
AWAY = frozenset(("maps", "translate", "travel", "camera", "taxi"))
HUNGRY = frozenset(("video", "puzzle", "cards", "camera"))
"""Apps that one leaves alone when the battery is low."""


class Routine(NamedTuple):
    """An app that is opened about once a day, at an hour of the local clock."""

    app: str
    hour: float
    days: frozenset[int]
    kept: float
    """On what share of its days."""


@dataclass(frozen=True)
class Person:
    """Habits, as they are at the beginning."""

    name: str
    seed: str
    """Of all that happens to this person."""
    apps: Mapping[str, float]
    """Installed apps and how much they are liked."""
    later: Mapping[str, int]
    """Apps that are installed later, and on which day."""
    follows: Mapping[str, tuple[str, float]]
    """What comes after an app, and how often."""
    routines: Sequence[Routine]
    sessions: float
    """Unlocks a day, the routines apart."""
    wakes: float
    sleeps: float
    """Hours of the local clock; `sleeps` may be after midnight, above 24."""
    offset: int
    """Minutes ahead of UTC."""
    home: int
    works: int
    """Cities."""
    again: float
    """How often an unlock leads back to the app that was left on screen."""


class Moment(NamedTuple):
    """The circumstances of an unlock."""

    time: int
    """Epoch ms."""
    hour: float
    weekday: int
    battery: int
    charging: bool
    network: str
    city: int
    on_the_way: bool
    away: bool


def city_hash(city: int) -> str:
    """What stands for a city."""
    return hashlib.sha256(f"made-up city {city}".encode()).hexdigest()[:16]


def people(number: int, seed: str, prefix: str = "user") -> list[Person]:
    """So many people, named prefix-001, …; each depends on the seed and its own number alone."""
    return [_person(f"{prefix}-{i:03d}", f"{seed} {i}") for i in range(1, number + 1)]


def _person(name: str, seed: str) -> Person:
    dice = random.Random(f"{seed} person")  # noqa: S311 — nothing secret
    liked = {app: dice.gauss(0, 1.1) - 0.07 * place for place, app in enumerate(APPS)}
    order = sorted(APPS, key=lambda app: -liked[app])
    installed = order[: dice.randint(14, 26)]
    follows = {app: (then, dice.uniform(0.45, 0.85)) for app, then in FOLLOWS.items() if then in installed and dice.random() < 0.7}
    for app in dice.sample(installed, 5):
        follows[app] = (dice.choice([other for other in installed if other != app]), dice.uniform(0.45, 0.85))
    wakes = dice.uniform(6, 8.5)
    return Person(
        name,
        seed,
        apps={app: math.exp(2.0 * liked[app]) for app in installed},
        later={app: dice.randint(3, 26) for app in dice.sample(order[len(installed) :], 3)},
        follows=follows,
        routines=[_routine(dice, app) for app in dice.sample(installed[:12], dice.randint(4, 7))],
        sessions=dice.uniform(6, 14),
        wakes=wakes,
        sleeps=wakes + dice.uniform(15, 17.5),
        offset=dice.choice(ZONES),
        home=dice.randrange(CITIES),
        works=dice.randrange(CITIES),
        again=dice.uniform(0.02, 0.1),
    )


def _routine(dice: random.Random, app: str) -> Routine:
    days = dice.choice((WORKING_DAYS, WORKING_DAYS, WEEKEND, EVERY_DAY, frozenset((dice.randrange(7),))))
    return Routine(app, (dice.choice(PEAKS[app]) + dice.gauss(0, 0.7)) % 24, days, dice.uniform(0.6, 0.95))


def events(persons: Iterable[Person], days: int, start_ms: int = START_MS) -> Iterator[Event]:
    """The people's events over so many days from a Monday's midnight UTC on, as canonical JSON objects, by time."""
    return heapq.merge(*(_Life(person, start_ms).events(days) for person in persons), key=lambda event: event["event_time"])


class _Life:
    """One person's days: what is liked changes, the app on screen stays."""

    def __init__(self, person: Person, start_ms: int) -> None:
        self._person, self._start = person, start_ms
        self._dice = random.Random(f"{person.seed} life")  # noqa: S311 — nothing secret
        self._liked = dict(person.apps)
        self._screen = ""
        self._numbers = count()

    def events(self, days: int) -> Iterator[Event]:
        """By time."""
        free = 0
        for day in range(days):
            self._change(day)
            city, away = self._place()
            for hour, wanted in self._unlocks(day):
                moment = self._moment(day, hour, city, away=away)
                if moment.time < free:  # the last session is not over
                    continue
                yield self._event("Unlock", moment, moment.time)
                free = moment.time + PAUSE_MS
                for app, at in self._session(moment, wanted):
                    yield self._event("AppOpen", moment, at, app)
                    self._screen, free = app, at + PAUSE_MS

    def _event(self, kind: str, moment: Moment, time: int, app: str = "") -> Event:
        head = {
            "type": kind,
            "customer_id": self._person.name,
            "event_id": f"{self._person.name}-{next(self._numbers)}",
            "event_time": time,
        }
        phone = {"battery_percent": moment.battery, "charging": moment.charging, "network": moment.network}
        where = {"city_hash": city_hash(moment.city), "utc_offset_minutes": self._person.offset}
        return head | ({"app": app} if app else {}) | phone | where

    def _change(self, day: int) -> None:
        """What a day does to what is liked: a little drift, new apps, and seldom a rage."""
        liked, dice = self._liked, self._dice
        for app in liked:
            liked[app] *= math.exp(dice.gauss(0, 0.06))
        for app, since in self._person.later.items():
            if since == day:
                liked[app] = 2.0 * max(liked.values())
        if dice.random() < RAGE:
            liked[dice.choice(list(liked))] *= 10.0
        most = max(liked, key=lambda app: liked[app])
        if liked[most] > 10.0 * sum(liked.values()) / len(liked):  # no rage lasts
            liked[most] *= 0.8

    def _place(self) -> tuple[int, bool]:
        """The city of a day outside of work, and whether that is not home."""
        away = self._dice.random() < AWAY_DAYS
        return (self._dice.randrange(CITIES), True) if away else (self._person.home, False)

    def _unlocks(self, day: int) -> list[tuple[float, str]]:
        """Hours of a day at which the phone is unlocked, and for which app ("": no particular one)."""
        dice, person = self._dice, self._person
        number = max(1, round(dice.gauss(person.sessions, 2.5)))
        found = [(dice.uniform(person.wakes, person.sleeps) if dice.random() < 0.6 else dice.gauss(19.5, 2), "") for _ in range(number)]
        today = [routine for routine in person.routines if day % 7 in routine.days]
        found += [(dice.gauss(routine.hour, 0.25), routine.app) for routine in today if dice.random() < routine.kept]
        return sorted(found)

    def _moment(self, day: int, hour: float, city: int, *, away: bool) -> Moment:
        dice, person, weekday = self._dice, self._person, day % 7
        works = weekday in WORKING_DAYS and not away
        on_the_way = (works and (7.7 <= hour < 9 or 17 <= hour < 18.3)) or dice.random() < 0.08
        used = min(max((hour - person.wakes) / (person.sleeps - person.wakes), 0.0), 1.0)
        in_bed = hour >= person.sleeps - 1 or hour < person.wakes
        return Moment(
            time=self._start + day * DAY_MS + int((hour - person.offset / 60) * HOUR_MS),
            hour=hour % 24,
            weekday=weekday,
            battery=round(min(max(100 - 85 * used + dice.gauss(0, 8), 3), 100)),
            charging=dice.random() < (0.7 if in_bed else 0.08),
            network=dice.choice(("G4", "G5", "G4", "G3")) if on_the_way or (away and dice.random() < 0.6) else "WIFI",
            city=person.works if works and 9 <= hour < 17 else city,
            on_the_way=on_the_way,
            away=away,
        )

    def _session(self, moment: Moment, wanted: str) -> Iterator[tuple[str, int]]:
        """The apps of one unlock, and when they are opened."""
        dice, at = self._dice, moment.time + int(self._dice.uniform(0.8, 6) * SECOND_MS)
        again = bool(self._screen) and dice.random() < self._person.again
        app = wanted or (self._screen if again else self._choose(moment, self._screen, AFTER_UNLOCK))
        while app:
            yield app, at
            at += int(min(dice.lognormvariate(3.4, 0.9), 900) * SECOND_MS)
            app = self._choose(moment, app, 1.0) if dice.random() < GOES_ON else ""

    def _choose(self, moment: Moment, before: str, habit: float) -> str:
        """The next app: what follows the one before, on `habit` of the usual occasions, or a favourite of the moment."""
        dice = self._dice
        then, share = self._person.follows.get(before, ("", 0.0))
        if then and dice.random() < habit * share:
            return then
        apps = [app for app in self._liked if app != before]
        return dice.choices(apps, [self._liked[app] * _suits(app, moment) for app in apps])[0]


def _suits(app: str, moment: Moment) -> float:
    """How much the circumstances speak for an app."""
    apart = min(min(abs(moment.hour - peak), 24 - abs(moment.hour - peak)) for peak in PEAKS[app])
    weight = 0.12 + math.exp(-0.5 * (apart / 2.0) ** 2)
    if app in ON_THE_WAY:
        weight *= 4.0 if moment.on_the_way else 0.5
    if app in AT_HOME:
        weight *= 0.3 if moment.on_the_way else 2.0 if moment.weekday in WEEKEND else 1.0
    if moment.away and app in AWAY:
        weight *= 4.0
    if moment.battery < 20 and not moment.charging and app in HUNGRY:
        weight *= 0.2
    return weight
