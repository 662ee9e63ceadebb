"""Signals as frames: what the kernel tells the contact policy, written compiled, read back as `models.contact.signal.Signal`.

The value of a frame of channel SIGNALS, little-endian; key, time (`as_of`), sequence and created_ms are in the frame's header:

     0 u8 event type (255: a tick)   1 u8 flags (1 scored, 2 contract ended, 4 there was a state, 8 the event's fields follow)
     2 u8 the parts that are there, a bit each   3 u8 0   4 i32 length of the event id   8 i64 levels that hold   16 i64 quiet_until
    24 if scored, for each part that is there: for each of its scores f64 value (NaN: none), i32 × 3 features of the reasons (-1: none), i32
       band, f64 × 3 their contributions; then f64 × features
    then, if they follow, for each of the event's fields from event_time on: a text's u8 null, u32 length and bytes; of any other the
    decoder's registers, u8 null, i64 and f64
    then the event id
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from keepline.features.words import get, get_float
from keepline.models.contact.signal import Reason, Scored, Signal
from keepline.operators import context as k
from keepline.operators.scoring import band_of
from keepline.operators.watch import EVENT_WORDS, TEXTS
from keepline.schemas.catalog import EVENT_TIME, EVENT_TYPES, NREG, EventType
from keepline.schemas.jit import njit
from keepline.schemas.mem import copy_bytes, load_f64, load_i32, load_u8, store_f64, store_i32, store_i64, store_u8
from keepline.schemas.packed import OUT_HEADER, SIGNALS, Frame, out_header

TICK = 255
SCORED, ENDED, HAD_STATE, FIELDS = 1, 2, 4, 8
SIGNAL_ROOM = OUT_HEADER + 24 + 17 * NREG
"""An upper bound of a signal's bytes apart from SCORE_BYTES a score, 8 a feature, the event id and the event's texts."""
SCORE_BYTES = 48

_HEAD = struct.Struct("<BBBxiqq")
_SCORE = struct.Struct("<d4i3d")
_LENGTH, _NUMBER = struct.Struct("<I"), struct.Struct("<qd")


class Told(NamedTuple):
    """What a signal leaves out of a part: the features' names, and of each score (name, model id, model version)."""

    names: tuple[str, ...]
    scores: tuple[tuple[str, str, int], ...]


@njit
def put_signal(
    c: int, start: int, etype: int, flags: int, present: int, active: int, quiet_until: int,
    id_pos: int, id_len: int, ev_pos: int, ev_len: int, time: int, sequence: int, created: int,
) -> int:  # fmt: skip
    """Writes one signal at `OUT + start`; returns the position behind it. The registers hold the event if FIELDS is among the flags."""
    out, buf = get(c, k.OUT), get(c, k.EVENTS)
    p = start + OUT_HEADER
    p = copy_bytes(out, p, buf, id_pos, id_len)
    value_start = p
    store_u8(out, p, etype)
    store_u8(out, p + 1, flags)
    store_u8(out, p + 2, present)
    store_u8(out, p + 3, 0)
    store_i32(out, p + 4, ev_len)
    store_i64(out, p + 8, active)
    store_i64(out, p + 16, quiet_until)
    p += 24
    part, bit = c, 1
    while part != 0:
        if flags & SCORED and present & bit:
            p = _put_scores(part, out, p)
        part = get(part, k.NEXT)
        bit <<= 1
    if flags & FIELDS:
        ri, rf, rs, rn = get(c, k.RI), get(c, k.RF), get(c, k.RS), get(c, k.RN)
        row = get(c, k.WATCH_EVENTS) + 8 * EVENT_WORDS * etype
        texts = get(row, 2)
        for r in range(EVENT_TIME, get(row, 3)):
            store_u8(out, p, load_u8(rn, r))
            if texts >> r & 1:
                length = get(rs, 2 * r + 1)
                store_i32(out, p + 1, length)
                p = copy_bytes(out, p + 5, buf, get(rs, 2 * r), length)
            else:
                store_i64(out, p + 1, get(ri, r))
                store_f64(out, p + 9, get_float(rf, r))
                p += 17
    p = copy_bytes(out, p, buf, ev_pos, ev_len)
    out_header(out, start, SIGNALS, sequence, time, created, id_len, p - value_start)
    return p


@njit
def _put_scores(part: int, out: int, p: int) -> int:
    width = get(part, k.FEATURES)
    for i in range(get(part, k.N_SCORES)):
        top, contrib = get(part, k.TOP) + 12 * i, get(part, k.CONTRIB) + 8 * width * i
        store_f64(out, p, load_f64(get(part, k.VALUES), 8 * i))
        for rank in range(3):
            feature = load_i32(top, 4 * rank)
            store_i32(out, p + 8 + 4 * rank, feature)
            store_f64(out, p + 24 + 8 * rank, load_f64(contrib, 8 * feature) if feature >= 0 else 0.0)
        store_i32(out, p + 20, band_of(part, i))
        p += SCORE_BYTES
    for f in range(width):
        store_f64(out, p, load_f64(get(part, k.X), 8 * f))
        p += 8
    return p


def unpack(frame: Frame, parts: Sequence[Told]) -> Signal:
    """The signal of a frame. The main score is the first of the first part."""
    raw = frame.value
    etype, flags, present, id_length, active, quiet_until = _HEAD.unpack_from(raw)
    at = _HEAD.size
    features: dict[str, float] = {}
    scores: dict[str, Scored] = {}
    for number, part in enumerate(parts):
        if flags & SCORED and present >> number & 1:
            at = _scores(raw, at, part, features, scores)
    main = parts[0].scores[0]
    mine = scores.pop(main[0], None)
    fields: dict[str, Any] = {}
    kind = EVENT_TYPES[etype] if etype != TICK else None
    if flags & FIELDS and kind is not None:
        fields, at = _fields(raw, at, kind)
    return Signal(
        customer_id=frame.key.decode(),
        time=frame.as_of,
        event_id=raw[at : at + id_length].decode(),
        event_type=kind.name if kind is not None else "",
        fields=fields,
        value=mine.value if mine is not None else None,
        band=mine.band if mine is not None else 0,
        reasons=mine.reasons if mine is not None else (),
        features=features,
        active=active,
        ended=bool(flags & ENDED),
        quiet_until=quiet_until,
        model_id=main[1],
        model_version=main[2],
        had_state=bool(flags & HAD_STATE),
        score=main[0],
        others=scores,
    )


def _scores(raw: bytes, at: int, part: Told, features: dict[str, float], scores: dict[str, Scored]) -> int:
    """Takes a part's scores and features; where they end."""
    start = at + SCORE_BYTES * len(part.scores)
    row = np.frombuffer(raw, np.float64, len(part.names), start).tolist()
    features.update(zip(part.names, row, strict=True))
    for name, model_id, version in part.scores:
        value, f0, f1, f2, band, c0, c1, c2 = _SCORE.unpack_from(raw, at)
        reasons = tuple(Reason(part.names[f], row[f], weight) for f, weight in ((f0, c0), (f1, c1), (f2, c2)) if f >= 0)
        if not math.isnan(value):
            scores[name] = Scored(value, band, reasons, model_id, version)
        at += SCORE_BYTES
    return start + 8 * len(part.names)


def _fields(raw: bytes, at: int, kind: EventType) -> tuple[dict[str, Any], int]:
    """The fields of an event from event_time on, by name, and where they end."""
    found: dict[str, Any] = {}
    for field in kind.fields[EVENT_TIME:]:
        null = raw[at] != 0
        value: Any
        if field.kind in TEXTS:
            (length,) = _LENGTH.unpack_from(raw, at + 1)
            text = raw[at + 5 : at + 5 + length]
            value = text.decode() if field.kind == "string" else text
            at += 5 + length
        else:
            whole, real = _NUMBER.unpack_from(raw, at + 1)
            if field.symbols:
                value = field.symbols[whole] if not null else None
            elif field.kind == "boolean":
                value = bool(whole)
            else:
                value = real if field.kind in ("float", "double") else whole
            at += 17
        found[field.name] = None if null else value
    return found, at
