"""Prediction frames, written by the kernel: an Avro-encoded AppPrediction behind the frame header, byte for byte.

What all predictions of a job have in common (framing, model id and version) is encoded once, in `texts`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from keepline.features.words import get
from keepline.models.next_app.scorer import name_of
from keepline.operators.frames import Template, avro_long, avro_string, put_part
from keepline.schemas.catalog import output_fingerprint
from keepline.schemas.framing import pack
from keepline.schemas.jit import njit
from keepline.schemas.mem import copy_bytes, load_f64, put_bytes, put_long, store_f64, store_u8
from keepline.schemas.packed import APP_PREDICTIONS, OUT_HEADER, out_header

NAME_ROOM = 160
"""Bytes of an app in a frame, at most: its name, 127 bytes, with its length, and the probability."""
FRAMING, MODEL = range(2)
"""Parts of `texts`."""


def texts(model_id: str, model_version: int) -> Template:
    """The constant parts of a model's predictions."""
    parts = [pack(b"", output_fingerprint("AppPrediction")), avro_string(model_id) + avro_long(model_version)]
    at: npt.NDArray[np.int32] = np.array([(0, len(parts[0])), (len(parts[0]), len(parts[1]))], np.int32)
    return Template(np.frombuffer(b"".join(parts), np.uint8).copy(), at)


def room(template: Template, most: int) -> int:
    """An upper bound of a frame's bytes, apart from twice the user's id and the event's."""
    return OUT_HEADER + len(template.raw) + NAME_ROOM * most + 64


@njit
def put_prediction(
    out: int, start: int, raw: int, at: int, buf: int, id_pos: int, id_len: int, ev_pos: int, ev_len: int,
    as_of: int, sequence: int, created: int, state: int, model: int, places: int, probabilities: int, n: int,
) -> int:  # fmt: skip
    """Writes the frame of `n` apps, 1 to 63, at `out[start:]`; returns the position behind it.

    Addresses: `out`, `raw` and `at` (the template), `buf` with the user's id at `id_pos` and the event's at `ev_pos`, and what
    models/next_app/scorer.py takes and gives.
    """
    p = start + OUT_HEADER
    copy_bytes(out, p, buf, id_pos, id_len)
    value_start = p + id_len
    p = put_part(out, value_start, raw, at, FRAMING)
    p = put_bytes(out, p, buf, id_pos, id_len)
    p = put_bytes(out, p, buf, ev_pos, ev_len)
    p = put_long(out, p, as_of)
    store_u8(out, p, 2 * n)
    p += 1
    for i in range(n):
        name, length = name_of(state, model, get(places, i))
        p = put_bytes(out, p, name, 0, length)
        store_f64(out, p, load_f64(probabilities, 8 * i))
        p += 8
    store_u8(out, p, 0)
    p = put_part(out, p + 1, raw, at, MODEL)
    out_header(out, start, APP_PREDICTIONS, sequence, as_of, created, id_len, p - value_start)
    return p


@njit
def put_forgotten(out: int, start: int, buf: int, id_pos: int, id_len: int, as_of: int, sequence: int, created: int) -> int:
    """Writes a frame with the user's key and no value; returns the position behind it."""
    p = start + OUT_HEADER
    copy_bytes(out, p, buf, id_pos, id_len)
    out_header(out, start, APP_PREDICTIONS, sequence, as_of, created, id_len, 0)
    return p + id_len
