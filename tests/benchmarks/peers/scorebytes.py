"""Reading Score records at the speed of the fastest system: compiled, over many values that stand one behind the other.

A score is noted by the number in its event id: customer, value, and for each reason a hash of its name and its contribution.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from keepline.schemas.jit import njit
from keepline.schemas.mem import load_f64, load_i64, load_u8
from tests.benchmarks.events import CUSTOMER_DIGITS, ID_DIGITS, random

REASONS = 3
FOREIGN, DIFFERENT, SWAPPED = 0, 1, 2
"""Places of `counts`: records that answer no event, scores that differ, scores whose last reason has another name and the same part."""
TOLERANCE = 1e-9


@njit
def digits(buf: Any, p: int, n: int) -> int:
    """The number in n decimal digits; −1 where one is no digit."""
    number = 0
    for k in range(p, p + n):
        d = load_u8(buf, k) - 48
        if d < 0 or d > 9:
            return -1
        number = 10 * number + d
    return number


@njit
def name_hash(buf: Any, p: int, n: int) -> int:
    """FNV-1a, 32 bits."""
    h = 2166136261
    for k in range(p, p + n):
        h = ((h ^ load_u8(buf, k)) * 16777619) & 0xFFFFFFFF
    return h


@njit
def text_end(buf: Any, p: int) -> int:
    """Behind an Avro string shorter than 64 bytes."""
    return p + 1 + (load_u8(buf, p) >> 1)


@njit
def long_end(buf: Any, p: int) -> int:
    """Behind an Avro long."""
    while load_u8(buf, p) >= 128:
        p += 1
    return p + 1


@njit
def near(a: float, b: float) -> bool:
    """Equal but for the order of a sum."""
    return abs(a - b) <= TOLERANCE * max(1.0, abs(b))


@njit
def take(buf: Any, p: int, end: int, note: Any) -> int:
    """Reads the Score at buf[p:end] into note (score, parts, names: float64[7]); the event's number, −1 for a tick's, −2 for no Score.

    note[7] becomes the customer's number.
    """
    if end - p < 10 + 1 + CUSTOMER_DIGITS or load_u8(buf, p) != 0xC3 or load_u8(buf, p + 1) != 1:
        return -2
    note[7] = digits(buf, p + 12, CUSTOMER_DIGITS)
    p = text_end(buf, p + 10)
    note[0] = load_f64(buf, p + 1)
    p = long_end(buf, p + 10)  # behind score's name, value, band: as_of
    size = load_u8(buf, p) >> 1
    if size == 0:
        return -1
    if size != 1 + ID_DIGITS:
        return -2
    number = digits(buf, p + 2, ID_DIGITS)
    p = text_end(buf, text_end(buf, p))  # event id, model id
    p = long_end(buf, long_end(buf, p))  # version, role
    count = load_u8(buf, p) >> 1
    if load_u8(buf, p) & 1:  # a negative count: the block's size in bytes follows
        count = (load_u8(buf, p) + 1) >> 1
        p = long_end(buf, p)
    p = long_end(buf, p)
    if count != REASONS:
        return -2
    for rank in range(REASONS):
        size = load_u8(buf, p) >> 1
        note[4 + rank] = name_hash(buf, p + 1, size)
        note[1 + rank] = load_f64(buf, p + 1 + size + 8)
        p += 1 + size + 16
    return number if p < end else -2


@njit
def compare(
    buf: Any, lengths: Any, keys: Any, key_lengths: Any, customers: int, expected_score: Any, expected_part: Any, expected_name: Any,
    seen: Any, counts: Any,
) -> None:  # fmt: skip
    """Holds scores that stand one behind the other against the reference; ticks do not count.

    Each rank of the reasons has the expected contribution and, unless it is tied with its neighbour's, the expected name. The fourth
    contribution is unknown here, so the last reason's name is counted apart.
    """
    p, q, note = 0, 0, np.zeros(8)
    for k in range(lengths.shape[0]):
        number = take(buf, p, p + lengths[k], note)
        p += lengths[k]
        key = digits(keys, q + 1, CUSTOMER_DIGITS) if key_lengths[k] > CUSTOMER_DIGITS else -1
        q += key_lengths[k]
        if number == -1:
            continue
        if number < 0 or number >= seen.shape[0]:
            counts[FOREIGN] += 1
            continue
        seen[number] = min(255, seen[number] + 1)
        same = near(note[0], expected_score[number]) and note[7] == key and key == random(number, 0) % customers
        for rank in range(REASONS):
            same = same and near(abs(note[1 + rank]), abs(expected_part[number, rank]))
            tied = rank > 0 and near(abs(expected_part[number, rank]), abs(expected_part[number, rank - 1]))
            tied = tied or (rank < REASONS - 1 and near(abs(expected_part[number, rank]), abs(expected_part[number, rank + 1])))
            named = note[4 + rank] == expected_name[number, rank] or tied
            if rank == REASONS - 1 and not named:
                counts[SWAPPED] += 1
            else:
                same = same and named
        if not same:
            counts[DIFFERENT] += 1


@njit
def note_copies(buf: Any, lengths: Any, seen: Any, counts: Any) -> None:
    """Counts events that stand one behind the other, by the number in their id."""
    p = 0
    for k in range(lengths.shape[0]):
        number = digits(buf, text_end(buf, p + 10) + 2, ID_DIGITS)
        p += lengths[k]
        if number < 0 or number >= seen.shape[0]:
            counts[FOREIGN] += 1
        else:
            seen[number] = min(255, seen[number] + 1)


@njit
def note_frames(buf: Any, end: int, score: Any, part: Any, name: Any, seen: Any) -> None:
    """The reference: scores from PACKED_OUT frames."""
    p, note = 0, np.zeros(8)
    while p < end:
        total = load_i64(buf, p) & 0xFFFFFFFF
        if load_u8(buf, p + 4) == 0:
            key = load_i64(buf, p + 32) & 0xFFFFFFFF
            number = take(buf, p + 40 + key, p + total, note)
            if number >= 0:
                score[number] = note[0]
                for rank in range(REASONS):
                    part[number, rank] = note[1 + rank]
                    name[number, rank] = note[4 + rank]
                seen[number] += 1
        p += total
