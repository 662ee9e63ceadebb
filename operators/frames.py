"""Score frames, written by the kernel: an Avro-encoded Score behind the frame header, byte for byte.

Everything constant in a Score (framing, model id and version, feature names) is encoded once at open into `Template`;
per score only the customer, the event, the numbers and the three reasons are written.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from keepline.operators.stats import SCORE_NAMES
from keepline.schemas.catalog import output_fingerprint
from keepline.schemas.framing import pack
from keepline.schemas.jit import njit
from keepline.schemas.mem import copy_bytes, load_i32, put_bytes, put_long, store_f64, store_u8
from keepline.schemas.packed import OUT_HEADER, SCORES, out_header

SCORE_ROOM = 2048
"""An upper bound of a score frame's bytes apart from the event id, which is unbounded."""
REASONS = 3

U8 = npt.NDArray[np.uint8]
I32 = npt.NDArray[np.int32]


class Template(NamedTuple):
    """Pre-encoded parts of a Score: one byte array, and `at` = int32[parts, 2] of (offset, length).

    Parts: 0 framing header, 1 the key's suffix, 2 score name, 3 model id, version and role, 4… one per feature: its name.
    """

    raw: U8
    at: I32


def avro_long(value: int) -> bytes:
    """Avro's zigzag varint (Avro 1.12 specification, "Binary encoding")."""
    n = (value << 1) ^ (value >> 63)
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def avro_string(text: str) -> bytes:
    """Length and UTF-8 bytes."""
    raw = text.encode()
    return avro_long(len(raw)) + raw


def template(score: str, model_id: str, model_version: int, features: tuple[str, ...]) -> Template:
    """The constant parts of one score's records, by one model."""
    parts = [
        pack(b"", output_fingerprint("Score")),
        f"|{score}|CHAMPION".encode(),
        avro_long(SCORE_NAMES.index(score)),
        avro_string(model_id) + avro_long(model_version) + avro_long(0),
        *(avro_string(name) for name in features),
    ]
    at, position = [], 0
    for part in parts:
        at.append((position, len(part)))
        position += len(part)
    return Template(np.frombuffer(b"".join(parts), np.uint8).copy(), np.array(at, np.int32))


@njit
def put_part(out: int, p: int, raw: int, at: int, part: int) -> int:
    """Writes one part of the template."""
    end: int = copy_bytes(out, p, raw, load_i32(at, 8 * part), load_i32(at, 8 * part + 4))
    return end


@njit
def put_score(
    out: int, start: int, raw: int, at: int, buf: int, id_pos: int, id_len: int, ev_pos: int, ev_len: int,
    value: float, band: int, as_of: int, sequence: int, created: int, x: Any, contrib: Any, top: Any,
) -> int:  # fmt: skip
    """Writes one score frame at `out[start:]` and returns the position behind it. `out`, `raw`, `at` and `buf` are addresses.

    `buf[id_pos:…]` is the customer id, `buf[ev_pos:…]` the event id (length 0 for a tick); `x` and `contrib` are the
    row and its contributions per feature, `top` the indices of the three largest; -1 where there are fewer.
    """
    p = start + OUT_HEADER
    copy_bytes(out, p, buf, id_pos, id_len)
    p = put_part(out, p + id_len, raw, at, 1)
    key_len = p - start - OUT_HEADER
    value_start = p
    p = put_part(out, p, raw, at, 0)
    p = put_bytes(out, p, buf, id_pos, id_len)
    p = put_part(out, p, raw, at, 2)
    store_f64(out, p, value)
    p = put_long(out, p + 8, band)
    p = put_long(out, p, as_of)
    p = put_bytes(out, p, buf, ev_pos, ev_len)
    p = put_part(out, p, raw, at, 3)
    reasons = 0
    while reasons < REASONS and top[reasons] >= 0:
        reasons += 1
    if reasons > 0:
        store_u8(out, p, 2 * reasons)
        p += 1
    for rank in range(reasons):
        f = top[rank]
        p = put_part(out, p, raw, at, 4 + f)
        store_f64(out, p, x[f])
        store_f64(out, p + 8, contrib[f])
        p += 16
    store_u8(out, p, 0)
    p += 1
    out_header(out, start, SCORES, sequence, as_of, created, key_len, p - value_start)
    return p


@njit
def put_tombstone(
    out: int, start: int, raw: int, at: int, buf: int, id_pos: int, id_len: int, as_of: int, sequence: int, created: int
) -> int:
    """Writes a frame with the key of the customer's score and no value; returns the position behind it."""
    p = start + OUT_HEADER
    copy_bytes(out, p, buf, id_pos, id_len)
    p = put_part(out, p + id_len, raw, at, 1)
    out_header(out, start, SCORES, sequence, as_of, created, p - start - OUT_HEADER, 0)
    return p
