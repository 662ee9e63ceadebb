"""The hot path: one call runs a batch of packed records over the customers' state bytes and packs the scores.

For each entry, in order: decode → validate → duplicate → late → due ticks → update → read → score → emit. Nothing here
raises on data: an event that cannot be taken becomes a line of `rejects` (status, field), a score at or above the
threshold a line of `candidates`; Python turns both into frames after the call (`operators.customer`). An entry is only
begun when `out` has room for all it may produce, so a full buffer ends the call early and the caller comes again.

Arrays come in groups, plain tuples of one kind:
`views` = (int32, int64, float64) over the block of states; `regs` = the decoded registers; `programs` the
decoder's tables, `plan` = (ints, floats) the feature set's; `model` = (kind, coef, center); `row` = (x, contrib, top).
"""

from __future__ import annotations

import numpy as np

from keepline.features.kernel import admit, drop, read, update
from keepline.features.layout import FLAG_ENDED
from keepline.models.scorer import score, top3
from keepline.operators import layout as at
from keepline.operators.frames import SCORE_ROOM, put_score
from keepline.schemas.decode import check_time, decode, same_bytes
from keepline.schemas.jit import njit
from keepline.schemas.packed import IN_HEADER, OVERSIZED_FLAG, TICK_FLAG, in_created_ms, in_flags, in_key_length, in_value_length
from keepline.schemas.status import DUPLICATE, KEY_MISMATCH, LATE, OK, OVERSIZED

HOUR = 3_600_000
DAY = 24 * HOUR

# Settings of one operator: ints and floats of `config`.
C_RETENTION, C_BOUND, C_AHEAD, C_MIN_TIME, C_MAX_TIME, C_EMIT, C_STATE = range(7)
INTS = 7
EMIT_BAND, EMIT_DELTA, EMIT_EVERY = 0, 1, 2
F_INTERCEPT, F_LOW, F_HIGH, F_DELTA, F_THRESHOLD = range(5)

REJECT_COLUMNS = 6
"""entry, status, event type, field, newest event time (late events), event time."""
CANDIDATE_COLUMNS = 12
"""entry, state base, as_of, sequence, id position and length, event id position and length, created, three reasons."""
REJECT_ROOM = 1536
CANDIDATE_ROOM = 6144
"""Upper bounds of the frames that Python writes for a reject or a candidate, apart from key, value and event id."""


@njit
def band_of(value, floats):
    """0 LOW, 1 MEDIUM, 2 HIGH."""
    if value >= floats[F_HIGH]:
        return 2
    return 1 if value >= floats[F_LOW] else 0


@njit
def room_left(hdr, out, need):
    """Whether `out` can still take `need` bytes beside all that is written or promised."""
    return hdr[at.OUT_BYTES] + hdr[at.RESERVED_BYTES] + need <= out.shape[0]


@njit
def rescore(views, base, entry, buf, id_pos, id_len, ev_pos, ev_len, created, plan, model, ints, floats, names, row, out, hdr, cand_i, cand_x, cand_f):
    """Reads the features at the state's `now`, scores them, and emits what the rules ask for."""
    s32, s64, sf = views
    x, contrib, top = row
    q = base >> 3
    now = s64[q + at.NOW // 8]
    plan_ints, plan_floats = plan
    read(s32, s64, sf, base, now, plan_ints, plan_floats, x)
    kind, coef, center = model
    value = score(x, kind, coef, center, floats[F_INTERCEPT], contrib)
    band = band_of(value, floats)
    last_band = s32[(base + at.LAST_BAND) >> 2]
    emit = ints[C_EMIT] == EMIT_EVERY or band != last_band
    if ints[C_EMIT] == EMIT_DELTA and abs(value - sf[q + at.LAST_VALUE // 8]) >= floats[F_DELTA]:
        emit = True
    ended = (s64[q] & FLAG_ENDED) != 0
    wanted = value >= floats[F_THRESHOLD] and now >= s64[q + at.QUIET_UNTIL // 8] and not ended
    if not (emit or wanted):
        return
    top3(contrib, top)
    sequence = s64[q + at.SEQUENCE // 8]
    if emit:
        sf[q + at.LAST_VALUE // 8] = value
        s32[(base + at.LAST_BAND) >> 2] = band
        start = hdr[at.OUT_BYTES]
        hdr[at.OUT_BYTES] = put_score(
            out, start, names[0], names[1], buf, id_pos, id_len, ev_pos, ev_len, value, band, now, sequence, created, x, contrib, top
        )
        hdr[at.FRAMES] += 1
        hdr[at.SCORES] += 1
    if wanted:
        c = hdr[at.CANDIDATES]
        hdr[at.CANDIDATES] = c + 1
        hdr[at.RESERVED_BYTES] += CANDIDATE_ROOM + ev_len * 2
        line = cand_i[c]
        line[0] = entry
        line[1] = base
        line[2] = now
        line[3] = sequence
        line[4] = id_pos
        line[5] = id_len
        line[6] = ev_pos
        line[7] = ev_len
        line[8] = created
        cand_f[c, 0] = value
        for k in range(3):
            line[9 + k] = top[k]
            if top[k] >= 0:
                cand_f[c, 1 + k] = contrib[top[k]]
        cand_x[c, :] = x


@njit
def set_wake(views, base, ints):
    """Moves `next_wake` after an accepted event: an hour boundary 24 to 25 h ahead; an ended contract wakes only to be forgotten."""
    _s32, s64, _sf = views
    q = base >> 3
    if s64[q] & FLAG_ENDED:
        s64[q + at.NEXT_WAKE // 8] = (s64[q + at.NEWEST // 8] + ints[C_RETENTION] + HOUR - 1) // HOUR * HOUR
    else:
        s64[q + at.NEXT_WAKE // 8] = (s64[q + at.NOW // 8] // HOUR + 25) * HOUR


@njit
def run_ticks(views, base, limit, entry, buf, id_pos, id_len, plan, model, ints, floats, names, row, out, hdr, cand_i, cand_x, cand_f):
    """Runs the ticks that are due up to `limit`; False when `out` is full, to be continued by the next call.

    A tick later than the last event by the retention or more forgets the customer instead.
    """
    s32, s64, _sf = views
    q = base >> 3
    while s32[base >> 2] != 0:
        wake = s64[q + at.NEXT_WAKE // 8]
        if wake > limit:
            break
        if wake - s64[q + at.NEWEST // 8] >= ints[C_RETENTION]:
            drop(s64, base, plan[0])
            break
        if not room_left(hdr, out, SCORE_ROOM + CANDIDATE_ROOM) or hdr[at.CANDIDATES] >= cand_i.shape[0]:
            return False
        s64[q + at.NOW // 8] = wake
        s64[q + at.SEQUENCE // 8] += 1
        s64[q + at.NEXT_WAKE // 8] = wake + DAY
        hdr[at.TICKS] += 1
        rescore(views, base, entry, buf, id_pos, id_len, 0, 0, 0, plan, model, ints, floats, names, row, out, hdr, cand_i, cand_x, cand_f)
    return True


@njit
def arm_timer(views, base, slot, ints, hdr, timer_slot, timer_at):
    """Asks for a Flink timer where none is outstanding or the wake came nearer (a contract began anew).

    A wake that moved away needs none: the firing finds nothing due and re-arms.
    """
    __s32, s64, _sf = views
    q = base >> 3
    due = s64[q + at.NEXT_WAKE // 8] + ints[C_BOUND]
    armed = s64[q + at.TIMER_AT // 8]
    if armed == 0 or due < armed:
        s64[q + at.TIMER_AT // 8] = due
        k = hdr[at.TIMERS]
        timer_slot[k] = slot
        timer_at[k] = due
        hdr[at.TIMERS] = k + 1


@njit
def validate(buf, key_pos, key_len, value_pos, value_len, oversized, wall, programs, regs, ints):
    """(status, event type, field) of one record; the registers hold the event when the status is OK."""
    if oversized:
        return OVERSIZED, -1, -1
    ri, rf, rs, rn = regs
    status, etype, reg = decode(buf, value_pos, value_pos + value_len, programs, ri, rf, rs, rn)
    if status != OK:
        return status, etype, reg
    if not same_bytes(buf, key_pos, key_len, buf, rs[0, 0], rs[0, 1]):
        return KEY_MISMATCH, etype, 0
    status = check_time(ri[2], ints[C_MIN_TIME], ints[C_MAX_TIME], wall, ints[C_AHEAD])
    return status, etype, 2


@njit
def run(n, watermark, wall, control, slots, offs, lens, touched, timer_slot, timer_at, out, buf, hdr, views, programs, plan, model, names, ints, floats, regs, row, rejects, cand_i, cand_x, cand_f):
    """Runs entries `hdr[FIRST]…n−1`; the results stand in `hdr` (see operators.layout).

    Shapes: slots, offs, lens int32[N]; touched uint8[N]; timer_slot int32[N], timer_at int64[N]; rejects int64[N, 6];
    cand_i int64[C, 12], cand_x float64[C, features], cand_f float64[C, 4]; `control[type]` is 1 for control types.
    """
    ri, rf, rs, rn = regs
    s32, s64, sf = views
    first = hdr[at.FIRST]
    i = first
    while i < n:
        o = offs[i]
        slot = slots[i]
        base = np.int64(slot) * ints[C_STATE]
        q = base >> 3
        flags = in_flags(buf, o)
        created = in_created_ms(buf, o)
        key_len = in_key_length(buf, o)
        value_len = in_value_length(buf, o)
        key_pos = o + IN_HEADER
        value_pos = key_pos + key_len

        if flags & TICK_FLAG:
            if s32[base >> 2] != 0:
                touched[i] = 1
                due = watermark - ints[C_BOUND]
                if not run_ticks(
                    views, base, due, i, buf, key_pos, key_len, plan, model, ints, floats, names, row, out, hdr, cand_i, cand_x, cand_f
                ):
                    break
                s64[q + at.TIMER_AT // 8] = 0
                if s32[base >> 2] != 0:
                    arm_timer(views, base, slot, ints, hdr, timer_slot, timer_at)
            i += 1
            continue

        status, etype, reg = validate(
            buf, key_pos, key_len, value_pos, value_len, (flags & OVERSIZED_FLAG) != 0, wall, programs, regs, ints
        )
        if status == OK and control[etype]:
            i += 1
            continue
        newest = np.int64(0)
        if status == OK:
            t = ri[2]
            newest = s64[q + at.NEWEST // 8]
            if s32[base >> 2] != 0 and t - newest >= ints[C_RETENTION]:
                touched[i] = 1
                if not run_ticks(
                    views, base, t, i, buf, key_pos, key_len, plan, model, ints, floats, names, row, out, hdr, cand_i, cand_x, cand_f
                ):
                    break
            status = admit(s64, base, t, ri[1], plan[0])
            if status == OK:
                touched[i] = 1
                if not run_ticks(
                    views, base, t, i, buf, key_pos, key_len, plan, model, ints, floats, names, row, out, hdr, cand_i, cand_x, cand_f
                ):
                    break
                if not room_left(hdr, out, SCORE_ROOM + CANDIDATE_ROOM + 3 * rs[1, 1]) or hdr[at.CANDIDATES] >= cand_i.shape[0]:
                    break
                update(s32, s64, sf, base, etype, t, ri[1], ri, rf, rn, plan[0])
                s64[q + at.SEQUENCE // 8] += 1
                hdr[at.ACCEPTED] += 1
                set_wake(views, base, ints)
                rescore(
                    views, base, i, buf, rs[0, 0], rs[0, 1], rs[1, 0], rs[1, 1], created,
                    plan, model, ints, floats, names, row, out, hdr, cand_i, cand_x, cand_f,
                )  # fmt: skip
                arm_timer(views, base, slot, ints, hdr, timer_slot, timer_at)
                i += 1
                continue
            if status == DUPLICATE:
                hdr[at.DUPLICATES] += 1
                i += 1
                continue
        # A dead letter or a late event: Python writes its frame, in the room promised here.
        need = REJECT_ROOM + 2 * (key_len + value_len)
        if not room_left(hdr, out, need):
            break
        hdr[at.RESERVED_BYTES] += need
        hdr[at.LATE_EVENTS if status == LATE else at.DEAD_LETTERS] += 1
        line = rejects[hdr[at.REJECTS]]
        hdr[at.REJECTS] += 1
        line[0] = i
        line[1] = status
        line[2] = etype
        line[3] = reg
        line[4] = newest
        line[5] = ri[2]
        i += 1
    hdr[at.CONSUMED] = i - first
