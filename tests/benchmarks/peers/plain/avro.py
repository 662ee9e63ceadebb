"""Avro by hand: the event types of the churn features in, scores out, both in single-object encoding.

Every event begins alike: framing and fingerprint, customer_id, event_id, event_time. One `struct` call takes that apart; its
format follows from the two lengths and is made once for each pair. The varints of strings keep their length in front, since the
score holds the same bytes again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from struct import Struct

from fastavro.schema import fingerprint, to_parsing_canonical_form

DATA_SESSION, CALL, MESSAGE, CONTACT, BILL, PAYMENT, SUBSCRIPTION = range(7)
TYPES = ("DataSession", "Call", "Message", "SupportContact", "Bill", "Payment", "Subscription")
OUTCOME_DROPPED = 1
"""Of COMPLETED, DROPPED, FAILED, encoded 0, 2, 4."""

Shape = Callable[[bytes, int], tuple[bytes, bytes, bytes, int, int, int, int, int, int]]
_shapes: dict[int, Shape] = {}
_VARINT_MARKS = 0x80 * (1 + (1 << 7) + (1 << 14) + (1 << 21) + (1 << 28))
"""What the five continuation bits add up to in the sum of `decode`."""
read_double: Callable[[bytes, int], tuple[float]] = Struct("<d").unpack_from
read_call: Callable[[bytes, int], tuple[float, int]] = Struct("<dB").unpack_from


class Unknown(ValueError):
    """A value that is no event of the churn features."""


def mark(schema: Path) -> bytes:
    """The fingerprint that a schema's records carry, 8 bytes."""
    parsed = to_parsing_canonical_form(json.loads(schema.read_text()))
    return int(fingerprint(parsed, "CRC-64-AVRO"), 16).to_bytes(8, "big")


def long(value: int) -> bytes:
    """Avro's zigzag varint."""
    n, out = value << 1 ^ value >> 63, bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def text(value: str) -> bytes:
    """An Avro string."""
    raw = value.encode()
    return long(len(raw)) + raw


def read_long(value: bytes, p: int) -> tuple[int, int]:
    """A zigzag varint at p, and the position behind it."""
    n = shift = 0
    while True:
        byte = value[p]
        p += 1
        n |= (byte & 0x7F) << shift
        if byte < 0x80:
            return n >> 1 ^ -(n & 1), p
        shift += 7


def read_text(value: bytes, p: int) -> tuple[bytes, int]:
    """The bytes of an Avro string at p, without the length, and the position behind it."""
    n, p = read_long(value, p)
    return value[p : p + n], p + n


def decode(value: bytes) -> tuple[bytes, bytes, bytes, int, bytes, int]:
    """(fingerprint, customer id, event id, event time, the time as in the bytes, position behind it); strings with their lengths."""
    n, p = value[10], 0
    if n < 0x80:
        p = 11 + (n >> 1)
        m = value[p]
        if m < 0x80 and len(value) >= p + (m >> 1) + 7:  # a short time may be the last bytes
            shape = _shapes.get(n << 7 | m)
            if shape is None:
                shape = _shapes[n << 7 | m] = Struct(f"<8s{1 + (n >> 1)}s{1 + (m >> 1)}s6B").unpack_from
            kind, customer, event, a, b, c, d, e, f = shape(value, 2)
            if a & b & c & d & e & ~f & 0x80:  # six bytes: 1970-07 to 2039-09
                z = a + (b << 7) + (c << 14) + (d << 21) + (e << 28) + (f << 35) - _VARINT_MARKS
                p += 1 + (m >> 1)
                return kind, customer, event, z >> 1 ^ -(z & 1), value[p : p + 6], p + 6
    customer, p = read_text(value, 10)
    event, q = read_text(value, p)
    t, end = read_long(value, q)
    return value[2:10], value[10:p], value[p:q], t, value[q:end], end


def score_writer(fingerprint: bytes, model_id: str, version: int, names: Sequence[str]) -> Callable[..., bytes]:
    """The function that encodes a Score; everything that is the same in all of them is encoded here, once."""
    head = b"\xc3\x01" + fingerprint
    model = text(model_id) + long(version) + b"\x00\x06"  # role CHAMPION; a block of three reasons
    bands = (b"\x00", b"\x02", b"\x04")
    named = [text(name) for name in names]
    double, pair, join = Struct("<d").pack, Struct("<2d").pack, b"".join

    def write(
        customer: bytes, value: float, band: int, as_of: bytes, event: bytes,
        f: int, fx: float, fc: float, g: int, gx: float, gc: float, h: int, hx: float, hc: float,
    ) -> bytes:  # fmt: skip
        """One score; f, g and h are the places of the reasons' features, beside their values and contributions."""
        return join((
            head, customer, b"\x00", double(value), bands[band], as_of, event, model,
            named[f], pair(fx, fc), named[g], pair(gx, gc), named[h], pair(hx, hc), b"\x00",
        ))  # fmt: skip

    return write
