"""The newest event of a type: its time and some fields. "Newest" is the largest event time; of two the same, the later to arrive.

Record row: word of the time (the fields follow, float64), number of fields, register of "contract ended" or -1, registers.
"""

from __future__ import annotations

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
from keepline.features.words import get, get_float, put, put_float
from keepline.schemas.catalog import NREG
from keepline.schemas.jit import njit

RECORD_ROW = 3 + NREG


@njit
def start(state: int, ints: int) -> None:
    """No event of any type yet."""
    for i in range(get(ints, P_N_RECORDS)):
        put(state, get(ints, get(ints, P_RECORDS) + i * RECORD_ROW), NONE)


@njit
def take(state: int, event: int, t: int, ri: int, rf: int, ints: int) -> None:
    """Keep the event if it is the newest of its type."""
    row = get(ints, get(ints, P_RECORD_OF) + event)
    if row < 0:
        return
    word = get(ints, row)
    if t < get(state, word):
        return
    put(state, word, t)
    for i in range(get(ints, row + 1)):
        put_float(state, word + 1 + i, get_float(rf, get(ints, row + 3 + i)))
    ended = get(ints, row + 2)
    if ended >= 0:
        flag = FLAG_ENDED if get(ri, ended) else 0
        put(state, W_IDENTITY, (get(state, W_IDENTITY) & ~FLAG_ENDED) | flag)


@njit(error_model="numpy")
def read(state: int, now: int, ints: int, floats: int, x: int) -> None:
    """Write times since, ages and fields into the row."""
    for op in range(get(ints, P_SINCE), get(ints, P_SINCE) + 3 * get(ints, P_N_SINCE), 3):
        t, constant = get(state, get(ints, op + 1)), get(ints, op + 2)
        value = get_float(floats, constant + 1)
        if t != NONE:
            value = min((now - t) / get_float(floats, constant), value)
        put_float(x, get(ints, op), value)
    for op in range(get(ints, P_AGE), get(ints, P_AGE) + 4 * get(ints, P_N_AGE), 4):
        # In float64, because the field is any long: an integer difference could overflow.
        age = (float(now) - get_float(state, get(ints, op + 2))) / get_float(floats, get(ints, op + 3))
        put_float(x, get(ints, op), 0.0 if get(state, get(ints, op + 1)) == NONE else max(age, 0.0))
    for op in range(get(ints, P_FIELD), get(ints, P_FIELD) + 2 * get(ints, P_N_FIELD), 2):
        put_float(x, get(ints, op), get_float(state, get(ints, op + 1)))
    for op in range(get(ints, P_IS), get(ints, P_IS) + 4 * get(ints, P_N_IS), 4):
        holds = get(state, get(ints, op + 1)) != NONE and get_float(state, get(ints, op + 2)) == get(ints, op + 3)
        put_float(x, get(ints, op), 1.0 if holds else 0.0)
