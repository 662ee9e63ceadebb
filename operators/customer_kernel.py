"""The hot path: one call runs a batch of packed records over the customers' state bytes and packs the scores.

For each entry, in order: decode → validate → duplicate → late → due ticks → update → read → score → emit. Nothing here
raises on data: an event that cannot be taken becomes a line of `REJECTS` (status, field), a score at or above the
threshold a line of `CANDIDATES`; Python turns both into frames after the call (`operators.customer`). An entry is only
begun when `out` has room for all it may produce, so a full buffer ends the call early and the caller comes again.

`c` is the address of the context (operators/context.py), `state` that of one customer's bytes. Everything is passed as
addresses and numbers: an array as an argument is counted at each call (operators/arrays.py).
"""

from __future__ import annotations

from typing import Any

from keepline.features.kernel import admit_at, read_at, update_at, zero_at
from keepline.features.layout import (
    FLAG_ENDED,
    I_LAST_BAND,
    W_IDENTITY,
    W_LAST_VALUE,
    W_NEWEST,
    W_NEXT_WAKE,
    W_NOW,
    W_QUIET_UNTIL,
    W_SEQUENCE,
    W_TIMER_AT,
)
from keepline.features.plan import P_HOT
from keepline.features.words import get, get_count, get_float, put, put_count, put_float
from keepline.models.scorer import score, top3
from keepline.operators import context as k
from keepline.operators import layout as at
from keepline.operators import stats
from keepline.operators.arrays import floats, ints
from keepline.operators.frames import SCORE_ROOM, put_score
from keepline.operators.stats import count, count_score
from keepline.schemas.decode import NOT_ASKED, check_time, decode_at, same_bytes
from keepline.schemas.jit import njit
from keepline.schemas.mem import load_f64, load_i32, load_i64, load_u8, prefetch, store_u8
from keepline.schemas.packed import IN_HEADER, OVERSIZED_FLAG, TICK_FLAG
from keepline.schemas.status import DUPLICATE, KEY_MISMATCH, LATE, OK, OVERSIZED, UNKNOWN_SCHEMA

HOUR = 3_600_000
DAY = 24 * HOUR
AHEAD_ENTRIES = 4
"""How far ahead a state is fetched into the cache: memory latency is half of an event's cost."""

REJECT_ROOM = 1536
CANDIDATE_ROOM = 6144
"""Upper bounds of the frames that Python writes for a reject or a candidate, apart from key, value and event id."""


@njit
def room_for(c: int, hdr: int, need: int) -> bool:
    """Whether `out` can still take `need` bytes beside all that is written or promised, and the list one more candidate."""
    used = get(hdr, at.OUT_BYTES) + get(hdr, at.RESERVED_BYTES)
    return used + need <= get(c, k.OUT_SIZE) and get(hdr, at.CANDIDATES) < get(c, k.CANDIDATE_ROOMS)


@njit
def note_candidate(
    c: int, hdr: int, state: int, entry: int, value: float, id_pos: int, id_len: int, ev_pos: int, ev_len: int, created: int
) -> None:
    """Leaves a score at or above the threshold for the policy."""
    width = get(c, k.FEATURES)
    x, contrib, top = floats(get(c, k.X), width), floats(get(c, k.CONTRIB), width), ints(get(c, k.TOP), 3)
    number = get(hdr, at.CANDIDATES)
    put(hdr, at.CANDIDATES, number + 1)
    count(hdr, stats.CANDIDATES)
    put(hdr, at.RESERVED_BYTES, get(hdr, at.RESERVED_BYTES) + CANDIDATE_ROOM + 2 * ev_len)
    line = get(c, k.CANDIDATES) + 8 * k.CANDIDATE_WORDS * number
    put(line, 0, entry)
    put(line, 1, state)
    put(line, 2, get(state, W_NOW))
    put(line, 3, get(state, W_SEQUENCE))
    put(line, 4, id_pos)
    put(line, 5, id_len)
    put(line, 6, ev_pos)
    put(line, 7, ev_len)
    put(line, 8, created)
    numbers = get(c, k.CANDIDATE_F) + 8 * k.CANDIDATE_FLOATS * number
    put_float(numbers, 0, value)
    for rank in range(3):
        put(line, 9 + rank, top[rank])
        put_float(numbers, 1 + rank, contrib[top[rank]])
    features = get(c, k.CANDIDATE_X) + 8 * width * number
    for f in range(width):
        put_float(features, f, x[f])


@njit
def rescore(c: int, state: int, entry: int, id_pos: int, id_len: int, ev_pos: int, ev_len: int, created: int) -> None:
    """Reads the features at the state's `now`, scores them, and emits what the rules ask for."""
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
    wanted = value >= load_f64(numbers, k.THRESHOLD) and now >= get(state, W_QUIET_UNTIL)
    if wanted and get(state, W_IDENTITY) & FLAG_ENDED:
        wanted = False
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
        note_candidate(c, hdr, state, entry, value, id_pos, id_len, ev_pos, ev_len, created)


@njit
def set_wake(c: int, state: int) -> None:
    """Moves `next_wake` after an accepted event: an hour boundary 24 to 25 h ahead; an ended contract wakes only to be forgotten."""
    if get(state, W_IDENTITY) & FLAG_ENDED:
        wake = (get(state, W_NEWEST) + get(c, k.RETENTION) + HOUR - 1) // HOUR * HOUR
    else:
        wake = (get(state, W_NOW) // HOUR + 25) * HOUR
    put(state, W_NEXT_WAKE, wake)


@njit
def undecided(c: int, state: int) -> bool:
    """Whether a candidate of this call waits for the policy, which writes to the state: then the state may not be forgotten yet."""
    for number in range(get(get(c, k.HDR), at.CANDIDATES)):
        if get(get(c, k.CANDIDATES) + 8 * k.CANDIDATE_WORDS * number, 1) == state:
            return True
    return False


@njit
def run_ticks(c: int, state: int, limit: int, entry: int, id_pos: int, id_len: int) -> bool:
    """Runs the ticks that are due up to `limit`; False when `out` is full or the policy must decide first: the next call goes on.

    A tick later than the last event by the retention or more forgets the customer instead.
    """
    hdr = get(c, k.HDR)
    while get(state, W_IDENTITY) != 0:
        wake = get(state, W_NEXT_WAKE)
        if wake > limit:
            break
        if wake - get(state, W_NEWEST) >= get(c, k.RETENTION):
            if undecided(c, state):
                return False
            zero_at(state, get(c, k.PLAN_INTS))
            count(hdr, stats.FORGOTTEN)
            break
        if not room_for(c, hdr, SCORE_ROOM + CANDIDATE_ROOM):
            return False
        put(state, W_NOW, wake)
        put(state, W_SEQUENCE, get(state, W_SEQUENCE) + 1)
        put(state, W_NEXT_WAKE, wake + DAY)
        count(hdr, stats.TICKS)
        rescore(c, state, entry, id_pos, id_len, 0, 0, 0)
    return True


@njit
def arm_timer(c: int, state: int, slot: int) -> None:
    """Asks for a Flink timer where none is outstanding or the wake came nearer (a contract began anew).

    A wake that moved away needs none: the firing finds nothing due and re-arms.
    """
    due = get(state, W_NEXT_WAKE) + get(c, k.BOUND)
    armed = get(state, W_TIMER_AT)
    if armed == 0 or due < armed:
        put(state, W_TIMER_AT, due)
        hdr = get(c, k.HDR)
        number = get(hdr, at.TIMERS)
        put_count(get(c, k.TIMER_SLOT), 4 * number, slot)
        put(get(c, k.TIMER_TIME), number, due)
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
def apply(c: int, state: int, entry: int, etype: int, id_pos: int, id_len: int, created: int) -> int:
    """A sound event on its customer's state: OK, DUPLICATE or LATE; −1 when `out` is full (all so far stands)."""
    ri, rs, plan = get(c, k.RI), get(c, k.RS), get(c, k.PLAN_INTS)
    t = get(ri, 2)
    # A silence that ends in forgetting has its ticks first, as the timers would have run them.
    if get(state, W_IDENTITY) != 0 and t - get(state, W_NEWEST) >= get(c, k.RETENTION):
        store_u8(get(c, k.TOUCHED), entry, 1)
        if not run_ticks(c, state, t, entry, id_pos, id_len) or undecided(c, state):
            return -1
    status = admit_at(state, t, get(ri, 1), plan)
    if status != OK:
        return status
    store_u8(get(c, k.TOUCHED), entry, 1)
    if not run_ticks(c, state, t, entry, id_pos, id_len):
        return -1
    ev_pos, ev_len = get(rs, 2), get(rs, 3)
    if not room_for(c, get(c, k.HDR), SCORE_ROOM + CANDIDATE_ROOM + 3 * ev_len):
        return -1
    update_at(state, etype, t, get(ri, 1), ri, get(c, k.RF), get(c, k.RN), plan)
    put(state, W_SEQUENCE, get(state, W_SEQUENCE) + 1)
    set_wake(c, state)
    rescore(c, state, entry, id_pos, id_len, ev_pos, ev_len, created)
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
                if not run_ticks(c, state, watermark - get(c, k.BOUND), i, key_pos, key_len):
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
                count(hdr, stats.CONTROL)
                i += 1
                continue
            newest = get(state, W_NEWEST)
            status = apply(c, state, i, etype, key_pos, key_len, created)
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
