"""The packed forms, written and read both in Python and in compiled code."""

import hashlib
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keepline.schemas import mem, packed
from keepline.schemas.encode import encode, varint
from keepline.schemas.framing import pack_confluent, unpack
from keepline.schemas.jit import njit
from keepline.schemas.packed import MAX_VALUE, NO_TIME, Frame, Record, frames, pack_frame, pack_record, peek, unpack_record

EVENT = encode({"type": "Message", "customer_id": "c1", "event_id": "e1", "event_time": 1234})
I64 = st.integers(-(2**63), 2**63 - 1)


def test_peek_needs_no_schema():
    assert peek(EVENT.value) == (b"c1", 1234)
    assert peek(pack_confluent(unpack(EVENT.value).body, 9)) == (b"c1", 1234)
    assert peek(b"\xc3\x01" + b"x" * 8 + b"\x02c\0" + varint(-5)) == (b"c", -5)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"", (None, NO_TIME)),
        (b"{}", (None, NO_TIME)),
        (b"\xc3\x01" + b"x" * 8, (None, NO_TIME)),
        (EVENT.value[:11], (None, NO_TIME)),
        (EVENT.value[:14], (b"c1", NO_TIME)),
        (EVENT.value[:16], (b"c1", NO_TIME)),
        (b"\0\0\0\0\1\x01", (None, NO_TIME)),
        (b"\0\0\0\0\1\0\0" + b"\xff" * 10, (b"", NO_TIME)),
        (b"\0\0\0\0\1\0\0" + b"\xff" * 9 + b"\2", (b"", NO_TIME)),
        (b"\0\0\0\0\1\0\0" + b"\xff" * 9 + b"\1", (b"", -(2**63))),
    ],
)
def test_peek_of_damaged_bytes(value, expected):
    assert peek(value) == expected


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_peek_never_raises(value):
    for head in (b"", b"\xc3\x01" + b"x" * 8, b"\0\0\0\0\1"):
        peek(head + value)


@given(st.none() | st.binary(max_size=20), st.binary(max_size=50), st.integers(0, 255), st.integers(-1, 2**31 - 1), I64, I64, I64)
@settings(deadline=None)
def test_records_round_trip(key, value, topic, partition, offset, timestamp, created):
    data = pack_record(Record(key, value, topic, partition, offset, timestamp, created))
    got = unpack_record(data)
    assert (got.topic, got.partition, got.offset, got.timestamp, got.created_ms) == (topic, partition, offset, timestamp, created)
    assert (got.key, got.flags) == ((key, 0) if key is not None else (peek(value)[0] or b"", packed.NULL_KEY_FLAG))
    assert (got.value, got.value_length, got.value_sha256) == (value, len(value), hashlib.sha256(value).digest())


def test_the_layout_is_the_one_the_jvm_writes():
    data = pack_record(Record(None, EVENT.value, 3, 4, 5, 6, 7))
    assert data == struct.pack("<BBHiqqqqii", 2, 3, 0, 4, 5, 6, 7, 1234, 2, len(EVENT.value)) + b"c1" + EVENT.value


def test_who_encoded_the_value_may_say_its_time():
    record = Record(b"c1", EVENT.value)
    assert pack_record(record._replace(event_time=EVENT.event_time)) == pack_record(record)
    assert unpack_record(pack_record(Record(None, EVENT.value, event_time=1234))).key == b"c1"


def test_oversized_values_are_cut_and_say_what_they_were():
    whole = EVENT.value + b"x" * MAX_VALUE
    data = pack_record(Record(b"k", whole))
    assert len(data) == packed.IN_HEADER + 1 + MAX_VALUE + packed.TRAILER
    got = unpack_record(data)
    assert got.flags == packed.OVERSIZED_FLAG
    assert got.event_time == 1234
    assert (got.value, got.value_length) == (whole[:MAX_VALUE], len(whole))
    assert got.value_sha256 == hashlib.sha256(whole).digest()
    assert unpack_record(pack_record(Record(b"k", whole[:MAX_VALUE]))).flags == 0


FRAMES = st.builds(
    Frame, st.integers(0, 63), I64, I64, I64, st.binary(max_size=9), st.binary(max_size=30), st.sampled_from([0, packed.VIEW_ONLY])
)


@given(st.lists(FRAMES, max_size=4))
@settings(deadline=None)
def test_frames_round_trip(many):
    assert list(frames(b"".join(map(pack_frame, many)))) == many
    many = [frame._replace(flags=0) for frame in many]  # compiled code sets none
    data = b"".join(map(pack_frame, many))
    out = np.zeros(len(data), np.uint8)
    at = 0
    for frame in many:
        key, value = (np.frombuffer(part + b"?", np.uint8) for part in (frame.key, frame.value))
        packed.out_header(out, at, frame.channel, frame.sequence, frame.as_of, frame.created_ms, len(frame.key), len(frame.value))
        start = mem.copy_bytes(out, at + packed.OUT_HEADER, key, 0, len(frame.key))
        at = mem.copy_bytes(out, start, value, 0, len(frame.value))
    assert out.tobytes() == data


@pytest.mark.parametrize(
    "damage", [lambda d: d[:-1], lambda d: d + b"\0", lambda d: b"\xff" + d[1:], lambda d: d[:32] + b"\xff" * 4 + d[36:]]
)
def test_frames_that_do_not_add_up(damage):
    with pytest.raises(ValueError, match="frame"):
        list(frames(damage(pack_frame(Frame(0, 1, 2, 3, b"k", b"v")))))


@njit
def _all_stores(buf, where):
    mem.store_u8(where, 0, 255)
    mem.store_u16(where, 1, 65535)
    mem.store_u32(where, 3, 4294967295)
    mem.store_i32(where, 7, -2)
    mem.store_i64(where, 11, -3)
    mem.store_f64(where, 19, 1.5)
    mem.store_f32(where, 27, 2.5)
    mem.store_u64(where, 31, 18446744073709551615)
    return (
        (mem.load_u8(buf, 0), mem.load_u16(buf, 1), mem.load_u32(buf, 3), mem.load_i32(buf, 7), mem.load_i64(buf, 11)),
        (mem.load_f64(buf, 19), mem.load_f32(buf, 27)),
        mem.load_u64(buf, 31),
    )


@njit
def _by_address(buf):
    return _all_stores(buf, mem.address(buf))


@pytest.mark.parametrize("function", [lambda buf: _all_stores(buf, buf), _by_address])
def test_loads_and_stores_at_any_byte(function):
    buf = np.zeros(40, np.uint8)
    assert function(buf) == ((255, 65535, 4294967295, -2, -3), (1.5, 2.5), 2**64 - 1)
    assert buf.tobytes() == struct.pack("<BHIiqdfQ", 255, 65535, 2**32 - 1, -2, -3, 1.5, 2.5, 2**64 - 1) + b"\0"


@given(st.binary(max_size=40), I64, st.floats(allow_nan=False))
@settings(deadline=None)
def test_avro_values_are_written_as_elsewhere(data, number, real):
    out = np.zeros(80, np.uint8)
    source = np.frombuffer(b"?" + data, np.uint8)
    at = mem.put_long(out, 0, number)
    at = mem.put_bytes(out, at, source, 1, len(data))
    at = mem.put_double(out, at, real)
    assert out[:at].tobytes() == varint(number) + varint(len(data)) + data + struct.pack("<d", real)
