"""What a moment puts out: the scores that the job's rule asks for, and the signal that the contact policy is owed.

`rescore` is the entrance: after an event or a tick it scores the parts that moved. `c` is the address of the first part's context, `p` that
of any part's, `state` that of one customer's bytes, `part` that of a part of them.
"""

from __future__ import annotations

import math

from keepline.features.layout import FLAG_ENDED, W_ACTIVE, W_IDENTITY, W_NOW, W_QUIET_UNTIL, W_SEQUENCE, W_SIGNALLED_AT
from keepline.features.words import get, get_count, put, put_count
from keepline.operators import context as k
from keepline.operators import layout as at
from keepline.operators import stats
from keepline.operators.arrays import floats, ints
from keepline.operators.frames import put_score
from keepline.operators.scoring import band_of, due, evaluate, explain, note_scored
from keepline.operators.signals import ENDED, FIELDS, HAD_STATE, SCORED, put_signal
from keepline.operators.stats import count, count_score
from keepline.operators.watch import REFRESH_MS, holding, moved
from keepline.schemas.jit import njit
from keepline.schemas.mem import load_f64, store_f64

CHURN = 0
"""The number of the score whose values are counted (schemas/outputs/Score.avsc)."""


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
