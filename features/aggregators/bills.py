"""The ledger: the newest eight bills, which payment covers each, and a summary that most events need not recompute.

Section: the number of kept bills, then rows of five words (key hash, event time, due time, amount, event time of the
covering payment or NONE), ordered by (event time, arrival), oldest first; so "the one before" and "the oldest
uncovered" are neighbours in memory. Everything happens in order of arrival.

Summary (six words): overdue bills, whether the delay runs, its base, newest amount, rise, and the time before which
all of it stays true. The delay is the base in days, or, while it runs, the days from the base (a due time) to now.
"""

from __future__ import annotations

from keepline.features.aggregators.windows import finite
from keepline.features.layout import BILL_WORDS, NEVER, NONE
from keepline.features.plan import (
    P_BILL,
    P_BILL_AMOUNT,
    P_BILL_DUE,
    P_BILL_KEY,
    P_BILLS,
    P_FIGURES,
    P_KEEP,
    P_PAYMENT,
    P_PAYMENT_KEY,
    P_SUMMARY,
)
from keepline.features.spec import DAY
from keepline.features.words import get, get_float, put, put_float
from keepline.schemas.jit import njit
from keepline.schemas.mem import load_u8

KEY, TIME, DUE, AMOUNT, PAID = 0, 1, 2, 3, 4


@njit
def start(state: int, ints: int) -> None:
    """No bills: a summary of zeros that stays true."""
    if get(ints, P_BILL) >= 0:
        put(state, get(ints, P_SUMMARY) + 5, NEVER)


@njit
def _remove(state: int, count: int, i: int) -> None:
    """Take out bill `i`; the younger ones move up. `count` is the word of the number of bills."""
    last = get(state, count) - 1
    for word in range(count + 1 + i * BILL_WORDS, count + 1 + last * BILL_WORDS):
        put(state, word, get(state, word + BILL_WORDS))
    put(state, count, last)


@njit
def _bill(state: int, count: int, keep: int, key: int, t: int, due: int, amount: float) -> bool:
    """Keep a bill; False if it is older than all of a full ledger."""
    paid = NONE
    for i in range(get(state, count)):
        row = count + 1 + i * BILL_WORDS
        if get(state, row + KEY) == key:  # a corrected invoice: the covering payment stays
            paid = get(state, row + PAID)
            _remove(state, count, i)
            break
    if get(state, count) == keep:
        if t < get(state, count + 1 + TIME):
            return False
        _remove(state, count, 0)
    i = get(state, count)
    while i > 0 and get(state, count + 1 + (i - 1) * BILL_WORDS + TIME) > t:
        for word in range(count + 1 + i * BILL_WORDS, count + 1 + (i + 1) * BILL_WORDS):
            put(state, word, get(state, word - BILL_WORDS))
        i -= 1
    row = count + 1 + i * BILL_WORDS
    put(state, row + KEY, key)
    put(state, row + TIME, t)
    put(state, row + DUE, due)
    put_float(state, row + AMOUNT, amount)
    put(state, row + PAID, paid)
    put(state, count, get(state, count) + 1)
    return True


@njit
def _payment(state: int, count: int, named: int, key: int, t: int) -> bool:
    """Cover the named bill, or without a name the oldest; only if kept and uncovered. False if nothing is covered."""
    for i in range(get(state, count)):
        row = count + 1 + i * BILL_WORDS
        if get(state, row + PAID) == NONE and (named == 0 or get(state, row + KEY) == key):
            put(state, row + PAID, t)
            return True
    return False


@njit(error_model="numpy")
def summary(state: int, now: int, ints: int) -> tuple[float, int, float, float, float, int]:
    """The six words of the summary at `now`, from the bills."""
    count = get(ints, P_BILLS)
    n = get(state, count)
    overdue, runs, delay, until = 0.0, 0, 0.0, NEVER
    newest_due = NONE
    for i in range(n):
        row = count + 1 + i * BILL_WORDS
        due, paid = get(state, row + DUE), get(state, row + PAID)
        if due > now:
            until = min(until, due)
            continue
        if due == now:
            until = min(until, now + 1)  # due, but overdue only from the next millisecond
        elif paid == NONE:
            overdue += 1.0
        if due >= newest_due:  # of two the same, the younger bill
            newest_due = due
            runs = 1 if paid == NONE else 0
            # In float64, because a due time is any long: an integer difference could overflow.
            delay = float(due) if runs else max((float(paid) - float(due)) / DAY, 0.0)
    amount = get_float(state, count + 1 + (n - 1) * BILL_WORDS + AMOUNT) if n > 0 else 0.0
    rise = finite(amount - get_float(state, count + 1 + (n - 2) * BILL_WORDS + AMOUNT)) if n > 1 else 0.0
    return overdue, runs, delay, amount, rise, until


@njit
def take(state: int, event: int, t: int, now: int, ri: int, rf: int, rn: int, ints: int) -> None:
    """Take one accepted event of any type; `now` is already moved."""
    if get(ints, P_BILL) < 0:
        return
    count, at = get(ints, P_BILLS), get(ints, P_SUMMARY)
    changed = now >= get(state, at + 5)
    if event == get(ints, P_BILL):
        key, due = get(ri, get(ints, P_BILL_KEY)), get(ri, get(ints, P_BILL_DUE))
        amount = get_float(rf, get(ints, P_BILL_AMOUNT))
        changed |= _bill(state, count, get(ints, P_KEEP), key, t, due, amount)
    elif event == get(ints, P_PAYMENT):
        register = get(ints, P_PAYMENT_KEY)
        changed |= _payment(state, count, 1 - load_u8(rn, register), get(ri, register), t)
    if changed:
        overdue, runs, delay, amount, rise, until = summary(state, now, ints)
        put_float(state, at, overdue)
        put(state, at + 1, runs)
        put_float(state, at + 2, delay)
        put_float(state, at + 3, amount)
        put_float(state, at + 4, rise)
        put(state, at + 5, until)


@njit(error_model="numpy")
def read(state: int, now: int, ints: int, x: int) -> None:
    """Write the four figures into the row."""
    if get(ints, P_BILL) < 0:
        return
    at = get(ints, P_SUMMARY)
    if now < get(state, at + 5):
        overdue, runs, delay = get_float(state, at), get(state, at + 1), get_float(state, at + 2)
        amount, rise = get_float(state, at + 3), get_float(state, at + 4)
    else:
        overdue, runs, delay, amount, rise, _ = summary(state, now, ints)
    if runs:
        delay = (float(now) - delay) / DAY
    figures = get(ints, P_FIGURES)
    for i, value in enumerate((overdue, delay, amount, rise)):
        slot = get(ints, figures + i)
        if slot >= 0:
            put_float(x, slot, value)
