"""The hot path of the next-app job: one call runs a batch of packed records over the users' state bytes and packs the predictions.

For each entry, in order: decode → validate → duplicate → late → update; after an Unlock: its circumstances → candidates → probabilities →
the likeliest as a frame. A user who has been silent for the retention is forgotten, by a timer or before the next event. An erasure forgets
at once, takes the prediction from topic and view, and leaves a line for the receipt.

An unlock that is further behind the user's newest event than ANSWER_WITHIN is no reason to predict: what comes next has come.

`c` is the address of the context (operators/context.py), `state` that of one user's bytes (features/next_app/layout.py).
"""

from __future__ import annotations

from keepline.features.layout import W_IDENTITY, W_NEWEST, W_NEXT_WAKE, W_NOW, W_SEQUENCE, W_TIMER_AT
from keepline.features.next_app.kernel import UNLOCK, admit_at, context_at, update_at
from keepline.features.next_app.layout import B_LAST, SIZE
from keepline.features.words import get, get_count, put
from keepline.models.next_app.scorer import predict
from keepline.operators import context as k
from keepline.operators import layout as at
from keepline.operators import stats
from keepline.operators.entries import AHEAD_ENTRIES, REJECT_ROOM, ask_timer, leave, room_for, turned_away, validate
from keepline.operators.prediction_frames import put_forgotten, put_prediction
from keepline.operators.stats import count
from keepline.schemas.catalog import event_type
from keepline.schemas.jit import njit
from keepline.schemas.mem import load_i32, load_i64, load_u8, prefetch, store_u8
from keepline.schemas.packed import ERASED_SEQUENCE, IN_HEADER, OVERSIZED_FLAG, TICK_FLAG
from keepline.schemas.status import OK

HOUR = 3_600_000
RETENTION = 400 * 24 * HOUR
"""A user without an event for so long is forgotten, as customers are."""
ERASED = 64
"""In the place of a refusal's status in REJECTS: an erasure, whose receipt Python writes."""
_REQUEST = event_type("Erasure").field("request_id").register


@njit
def forget(state: int) -> None:
    """Forgets the user, but for the word of the timer that is outstanding."""
    timer = get(state, W_TIMER_AT)
    for word in range(SIZE >> 3):
        put(state, word, 0)
    put(state, W_TIMER_AT, timer)


@njit
def arm_timer(c: int, state: int, slot: int) -> None:
    """Asks for a Flink timer where none is outstanding; one that fires too early asks for the next."""
    if get(state, W_TIMER_AT) == 0:
        put(state, W_TIMER_AT, get(state, W_NEXT_WAKE))
        ask_timer(c, slot, get(state, W_NEXT_WAKE))


@njit
def tick(c: int, state: int, entry: int, slot: int, watermark: int) -> None:
    """A timer fired: the user is forgotten, or the timer set anew."""
    store_u8(get(c, k.TOUCHED), entry, 1)
    put(state, W_TIMER_AT, 0)
    if get(state, W_NEXT_WAKE) <= watermark:
        count(get(c, k.HDR), stats.FORGOTTEN)
        forget(state)
    else:
        arm_timer(c, state, slot)


@njit
def answer(c: int, state: int, etype: int, t: int, id_pos: int, id_len: int, created: int) -> None:
    """The prediction after an unlock at `t`, behind what is in `out`, which has room for it."""
    hdr, rs = get(c, k.HDR), get(c, k.RS)
    circumstances, places, probabilities = get(c, k.CIRCUMSTANCES), get(c, k.APP_PLACES), get(c, k.PROBABILITIES)
    context_at(state, etype, t, get(c, k.RI), get(c, k.RN), circumstances)
    n = predict(state, get(state, W_NOW), circumstances, get(c, k.MODEL), get(c, k.WORK), places, probabilities, get(c, k.MOST_APPS))
    if n == 0:
        return
    end = put_prediction(
        get(c, k.OUT), get(hdr, at.OUT_BYTES), get(c, k.TEXTS), get(c, k.TEXTS_AT), get(c, k.EVENTS), id_pos, id_len,
        get(rs, 2), get(rs, 3), get(state, W_NOW), get(state, W_SEQUENCE), created, state, get(c, k.MODEL), places, probabilities, n,
    )  # fmt: skip
    put(hdr, at.OUT_BYTES, end)
    put(hdr, at.FRAMES, get(hdr, at.FRAMES) + 1)
    count(hdr, stats.PREDICTIONS)


@njit
def apply(c: int, state: int, entry: int, slot: int, etype: int, id_pos: int, id_len: int, created: int) -> int:
    """A sound event on its user's state: OK, DUPLICATE or LATE; −1 when `out` is full."""
    hdr, ri, rs = get(c, k.HDR), get(c, k.RI), get(c, k.RS)
    t, id_hash = get(ri, 2), get(ri, 1)
    if get(state, W_IDENTITY) != 0 and t - get(state, W_NEWEST) >= RETENTION:
        store_u8(get(c, k.TOUCHED), entry, 1)
        count(hdr, stats.FORGOTTEN)
        forget(state)
    status: int = admit_at(state, t, id_hash)
    if status != OK:
        return status
    if etype == UNLOCK and not room_for(c, hdr, get(c, k.ROOM) + id_len + get(rs, 3)):
        return -1
    store_u8(get(c, k.TOUCHED), entry, 1)
    update_at(state, etype, t, id_hash, ri, get(c, k.RN), rs, get(c, k.EVENTS), get(c, k.CONSTANTS))
    put(state, W_SEQUENCE, get(state, W_SEQUENCE) + 1)
    put(state, W_NEXT_WAKE, (get(state, W_NEWEST) + RETENTION + HOUR - 1) // HOUR * HOUR)
    arm_timer(c, state, slot)
    if etype == UNLOCK:
        if get(state, W_NEWEST) - t <= get(c, k.ANSWER_WITHIN):
            answer(c, state, etype, t, id_pos, id_len, created)
        else:
            count(hdr, stats.UNANSWERED)
    return OK


@njit
def erase(c: int, state: int, entry: int, slot: int, etype: int, id_pos: int, id_len: int, value_len: int, created: int) -> bool:
    """Forgets the user and the timer, with a tombstone newer than all predictions, and leaves the receipt. False when `out` is full."""
    hdr, rs = get(c, k.HDR), get(c, k.RS)
    need = REJECT_ROOM + 2 * (id_len + value_len)
    if not room_for(c, hdr, get(c, k.ROOM) + id_len + need):
        return False
    had, t = get(state, W_IDENTITY) != 0, get(get(c, k.RI), 2)
    end = put_forgotten(get(c, k.OUT), get(hdr, at.OUT_BYTES), get(c, k.EVENTS), id_pos, id_len, t, ERASED_SEQUENCE, created)
    put(hdr, at.OUT_BYTES, end)
    put(hdr, at.FRAMES, get(hdr, at.FRAMES) + 1)
    if had:
        store_u8(get(c, k.TOUCHED), entry, 1)
        ask_timer(c, slot, -get(state, W_TIMER_AT))
        forget(state)
        put(state, W_TIMER_AT, 0)
    leave(c, entry, ERASED, etype, get(rs, 2 * _REQUEST), get(rs, 2 * _REQUEST + 1) << 1 | had, need)
    count(hdr, stats.ERASED)
    return True


@njit
def run(c: int, n: int, watermark: int, wall: int) -> None:
    """Runs entries `hdr[FIRST]…n−1`; the results stand in `hdr` (see operators.layout)."""
    hdr, buf, block = get(c, k.HDR), get(c, k.EVENTS), get(c, k.BLOCK)
    slots, offs = get(c, k.SLOTS), get(c, k.OFFS)
    first = get(hdr, at.FIRST)
    i = first
    while i < n:
        if i + AHEAD_ENTRIES < n:
            coming = block + get_count(slots, 4 * (i + AHEAD_ENTRIES)) * SIZE
            for line in range(0, B_LAST, 64):
                prefetch(coming + line)
        o, slot = get_count(offs, 4 * i), get_count(slots, 4 * i)
        state, flags = block + slot * SIZE, load_u8(buf, o)
        created = load_i64(buf, o + 24)
        key_len, value_len = load_i32(buf, o + 40), load_i32(buf, o + 44)
        key_pos = o + IN_HEADER
        if flags & TICK_FLAG:
            if get(state, W_IDENTITY) != 0:
                tick(c, state, i, slot, watermark)
            i += 1
            continue
        status, etype, reg = validate(c, key_pos, key_len, value_len, flags & OVERSIZED_FLAG != 0, wall)
        newest = 0
        if status == OK:
            if load_u8(get(c, k.CONTROL), etype):
                if etype == get(c, k.ERASURE) and not erase(c, state, i, slot, etype, key_pos, key_len, value_len, created):
                    break
                count(hdr, stats.CONTROL)
                i += 1
                continue
            newest = get(state, W_NEWEST)
            status = apply(c, state, i, slot, etype, key_pos, key_len, created)
            if status < 0:
                break
            if status == OK:
                count(hdr, stats.ACCEPTED)
        if status != OK and not turned_away(c, i, status, etype, reg, newest, key_pos, key_len, value_len):
            break
        i += 1
    put(hdr, at.CONSUMED, i - first)
