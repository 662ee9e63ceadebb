"""The hot path: one call runs a batch of packed records over the customers' state bytes and packs the scores.

For each entry, in order: decode → validate → duplicate → late → due ticks → update → read → score → emit. Nothing here
raises on data: an event that cannot be taken becomes a line of `REJECTS` (status, field), which Python turns into a frame after
the call (`operators.customer`). What the contact policy has to know goes out as signals (operators/watch.py). An entry is only
begun when `out` has room for all it may produce, so a full buffer ends the call early and the caller comes again.

A customer's state has a part for each feature set of the job (operators/parts.py). Each part takes every event, keeps its own time and is
forgotten by itself, as if it were alone; only the Flink timer and the signals are common to all.

`c` is the address of the first part's context (operators/context.py), `p` that of any part's, `state` that of one customer's bytes, `part`
that of a part of them. Everything is passed as addresses and numbers: an array as an argument is counted at each call
(operators/arrays.py).
"""

from __future__ import annotations

import math
from typing import Any

from keepline.features.kernel import admit_at, update_at, zero_at
from keepline.features.layout import (
    FLAG_ENDED,
    NEVER,
    W_ACTIVE,
    W_IDENTITY,
    W_NEWEST,
    W_NEXT_WAKE,
    W_NOW,
    W_QUIET_UNTIL,
    W_SEQUENCE,
    W_SIGNALLED_AT,
    W_TIMER_AT,
)
from keepline.features.plan import P_HOT, P_SIZE
from keepline.features.words import get, get_count, put, put_count
from keepline.operators import context as k
from keepline.operators import layout as at
from keepline.operators import stats
from keepline.operators.arrays import floats, ints
from keepline.operators.frames import put_score, put_tombstone
from keepline.operators.scoring import band_of, due, evaluate, explain, note_scored
from keepline.operators.signals import ENDED, FIELDS, HAD_STATE, SCORED, TICK, put_signal
from keepline.operators.stats import count, count_score
from keepline.operators.watch import REFRESH_MS, holding, moved, watched
from keepline.schemas.decode import NOT_ASKED, check_time, decode_at, same_bytes
from keepline.schemas.jit import njit
from keepline.schemas.mem import load_f64, load_i32, load_i64, load_u8, prefetch, store_f64, store_u8
from keepline.schemas.packed import ERASED_SEQUENCE, IN_HEADER, OVERSIZED_FLAG, TICK_FLAG
from keepline.schemas.status import DUPLICATE, KEY_MISMATCH, LATE, OK, OVERSIZED, UNKNOWN_SCHEMA

HOUR = 3_600_000
DAY = 24 * HOUR
CHURN = 0
"""The number of the score whose values are counted (schemas/outputs/Score.avsc)."""
AHEAD_ENTRIES = 4
"""How far ahead a state is fetched into the cache: memory latency is half of an event's cost."""

REJECT_ROOM = 1536
"""An upper bound of the frame that Python writes for a reject, apart from key and value."""


@njit
def room_for(c: int, hdr: int, need: int) -> bool:
    """Whether `out` can still take `need` bytes beside all that is written or promised."""
    return get(hdr, at.OUT_BYTES) + get(hdr, at.RESERVED_BYTES) + need <= get(c, k.OUT_SIZE)


@njit
def emits(c: int, p: int, part: int, i: int) -> bool:
    """Whether score `i` is to be put out, by the job's rule."""
    rule, value = get(c, k.EMIT), load_f64(get(p, k.VALUES), 8 * i)
    if math.isnan(value):  # there is none
        return False
    place = get(p, k.PLACES) + 8 * k.PLACE_WORDS * i
    if rule == k.EMIT_EVERY or band_of(p, i) != get_count(part, get(place, k.L_BAND)) - get(p, k.BAND_BIAS):
        return True
    if rule != k.EMIT_DELTA:
        return False
    rules = get(p, k.RULES) + 8 * k.RULE_WORDS * i
    before = load_f64(part, get(place, k.L_VALUE))
    least = load_f64(rules, 8 * k.R_DELTA)
    if load_f64(rules, 8 * k.R_DELTA_SHARE) != 0.0:
        least *= abs(before)
    change = abs(value - before)
    # A share of 0 is no change.
    moved_enough: bool = change >= least and (change > 0.0 or least == load_f64(rules, 8 * k.R_DELTA))
    return moved_enough


@njit
def put_out(c: int, p: int, part: int, i: int, id_pos: int, id_len: int, ev_pos: int, ev_len: int, created: int) -> None:
    """The frame of score `i` behind what is in `out`, which has room for it."""
    hdr, width = get(c, k.HDR), get(p, k.FEATURES)
    explain(p, i)
    value, band = load_f64(get(p, k.VALUES), 8 * i), band_of(p, i)
    place, names = get(p, k.PLACES) + 8 * k.PLACE_WORDS * i, get(p, k.NAMES) + 16 * i
    store_f64(part, get(place, k.L_VALUE), value)
    put_count(part, get(place, k.L_BAND), band + get(p, k.BAND_BIAS))
    end = put_score(
        get(c, k.OUT), get(hdr, at.OUT_BYTES), get(names, k.N_RAW), get(names, k.N_AT), get(c, k.EVENTS),
        id_pos, id_len, ev_pos, ev_len, value, band, get(part, W_NOW), get(part, W_SEQUENCE), created,
        floats(get(p, k.X), width), floats(get(p, k.CONTRIB) + 8 * width * i, width), ints(get(p, k.TOP) + 12 * i, 3),
    )  # fmt: skip
    put(hdr, at.OUT_BYTES, end)
    put(hdr, at.FRAMES, get(hdr, at.FRAMES) + 1)
    count(hdr, stats.EMITTED + 3 * get(place, k.L_SCORE) + band)


@njit
def worth_telling(p: int, part: int) -> bool:
    """Whether the policy is to be told of the part's scores and features as they are now."""
    ended = get(part, W_IDENTITY) & FLAG_ENDED != 0
    before, since = get(part, W_ACTIVE), get(part, W_SIGNALLED_AT)
    active = 0 if ended else holding(p, before if since != 0 else 0)
    if active != before if since != 0 else active != 0:
        return True
    if active != 0 and get(part, W_NOW) - since >= REFRESH_MS:
        return True
    return not ended and moved(p, part, since != 0)


@njit
def rescore(
    c: int, state: int, which: int, id_pos: int, id_len: int, ev_pos: int, ev_len: int, created: int, etype: int, told: bool
) -> None:
    """Scores the parts whose bit is in `which` at their `now`, emits what the rules ask for, and tells the policy if there is cause.

    `told`: the event itself, of type `etype`, is one that the policy is told of.
    """
    wanted, p, bit = told, c, 1
    while p != 0:
        put(p, k.FRESH, 0)
        put(p, k.EXPLAINED, 0)
        part = state + get(p, k.AT)
        if which & bit and due(p, part, etype):
            evaluate(p, part)
            note_scored(p, part)
            if get(get(p, k.PLACES), k.L_SCORE) == CHURN:
                count_score(get(c, k.HDR), load_f64(get(p, k.VALUES), 0))
            for i in range(get(p, k.N_SCORES)):
                if emits(c, p, part, i):
                    put_out(c, p, part, i, id_pos, id_len, ev_pos, ev_len, created)
            wanted = wanted or worth_telling(p, part)
        p = get(p, k.NEXT)
        bit <<= 1
    if wanted:
        tell(c, state, id_pos, id_len, ev_pos, ev_len, created, etype, told)


@njit
def tell(c: int, state: int, id_pos: int, id_len: int, ev_pos: int, ev_len: int, created: int, etype: int, told: bool) -> None:
    """One signal with all scores and features that the customer has now."""
    now = sequence = active = present = 0
    ended, p, bit = False, c, 1
    while p != 0:
        part = state + get(p, k.AT)
        if get(part, W_IDENTITY) != 0:
            present |= bit
            evaluate(p, part)
            over = get(part, W_IDENTITY) & FLAG_ENDED != 0
            since = get(part, W_SIGNALLED_AT)
            mine = 0 if over else holding(p, get(part, W_ACTIVE) if since != 0 else 0)
            for i in range(get(p, k.N_SCORES)):
                explain(p, i)
                store_f64(part, get(get(p, k.PLACES) + 8 * k.PLACE_WORDS * i, k.L_TOLD), load_f64(get(p, k.VALUES), 8 * i))
            put(part, W_ACTIVE, mine)
            put(part, W_SIGNALLED_AT, get(part, W_NOW))
            ended, active = ended or over, active | mine
            now, sequence = max(now, get(part, W_NOW)), max(sequence, get(part, W_SEQUENCE))
        p = get(p, k.NEXT)
        bit <<= 1
    flags = SCORED | HAD_STATE | (ENDED if ended else 0) | (FIELDS if told else 0)
    signal(c, etype, flags, present, active, get(state, W_QUIET_UNTIL), id_pos, id_len, ev_pos, ev_len, now, sequence, created)


@njit
def signal(
    c: int, etype: int, flags: int, present: int, active: int, quiet_until: int,
    id_pos: int, id_len: int, ev_pos: int, ev_len: int, time: int, sequence: int, created: int,
) -> None:  # fmt: skip
    """One signal behind what is in `out`, which has room for it."""
    hdr = get(c, k.HDR)
    end = put_signal(
        c, get(hdr, at.OUT_BYTES), etype, flags, present, active, quiet_until, id_pos, id_len, ev_pos, ev_len, time, sequence, created
    )
    put(hdr, at.OUT_BYTES, end)
    put(hdr, at.FRAMES, get(hdr, at.FRAMES) + 1)
    count(hdr, stats.SIGNALS)


@njit
def existing(c: int, state: int) -> int:
    """The parts that there are, a bit each; 0: the customer has no state."""
    found, p, bit = 0, c, 1
    while p != 0:
        if get(state + get(p, k.AT), W_IDENTITY) != 0:
            found |= bit
        p = get(p, k.NEXT)
        bit <<= 1
    return found


@njit
def newest_of(c: int, state: int) -> int:
    """The newest event time that a part has accepted; 0 without a state."""
    newest, p = 0, c
    while p != 0:
        newest = max(newest, get(state + get(p, k.AT), W_NEWEST))
        p = get(p, k.NEXT)
    return newest


@njit
def control(c: int, state: int, entry: int, slot: int, etype: int, id_pos: int, id_len: int, value_len: int, created: int) -> bool:
    """A consent, an outcome or an erasure: told to the policy, after the ticks that are due before it. False when `out` is full.

    It moves no `now` of its own. The ticks are run because the watermark, which the record moves as any other, may have run them or not.
    """
    hdr, t = get(c, k.HDR), get(get(c, k.RI), 2)
    if existing(c, state) != 0:
        store_u8(get(c, k.TOUCHED), entry, 1)
        if not run_ticks(c, state, t, id_pos, id_len):
            return False
    if not room_for(c, hdr, get(c, k.ROOM) + value_len + 2 * id_len):
        return False
    had, now, sequence, active, ended, p = False, t, 1, 0, False, c
    while p != 0:
        part = state + get(p, k.AT)
        if get(part, W_IDENTITY) != 0:
            now, active = max(now, get(part, W_NOW)), active | get(part, W_ACTIVE)
            ended = ended or get(part, W_IDENTITY) & FLAG_ENDED != 0
            if not had:
                had, sequence = True, get(part, W_SEQUENCE) + 1
                put(part, W_SEQUENCE, sequence)
        p = get(p, k.NEXT)
    flags = FIELDS | (HAD_STATE if had else 0) | (ENDED if ended else 0)
    quiet_until = get(state, W_QUIET_UNTIL)
    if etype == get(c, k.ERASURE):
        erase(c, state, entry, slot, id_pos, id_len, now, created)
    rs = get(c, k.RS)
    signal(c, etype, flags, 0, active, quiet_until, id_pos, id_len, get(rs, 2), get(rs, 3), t, sequence, created)
    if had and existing(c, state) != 0:
        arm_timer(c, state, slot)
    return True


@njit
def erase(c: int, state: int, entry: int, slot: int, id_pos: int, id_len: int, now: int, created: int) -> None:
    """Forgets the customer with the timer, and takes the scores from the topic and the view: tombstones, newer than all before them."""
    hdr, p = get(c, k.HDR), c
    while p != 0:
        for i in range(get(p, k.N_SCORES)):
            names = get(p, k.NAMES) + 16 * i
            end = put_tombstone(
                get(c, k.OUT), get(hdr, at.OUT_BYTES), get(names, k.N_RAW), get(names, k.N_AT), get(c, k.EVENTS),
                id_pos, id_len, now, ERASED_SEQUENCE, created,
            )  # fmt: skip
            put(hdr, at.OUT_BYTES, end)
            put(hdr, at.FRAMES, get(hdr, at.FRAMES) + 1)
        p = get(p, k.NEXT)
    armed = get(state, W_TIMER_AT)
    if armed != 0:
        ask_timer(c, slot, -armed)
    store_u8(get(c, k.TOUCHED), entry, 1)
    for word in range(get(c, k.STATE) >> 3):
        put(state, word, 0)
    count(hdr, stats.ERASED)


@njit
def set_wake(p: int, part: int) -> None:
    """Moves `next_wake` after an accepted event: an hour boundary 24 to 25 h ahead; an ended contract wakes only to be forgotten."""
    if get(part, W_IDENTITY) & FLAG_ENDED:
        wake = (get(part, W_NEWEST) + get(p, k.RETENTION) + HOUR - 1) // HOUR * HOUR
    else:
        wake = (get(part, W_NOW) // HOUR + 25) * HOUR
    put(part, W_NEXT_WAKE, wake)


@njit
def next_wake(c: int, state: int) -> int:
    """The first wake of any part; NEVER without a state."""
    wake, p = NEVER, c
    while p != 0:
        part = state + get(p, k.AT)
        if get(part, W_IDENTITY) != 0:
            wake = min(wake, get(part, W_NEXT_WAKE))
        p = get(p, k.NEXT)
    return wake


@njit
def forget(c: int, p: int, state: int) -> None:
    """Forgets a part. The first one's word of the timer, which is the customer's, stays as long as there is another part."""
    part = state + get(p, k.AT)
    timer = get(part, W_TIMER_AT)
    zero_at(part, get(p, k.PLAN_INTS))
    clear_tail(p, part)
    if p == c and existing(c, state) != 0:
        put(part, W_TIMER_AT, timer)
    count(get(c, k.HDR), stats.FORGOTTEN)


@njit
def run_ticks(c: int, state: int, limit: int, id_pos: int, id_len: int) -> bool:
    """Runs the ticks that are due up to `limit`, in the order of their times; False when `out` is full: the next call goes on.

    A tick later than a part's last event by the retention or more forgets the part instead.
    """
    hdr = get(c, k.HDR)
    while True:
        wake = next_wake(c, state)
        if wake > limit:
            return True
        if not room_for(c, hdr, get(c, k.ROOM) + id_len):
            return False
        which, p, bit = 0, c, 1
        while p != 0:
            part = state + get(p, k.AT)
            if get(part, W_IDENTITY) != 0 and get(part, W_NEXT_WAKE) == wake:
                if wake - get(part, W_NEWEST) >= get(p, k.RETENTION):
                    forget(c, p, state)
                else:
                    put(part, W_NOW, wake)
                    put(part, W_SEQUENCE, get(part, W_SEQUENCE) + 1)
                    put(part, W_NEXT_WAKE, wake + DAY)
                    which |= bit
            p = get(p, k.NEXT)
            bit <<= 1
        if which != 0:
            count(hdr, stats.TICKS)
            rescore(c, state, which, id_pos, id_len, 0, 0, 0, TICK, False)


@njit
def arm_timer(c: int, state: int, slot: int) -> None:
    """Asks for a Flink timer where none is outstanding or the wake came nearer (a contract began anew).

    A wake that moved away needs none: the firing finds nothing due and re-arms. So does that of a timer of 0.1.0, which was set later.
    """
    wake = next_wake(c, state)
    armed = get(state, W_TIMER_AT)
    if armed == 0 or wake < armed:
        put(state, W_TIMER_AT, wake)
        ask_timer(c, slot, wake)


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
def silent(c: int, state: int, t: int) -> bool:
    """Whether the silence before an event at `t` is one that ends in forgetting a part."""
    p = c
    while p != 0:
        part = state + get(p, k.AT)
        if get(part, W_IDENTITY) != 0 and t - get(part, W_NEWEST) >= get(p, k.RETENTION):
            return True
        p = get(p, k.NEXT)
    return False


@njit
def admitting(c: int, state: int, t: int, id_hash: int) -> Any:
    """(parts that take the event, a bit each; OK, DUPLICATE or LATE for the customer).

    Parts differ only where one was forgotten and the other not. An event is refused where no part takes it, and late where one says so.
    """
    which, status, p, bit = 0, DUPLICATE, c, 1
    while p != 0:
        found = admit_at(state + get(p, k.AT), t, id_hash, get(p, k.PLAN_INTS))
        if found == OK:
            which |= bit
        elif found == LATE:
            status = LATE
        p = get(p, k.NEXT)
        bit <<= 1
    return which, OK if which != 0 else status


@njit
def clear_tail(p: int, part: int) -> None:
    """Forgets what the operator keeps behind a part's features."""
    size = get(get(p, k.PLAN_INTS), P_SIZE)
    for word in range(size >> 3, (size + get(p, k.TAIL)) >> 3):
        put(part, word, 0)


@njit
def apply(c: int, state: int, entry: int, etype: int, id_pos: int, id_len: int, value_len: int, created: int) -> int:
    """A sound event on its customer's state: OK, DUPLICATE or LATE; −1 when `out` is full (all so far stands)."""
    ri, rs = get(c, k.RI), get(c, k.RS)
    t, id_hash = get(ri, 2), get(ri, 1)
    # A silence that ends in forgetting has its ticks first, as the timers would have run them.
    if silent(c, state, t):
        store_u8(get(c, k.TOUCHED), entry, 1)
        if not run_ticks(c, state, t, id_pos, id_len):
            return -1
    which, status = admitting(c, state, t, id_hash)
    if status != OK:
        return status  # type: ignore[no-any-return]
    store_u8(get(c, k.TOUCHED), entry, 1)
    if not run_ticks(c, state, t, id_pos, id_len):
        return -1
    ev_pos, ev_len = get(rs, 2), get(rs, 3)
    told = watched(c, etype)
    texts = get(c, k.SCORES) * ev_len + id_len + ev_len + (value_len if told else 0)
    if not room_for(c, get(c, k.HDR), get(c, k.ROOM) + texts):
        return -1
    p, bit = c, 1
    while p != 0:
        if which & bit:
            part = state + get(p, k.AT)
            if get(part, W_IDENTITY) == 0:
                clear_tail(p, part)
            update_at(part, etype, t, id_hash, ri, get(c, k.RF), get(c, k.RN), get(p, k.PLAN_INTS))
            put(part, W_SEQUENCE, get(part, W_SEQUENCE) + 1)
            set_wake(p, part)
        p = get(p, k.NEXT)
        bit <<= 1
    rescore(c, state, which, id_pos, id_len, ev_pos, ev_len, created, etype, told)
    return OK


@njit
def fetch(c: int, state: int) -> None:
    """Has what nearly every event touches of a customer's state brought into the cache."""
    p = c
    while p != 0:
        part = state + get(p, k.AT)
        for line in range(0, get(get(p, k.PLAN_INTS), P_HOT), 64):
            prefetch(part + line)
        p = get(p, k.NEXT)


@njit
def run(c: int, n: int, watermark: int, wall: int) -> None:
    """Runs entries `hdr[FIRST]…n−1`; the results stand in `hdr` (see operators.layout)."""
    hdr, buf, block, size = get(c, k.HDR), get(c, k.EVENTS), get(c, k.BLOCK), get(c, k.STATE)
    slots, offs = get(c, k.SLOTS), get(c, k.OFFS)
    first = get(hdr, at.FIRST)
    i = first
    while i < n:
        if i + AHEAD_ENTRIES < n:
            fetch(c, block + get_count(slots, 4 * (i + AHEAD_ENTRIES)) * size)
        o = get_count(offs, 4 * i)
        slot = get_count(slots, 4 * i)
        state = block + slot * size
        flags = load_u8(buf, o)
        created = load_i64(buf, o + 24)
        key_len, value_len = load_i32(buf, o + 40), load_i32(buf, o + 44)
        key_pos = o + IN_HEADER
        if flags & TICK_FLAG:
            if existing(c, state) != 0:
                store_u8(get(c, k.TOUCHED), i, 1)
                if not run_ticks(c, state, watermark, key_pos, key_len):
                    break
                if existing(c, state) != 0:
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
            newest = newest_of(c, state)
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
