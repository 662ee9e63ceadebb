"""The small counters of one app's row: opens by hour and day, the profile of 4-bit counters, and the successors.

Counters that are full age instead of overflowing: a full counter of the profile halves its whole group (rounding down) before it takes
the next open, a full count of a successor halves all counts of the row (rounding up, so that nobody is lost). `row` is an address.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from keepline.features.next_app.layout import (
    DAYS,
    HOURS,
    MOST_A_COUNTER,
    MOST_A_DAY,
    MOST_A_HOUR,
    MOST_A_SUCCESSOR,
    R_COUNTS,
    R_DAYS,
    R_HOURS,
    R_PROFILE,
    R_SUCCESSORS,
    SUCCESSORS,
)
from keepline.features.spec import DAY, HOUR
from keepline.schemas.jit import njit
from keepline.schemas.mem import load_u8, load_u16, store_u8, store_u16


@njit
def byte(at: int, offset: int) -> int:
    """The byte at an offset."""
    wide: Any = np.int64(load_u8(at, offset))
    value: int = wide
    return value


@njit
def advance(row: int, old: int, new: int) -> None:
    """Empty the buckets that begin after `old` and not after `new` (epoch ms)."""
    hour, day = new // HOUR, new // DAY
    for back in range(min(hour - old // HOUR, HOURS)):
        store_u8(row, R_HOURS + (hour - back) % HOURS, 0)
    for back in range(min(day - old // DAY, DAYS)):
        store_u16(row, R_DAYS + 2 * ((day - back) % DAYS), 0)


@njit
def count(row: int, t: int, last: int) -> None:
    """Count an open at `t` ≤ `last`, the app's last use, if a window can still hold it."""
    hour, day = t // HOUR, t // DAY
    if hour > last // HOUR - HOURS:
        at = R_HOURS + hour % HOURS
        store_u8(row, at, min(byte(row, at) + 1, MOST_A_HOUR))
    if day > last // DAY - DAYS:
        at = R_DAYS + 2 * (day % DAYS)
        store_u16(row, at, min(np.int64(load_u16(row, at)) + 1, MOST_A_DAY))


@njit
def opens_by_hour(row: int, last: int, first: int) -> int:
    """Opens in the hours from `first` (hours since 1970) to that of the last use."""
    newest = last // HOUR
    found = 0
    slot = newest % HOURS
    for _ in range(min(newest - first + 1, HOURS)):
        found += byte(row, R_HOURS + slot)
        slot = slot - 1 if slot > 0 else HOURS - 1
    return found


@njit
def opens_by_day(row: int, last: int, first: int) -> int:
    """Opens in the days from `first` (days since 1970) to that of the last use."""
    newest = last // DAY
    found: Any = 0
    for back in range(min(newest - first + 1, DAYS)):
        found += np.int64(load_u16(row, R_DAYS + 2 * ((newest - back) % DAYS)))
    opens: int = found
    return opens


@njit
def counter(row: int, i: int) -> int:
    """Counter `i` of the profile."""
    return byte(row, R_PROFILE + (i >> 1)) >> ((i & 1) << 2) & 15


@njit
def set_counter(row: int, i: int, value: int) -> None:
    """Write counter `i` of the profile, 0 to 15."""
    at, shift = R_PROFILE + (i >> 1), (i & 1) << 2
    store_u8(row, at, byte(row, at) & (0xF0 >> shift) | value << shift)


@njit
def add(row: int, first: int, size: int, i: int) -> None:
    """Add 1 to counter `i` of the group of `size` that begins at `first`."""
    if counter(row, first + i) == MOST_A_COUNTER:
        for k in range(first, first + size):
            set_counter(row, k, counter(row, k) >> 1)
    set_counter(row, first + i, counter(row, first + i) + 1)


@njit
def total(row: int, first: int, size: int) -> int:
    """The sum of a group."""
    found = 0
    for k in range(first, first + size):
        found += counter(row, k)
    return found


@njit
def follow(row: int, place: int) -> None:
    """The app at `place` followed: it comes to the front; when all are taken, the least count (the longest ago of those) makes room."""
    at, least = -1, 0
    for k in range(SUCCESSORS):
        n = byte(row, R_COUNTS + k)
        if n == 0:
            least = k
            break
        if byte(row, R_SUCCESSORS + k) == place:
            at = k
            break
        if n <= byte(row, R_COUNTS + least):
            least = k
    n = 0
    if at >= 0:
        n = byte(row, R_COUNTS + at)
        if n == MOST_A_SUCCESSOR:
            for k in range(SUCCESSORS):
                store_u8(row, R_COUNTS + k, (byte(row, R_COUNTS + k) + 1) >> 1)
            n = byte(row, R_COUNTS + at)
    else:
        at = least
    for k in range(at, 0, -1):
        store_u8(row, R_SUCCESSORS + k, byte(row, R_SUCCESSORS + k - 1))
        store_u8(row, R_COUNTS + k, byte(row, R_COUNTS + k - 1))
    store_u8(row, R_SUCCESSORS, place)
    store_u8(row, R_COUNTS, n + 1)


@njit
def unfollow(row: int, place: int) -> None:
    """Forget that the app at `place` ever followed."""
    kept = 0
    for k in range(SUCCESSORS):
        n = byte(row, R_COUNTS + k)
        if n == 0 or byte(row, R_SUCCESSORS + k) == place:
            continue
        store_u8(row, R_SUCCESSORS + kept, byte(row, R_SUCCESSORS + k))
        store_u8(row, R_COUNTS + kept, n)
        kept += 1
    for k in range(kept, SUCCESSORS):
        store_u8(row, R_SUCCESSORS + k, 0)
        store_u8(row, R_COUNTS + k, 0)


@njit
def followers(row: int) -> int:
    """The sum of the successors' counts."""
    found = 0
    for k in range(SUCCESSORS):
        found += byte(row, R_COUNTS + k)
    return found


@njit
def followed(row: int, place: int) -> int:
    """How often the app at `place` followed; 0 if it is none of the successors."""
    for k in range(SUCCESSORS):
        n = byte(row, R_COUNTS + k)
        if n > 0 and byte(row, R_SUCCESSORS + k) == place:
            return n
    return 0
