"""Events of a log as the kernel of `next_app` takes them: the registers that a decoder would have filled.

A city goes by its number in the log instead of its hash: the kernel only asks whether two are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from keepline.features.layout import W_IDENTITY, W_NOW
from keepline.features.next_app.kernel import APP_OPEN, UNLOCK, context_at, update_at
from keepline.features.words import get, put
from keepline.models.next_app.log import Log
from keepline.schemas.catalog import NREG, event_type
from keepline.schemas.jit import njit
from keepline.schemas.mem import store_u8
from keepline.schemas.text import hash64_of

WORDS = 4 * NREG
"""Of the scratch: numbers, texts (offset, length), nulls."""
_TEXTS, _NULLS = NREG, 3 * NREG
_BATTERY, _CHARGING, _NETWORK, _CITY, _OFFSET = (
    event_type("Unlock").field(name).register for name in ("battery_percent", "charging", "network", "city_hash", "utc_offset_minutes")
)
_APP = event_type("AppOpen").field("app").register
_LATER = event_type("AppOpen").field("battery_percent").register - _BATTERY


class Names(NamedTuple):
    """Names of apps by number, as bytes: where each begins, how long it is, and its hash64."""

    text: npt.NDArray[np.uint8]
    start: npt.NDArray[np.int64]
    length: npt.NDArray[np.int64]
    hashed: npt.NDArray[np.int64]


def names_of(apps: Sequence[str]) -> Names:
    """Make the table for a log's `apps`; what was no UTF-8 is its old bytes again."""
    raw = [app.encode("utf-8", "surrogateescape") for app in apps]
    length = np.array([len(name) for name in raw], np.int64)
    hashed = np.array([hash64_of(name) for name in raw], np.uint64).astype(np.int64)
    return Names(np.frombuffer(b"".join(raw) + b"\0", np.uint8), np.cumsum(length) - length, length, hashed)


@njit
def _fill(work: int, later: int, phone: int) -> None:
    """Write the circumstances of an event, whose fields stand `later` than those of an Unlock."""
    nulls = work + 8 * _NULLS
    battery, city = get(phone, 0), get(phone, 3)
    put(work, _BATTERY + later, battery)
    store_u8(nulls, _BATTERY + later, 1 if battery < 0 else 0)
    put(work, _CHARGING + later, get(phone, 1))
    put(work, _NETWORK + later, get(phone, 2))
    put(work, _CITY + later, city + 1)
    store_u8(nulls, _CITY + later, 1 if city < 0 else 0)
    put(work, _OFFSET + later, get(phone, 4))


@njit
def ask(state: int, work: int, t: int, phone: int, context: int) -> int:
    """Fill `context` (int64[5]) for a question at `t`, as for an Unlock; returns the moment, which is not before the state's."""
    _fill(work, 0, phone)
    context_at(state, UNLOCK, t, work, work + 8 * _NULLS, context)
    return t if get(state, W_IDENTITY) == 0 else max(get(state, W_NOW), t)


@njit
def unlock(state: int, work: int, t: int, number: int, phone: int, constants: int) -> None:
    """Apply an Unlock; `number` tells it from other events."""
    _fill(work, 0, phone)
    update_at(state, UNLOCK, t, number, work, work + 8 * _NULLS, work + 8 * _TEXTS, 0, constants)


@njit
def open_app(state: int, work: int, t: int, number: int, phone: int, constants: int, hashed: int, name: int, length: int) -> None:
    """Apply an AppOpen; `name` is the address of the app's name, `hashed` its hash64."""
    _fill(work, _LATER, phone)
    put(work, _APP, hashed)
    put(work, _TEXTS + 2 * _APP, 0)
    put(work, _TEXTS + 2 * _APP + 1, length)
    update_at(state, APP_OPEN, t, number, work, work + 8 * _NULLS, work + 8 * _TEXTS, name, constants)


def phones_of(log: Log) -> npt.NDArray[np.int64]:
    """What the phone said with each event, as `phone` takes the address of a row: int64[n, 5] (Device, in its order)."""
    columns = (log.battery_percent, log.charging, log.network, log.city, log.utc_offset_minutes)
    return np.ascontiguousarray(np.stack([column.astype(np.int64) for column in columns], axis=1))


def scratch() -> npt.NDArray[Any]:
    """Room for `ask`, `unlock` and `open_app`."""
    return np.zeros(WORDS, np.int64)
