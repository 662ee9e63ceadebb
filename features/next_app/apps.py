"""The table of kept apps: finding one by its name, giving it a place, and evicting the least useful.

An app that is opened gets a place, always. While there is no free place, or the names would not fit their section, the app of the least
decayed frequency goes: compared as log2 in steps of 2^-16, not below -1000; then the one with the older last use, then the lower place.
"""

from __future__ import annotations

import math

import numpy as np

from keepline.features.next_app.counters import byte, unfollow
from keepline.features.next_app.layout import APPS, B_FREQUENCY, B_LAST, B_LENGTHS, B_NAMES, B_ROWS, B_TAGS, NAMES, ROW, W_SCREEN
from keepline.features.words import get, get_count, get_float, put, put_count, put_float
from keepline.schemas.jit import njit
from keepline.schemas.mem import copy_bytes, load_u8, store_u8
from keepline.schemas.text import same_bytes

_LEAST = -1000.0
_STEPS = 65_536.0
_LAST, _FREQUENCY = B_LAST >> 3, B_FREQUENCY >> 3


@njit
def name_start(state: int, place: int) -> int:
    """Where the name of a place begins in the section of names, at most its end; of place 64: the bytes in use."""
    start = 0
    for before in range(place):
        start += byte(state, B_LENGTHS + before)
    return min(start, NAMES)


@njit
def find(state: int, hashed: int, name: int, length: int) -> int:
    """The place of the app of that name (an address), or -1."""
    tag = np.int64(np.int32(hashed))
    for place in range(APPS):
        if get_count(state, B_TAGS + 4 * place) == tag and byte(state, B_LENGTHS + place) == length:
            start = name_start(state, place)
            if start + length <= NAMES and same_bytes(state, B_NAMES + start, length, name, 0, length):
                return place
    return -1


@njit
def usefulness(state: int, place: int, now: int, half_life: float) -> int:
    """The decayed frequency at `now` as eviction compares it."""
    frequency = get_float(state, _FREQUENCY + place)
    if not frequency > 0.0:
        return int(_LEAST * _STEPS)
    log = math.log2(frequency) - (now - get(state, _LAST + place)) / half_life
    return math.floor(min(max(log, _LEAST), -_LEAST) * _STEPS + 0.5)


@njit
def least_useful(state: int, now: int, half_life: float) -> int:
    """The place whose app goes next; -1 if there is none."""
    found, least = -1, 0
    for place in range(APPS):
        if byte(state, B_LENGTHS + place) == 0:
            continue
        value = usefulness(state, place, now, half_life)
        if found < 0 or value < least or (value == least and get(state, _LAST + place) < get(state, _LAST + found)):
            found, least = place, value
    return found


@njit
def evict(state: int, place: int) -> None:
    """Forget the app at a place, and that it ever followed or was on screen."""
    start, used, length = name_start(state, place), name_start(state, APPS), byte(state, B_LENGTHS + place)
    names = state + B_NAMES
    for at in range(start, used - length):
        store_u8(names, at, load_u8(names, at + length))
    for at in range(max(used - length, start), used):
        store_u8(names, at, 0)
    store_u8(state, B_LENGTHS + place, 0)
    put_count(state, B_TAGS + 4 * place, 0)
    put(state, _LAST + place, 0)
    put(state, _FREQUENCY + place, 0)
    row = state + B_ROWS + ROW * place
    for at in range(ROW):
        store_u8(row, at, 0)
    for other in range(APPS):
        unfollow(state + B_ROWS + ROW * other, place)
    if get(state, W_SCREEN) == place + 1:
        put(state, W_SCREEN, 0)


@njit
def _free(state: int) -> int:
    for place in range(APPS):
        if byte(state, B_LENGTHS + place) == 0:
            return place
    return -1


@njit
def keep(state: int, hashed: int, name: int, length: int, t: int, now: int, half_life: float) -> int:
    """Give the app a place, the lowest free one, with `t` as its last use and no opens yet."""
    place = _free(state)
    while place < 0 or name_start(state, APPS) + length > NAMES:
        evict(state, least_useful(state, now, half_life))
        place = _free(state)
    start, used = name_start(state, place), name_start(state, APPS)
    names = state + B_NAMES
    for at in range(used - 1, start - 1, -1):
        store_u8(names, at + length, load_u8(names, at))
    copy_bytes(names, start, name, 0, length)
    store_u8(state, B_LENGTHS + place, length)
    put_count(state, B_TAGS + 4 * place, hashed)
    put(state, _LAST + place, t)
    put_float(state, _FREQUENCY + place, 0.0)
    return place
