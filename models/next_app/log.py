"""A log of app opens and unlocks as arrays, in the order of time.

    rows of any reader, as they come ──► make_log: duplicates out, by time ──► Log ──► Event, one by one

Apps, users and cities are numbers here. Their names stay in the log, for a model that must name apps, and are in no `repr` and no message.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

OPEN, UNLOCK = 0, 1
"""Kinds of events."""
NONE = -1
"""In place of an app, a city or a battery level that is not known."""


class Device(NamedTuple):
    """What the phone says of itself with an event."""

    battery_percent: int = NONE
    charging: bool = False
    network: int = 0  # index of the symbol in the events' enum; 0: UNKNOWN
    city: int = NONE
    utc_offset_minutes: int = 0


class Event(NamedTuple):
    """One entry of a log; `app` is NONE for an unlock."""

    user: int
    time: int  # epoch ms
    kind: int
    app: int
    device: Device


class Row(NamedTuple):
    """What a reader makes of one row; rows of a user with equal `key` are one event."""

    user: str
    key: Hashable
    time: int  # epoch ms
    kind: int
    app: str  # "" for an unlock
    battery_percent: int = NONE
    charging: bool = False
    network: int = 0
    city: str = ""
    utc_offset_minutes: int = 0


@dataclass(frozen=True)
class Log:
    """Events by time, those of the same millisecond as they came; all columns have one entry an event."""

    user: npt.NDArray[np.int64]
    time: npt.NDArray[np.int64]  # epoch ms
    kind: npt.NDArray[np.int64]
    app: npt.NDArray[np.int64]
    battery_percent: npt.NDArray[np.int64]
    charging: npt.NDArray[np.bool_]
    network: npt.NDArray[np.int64]
    city: npt.NDArray[np.int64]
    utc_offset_minutes: npt.NDArray[np.int64]
    users: tuple[str, ...] = field(repr=False)
    apps: tuple[str, ...] = field(repr=False)
    cities: tuple[str, ...] = field(repr=False)

    def __len__(self) -> int:
        return len(self.time)

    def select(self, which: npt.NDArray[Any]) -> Log:
        """These events (a mask or places), with the same numbers and names."""
        return replace(self, **{name: getattr(self, name)[which] for name in COLUMNS})

    def events(self) -> Iterator[Event]:
        """The events as Python objects, in order."""
        device = (self.battery_percent, self.charging, self.network, self.city, self.utc_offset_minutes)
        devices = map(Device._make, zip(*(column.tolist() for column in device), strict=True))
        return map(Event._make, zip(self.user.tolist(), self.time.tolist(), self.kind.tolist(), self.app.tolist(), devices, strict=True))


COLUMNS = ("user", "time", "kind", "app", "battery_percent", "charging", "network", "city", "utc_offset_minutes")


class Made(NamedTuple):
    """A log, and what became of the rows that it was made of."""

    log: Log
    duplicates: int
    """Rows left out: same user and key as a row before."""
    reordered: int
    """Rows put further up: a row before them, of the same user, has a later time."""


def make_log(rows: Iterable[Row]) -> Made:
    """Rows in the order of arrival to a log. Numbers of users, apps and cities are by the order of their names."""
    kept: list[Row] = []
    seen: set[tuple[str, Hashable]] = set()
    newest: dict[str, int] = {}
    duplicates = reordered = 0
    for row in rows:
        if (row.user, row.key) in seen:
            duplicates += 1
            continue
        seen.add((row.user, row.key))
        reordered += row.time < newest.get(row.user, row.time)
        newest[row.user] = max(row.time, newest.get(row.user, row.time))
        kept.append(row)
    kept.sort(key=lambda row: row.time)
    users, user = _numbered([row.user for row in kept])
    apps, app = _numbered([row.app for row in kept])
    cities, city = _numbered([row.city for row in kept])
    made = Log(
        user=user,
        time=_column(kept, "time"),
        kind=_column(kept, "kind"),
        app=app,
        battery_percent=_column(kept, "battery_percent"),
        charging=_column(kept, "charging").astype(np.bool_),
        network=_column(kept, "network"),
        city=city,
        utc_offset_minutes=_column(kept, "utc_offset_minutes"),
        users=users,
        apps=apps,
        cities=cities,
    )
    return Made(made, duplicates, reordered)


def _column(rows: Sequence[Row], name: str) -> npt.NDArray[np.int64]:
    return np.array([getattr(row, name) for row in rows], np.int64)


def _numbered(texts: Sequence[str]) -> tuple[tuple[str, ...], npt.NDArray[np.int64]]:
    """Names in order, and each text's place among them; NONE for "", which is no name."""
    names = tuple(sorted(set(texts) - {""}))
    place = {name: i for i, name in enumerate(names)} | {"": NONE}
    return names, np.array([place[text] for text in texts], np.int64)
