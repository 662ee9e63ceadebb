"""The hot path: one call runs a batch of packed records over the customers' state bytes and packs the scores.

For each entry, in order: decode → validate → duplicate → late → due ticks → update → read → score → emit. Nothing here
raises on data: an event that cannot be taken becomes a line of `REJECTS` (status, field), which Python turns into a frame after
the call (`operators.customer`). What the contact policy has to know goes out as signals (operators/watch.py). An entry is only
begun when `out` has room for all it may produce, so a full buffer ends the call early and the caller comes again.

`c` is the address of the context (operators/context.py), `state` that of one customer's bytes. Everything is passed as
addresses and numbers: an array as an argument is counted at each call (operators/arrays.py).
"""

from __future__ import annotations

import math
from typing import Any

from keepline.features.kernel import admit_at, read_at, update_at, zero_at
from keepline.features.layout import (
    FLAG_ENDED,
    I_LAST_BAND,
    W_ACTIVE,
    W_IDENTITY,
    W_LAST_VALUE,
    W_NEWEST,
    W_NEXT_WAKE,
    W_NOW,
    W_QUIET_UNTIL,
    W_SEQUENCE,
    W_SIGNALLED_AT,
    W_SIGNALLED_VALUE,
    W_TIMER_AT,
)
from keepline.features.plan import P_HOT
from keepline.features.words import get, get_count, get_float, put, put_count, put_float
from keepline.models.scorer import score, top3
from keepline.operators import context as k
from keepline.operators import layout as at
from keepline.operators import stats
from keepline.operators.arrays import floats, ints
from keepline.operators.frames import SCORE_ROOM, put_score, put_tombstone
from keepline.operators.signals import ENDED, FIELDS, HAD_STATE, SCORED, SIGNAL_ROOM, TICK, put_signal
from keepline.operators.stats import count, count_score
from keepline.operators.watch import REFRESH_MS, holding, watched
from keepline.schemas.decode import NOT_ASKED, check_time, decode_at, same_bytes
from keepline.schemas.jit import njit
from keepline.schemas.mem import load_f64, load_i32, load_i64, load_u8, prefetch, store_u8
from keepline.schemas.packed import ERASED_SEQUENCE, IN_HEADER, OVERSIZED_FLAG, TICK_FLAG
from keepline.schemas.status import DUPLICATE, KEY_MISMATCH, LATE, OK, OVERSIZED, UNKNOWN_SCHEMA

HOUR = 3_600_000
DAY = 24 * HOUR
AHEAD_ENTRIES = 4
"""How far ahead a state is fetched into the cache: memory latency is half of an event's cost."""

REJECT_ROOM = 1536
"""An upper bound of the frame that Python writes for a reject, apart from key and value."""
INFINITY = math.inf


@njit
def room_for(c: int, hdr: int, need: int) -> bool:
    """Whether `out` can still take `need` bytes beside all that is written or promised."""
    return get(hdr, at.OUT_BYTES) + get(hdr, at.RESERVED_BYTES) + need <= get(c, k.OUT_SIZE)


@njit
def signal_room(c: int, texts: int) -> int:
    """An upper bound of a signal's bytes; `texts`: of the event's id and texts."""
    return SIGNAL_ROOM + 8 * get(c, k.FEATURES) + texts


@njit
def rescore(c: int, state: int, id_pos: int, id_len: int, ev_pos: int, ev_len: int, created: int, etype: int, told: bool) -> None:
    """Reads the features at the state's `now`, scores them, emits what the rules ask for, and tells the policy if there is cause.

    `told`: the event itself, of type `etype`, is one that the policy is told of.
    """
    width = get(c, k.FEATURES)
    x, contrib, top = floats(get(c, k.X), width), floats(get(c, k.CONTRIB), width), ints(get(c, k.TOP), 3)
    kind, coef, center = ints(get(c, k.KIND), width), floats(get(c, k.COEF), width), floats(get(c, k.CENTER), width)
    hdr, numbers = get(c, k.HDR), get(c, k.FLOATS)
    now = get(state, W_NOW)
    read_at(state, now, get(c, k.PLAN_INTS), get(c, k.PLAN_FLOATS), get(c, k.X))
    value = score(x, kind, coef, center, load_f64(numbers, k.INTERCEPT), contrib)
    count_score(hdr, value)
    band = 2 if value >= load_f64(numbers, k.HIGH) else (1 if value >= load_f64(numbers, k.LOW) else 0)
    rule = get(c, k.EMIT)
    emit = rule == k.EMIT_EVERY or band != get_count(state, 4 * I_LAST_BAND)
    if rule == k.EMIT_DELTA and abs(value - get_float(state, W_LAST_VALUE)) >= load_f64(numbers, k.DELTA):
        emit = True
    before, since = get(state, W_ACTIVE), get(state, W_SIGNALLED_AT)
    ended = get(state, W_IDENTITY) & FLAG_ENDED != 0
    active = 0 if ended else holding(c, before if since != 0 else 0, value, x)
    wanted = told or (active != before if since != 0 else active != 0) or (active != 0 and now - since >= REFRESH_MS)
    step = load_f64(numbers, k.STEP)
    if step < INFINITY and not ended and abs(value - (get_float(state, W_SIGNALLED_VALUE) if since != 0 else 0.0)) >= step:
        wanted = True
    if not (emit or wanted):
        return
    top3(contrib, top)
    if emit:
        put_float(state, W_LAST_VALUE, value)
        put_count(state, 4 * I_LAST_BAND, band)
        end = put_score(
            get(c, k.OUT), get(hdr, at.OUT_BYTES), get(c, k.NAMES), get(c, k.NAMES_AT), get(c, k.EVENTS),
            id_pos, id_len, ev_pos, ev_len, value, band, now, get(state, W_SEQUENCE), created, x, contrib, top,
        )  # fmt: skip
        put(hdr, at.OUT_BYTES, end)
        put(hdr, at.FRAMES, get(hdr, at.FRAMES) + 1)
        count(hdr, stats.EMITTED + band)
    if wanted:
        put_float(state, W_SIGNALLED_VALUE, value)
        put(state, W_ACTIVE, active)
        put(state, W_SIGNALLED_AT, now)
        flags = SCORED | HAD_STATE | (ENDED if ended else 0) | (FIELDS if told else 0)
        signal(
            c, etype, flags, band, active, get(state, W_QUIET_UNTIL), value, x, contrib, top,
            id_pos, id_len, ev_pos, ev_len, now, get(state, W_SEQUENCE), created,
        )  # fmt: skip


@njit
def signal(
    c: int, etype: int, flags: int, band: int, active: int, quiet_until: int, value: float, x: Any, contrib: Any, top: Any,
    id_pos: int, id_len: int, ev_pos: int, ev_len: int, time: int, sequence: int, created: int,
) -> None:  # fmt: skip
    """One signal behind what is in `out`, which has room for it."""
    hdr = get(c, k.HDR)
    end = put_signal(
        c, get(hdr, at.OUT_BYTES), etype, flags, band, active, quiet_until, value, x, contrib, top,
        id_pos, id_len, ev_pos, ev_len, time, sequence, created,
    )  # fmt: skip
    put(hdr, at.OUT_BYTES, end)
    put(hdr, at.FRAMES, get(hdr, at.FRAMES) + 1)
    count(hdr, stats.SIGNALS)


@njit
def control(c: int, state: int, entry: int, slot: int, etype: int, id_pos: int, id_len: int, value_len: int, created: int) -> bool:
    """A consent, an outcome or an erasure: told to the policy, after the ticks that are due before it. False when `out` is full.

    It moves no `now` of its own. The ticks are run because the watermark, which the record moves as any other, may have run them or not.
    """
    hdr, t = get(c, k.HDR), get(get(c, k.RI), 2)
    had = get(state, W_IDENTITY) != 0
    if had:
        store_u8(get(c, k.TOUCHED), entry, 1)
        if not run_ticks(c, state, t, id_pos, id_len):
            return False
    if not room_for(c, hdr, signal_room(c, value_len + 2 * id_len) + SCORE_ROOM):
        return False
    had = get(state, W_IDENTITY) != 0
    now, sequence = max(get(state, W_NOW), t), get(state, W_SEQUENCE) + 1
    flags = FIELDS | (HAD_STATE if had else 0) | (ENDED if had and get(state, W_IDENTITY) & FLAG_ENDED else 0)
    active, quiet_until = get(state, W_ACTIVE), get(state, W_QUIET_UNTIL)
    if had:
        put(state, W_SEQUENCE, sequence)
    if etype == get(c, k.ERASURE):
        erase(c, state, entry, slot, id_pos, id_len, now, created)
    width = get(c, k.FEATURES)
    x, contrib, top = floats(get(c, k.X), width), floats(get(c, k.CONTRIB), width), ints(get(c, k.TOP), 3)
    rs = get(c, k.RS)
    signal(
        c, etype, flags, 0, active, quiet_until, 0.0, x, contrib, top, id_pos, id_len, get(rs, 2), get(rs, 3), t, sequence, created,
    )  # fmt: skip
    if had and get(state, W_IDENTITY) != 0:
        arm_timer(c, state, slot)
    return True


@njit
def erase(c: int, state: int, entry: int, slot: int, id_pos: int, id_len: int, now: int, created: int) -> None:
    """Forgets the customer with the timer, and takes the score from the topic and the view: a tombstone, newer than all before it."""
    hdr = get(c, k.HDR)
    end = put_tombstone(
        get(c, k.OUT), get(hdr, at.OUT_BYTES), get(c, k.NAMES), get(c, k.NAMES_AT), get(c, k.EVENTS),
        id_pos, id_len, now, ERASED_SEQUENCE, created,
    )  # fmt: skip
    put(hdr, at.OUT_BYTES, end)
    put(hdr, at.FRAMES, get(hdr, at.FRAMES) + 1)
    armed = get(state, W_TIMER_AT)
    if armed != 0:
        ask_timer(c, slot, -armed)
    store_u8(get(c, k.TOUCHED), entry, 1)
    zero_at(state, get(c, k.PLAN_INTS))
    count(hdr, stats.ERASED)


@njit
def set_wake(c: int, state: int) -> None:
    """Moves `next_wake` after an accepted event: an hour boundary 24 to 25 h ahead; an ended contract wakes only to be forgotten."""
    if get(state, W_IDENTITY) & FLAG_ENDED:
        wake = (get(state, W_NEWEST) + get(c, k.RETENTION) + HOUR - 1) // HOUR * HOUR
    else:
        wake = (get(state, W_NOW) // HOUR + 25) * HOUR
    put(state, W_NEXT_WAKE, wake)


@njit
def run_ticks(c: int, state: int, limit: int, id_pos: int, id_len: int) -> bool:
    """Runs the ticks that are due up to `limit`; False when `out` is full: the next call goes on.

    A tick later than the last event by the retention or more forgets the customer instead.
    """
    hdr = get(c, k.HDR)
    while get(state, W_IDENTITY) != 0:
        wake = get(state, W_NEXT_WAKE)
        if wake > limit:
            break
        if wake - get(state, W_NEWEST) >= get(c, k.RETENTION):
            zero_at(state, get(c, k.PLAN_INTS))
            count(hdr, stats.FORGOTTEN)
            break
        if not room_for(c, hdr, SCORE_ROOM + signal_room(c, id_len)):
            return False
        put(state, W_NOW, wake)
        put(state, W_SEQUENCE, get(state, W_SEQUENCE) + 1)
        put(state, W_NEXT_WAKE, wake + DAY)
        count(hdr, stats.TICKS)
        rescore(c, state, id_pos, id_len, 0, 0, 0, TICK, False)
    return True


@njit
def arm_timer(c: int, state: int, slot: int) -> None:
    """Asks for a Flink timer where none is outstanding or the wake came nearer (a contract began anew).

    A wake that moved away needs none: the firing finds nothing due and re-arms. So does that of a timer of 0.1.0, which was set later.
    """
    due = get(state, W_NEXT_WAKE)
    armed = get(state, W_TIMER_AT)
    if armed == 0 or due < armed:
        put(state, W_TIMER_AT, due)
        ask_timer(c, slot, due)


@njit
def ask_timer(c: int, slot: int, at_time: int) -> None:
    """One timer for the shell to set; a negative time: to delete."""
    hdr = get(c, k.HDR)
    number = get(hdr, at.TIMERS)
    put_count(get(c, k.TIMER_SLOT), 4 * number, slot)
    put(get(c, k.TIMER_TIME), number, at_time)
    put(hdr, at.TIMERS, number + 1)


@njit
def validate(c: int, key_pos: int, key_len: int, value_len: int, oversized: bool, wall: int) -> Any:
    """(status, event type, field) of one record; the registers hold the event when the status is OK."""
    if oversized:
        return OVERSIZED, -1, -1
    buf, ri, rs = get(c, k.EVENTS), get(c, k.RI), get(c, k.RS)
    start = key_pos + key_len
    status, etype, reg = decode_at(buf, start, start + value_len, get(c, k.PROGRAMS), ri, get(c, k.RF), rs, get(c, k.RN))
    if status != OK:
        return status, etype, reg
    if not same_bytes(buf, key_pos, key_len, buf, get(rs, 0), get(rs, 1)):
        return KEY_MISMATCH, etype, 0
    return check_time(get(ri, 2), get(c, k.MIN_TIME), get(c, k.MAX_TIME), wall, get(c, k.AHEAD)), etype, 2


@njit
def reject(c: int, entry: int, status: int, etype: int, reg: int, newest: int, need: int) -> None:
    """Leaves a dead letter or a late event for Python, which writes its frame in the room promised here."""
    hdr = get(c, k.HDR)
    put(hdr, at.RESERVED_BYTES, get(hdr, at.RESERVED_BYTES) + need)
    count(hdr, stats.LATE_EVENTS if status == LATE else stats.DEAD_LETTERS + status)
    number = get(hdr, at.REJECTS)
    put(hdr, at.REJECTS, number + 1)
    line = get(c, k.REJECTS) + 8 * k.REJECT_WORDS * number
    put(line, 0, entry)
    put(line, 1, status)
    put(line, 2, etype)
    put(line, 3, reg)
    put(line, 4, newest)
    put(line, 5, get(get(c, k.RI), 2))


@njit
def apply(c: int, state: int, entry: int, etype: int, id_pos: int, id_len: int, value_len: int, created: int) -> int:
    """A sound event on its customer's state: OK, DUPLICATE or LATE; −1 when `out` is full (all so far stands)."""
    ri, rs, plan = get(c, k.RI), get(c, k.RS), get(c, k.PLAN_INTS)
    t = get(ri, 2)
    # A silence that ends in forgetting has its ticks first, as the timers would have run them.
    if get(state, W_IDENTITY) != 0 and t - get(state, W_NEWEST) >= get(c, k.RETENTION):
        store_u8(get(c, k.TOUCHED), entry, 1)
        if not run_ticks(c, state, t, id_pos, id_len):
            return -1
    status = admit_at(state, t, get(ri, 1), plan)
    if status != OK:
        return status
    store_u8(get(c, k.TOUCHED), entry, 1)
    if not run_ticks(c, state, t, id_pos, id_len):
        return -1
    ev_pos, ev_len = get(rs, 2), get(rs, 3)
    told = watched(c, etype)
    if not room_for(c, get(c, k.HDR), SCORE_ROOM + ev_len + signal_room(c, id_len + ev_len + (value_len if told else 0))):
        return -1
    update_at(state, etype, t, get(ri, 1), ri, get(c, k.RF), get(c, k.RN), plan)
    put(state, W_SEQUENCE, get(state, W_SEQUENCE) + 1)
    set_wake(c, state)
    rescore(c, state, id_pos, id_len, ev_pos, ev_len, created, etype, told)
    return OK


@njit
def run(c: int, n: int, watermark: int, wall: int) -> None:
    """Runs entries `hdr[FIRST]…n−1`; the results stand in `hdr` (see operators.layout)."""
    hdr, buf, block, size = get(c, k.HDR), get(c, k.EVENTS), get(c, k.BLOCK), get(c, k.STATE)
    slots, offs, hot = get(c, k.SLOTS), get(c, k.OFFS), get(get(c, k.PLAN_INTS), P_HOT)
    first = get(hdr, at.FIRST)
    i = first
    while i < n:
        if i + AHEAD_ENTRIES < n:
            coming = block + get_count(slots, 4 * (i + AHEAD_ENTRIES)) * size
            for line in range(0, hot, 64):
                prefetch(coming + line)
        o = get_count(offs, 4 * i)
        slot = get_count(slots, 4 * i)
        state = block + slot * size
        flags = load_u8(buf, o)
        created = load_i64(buf, o + 24)
        key_len, value_len = load_i32(buf, o + 40), load_i32(buf, o + 44)
        key_pos = o + IN_HEADER
        if flags & TICK_FLAG:
            if get(state, W_IDENTITY) != 0:
                store_u8(get(c, k.TOUCHED), i, 1)
                if not run_ticks(c, state, watermark, key_pos, key_len):
                    break
                if get(state, W_IDENTITY) != 0:
                    put(state, W_TIMER_AT, 0)
                    arm_timer(c, state, slot)
            i += 1
            continue
        status, etype, reg = validate(c, key_pos, key_len, value_len, flags & OVERSIZED_FLAG != 0, wall)
        newest = 0
        if status == OK:
            if load_u8(get(c, k.CONTROL), etype):
                if not control(c, state, i, slot, etype, key_pos, key_len, value_len, created):
                    break
                count(hdr, stats.CONTROL)
                i += 1
                continue
            newest = get(state, W_NEWEST)
            status = apply(c, state, i, etype, key_pos, key_len, value_len, created)
            if status < 0:
                break
            if status == OK:
                count(hdr, stats.ACCEPTED)
                arm_timer(c, state, slot)
        if status == DUPLICATE:
            count(hdr, stats.DUPLICATES)
        elif status != OK:
            # A schema id that was never seen, and there is a registry: it is asked before this entry and those behind it are run.
            if status == UNKNOWN_SCHEMA and reg == NOT_ASKED and get(c, k.ASK) and load_u8(buf, key_pos + key_len) == 0:
                put(hdr, at.WAITING, 1)
                break
            need = REJECT_ROOM + 2 * (key_len + value_len)
            if not room_for(c, hdr, need):
                break
            reject(c, i, status, etype, reg, newest, need)
        i += 1
    put(hdr, at.CONSUMED, i - first)
