"""The hot path: one call runs a batch of packed records over the customers' state bytes and packs the scores.

For each entry, in order: decode → validate → duplicate → late (operators/entries.py) → due ticks → update → read → score → emit
(operators/emission.py). Nothing here raises on data: an event that cannot be taken becomes a line of `REJECTS` (status, field), which
Python turns into a frame after the call (operators/batched.py). What the contact policy has to know goes out as signals
(operators/watch.py). An entry is only begun when `out` has room for all it may produce, so a full buffer ends the call early and the caller
comes again.

A customer's state has a part for each feature set of the job (operators/parts.py). Each part takes every event, keeps its own time and is
forgotten by itself, as if it were alone; only the Flink timer and the signals are common to all.

`c` is the address of the first part's context (operators/context.py), `p` that of any part's, `state` that of one customer's bytes, `part`
that of a part of them. Everything is passed as addresses and numbers: an array as an argument is counted at each call
(operators/arrays.py).
"""

from __future__ import annotations

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
    W_TIMER_AT,
)
from keepline.features.plan import P_HOT, P_SIZE
from keepline.features.words import get, get_count, put
from keepline.operators import context as k
from keepline.operators import layout as at
from keepline.operators import stats
from keepline.operators.emission import rescore, signal
from keepline.operators.entries import AHEAD_ENTRIES, ask_timer, room_for, turned_away, validate
from keepline.operators.frames import put_tombstone
from keepline.operators.signals import ENDED, FIELDS, HAD_STATE, TICK
from keepline.operators.stats import count
from keepline.operators.watch import watched
from keepline.schemas.jit import njit
from keepline.schemas.mem import load_i32, load_i64, load_u8, prefetch, store_u8
from keepline.schemas.packed import ERASED_SEQUENCE, IN_HEADER, OVERSIZED_FLAG, TICK_FLAG
from keepline.schemas.status import DUPLICATE, LATE, OK

HOUR = 3_600_000
DAY = 24 * HOUR


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
        if status != OK and not turned_away(c, i, status, etype, reg, newest, key_pos, key_len, value_len):
            break
        i += 1
    put(hdr, at.CONSUMED, i - first)
