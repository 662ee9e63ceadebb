"""The one kernel of all feature sets: admit an event, apply it, read a row. Stream, replay and training rows call the same code.

Per event: decode → validate (schemas) → `admit` (silence, duplicate, late) → `update` → `read` at the state's `now`. A row at a
later `now` (a tick, a training row) only reads. Control types never arrive here; any other type counts for duplicates,
newest and `now`, whether or not the feature set looks at it.

Arguments, the same everywhere: `s32, s64, sf` views of the state block and `base`, the customer's byte offset
(`features/layout.py`); `ri, rf, rn` the decoded registers; `ints, floats` the plan. Nothing raises; nothing depends on a
clock, on randomness or on how events are batched.

Of the header this module owns identity, flags, newest, now and the memory, and sets `last_band` to −1 in a new state; ticks,
timers, sequence and emission belong to the operator.

Boundaries: a state is dropped when t − newest ≥ retention; an event is late when newest − t > lateness.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keepline.features.aggregators import bills, formulas, memory, newest, windows
from keepline.features.layout import I_LAST_BAND, MAGIC, STATE_VERSION, W_IDENTITY, W_NEWEST, W_NOW, W_TIMER_AT
from keepline.features.plan import P_LATENESS, P_RETENTION, P_SET, P_SIZE
from keepline.schemas.jit import njit
from keepline.schemas.status import DUPLICATE, LATE, OK

if TYPE_CHECKING:
    from numpy.typing import NDArray

    F64, I32, I64, U8 = NDArray, NDArray, NDArray, NDArray

# Compiled code takes functions by their own names, not through modules.
_bills_read, _bills_start, _bills_take = bills.read, bills.start, bills.take
_formulas_read = formulas.read
_newest_read, _newest_start, _newest_take = newest.read, newest.start, newest.take
_remember, _remembers = memory.remember, memory.remembers
_windows_add, _windows_read, _windows_start = windows.add, windows.read, windows.start


@njit
def exists(s64: I64, base: int) -> bool:
    """Whether the customer has a state."""
    return s64[(base >> 3) + W_IDENTITY] != 0


@njit
def drop(s64: I64, base: int, ints: I64) -> None:
    """Forget the customer: all bytes zero."""
    for word in range(base >> 3, (base + ints[P_SIZE]) >> 3):
        s64[word] = 0


@njit
def silent(s64: I64, base: int, t: int, ints: I64) -> bool:
    """Whether the silence from the newest accepted event to `t` reaches the retention, so that the state is to be dropped."""
    return exists(s64, base) and t - s64[(base >> 3) + W_NEWEST] >= ints[P_RETENTION]


@njit
def admit(s64: I64, base: int, t: int, id_hash: int, ints: I64) -> int:
    """OK, DUPLICATE or LATE. Changes nothing, except that a state silent for the retention is dropped (its timer stays)."""
    if not exists(s64, base):
        return OK
    if silent(s64, base, t, ints):
        # A Flink timer may be outstanding; forgetting that would let the customer have two.
        timer = s64[(base >> 3) + W_TIMER_AT]
        drop(s64, base, ints)
        s64[(base >> 3) + W_TIMER_AT] = timer
        return OK
    if _remembers(s64, base, id_hash):
        return DUPLICATE
    if s64[(base >> 3) + W_NEWEST] - t > ints[P_LATENESS]:
        return LATE
    return OK


@njit
def init(s32: I32, s64: I64, base: int, t: int, ints: I64) -> None:
    """Start a state with its first event at `t`; the bytes are zero, but for `timer_at`."""
    word = base >> 3
    s64[word + W_IDENTITY] = MAGIC | ints[P_SET] << 16 | STATE_VERSION << 32
    s64[word + W_NEWEST] = t
    s64[word + W_NOW] = t
    s32[(base >> 2) + I_LAST_BAND] = -1
    _windows_start(s64, base, t, ints)
    _newest_start(s64, base, ints)
    _bills_start(s64, base, ints)


@njit
def update(s32: I32, s64: I64, sf: F64, base: int, event: int, t: int, id_hash: int, ri: I64, rf: F64, rn: U8, ints: I64) -> None:
    """Apply one admitted event of type id `event`; starts the state if there is none."""
    word = base >> 3
    if not exists(s64, base):
        init(s32, s64, base, t, ints)
    _remember(s32, s64, base, id_hash)
    s64[word + W_NEWEST] = max(s64[word + W_NEWEST], t)
    now = max(s64[word + W_NOW], t)
    s64[word + W_NOW] = now
    _windows_add(s32, s64, sf, base, event, t, ri, rf, ints)
    _newest_take(s64, sf, base, event, t, ri, rf, ints)
    _bills_take(s64, sf, base, event, t, now, ri, rf, rn, ints)


@njit
def read(s32: I32, s64: I64, sf: F64, base: int, now: int, ints: I64, floats: F64, x: F64) -> None:
    """Fill `x` (float64, one per feature) with the row at `now` ≥ the state's `now`; changes no state."""
    _windows_read(s32, s64, sf, base, now, ints, x)
    _newest_read(s64, sf, base, now, ints, floats, x)
    _bills_read(s64, sf, base, now, ints, x)
    _formulas_read(ints, floats, x)
