"""Synthetic unlocks and app opens, made by compiled code like events.py: a visit is an Unlock and the two AppOpens behind it.

Event number i is a pure function of i, of visit i // 3. A user has 20 to 40 apps of a catalog, some of which nearly everybody has. In the
first VISITS visits of each user, the backlog, every app of theirs is opened at least once; whose visits the later ones are is drawn
evenly. What is opened goes by habit: an app of the hour, or one of the most liked, and then often the one that follows it. Visits of the
backlog are a few a day and those behind it UNLOCKS_A_DAY. One event in fifty is up to ten minutes older than its place.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from keepline.schemas.catalog import event_type
from keepline.schemas.jit import njit
from keepline.schemas.mem import load_i64, load_u8, put_long, store_i64, store_u8
from keepline.schemas.packed import APP_PREDICTIONS
from keepline.schemas.text import hash64
from tests.benchmarks.events import ID_DIGITS, LONGEST, START_MS, Events, begin_record, end_record, put_digits, put_name, random, skip_text

LEAST_APPS, MOST_APPS = 20, 40
VISITS = MOST_APPS
"""Of each user in the backlog: the second open goes through the user's apps in turn."""
UNLOCKS_A_DAY, SPARSER = 50, 10
"""And so many times fewer in the backlog, which is eight days."""
ALIKE = 4
"""The app in a place of users' liking is one of so many."""
APPS = MOST_APPS * ALIKE
UNLOCK, FIRST_OPEN, SECOND_OPEN = range(3)
EACH = 3
"""Events a visit."""
HOUR = 3_600_000
_PREFIX, _DIGITS = b"com.example.ap", 5
_LEADING = np.frombuffer(_PREFIX, np.uint8)
_FINGERPRINTS = np.array([np.frombuffer(event_type(name).fingerprint, np.int64)[0] for name in ("Unlock", "AppOpen")])


class Unlocks(NamedTuple):
    """What a stream of visits is made of; a `Source` of events.py."""

    customers: int
    partitions: int = 2

    @property
    def backlog(self) -> int:
        """Events until every user has opened all their apps."""
        return EACH * VISITS * self.customers

    def step_us(self) -> int:
        """Event time between a visit and the next behind the backlog, microseconds."""
        return 86_400_000_000 // (UNLOCKS_A_DAY * self.customers)

    def make(self, first: int, n: int, *, packed: bool = False) -> Events:
        """Events first…first + n − 1: framed values, or PACKED_IN records as the source makes them."""
        buffer, at, user = np.empty(n * LONGEST, np.uint8), np.empty(n + 1, np.int64), np.empty(n, np.int64)
        size = put_all(buffer, at, user, first, self.customers, self.step_us(), _FINGERPRINTS, packed)
        return Events(buffer[:size], at, user)


def app_name(app: int) -> str:
    """The name of an app of the catalog, 20 bytes."""
    return f"{_PREFIX.decode()}p{app:0{_DIGITS}d}"


def only(made: Events, chosen: Any) -> Events:
    """Some of the events, bool[n], in their order."""
    lengths = np.diff(made.at)
    buffer = made.buffer[np.repeat(chosen, lengths)]
    return Events(buffer, np.concatenate([[0], np.cumsum(lengths[chosen])]), made.customer[chosen])


def opened(stream: Unlocks, first: int, n: int) -> Any:
    """The apps opened first in visits first…first + n − 1, int64[n]."""
    return np.array([visit(number, stream.customers, stream.step_us())[2] for number in range(first, first + n)], np.int64)


@njit
def apps_of(user: int) -> int:
    """How many apps a user has."""
    return LEAST_APPS + random(user, 3) % (MOST_APPS - LEAST_APPS + 1)


@njit
def app_of(user: int, place: int) -> int:
    """The app that a user likes the `place`-th best."""
    return place * ALIKE + random(user * MOST_APPS + place, 4) % ALIKE


@njit
def habit(user: int, hour: int, bits: int) -> int:
    """A place of the user's liking, by some random bits: now and then the hour's, else mostly a low one."""
    n = apps_of(user)
    if bits & 3 == 0:
        return (7 * hour + user) % n
    share = ((bits >> 2) & 65535) / 65536.0
    return int(n * share * share * share)


@njit
def visit(number: int, users: int, step_us: int) -> Any:
    """(user, time, first app, second app) of a visit."""
    backlog = VISITS * users
    user = number % users if number < backlog else random(number, 5) % users
    steps = SPARSER * number if number < backlog else (SPARSER - 1) * backlog + number
    t = START_MS + steps * step_us // 1000
    hour, bits, n = t // HOUR % 24, random(number, 6), apps_of(user)
    first = habit(user, hour, bits)
    if number < backlog:
        second = number // users % n
    elif bits >> 40 & 1:
        second = (5 * first + 1 + user) % n
    else:
        second = habit(user, hour, bits >> 20)
    return user, t, app_of(user, first), app_of(user, second)


@njit
def put_app(out: Any, p: int, app: int) -> int:
    """The name of an app as an Avro string."""
    p = put_long(out, p, _LEADING.shape[0] + 1 + _DIGITS)
    for letter in _LEADING:
        store_u8(out, p, letter)
        p += 1
    return put_digits(out, p, 112, app, _DIGITS)


@njit
def put_event(out: Any, p: int, number: int, user: int, app: int, t: int, fingerprints: Any) -> int:
    """One framed event at out[p:], an AppOpen where `app` is not negative; returns the position behind it."""
    bits, hour = random(number // EACH, 7), t // HOUR % 24
    at_home = hour < 9 or hour > 18
    store_u8(out, p, 0xC3)
    store_u8(out, p + 1, 1)
    store_i64(out, p + 2, fingerprints[1 if app >= 0 else 0])
    p = put_name(out, p + 10, 99, user, 9)
    p = put_name(out, p, 101, number, ID_DIGITS)
    p = put_long(out, p, t)
    if app >= 0:
        p = put_app(out, p, app)
    known = bits & 15 != 0
    p = put_long(out, p, 1 if known else 0)
    if known:
        p = put_long(out, p, (bits >> 8) % 101)
    store_u8(out, p, 1 if hour < 7 else 0)
    p = put_long(out, p + 1, 1 if at_home else 4)
    known = bits >> 4 & 15 != 0
    p = put_long(out, p, 1 if known else 0)
    if known:
        p = put_name(out, p, 104, 2 * user + (1 if at_home else 0), 9)
    return put_long(out, p, 60)


@njit
def put_all(out: Any, at: Any, users_of: Any, first: int, users: int, step_us: int, fingerprints: Any, packed: bool) -> int:
    """Events first…first + n − 1, framed, or as PACKED_IN records with their key; returns the bytes written."""
    p = 0
    for k in range(users_of.shape[0]):
        number = first + k
        user, t, first_app, second_app = visit(number // EACH, users, step_us)
        bits, app = random(number, 1), -1
        if number % EACH == FIRST_OPEN:
            t, app = t + 2_000 + bits % 16_000, first_app
        elif number % EACH == SECOND_OPEN:
            t, app = t + 20_000 + bits % 60_000, second_app
        late = random(number, 2)
        if late % 50 == 0:
            t -= (late >> 8) % 600_000
        at[k] = p
        users_of[k] = user
        if packed:
            value = begin_record(out, p, number, user, t)
            end = put_event(out, value, number, user, app, t, fingerprints)
            end_record(out, p, value, end)
            p = end
        else:
            p = put_event(out, p, number, user, app, t, fingerprints)
    at[users_of.shape[0]] = p
    return p


@njit
def unlock_number(buf: Any, p: int) -> int:
    """The number in the event id of the Avro AppPrediction at buf[p:]."""
    p = skip_text(buf, p + 10)
    number = 0
    for digit in range(p + 2, p + 2 + ID_DIGITS):
        number = 10 * number + load_u8(buf, digit) - 48
    return number


@njit
def note_arrivals(buf: Any, lengths: Any, now: float, arrived: Any, seen: Any, hashes: Any) -> None:
    """Takes down AppPredictions that stand one behind the other, by their unlocks' numbers: when first seen, how often, their hash64."""
    p = 0
    for length in lengths:
        number = unlock_number(buf, p)
        if seen[number] == 0:
            arrived[number] = now
        seen[number] += 1
        hashes[number] = hash64(buf, p, length)
        p += length


@njit
def note_frames(buf: Any, end: int, seen: Any, hashes: Any) -> None:
    """How often and with which hash64 an AppPrediction came, from PACKED_OUT frames."""
    p = 0
    while p < end:
        total = load_i64(buf, p) & 0xFFFFFFFF
        if load_u8(buf, p + 4) == APP_PREDICTIONS:
            value = p + 40 + (load_i64(buf, p + 32) & 0xFFFFFFFF)
            number = unlock_number(buf, value)
            seen[number] += 1
            hashes[number] = hash64(buf, value, p + total - value)
        p += total
