"""All orders of a customer: counts, sums, and the days they were on, exact whatever their order of arrival and however many years.

Section: ORDER_WORDS words, then the day bits. Sums of orders only grow, so doubles keep them to n · 2^-53. Refunds take from the revenue,
which therefore has a second double for what rounding took from it (Knuth, The Art of Computer Programming 2, 4.2.2, theorem B): years
of orders that all come back leave nothing behind. Sums saturate at the largest finite double.

Distinct days without a list of days: a new order is never more than the lateness behind the newest event, hence behind the newest order's
day only by days that the bits cover (bit k: an order k days before the newest order's day). An order before the first one's day makes
its day the first; what the first day had then counts among the days after it. So the total of the later days needs no totals by day.
"""

from __future__ import annotations

from keepline.features.aggregators.windows import LARGEST, finite
from keepline.features.layout import (
    O_BITS,
    O_COST,
    O_COSTED,
    O_COUNT,
    O_DAYS,
    O_FIRST,
    O_FIRST_TOTAL,
    O_LAST,
    O_LATER_TOTAL,
    O_NEWEST,
    O_REVENUE,
)
from keepline.features.plan import (
    P_ORDER,
    P_ORDER_AMOUNT,
    P_ORDER_AT,
    P_ORDER_BITS,
    P_ORDER_CONSTANTS,
    P_ORDER_COST,
    P_ORDER_FIGURES,
)
from keepline.features.spec import DAY
from keepline.features.words import get, get_float, put, put_float
from keepline.schemas.jit import njit
from keepline.schemas.mem import load_u8

_NOT_SIGN = (1 << 63) - 1


@njit
def _add(state: int, word: int, value: float) -> None:
    """Add to a sum of one word."""
    put_float(state, word, finite(get_float(state, word) + value))


@njit
def _add_exactly(state: int, word: int, value: float) -> None:
    """Add to a sum of two words."""
    before = get_float(state, word)
    total = before + value
    if abs(total) > LARGEST:
        put_float(state, word, finite(total))
        put_float(state, word + 1, 0.0)
        return
    part = total - before
    put_float(state, word, total)
    put_float(state, word + 1, get_float(state, word + 1) + ((before - (total - part)) + (value - part)))


@njit
def _age_bits(state: int, bits: int, words: int, days: int) -> None:
    """Every bit moves `days` (> 0) places up; what passes the end is gone."""
    skip, shift = days >> 6, days & 63
    for word in range(words - 1, -1, -1):
        moved = 0
        if word >= skip:
            moved = get(state, bits + word - skip) << shift
        if word > skip:
            # The top `shift` bits of the word below, as if it had no sign; none where shift is 0.
            moved |= (get(state, bits + word - skip - 1) >> 1 & _NOT_SIGN) >> (63 - shift)
        put(state, bits + word, moved)


@njit
def _is_new_day(state: int, at: int, words: int, day: int) -> bool:
    """Mark the day of an order; whether it had none before."""
    back = get(state, at + O_LAST) - day
    if back < 0:
        _age_bits(state, at + O_BITS, words, -back)
        put(state, at + O_LAST, day)
        back = 0
    word = back >> 6
    if word >= words:  # only in a damaged state
        return True
    marked, bit = get(state, at + O_BITS + word), 1 << (back & 63)
    put(state, at + O_BITS + word, marked | bit)
    return marked & bit == 0


@njit(error_model="numpy")
def take(state: int, event: int, t: int, rf: int, rn: int, ints: int) -> None:
    """Take one accepted event of any type."""
    if event != get(ints, P_ORDER):
        return
    at = get(ints, P_ORDER_AT)
    amount = get_float(rf, get(ints, P_ORDER_AMOUNT))
    _add_exactly(state, at + O_REVENUE, amount)
    if amount < 0.0:
        return
    day = t // DAY
    if get(state, at + O_COUNT) == 0:
        put(state, at + O_NEWEST, t)
        put(state, at + O_FIRST, day)
        put(state, at + O_LAST, day)
    put(state, at + O_COUNT, get(state, at + O_COUNT) + 1)
    put(state, at + O_NEWEST, max(get(state, at + O_NEWEST), t))
    if _is_new_day(state, at, get(ints, P_ORDER_BITS), day):
        put(state, at + O_DAYS, get(state, at + O_DAYS) + 1)
    if day < get(state, at + O_FIRST):
        _add(state, at + O_LATER_TOTAL, get_float(state, at + O_FIRST_TOTAL))
        put_float(state, at + O_FIRST_TOTAL, 0.0)
        put(state, at + O_FIRST, day)
    _add(state, at + (O_FIRST_TOTAL if day == get(state, at + O_FIRST) else O_LATER_TOTAL), amount)
    register = get(ints, P_ORDER_COST)
    if load_u8(rn, register) == 0:
        _add(state, at + O_COSTED, amount)
        _add(state, at + O_COST, get_float(rf, register))


@njit(error_model="numpy")
def read(state: int, now: int, ints: int, floats: int, x: int) -> None:
    """Write the ten figures into the row."""
    if get(ints, P_ORDER) < 0:
        return
    at, constants = get(ints, P_ORDER_AT), get(ints, P_ORDER_CONSTANTS)
    margin, period, since = get_float(floats, constants), get_float(floats, constants + 1), get_float(floats, constants + 2)
    orders, frequency, recency, age = float(get(state, at + O_COUNT)), 0.0, 0.0, 0.0
    monetary_value, average, rate = 0.0, 0.0, 0.0
    if orders > 0.0:
        first, later = get(state, at + O_FIRST), get_float(state, at + O_LATER_TOTAL)
        frequency = float(get(state, at + O_DAYS) - 1)
        recency = float(get(state, at + O_LAST) - first)
        age = float(now // DAY - first)
        if frequency > 0.0:
            monetary_value = later / frequency
        average = finite(get_float(state, at + O_FIRST_TOTAL) + later) / orders
        rate = orders * period / max(age, period)
        since = min((now - get(state, at + O_NEWEST)) / DAY, since)
        costed = get_float(state, at + O_COSTED)
        if costed > 0.0:
            margin = finite(1.0 - get_float(state, at + O_COST) / costed)
    revenue = finite(get_float(state, at + O_REVENUE) + get_float(state, at + O_REVENUE + 1))
    figures = get(ints, P_ORDER_FIGURES)
    values = (orders, revenue, frequency, recency, age, monetary_value, average, rate, margin, since)
    for i, value in enumerate(values):
        slot = get(ints, figures + i)
        if slot >= 0:
            put_float(x, slot, value)
