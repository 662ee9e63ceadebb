"""Sawtooth windows: rings of buckets, and cached sums of the closed buckets.

A ring of hop h holds the newest bucket (its head) and as many closed ones as its longest window needs. A window is the
sum of its closed buckets, newest to oldest, plus the bucket of `now`. The sums of the closed buckets are cached and made
again from the buckets whenever the head moves or an event lands in a closed bucket: no running sums, hence no drift,
and the usual event touches two buckets and the caches. A row beyond the head (a tick, a training row) sums the same
buckets in the same order without touching the state, so it is bit-equal to what a moved head would give.

Floors are towards −∞: heads are kept as start times, aligned when the first event arrives and moved by whole hops. Sums
saturate at the largest finite double instead of becoming infinite.

Rows: ring — plan.R_…; column — float?, byte offset in a bucket, place and number of (closed buckets, cache word);
event — predicate register, mask, value register, column; read — slot of the row, cache word, byte offset, closed buckets.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

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
from keepline.schemas.jit import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    F64, I32, I64 = NDArray, NDArray, NDArray

LARGEST = sys.float_info.max


@njit
def finite(value: float) -> float:
    """The value, or the largest finite double of its sign."""
    return min(max(value, -LARGEST), LARGEST)


@njit
def start(s64: I64, base: int, t: int, ints: I64) -> None:
    """Put every head at the bucket of the first event; the buckets are zero already."""
    for i in range(ints[P_N_RINGS]):
        row = ints[P_RINGS] + i * RING_ROW
        hop = ints[row + R_HOP]
        s64[(base >> 3) + ints[row + R_HEAD]] = t // hop * hop


@njit
def buckets_sum(s32: I32, sf: F64, base: int, ints: I64, row: int, head: int, is_float: int, offset: int, j0: int, j1: int, total: float) -> float:
    """`total` plus the buckets j0 to j1 places behind the head (inclusive), newest to oldest. j1 < number of buckets."""
    n, width = ints[row + R_BUCKETS], ints[row + R_BYTES]
    first = base + ints[row + R_BASE] + offset
    slot = head - j0
    if slot < 0:
        slot += n
    for _ in range(j1 - j0 + 1):
        at = first + slot * width
        total += sf[at >> 3] if is_float else float(s32[at >> 2])
        slot -= 1
        if slot < 0:
            slot = n - 1
    return total


@njit
def refresh(s32: I32, sf: F64, base: int, ints: I64, row: int, head: int, column: int) -> None:
    """Make a column's cached sums again from its closed buckets."""
    total, done = 0.0, 0
    for i in range(ints[column + 3]):
        cache = ints[column + 2] + 2 * i
        total = buckets_sum(s32, sf, base, ints, row, head, ints[column], ints[column + 1], done + 1, ints[cache], total)
        done = ints[cache]
        sf[(base >> 3) + ints[cache + 1]] = finite(total)


@njit
def advance(s32: I32, s64: I64, sf: F64, base: int, t: int, ints: I64, row: int) -> None:
    """Move the head to the bucket of `t`, which is at or beyond its end; clear at most one round of the ring."""
    hop, n, words = ints[row + R_HOP], ints[row + R_BUCKETS], ints[row + R_BYTES] >> 3
    at = (base >> 3) + ints[row + R_HEAD]
    moved = (t - s64[at]) // hop
    head = s64[at + 1]
    first = (base + ints[row + R_BASE]) >> 3
    for _ in range(min(moved, n)):
        head += 1
        if head == n:
            head = 0
        for word in range(first + head * words, first + (head + 1) * words):
            s64[word] = 0
    s64[at] += moved * hop
    s64[at + 1] = head
    for i in range(ints[row + R_N_COLUMNS]):
        refresh(s32, sf, base, ints, row, head, ints[row + R_COLUMNS] + 4 * i)


@njit
def add(s32: I32, s64: I64, sf: F64, base: int, event: int, t: int, ri: I64, rf: F64, ints: I64) -> None:
    """Take one accepted event of type id `event`; every ring's head moves, whether or not the ring measures the type."""
    rings = ints[P_N_RINGS]
    for i in range(rings):
        row = ints[P_RINGS] + i * RING_ROW
        hop = ints[row + R_HOP]
        at = (base >> 3) + ints[row + R_HEAD]
        behind = 0
        ahead = t - s64[at]
        if ahead >= hop:
            advance(s32, s64, sf, base, t, ints, row)
        elif ahead < 0:
            behind = (-ahead - 1) // hop + 1
            if behind >= ints[row + R_BUCKETS]:
                continue  # no window of this ring reaches it, now or later
        head = s64[at + 1]
        slot = head - behind
        if slot < 0:
            slot += ints[row + R_BUCKETS]
        bucket = base + ints[row + R_BASE] + slot * ints[row + R_BYTES]
        ops = ints[P_OPS] + 2 * (event * rings + i)
        for k in range(ints[ops + 1]):
            op = ints[ops] + 4 * k
            register = ints[op]
            if register >= 0 and not (ints[op + 1] >> ri[register]) & 1:
                continue
            column = ints[op + 3]
            place = bucket + ints[column + 1]
            if ints[column]:
                sf[place >> 3] = finite(sf[place >> 3] + rf[ints[op + 2]])
            else:
                s32[place >> 2] += 1
            if behind > 0:
                refresh(s32, sf, base, ints, row, head, column)


@njit
def read(s32: I32, s64: I64, sf: F64, base: int, now: int, ints: I64, x: F64) -> None:
    """Write every windowed sum at `now` (not before the newest event) into the row."""
    word = base >> 3
    for i in range(ints[P_N_RINGS]):
        row = ints[P_RINGS] + i * RING_ROW
        hop, head = ints[row + R_HOP], s64[word + ints[row + R_HEAD] + 1]
        sums, counts = ints[row + R_SUMS], ints[row + R_COUNTS]
        ahead = now - s64[word + ints[row + R_HEAD]]
        if ahead < hop:
            bucket = base + ints[row + R_BASE] + head * ints[row + R_BYTES]
            for op in range(sums, sums + 4 * ints[row + R_N_SUMS], 4):
                x[ints[op]] = finite(sf[word + ints[op + 1]] + sf[(bucket + ints[op + 2]) >> 3])
            for op in range(counts, counts + 4 * ints[row + R_N_COUNTS], 4):
                x[ints[op]] = sf[word + ints[op + 1]] + s32[(bucket + ints[op + 2]) >> 2]
            continue
        gone = ahead // hop
        for op in range(sums, sums + 4 * ints[row + R_N_SUMS], 4):
            x[ints[op]] = finite(buckets_sum(s32, sf, base, ints, row, head, 1, ints[op + 2], 0, ints[op + 3] - gone, 0.0))
        for op in range(counts, counts + 4 * ints[row + R_N_COUNTS], 4):
            x[ints[op]] = buckets_sum(s32, sf, base, ints, row, head, 0, ints[op + 2], 0, ints[op + 3] - gone, 0.0)
