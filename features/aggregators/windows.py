"""Sawtooth windows: rings of buckets, and cached sums of the closed buckets.

A ring of hop h holds the newest bucket (its head) and as many closed ones as its longest window needs. A window is the
sum of its closed buckets, newest to oldest, plus the bucket of `now`. The sums of the closed buckets are cached and made
again from the buckets whenever the head moves or an event lands in a closed bucket: no running sums, hence no drift,
and the usual event touches two buckets and the caches. A row beyond the head (a tick, a training row) sums the same
buckets in the same order without touching the state, so it is bit-equal to what a moved head would give.

Floors are towards -∞: heads are kept as start times, aligned when the first event arrives and moved by whole hops. Sums
saturate at the largest finite double instead of becoming infinite.

Rows: ring — plan.R_…; column — float?, byte offset in a bucket, place and number of (closed buckets, cache word);
event — predicate, mask, value register, column (`plan.predicate`); read — slot of the row, cache word, byte offset, closed buckets.
"""

from __future__ import annotations

import sys

from keepline.features.plan import (
    P_N_RINGS,
    P_OPS,
    P_RINGS,
    R_BASE,
    R_BUCKETS,
    R_BYTES,
    R_COLUMNS,
    R_COUNTS,
    R_HEAD,
    R_HOP,
    R_N_COLUMNS,
    R_N_COUNTS,
    R_N_SUMS,
    R_SUMS,
    RING_ROW,
)
from keepline.features.words import get, get_count, get_float, put, put_count, put_float
from keepline.schemas.jit import njit
from keepline.schemas.mem import load_f64, store_f64

LARGEST = sys.float_info.max


@njit
def finite(value: float) -> float:
    """The value, or the largest finite double of its sign."""
    return min(max(value, -LARGEST), LARGEST)


@njit(error_model="numpy")
def start(state: int, t: int, ints: int) -> None:
    """Put every head at the bucket of the first event; the buckets are zero already."""
    for i in range(get(ints, P_N_RINGS)):
        row = get(ints, P_RINGS) + i * RING_ROW
        hop = get(ints, row + R_HOP)
        put(state, get(ints, row + R_HEAD), t // hop * hop)


@njit
def float_sum(state: int, place: int, n: int, width: int, slot: int, count: int, total: float) -> float:
    """`total` plus `count` buckets from `slot` on, newest to oldest; `place` is the byte offset of the column in slot 0."""
    if slot < 0:
        slot += n
    for at in range(place + slot * width, place + max(slot - count, -1) * width, -width):
        total += load_f64(state, at)
    for at in range(place + (n - 1) * width, place + (n - 1 - count + slot + 1) * width, -width):
        total += load_f64(state, at)
    return total


@njit
def count_sum(state: int, place: int, n: int, width: int, slot: int, count: int, total: int) -> int:
    """The same for counters."""
    if slot < 0:
        slot += n
    for at in range(place + slot * width, place + max(slot - count, -1) * width, -width):
        total += get_count(state, at)
    for at in range(place + (n - 1) * width, place + (n - 1 - count + slot + 1) * width, -width):
        total += get_count(state, at)
    return total


@njit
def refresh(state: int, ints: int, row: int, head: int, column: int) -> None:
    """Make a column's cached sums again from its closed buckets."""
    n, width = get(ints, row + R_BUCKETS), get(ints, row + R_BYTES)
    place = get(ints, row + R_BASE) + get(ints, column + 1)
    is_float = get(ints, column)
    total, counted, done = 0.0, 0, 0
    for cache in range(get(ints, column + 2), get(ints, column + 2) + 2 * get(ints, column + 3), 2):
        closed = get(ints, cache)
        if is_float:
            total = float_sum(state, place, n, width, head - 1 - done, closed - done, total)
        else:
            counted = count_sum(state, place, n, width, head - 1 - done, closed - done, counted)
            total = float(counted)
        put_float(state, get(ints, cache + 1), finite(total))
        done = closed


@njit(error_model="numpy")
def advance(state: int, t: int, ints: int, row: int) -> None:
    """Move the head to the bucket of `t`, which is at or beyond its end; clear at most one round of the ring."""
    hop, n, words = get(ints, row + R_HOP), get(ints, row + R_BUCKETS), get(ints, row + R_BYTES) >> 3
    at = get(ints, row + R_HEAD)
    moved = (t - get(state, at)) // hop
    head = get(state, at + 1)
    first = get(ints, row + R_BASE) >> 3
    for _ in range(min(moved, n)):
        head += 1
        if head == n:
            head = 0
        for word in range(first + head * words, first + (head + 1) * words):
            put(state, word, 0)
    put(state, at, get(state, at) + moved * hop)
    put(state, at + 1, head)
    columns = get(ints, row + R_COLUMNS)
    for column in range(columns, columns + 4 * get(ints, row + R_N_COLUMNS), 4):
        refresh(state, ints, row, head, column)


@njit
def _holds(register: int, mask: int, ri: int, rf: int) -> bool:
    """Whether a predicate holds: an enum's symbol is in the mask; or, of a number, below 0 is what the mask (1 or 0) wants."""
    if register >= 0:
        return (mask >> get(ri, register)) & 1 == 1
    return (get_float(rf, -2 - register) < 0.0) == (mask == 1)


@njit(error_model="numpy")
def add(state: int, event: int, t: int, ri: int, rf: int, ints: int) -> None:
    """Take one accepted event of type id `event`; every ring's head moves, whether or not the ring measures the type."""
    rings = get(ints, P_N_RINGS)
    for i in range(rings):
        row = get(ints, P_RINGS) + i * RING_ROW
        at = get(ints, row + R_HEAD)
        behind = 0
        ahead = t - get(state, at)
        if ahead >= get(ints, row + R_HOP):
            advance(state, t, ints, row)
        elif ahead < 0:
            behind = (-ahead - 1) // get(ints, row + R_HOP) + 1
            if behind >= get(ints, row + R_BUCKETS):
                continue  # no window of this ring reaches it, now or later
        ops = get(ints, P_OPS) + 2 * (event * rings + i)
        first = get(ints, ops)
        head = get(state, at + 1)
        slot = head - behind
        if slot < 0:
            slot += get(ints, row + R_BUCKETS)
        bucket = get(ints, row + R_BASE) + slot * get(ints, row + R_BYTES)
        for op in range(first, first + 4 * get(ints, ops + 1), 4):
            register = get(ints, op)
            if register != -1 and not _holds(register, get(ints, op + 1), ri, rf):
                continue
            column = get(ints, op + 3)
            place = bucket + get(ints, column + 1)
            if get(ints, column):
                store_f64(state, place, finite(load_f64(state, place) + get_float(rf, get(ints, op + 2))))
            else:
                put_count(state, place, get_count(state, place) + 1)
            if behind > 0:
                refresh(state, ints, row, head, column)


@njit(error_model="numpy")
def read(state: int, now: int, ints: int, x: int) -> None:
    """Write every windowed sum at `now` (not before the newest event) into the row."""
    for i in range(get(ints, P_N_RINGS)):
        row = get(ints, P_RINGS) + i * RING_ROW
        at = get(ints, row + R_HEAD)
        head, ahead = get(state, at + 1), now - get(state, at)
        n, width, base = get(ints, row + R_BUCKETS), get(ints, row + R_BYTES), get(ints, row + R_BASE)
        sums, counts = get(ints, row + R_SUMS), get(ints, row + R_COUNTS)
        sums_end, counts_end = sums + 4 * get(ints, row + R_N_SUMS), counts + 4 * get(ints, row + R_N_COUNTS)
        if ahead < get(ints, row + R_HOP):
            bucket = base + head * width
            for op in range(sums, sums_end, 4):
                total = get_float(state, get(ints, op + 1)) + load_f64(state, bucket + get(ints, op + 2))
                put_float(x, get(ints, op), finite(total))
            for op in range(counts, counts_end, 4):
                counted = get_float(state, get(ints, op + 1)) + get_count(state, bucket + get(ints, op + 2))
                put_float(x, get(ints, op), counted)
            continue
        gone = ahead // get(ints, row + R_HOP)
        for op in range(sums, sums_end, 4):
            left = max(get(ints, op + 3) - gone + 1, 0)
            put_float(x, get(ints, op), finite(float_sum(state, base + get(ints, op + 2), n, width, head, left, 0.0)))
        for op in range(counts, counts_end, 4):
            left = max(get(ints, op + 3) - gone + 1, 0)
            put_float(x, get(ints, op), float(count_sum(state, base + get(ints, op + 2), n, width, head, left, 0)))
