"""The two packed forms that flow through the job as one byte[] each, all numbers little-endian.

PACKED_IN, one source record on its way to the operator (48 bytes, key, value, and a trailer if the value was cut):

     0 u8 flags (1 oversized, 2 the Kafka key was null, 4 a fired timer: key only, 8 further blocks of the same
             piece of a poll follow: set by the source alone)   1 u8 topic index   2 u16 0   4 i32 partition
     8 i64 offset
    16 i64 Kafka timestamp   24 i64 created_ms (0 none)   32 i64 event_time (NO_TIME if unreadable)   40 i32 key length
    44 i32 value length      48 key, value [, i64 length of the whole value, 32 bytes of its SHA-256]

PACKED_OUT, one output frame (40 bytes, key, value in single-object encoding):

     0 u32 length of all   4 u8 channel   5 u8 flags (1 view only)   6 u16 0   8 i64 sequence   16 i64 as_of   24 i64 created_ms (0 none)
    32 i32 key length      36 i32 value length   40 key, value

The JVM source writes the first and the sinks read the second. Here are the same in Python, for replay and tests.
"""

import hashlib
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from keepline.schemas.jit import njit
from keepline.schemas.mem import store_i32, store_i64, store_u8, store_u16, store_u32

IN_HEADER = 48
OUT_HEADER = 40
OVERSIZED_FLAG = 1
NULL_KEY_FLAG = 2
TICK_FLAG = 4
MAX_VALUE = 256 * 1024
TRAILER = 40
NO_TIME = -(2**63)
SCORES, INTERVENTIONS, DECISIONS, DEAD_LETTERS, LATE_EVENTS, LABELLED_OUTCOMES, ERASURE_RECEIPTS, APP_PREDICTIONS = range(8)
CLAIMS, SIGNALS = 62, 63
"""Channels between operators, which no sink writes: claims on a campaign's budget, and what the contact policy is told."""
ERASED_SEQUENCE = 1 << 60
"""The sequence of the tombstones of an erased customer: above all others."""
VIEW_ONLY = 1
"""A frame's flag: it concerns the live view alone, and the Kafka sink passes over it."""

_IN = struct.Struct("<BBHiqqqqii")
_OUT = struct.Struct("<IBBHqqqii")
_LENGTH = struct.Struct("<q")


class Record(NamedTuple):
    """What a source knows about one record.

    A key of None is taken from the value's customer_id; so is event_time from the value, unless whoever just encoded it says it.
    """

    key: bytes | None
    value: bytes
    topic: int = 0
    partition: int = 0
    offset: int = 0
    timestamp: int = 0
    created_ms: int = 0
    event_time: int | None = None


class Unpacked(NamedTuple):
    """A PACKED_IN record read back."""

    flags: int
    topic: int
    partition: int
    offset: int
    timestamp: int
    created_ms: int
    event_time: int
    key: bytes
    value: bytes
    value_length: int
    value_sha256: bytes


class Frame(NamedTuple):
    """A PACKED_OUT frame."""

    channel: int
    sequence: int
    as_of: int
    created_ms: int
    key: bytes
    value: bytes
    flags: int = 0


def peek(value: bytes) -> tuple[bytes | None, int]:
    """(customer_id, event_time) by the framing and the first three fields alone, whichever the schema; (None, NO_TIME) if unreadable."""
    if value[:2] == b"\xc3\x01" and len(value) >= 10:
        at = 10
    elif value[:1] == b"\0" and len(value) >= 5:
        at = 5
    else:
        return None, NO_TIME
    length, at = read_long(value, at)
    if at < 0 or not 0 <= length <= len(value) - at:
        return None, NO_TIME
    customer = value[at : at + length]
    length, at = read_long(value, at + length)
    if at < 0 or not 0 <= length <= len(value) - at:
        return customer, NO_TIME
    time, at = read_long(value, at + length)
    return customer, time if at >= 0 else NO_TIME


def read_long(value: bytes, at: int) -> tuple[int, int]:
    """One Avro varint: (number, position after it), (0, -1) if it does not end or fit."""
    if at < len(value) and value[at] < 128:
        return (value[at] >> 1) ^ -(value[at] & 1), at + 1
    result = shift = 0
    for byte in value[at : at + 10]:
        result |= (byte & 127) << shift
        at += 1
        if byte < 128:
            return ((result >> 1) ^ -(result & 1), at) if result < 2**64 else (0, -1)
        shift += 7
    return 0, -1


def pack_record(record: Record) -> bytes:
    """One PACKED_IN record, as the source makes it."""
    key, value = record.key, record.value
    event_time = record.event_time
    flags = 0
    if key is None or event_time is None:
        customer, seen = peek(value)
        if event_time is None:
            event_time = seen
        if key is None:
            key, flags = customer or b"", NULL_KEY_FLAG
    trailer = b""
    if len(value) > MAX_VALUE:
        flags |= OVERSIZED_FLAG
        trailer = _LENGTH.pack(len(value)) + hashlib.sha256(value).digest()
        value = value[:MAX_VALUE]
    head = _IN.pack(
        flags,
        record.topic,
        0,
        record.partition,
        record.offset,
        record.timestamp,
        record.created_ms,
        event_time,
        len(key),
        len(value),
    )
    return b"".join((head, key, value, trailer))


def unpack_record(packed: bytes) -> Unpacked:
    """Read one PACKED_IN record; length and SHA-256 are the whole value's, cut or not."""
    flags, topic, _, partition, offset, timestamp, created, event_time, n_key, n_value = _IN.unpack_from(packed)
    key = bytes(packed[IN_HEADER : IN_HEADER + n_key])
    end = IN_HEADER + n_key + n_value
    value = bytes(packed[IN_HEADER + n_key : end])
    if flags & OVERSIZED_FLAG:
        length, digest = _LENGTH.unpack_from(packed, end)[0], bytes(packed[end + 8 : end + TRAILER])
    else:
        length, digest = len(value), hashlib.sha256(value).digest()
    return Unpacked(flags, topic, partition, offset, timestamp, created, event_time, key, value, length, digest)


def pack_frame(frame: Frame) -> bytes:
    """One PACKED_OUT frame."""
    total = OUT_HEADER + len(frame.key) + len(frame.value)
    head = _OUT.pack(total, frame.channel, frame.flags, 0, frame.sequence, frame.as_of, frame.created_ms, len(frame.key), len(frame.value))
    return head + frame.key + frame.value


def frames(buffer: bytes | bytearray | NDArray[np.uint8]) -> Iterator[Frame]:
    """The frames of a buffer that is full of them; ValueError if the lengths do not add up."""
    data = memoryview(cast(bytes, buffer)).cast("B")
    at = 0
    while at < len(data):
        if len(data) - at < OUT_HEADER:
            message = f"{len(data) - at} bytes are left at {at}: expected a frame of at least {OUT_HEADER}"
            raise ValueError(message)
        total, channel, flags, _, sequence, as_of, created, n_key, n_value = _OUT.unpack_from(data, at)
        if n_key < 0 or n_value < 0 or total != OUT_HEADER + n_key + n_value or at + total > len(data):
            message = f"the frame at {at} says {total} bytes, key {n_key}, value {n_value}; {len(data) - at} bytes are left"
            raise ValueError(message)
        start = at + OUT_HEADER
        yield Frame(channel, sequence, as_of, created, bytes(data[start : start + n_key]), bytes(data[start + n_key : at + total]), flags)
        at += total


@njit
def out_header(out: Any, at: int, channel: int, sequence: int, as_of: int, created_ms: int, key_length: int, value_length: int) -> None:
    """Write a frame's header at `at`; key and value follow at `at + OUT_HEADER`. May be called after the value was written there."""
    store_u32(out, at, OUT_HEADER + key_length + value_length)
    store_u8(out, at + 4, channel)
    store_u8(out, at + 5, 0)
    store_u16(out, at + 6, 0)
    store_i64(out, at + 8, sequence)
    store_i64(out, at + 16, as_of)
    store_i64(out, at + 24, created_ms)
    store_i32(out, at + 32, key_length)
    store_i32(out, at + 36, value_length)
