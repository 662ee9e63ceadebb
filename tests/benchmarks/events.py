"""Synthetic telemetry, made by compiled code so that millions of events take a second.

Event number i is a pure function of i: its customer (uniform), type (MIX, or SHOP_MIX), fields and time. Each customer has EVENTS_A_DAY
events a day, so fewer events a customer are a shorter time and not a thinner history; one event in fifty is up to ten
minutes older than its place. The event id carries the number, so a score says which event it answers.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np

from keepline.schemas.catalog import event_type
from keepline.schemas.jit import njit
from keepline.schemas.mem import load_f64, load_i64, load_u8, put_double, put_long, store_i32, store_i64, store_u8

MIX = {"DataSession": 0.52, "Call": 0.27, "Message": 0.2072, "SupportContact": 0.0012, "Bill": 0.0008, "Payment": 0.0008}
SHOP = {"Purchase": 0.04, "PageView": 0.25, "PromotionResponse": 0.04}
SHOP_MIX = {name: share * (1 - sum(SHOP.values())) for name, share in MIX.items()} | SHOP
"""A customer's telephone and shop in one: a third of the events are the shop's. More orders than anybody places, so that a short run has
many a customer."""
EVENTS_A_DAY = 40
"""So a contact is made 1.4 times a month, and a bill comes once."""
START_MS = 1_735_689_600_000  # 2025-01-01T00:00:00Z
ID_DIGITS = 15
CUSTOMER_DIGITS = 9
LONGEST = 256
"""An upper bound of an event's packed bytes."""
DATA_SESSION, CALL, MESSAGE, CONTACT, BILL, PAYMENT, PURCHASE, PAGE_VIEW, PROMOTION = range(9)
SENT, OPENED, CLICKED, REDEEMED, DECLINED = range(5)


def _limits(mix: dict[str, float]) -> Any:
    """Where each type but the last ends among 65,536."""
    return (np.cumsum(list(mix.values()))[:-1] * 65536).astype(np.int64)


_FINGERPRINTS = np.array([np.frombuffer(event_type(name).fingerprint, np.int64)[0] for name in SHOP_MIX])


class Stream(NamedTuple):
    """What an event stream is made of."""

    customers: int
    partitions: int = 2
    shop: bool = False
    """Whether the mix is SHOP_MIX."""

    def mix(self) -> dict[str, float]:
        """The share of each type."""
        return SHOP_MIX if self.shop else MIX

    def step_us(self) -> int:
        """Event time between an event and the next, in microseconds."""
        return 86_400_000_000 // (EVENTS_A_DAY * self.customers)

    def make(self, first: int, n: int, *, packed: bool = False) -> Events:
        """As `make`."""
        return make(self, first, n, packed=packed)


class Events(NamedTuple):
    """Some events: event k is buffer[at[k]:at[k + 1]], of customer number `customer[k]`."""

    buffer: Any
    at: Any
    customer: Any


class Source(Protocol):
    """What is put into Kafka (load.py): a `Stream`, or the `Unlocks` of unlocks.py."""

    @property
    def customers(self) -> int:
        """How many there are."""

    @property
    def partitions(self) -> int:
        """Of the topic."""

    def make(self, first: int, n: int, *, packed: bool = False) -> Events:
        """Events first…first + n − 1."""


@njit
def random(number: int, salt: int) -> int:
    """48 random bits of an event (splitmix64's finaliser; Steele, Lea and Flood, 2014)."""
    z = np.uint64(number * 8 + salt + 1) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.int64((z ^ (z >> np.uint64(31))) >> np.uint64(16))


@njit
def put_digits(out: Any, p: int, letter: int, value: int, digits: int) -> int:
    """A letter and the value in decimal with leading zeros, without a length."""
    store_u8(out, p, letter)
    for place in range(digits, 0, -1):
        store_u8(out, p + place, 48 + value % 10)
        value //= 10
    return p + 1 + digits


@njit
def put_name(out: Any, p: int, letter: int, value: int, digits: int) -> int:
    """The same as an Avro string."""
    return put_digits(out, put_long(out, p, 1 + digits), letter, value, digits)


@njit
def put_shop_fields(out: Any, p: int, kind: int, number: int, a: int, b: int) -> int:
    """The fields of a Purchase, PageView or PromotionResponse; `a` and `b` are 16 random bits each."""
    if kind == PAGE_VIEW:
        p = put_name(out, p, 112, a % 500, 4)
        return put_name(out, p, 107, a % 20, 2)
    if kind == PROMOTION:
        p = put_name(out, p, 114, a % 50, 4)
        step = b & 15
        return put_long(
            out, p, SENT if step < 8 else OPENED if step < 12 else CLICKED if step < 14 else REDEEMED if step < 15 else DECLINED
        )
    amount = 5.0 + a / 500.0
    p = put_name(out, p, 111, number, ID_DIGITS)
    p = put_double(out, p, amount if b % 50 else -amount)  # one in fifty is a refund
    p = put_long(out, p, 1 + b % 3)
    p = put_long(out, p, b >> 3 & 1)
    if b >> 3 & 1:
        p = put_double(out, p, 0.7 * amount)
    return put_long(out, p, 0)  # the job's currency


@njit
def put_event(out: Any, p: int, number: int, customer: int, t: int, limits: Any, fingerprints: Any) -> int:
    """One framed event at out[p:]; returns the position behind it."""
    pick = random(number, 1)
    kind = 0
    while kind < limits.shape[0] and (pick & 65535) >= limits[kind]:
        kind += 1
    store_u8(out, p, 0xC3)
    store_u8(out, p + 1, 1)
    store_i64(out, p + 2, fingerprints[kind])
    p = put_name(out, p + 10, 99, customer, CUSTOMER_DIGITS)
    p = put_name(out, p, 101, number, ID_DIGITS)
    p = put_long(out, p, t)
    a, b = (pick >> 16) & 65535, (pick >> 32) & 65535
    if kind == DATA_SESSION:
        p = put_double(out, p, a * a / 6.5e7)  # megabytes, most sessions small
        p = put_double(out, p, b / 40.0)
        p = put_long(out, p, 1 + b % 5)
    elif kind == CALL:
        p = put_long(out, p, a & 1)
        p = put_double(out, p, b / 130.0)
        p = put_long(out, p, 0 if a % 50 else 1)
        store_u8(out, p, 1 if a % 97 == 0 else 0)
        p += 1
    elif kind == MESSAGE:
        p = put_long(out, p, a & 1)
    elif kind == CONTACT:
        p = put_long(out, p, a & 3)
        p = put_long(out, p, 0 if b % 3 else 1)
        p = put_long(out, p, 1)
        store_u8(out, p, a & 1)
        p += 1
    elif kind > PAYMENT:
        p = put_shop_fields(out, p, kind, number, a, b)
    else:
        month = t // (30 * 86_400_000)
        if kind == PAYMENT:
            p = put_long(out, p, 1)
        p = put_name(out, p, 98, month, 6)
        p = put_double(out, p, 20.0 + a / 1000.0)
        if kind == BILL:
            p = put_long(out, p, t + 14 * 86_400_000)
        p = put_long(out, p, 0)
    return p


@njit
def begin_record(out: Any, p: int, number: int, customer: int, t: int) -> int:
    """Header and key of a PACKED_IN record at out[p:]; returns where its value goes."""
    for word in range(6):
        store_i64(out, p + 8 * word, 0)
    store_i64(out, p + 8, number)
    store_i64(out, p + 16, t)
    store_i64(out, p + 32, t)
    return put_digits(out, p + 48, 99, customer, CUSTOMER_DIGITS)


@njit
def end_record(out: Any, p: int, value: int, end: int) -> None:
    """The lengths in the header at out[p:], once its value stands at out[value:end]."""
    store_i32(out, p + 40, 1 + CUSTOMER_DIGITS)
    store_i32(out, p + 44, end - value)


@njit
def put_all(
    out: Any, at: Any, customer: Any, first: int, customers: int, step_us: int, limits: Any, fingerprints: Any, packed: bool
) -> int:
    """Events first…first + n − 1, framed, or as PACKED_IN records with their key; returns the bytes written."""
    p = 0
    for k in range(customer.shape[0]):
        number = first + k
        who = random(number, 0) % customers
        t = START_MS + number * step_us // 1000
        late = random(number, 2)
        if late % 50 == 0:
            t -= (late >> 8) % 600_000
        at[k] = p
        customer[k] = who
        if not packed:
            p = put_event(out, p, number, who, t, limits, fingerprints)
            continue
        value = begin_record(out, p, number, who, t)
        end = put_event(out, value, number, who, t, limits, fingerprints)
        end_record(out, p, value, end)
        p = end
    at[customer.shape[0]] = p
    return p


def make(stream: Stream, first: int, n: int, *, packed: bool = False) -> Events:
    """Events first…first + n − 1 of a stream: framed values, or PACKED_IN records as the source makes them."""
    buffer, at, customer = np.empty(n * LONGEST, np.uint8), np.empty(n + 1, np.int64), np.empty(n, np.int64)
    limits = _limits(stream.mix())
    size = put_all(buffer, at, customer, first, stream.customers, stream.step_us(), limits, _FINGERPRINTS, packed)
    return Events(buffer[:size], at, customer)


def key(customer: int) -> bytes:
    """The Kafka key of a customer."""
    return b"c%0*d" % (CUSTOMER_DIGITS, customer)


@njit
def skip_text(buf: Any, p: int) -> int:
    """Behind an Avro string shorter than 64 bytes, as all of ours are."""
    return p + 1 + (load_u8(buf, p) >> 1)


@njit
def event_number(buf: Any, p: int) -> int:
    """The number in the event id of the Avro Score at buf[p:]; -1 for a tick's."""
    p = skip_text(buf, p + 10) + 10  # behind the score's name, its value and the band
    while load_u8(buf, p) >= 128:
        p += 1
    p += 1
    if load_u8(buf, p) == 0:
        return -1
    number = 0
    for digit in range(p + 2, p + 2 + ID_DIGITS):
        number = 10 * number + load_u8(buf, digit) - 48
    return number


@njit
def note_score(buf: Any, p: int, scores: Any, seen: Any) -> bool:
    """Takes down an Avro Score at buf[p:] by the number in its event id; False for a tick's."""
    number = event_number(buf, p)
    if number < 0:
        return False
    scores[number] = load_f64(buf, skip_text(buf, p + 10) + 1)  # behind the score's name
    seen[number] += 1
    return True


@njit
def note_named(buf: Any, p: int, scores: Any, seen: Any) -> bool:
    """Takes down an Avro Score at buf[p:] at [number of its name, number in its event id]; False for a tick's."""
    number = event_number(buf, p)
    if number < 0:
        return False
    at = skip_text(buf, p + 10)
    name = load_u8(buf, at) >> 1
    scores[name, number] = load_f64(buf, at + 1)
    seen[name, number] += 1
    return True


@njit
def note_named_values(buf: Any, lengths: Any, scores: Any, seen: Any) -> int:
    """Takes down Scores of several names that stand one behind the other; returns how many, without those of ticks."""
    p, found = 0, 0
    for length in lengths:
        found += note_named(buf, p, scores, seen)
        p += length
    return found


@njit
def note_named_frames(buf: Any, end: int, scores: Any, seen: Any) -> int:
    """The same from PACKED_OUT frames."""
    p, found = 0, 0
    while p < end:
        total = load_i64(buf, p) & 0xFFFFFFFF
        if load_u8(buf, p + 4) == 0:
            found += note_named(buf, p + 40 + (load_i64(buf, p + 32) & 0xFFFFFFFF), scores, seen)
        p += total
    return found


@njit
def note_arrivals(buf: Any, lengths: Any, now: float, arrived: Any, seen: Any) -> None:
    """Takes down when the Scores that stand one behind the other were seen first, and how often, by their events' numbers."""
    p = 0
    for length in lengths:
        number = event_number(buf, p)
        if number >= 0:
            if seen[number] == 0:
                arrived[number] = now
            seen[number] += 1
        p += length


@njit
def note_values(buf: Any, lengths: Any, scores: Any, seen: Any) -> None:
    """Takes down Scores that stand one behind the other."""
    p = 0
    for length in lengths:
        note_score(buf, p, scores, seen)
        p += length


@njit
def note_frames(buf: Any, end: int, scores: Any, seen: Any) -> None:
    """The same from PACKED_OUT frames."""
    p = 0
    while p < end:
        total = load_i64(buf, p) & 0xFFFFFFFF
        if load_u8(buf, p + 4) == 0:
            note_score(buf, p + 40 + (load_i64(buf, p + 32) & 0xFFFFFFFF), scores, seen)
        p += total
