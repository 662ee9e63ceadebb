"""The ledger: the newest eight bills, which payment covers each, and a summary that most events need not recompute.

Section: the number of kept bills, then rows of five words (key hash, event time, due time, amount, event time of the
covering payment or NONE), ordered by (event time, arrival), oldest first; so "the one before" and "the oldest
uncovered" are neighbours in memory. Everything happens in order of arrival.

Summary (six words): overdue bills, whether the delay runs, its base, newest amount, rise, and the time before which
all of it stays true. The delay is the base in days, or, while it runs, the days from the base (a due time) to now.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

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
from keepline.schemas.jit import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    F64, I64, U8 = NDArray, NDArray, NDArray

KEY, TIME, DUE, AMOUNT, PAID = 0, 1, 2, 3, 4


@njit
def start(s64: I64, base: int, ints: I64) -> None:
    """No bills: a summary of zeros that stays true."""
    if ints[P_BILL] >= 0:
        s64[(base >> 3) + ints[P_SUMMARY] + 5] = NEVER


@njit
def _remove(s64: I64, count: int, i: int) -> None:
    """Take out bill `i`; the younger ones move up. `count` is the word of the number of bills."""
    last = s64[count] - 1
    for word in range(count + 1 + i * BILL_WORDS, count + 1 + last * BILL_WORDS):
        s64[word] = s64[word + BILL_WORDS]
    s64[count] = last


@njit
def _bill(s64: I64, sf: F64, count: int, keep: int, key: int, t: int, due: int, amount: float) -> bool:
    """Keep a bill; False if it is older than all of a full ledger."""
    paid = NONE
    for i in range(s64[count]):
        row = count + 1 + i * BILL_WORDS
        if s64[row + KEY] == key:  # a corrected invoice: the covering payment stays
            paid = s64[row + PAID]
            _remove(s64, count, i)
            break
    if s64[count] == keep:
        if t < s64[count + 1 + TIME]:
            return False
        _remove(s64, count, 0)
    i = s64[count]
    while i > 0 and s64[count + 1 + (i - 1) * BILL_WORDS + TIME] > t:
        for word in range(count + 1 + i * BILL_WORDS, count + 1 + (i + 1) * BILL_WORDS):
            s64[word] = s64[word - BILL_WORDS]
        i -= 1
    row = count + 1 + i * BILL_WORDS
    s64[row + KEY], s64[row + TIME], s64[row + DUE], sf[row + AMOUNT], s64[row + PAID] = key, t, due, amount, paid
    s64[count] += 1
    return True


@njit
def _payment(s64: I64, count: int, key: int, t: int, named: int) -> bool:
    """Cover the named bill, or without a name the oldest; only if kept and uncovered. False if nothing is covered."""
    for i in range(s64[count]):
        row = count + 1 + i * BILL_WORDS
        if s64[row + PAID] == NONE and (named == 0 or s64[row + KEY] == key):
            s64[row + PAID] = t
            return True
    return False


@njit
def summary(s64: I64, sf: F64, base: int, now: int, ints: I64) -> tuple[float, int, float, float, float, int]:
    """The six words of the summary at `now`, from the bills."""
    count = (base >> 3) + ints[P_BILLS]
    n = s64[count]
    overdue, runs, delay, until = 0.0, 0, 0.0, NEVER
    newest_due = NONE
    for i in range(n):
        row = count + 1 + i * BILL_WORDS
        due, paid = s64[row + DUE], s64[row + PAID]
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
    amount = sf[count + 1 + (n - 1) * BILL_WORDS + AMOUNT] if n > 0 else 0.0
    rise = finite(amount - sf[count + 1 + (n - 2) * BILL_WORDS + AMOUNT]) if n > 1 else 0.0
    return overdue, runs, delay, amount, rise, until


@njit
def take(s64: I64, sf: F64, base: int, event: int, t: int, now: int, ri: I64, rf: F64, rn: U8, ints: I64) -> None:
    """Take one accepted event of any type; `now` is already moved."""
    if ints[P_BILL] < 0:
        return
    count, at = (base >> 3) + ints[P_BILLS], (base >> 3) + ints[P_SUMMARY]
    changed = now >= s64[at + 5]
    if event == ints[P_BILL]:
        changed |= _bill(
            s64, sf, count, ints[P_KEEP], ri[ints[P_BILL_KEY]], t, ri[ints[P_BILL_DUE]], rf[ints[P_BILL_AMOUNT]]
        )
    elif event == ints[P_PAYMENT]:
        key = ints[P_PAYMENT_KEY]
        changed |= _payment(s64, count, ri[key], t, 1 - rn[key])
    if changed:
        sf[at], s64[at + 1], sf[at + 2], sf[at + 3], sf[at + 4], s64[at + 5] = summary(s64, sf, base, now, ints)


@njit
def read(s64: I64, sf: F64, base: int, now: int, ints: I64, x: F64) -> None:
    """Write the four figures into the row."""
    if ints[P_BILL] < 0:
        return
    at = (base >> 3) + ints[P_SUMMARY]
    if now < s64[at + 5]:
        overdue, runs, delay, amount, rise = sf[at], s64[at + 1], sf[at + 2], sf[at + 3], sf[at + 4]
    else:
        overdue, runs, delay, amount, rise, _ = summary(s64, sf, base, now, ints)
    if runs:
        delay = (float(now) - delay) / DAY
    figures = ints[P_FIGURES]
    if ints[figures] >= 0:
        x[ints[figures]] = overdue
    if ints[figures + 1] >= 0:
        x[ints[figures + 1]] = delay
    if ints[figures + 2] >= 0:
        x[ints[figures + 2]] = amount
    if ints[figures + 3] >= 0:
        x[ints[figures + 3]] = rise
