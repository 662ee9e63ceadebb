"""The newest event of a type: its time and some fields. "Newest" is the largest event time; of two the same, the later to arrive.

Record row: word of the time (the fields follow, float64), number of fields, register of "contract ended" or −1, registers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keepline.features.layout import FLAG_ENDED, NONE, W_IDENTITY
from keepline.features.plan import (
    P_AGE,
    P_FIELD,
    P_IS,
    P_N_AGE,
    P_N_FIELD,
    P_N_IS,
    P_N_RECORDS,
    P_N_SINCE,
    P_RECORD_OF,
    P_RECORDS,
    P_SINCE,
)
from keepline.schemas.catalog import NREG
from keepline.schemas.jit import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    F64, I64 = NDArray, NDArray

RECORD_ROW = 3 + NREG


@njit
def start(s64: I64, base: int, ints: I64) -> None:
    """No event of any type yet."""
    for i in range(ints[P_N_RECORDS]):
        s64[(base >> 3) + ints[ints[P_RECORDS] + i * RECORD_ROW]] = NONE


@njit
def take(s64: I64, sf: F64, base: int, event: int, t: int, ri: I64, rf: F64, ints: I64) -> None:
    """Keep the event if it is the newest of its type."""
    row = ints[ints[P_RECORD_OF] + event]
    if row < 0:
        return
    word = (base >> 3) + ints[row]
    if t < s64[word]:
        return
    s64[word] = t
    for i in range(ints[row + 1]):
        sf[word + 1 + i] = rf[ints[row + 3 + i]]
    ended = ints[row + 2]
    if ended >= 0:
        identity = (base >> 3) + W_IDENTITY
        s64[identity] = (s64[identity] & ~FLAG_ENDED) | (FLAG_ENDED if ri[ended] else 0)


@njit
def read(s64: I64, sf: F64, base: int, now: int, ints: I64, floats: F64, x: F64) -> None:
    """Write times since, ages and fields into the row."""
    word = base >> 3
    for op in range(ints[P_SINCE], ints[P_SINCE] + 3 * ints[P_N_SINCE], 3):
        t, constant = s64[word + ints[op + 1]], ints[op + 2]
        cap = floats[constant + 1]
        x[ints[op]] = cap if t == NONE else min((now - t) / floats[constant], cap)
    for op in range(ints[P_AGE], ints[P_AGE] + 4 * ints[P_N_AGE], 4):
        # In float64, because the field is any long: an integer difference could overflow.
        age = (float(now) - sf[word + ints[op + 2]]) / floats[ints[op + 3]]
        x[ints[op]] = 0.0 if s64[word + ints[op + 1]] == NONE else max(age, 0.0)
    for op in range(ints[P_FIELD], ints[P_FIELD] + 2 * ints[P_N_FIELD], 2):
        x[ints[op]] = sf[word + ints[op + 1]]
    for op in range(ints[P_IS], ints[P_IS] + 4 * ints[P_N_IS], 4):
        holds = s64[word + ints[op + 1]] != NONE and sf[word + ints[op + 2]] == ints[op + 3]
        x[ints[op]] = 1.0 if holds else 0.0
