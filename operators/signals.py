"""Signals as frames: what the kernel tells the contact policy, written compiled, read back as `models.contact.signal.Signal`.

The value of a frame of channel SIGNALS, little-endian; key, time (`as_of`), sequence and created_ms are in the frame's header:

     0 u8 event type (255: a tick)   1 u8 flags (1 scored, 2 contract ended, 4 there was a state, 8 the event's fields follow)
     2 u8 band   3 u8 0   4 i32 length of the event id   8 i64 levels that hold   16 i64 quiet_until   24 f64 score
    32 i32 × 3 features of the reasons, i32 0   48 f64 × 3 their contributions   72 f64 × features, if scored
    then, if they follow, for each of the event's fields from event_time on: a text's u8 null, u32 length and bytes; of any other the
    decoder's registers, u8 null, i64 and f64
    then the event id
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from keepline.features.words import get, get_float
from keepline.models.contact.signal import Reason, Signal
from keepline.operators import context as k
from keepline.operators.watch import EVENT_WORDS, TEXTS
from keepline.schemas.catalog import EVENT_TIME, EVENT_TYPES, NREG, EventType
from keepline.schemas.jit import njit
from keepline.schemas.mem import copy_bytes, load_u8, store_f64, store_i32, store_i64, store_u8
from keepline.schemas.packed import OUT_HEADER, SIGNALS, Frame, out_header

TICK = 255
SCORED, ENDED, HAD_STATE, FIELDS = 1, 2, 4, 8
SIGNAL_ROOM = OUT_HEADER + 72 + 17 * NREG
"""An upper bound of a signal's bytes apart from 8 a feature, the event id and the event's texts."""

_HEAD = struct.Struct("<BBBxiqqd4i3d")
_LENGTH, _NUMBER = struct.Struct("<I"), struct.Struct("<qd")


@njit
def put_signal(
    c: int, start: int, etype: int, flags: int, band: int, active: int, quiet_until: int, value: float, x: Any, contrib: Any, top: Any,
    id_pos: int, id_len: int, ev_pos: int, ev_len: int, time: int, sequence: int, created: int,
) -> int:  # fmt: skip
    """Writes one signal at `OUT + start`; returns the position behind it. The registers hold the event if FIELDS is among the flags."""
    out, buf = get(c, k.OUT), get(c, k.EVENTS)
    p = start + OUT_HEADER
    p = copy_bytes(out, p, buf, id_pos, id_len)
    value_start = p
    store_u8(out, p, etype)
    store_u8(out, p + 1, flags)
    store_u8(out, p + 2, band)
    store_u8(out, p + 3, 0)
    store_i32(out, p + 4, ev_len)
    store_i64(out, p + 8, active)
    store_i64(out, p + 16, quiet_until)
    store_f64(out, p + 24, value)
    for rank in range(3):
        feature = top[rank] if flags & SCORED else 0
        store_i32(out, p + 32 + 4 * rank, feature)
        store_f64(out, p + 48 + 8 * rank, contrib[feature] if flags & SCORED else 0.0)
    store_i32(out, p + 44, 0)
    p += 72
    if flags & SCORED:
        for f in range(get(c, k.FEATURES)):
            store_f64(out, p, x[f])
            p += 8
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


def unpack(frame: Frame, names: tuple[str, ...], model_id: str, model_version: int) -> Signal:
    """The signal of a frame; `names` are the features, in their order."""
    raw = frame.value
    etype, flags, band, id_length, active, quiet_until, value, f0, f1, f2, _, c0, c1, c2 = _HEAD.unpack_from(raw)
    at = _HEAD.size
    features: dict[str, float] = {}
    reasons: tuple[Reason, ...] = ()
    if flags & SCORED:
        row = np.frombuffer(raw, np.float64, len(names), at).tolist()
        at += 8 * len(names)
        features = dict(zip(names, row, strict=True))
        reasons = tuple(Reason(names[f], row[f], weight) for f, weight in ((f0, c0), (f1, c1), (f2, c2)))
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
        value=value if flags & SCORED else None,
        band=band,
        reasons=reasons,
        features=features,
        active=active,
        ended=bool(flags & ENDED),
        quiet_until=quiet_until,
        model_id=model_id,
        model_version=model_version,
        had_state=bool(flags & HAD_STATE),
    )


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
