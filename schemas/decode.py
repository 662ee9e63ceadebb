"""The compiled decoder: one framed event in, registers and a status code out.

`decode(buf, pos, end, image, ri, rf, rs, rn)` runs the schema's program (`image`: see `programs.py`) over buf[pos:end]. It never raises
and never reads outside that range. Registers, one set reused for every event, indexed by the field's place in our schema:

    ri  int64[16]    long, int, enum index, boolean 0 or 1; of a text its hash64, as int64
    rf  float64[16]  the same numbers, and doubles
    rs  int64[16,2]  of a text: offset in buf, length in bytes
    rn  uint8[16]    1 where the field is null; its other registers are then 0

The shape of the bytes is judged first: whatever is not Avro of that schema is MALFORMED, and only a record that is whole can be
INVALID_FIELD. Stricter than fastavro, on purpose: nothing may follow the record, a boolean is 0 or 1, an int fits 32 bits, a varint
has at most 10 bytes and fits 64 bits. Longer spellings of a varint than needed are read, as everywhere.
"""

from typing import Any

import numpy as np

from keepline.schemas.jit import njit
from keepline.schemas.mem import address, load_f32, load_f64, load_i32, load_i64, load_u8, load_u16, store_f64, store_i64, store_u8
from keepline.schemas.programs import (
    BOOLEAN,
    BYTE_LIMITS,
    BYTES,
    CURRENCY,
    DOUBLE,
    DROP,
    END,
    ENUM,
    FLOAT,
    INT,
    IS_NULL,
    MINIMUM,
    NULL_SECOND,
    NULLABLE,
    PRESET,
    PROGRAM_WORDS,
    STRING,
)
from keepline.schemas.status import FUTURE_TIME, INVALID_FIELD, MALFORMED, OK, OUT_OF_BOUNDS_TIME, UNKNOWN_SCHEMA
from keepline.schemas.text import hash64, hash64_of, hash_text, is_utf8, same_bytes

__all__ = ["check_time", "decode", "decode_at", "get_long", "hash64", "is_utf8", "registers", "same_bytes"]

_INT_MIN, _INT_MAX = -(2**31), 2**31 - 1
_MAGIC_SINGLE = 0x01C3
_EMPTY_HASH = int(np.uint64(hash64_of("")).view(np.int64))
# Byte offsets in the image and in a row (programs.py).
_FINGERPRINTS, _IDS, _PROGRAMS, _CURRENCY_LENGTH, _CURRENCY = 0, 16, 32, 40, 48
_ROW, _HIGH, _LOW, _FLOOR = 24, 4, 8, 16


def registers() -> tuple[Any, Any, Any, Any]:
    """A fresh set of registers: ri, rf, rs, rn."""
    return np.zeros(16, np.int64), np.zeros(16, np.float64), np.zeros((16, 2), np.int64), np.zeros(16, np.uint8)


@njit(forceinline=True)
def get_long(buf: Any, pos: int, end: int) -> Any:
    """One zigzag varint: (value, position after it); position -1 if it does not end before `end` or does not fit 64 bits."""
    if pos >= end:
        return np.int64(0), -1
    byte = np.uint64(load_u8(buf, pos))
    pos += 1
    if byte < np.uint64(128):
        return np.int64(byte >> np.uint64(1)) ^ -np.int64(byte & np.uint64(1)), pos
    result = byte & np.uint64(127)
    shift = np.uint64(7)
    while pos < end:
        byte = np.uint64(load_u8(buf, pos))
        pos += 1
        if shift == np.uint64(63) and byte > np.uint64(1):
            return np.int64(0), -1
        result |= (byte & np.uint64(127)) << shift
        if byte < np.uint64(128):
            return np.int64(result >> np.uint64(1)) ^ -np.int64(result & np.uint64(1)), pos
        shift += np.uint64(7)
    return np.int64(0), -1


@njit(forceinline=True)
def _find(image: Any, table: int, key: Any) -> Any:
    """The program of a key by the table at this byte of the header, or -1."""
    start = load_i64(image, table)
    mask = load_i64(image, table + 8)
    slot = key & mask
    while True:
        at = 8 * (start + 2 * slot)
        program = load_i64(image, at + 8)
        if program < 0 or load_i64(image, at) == key:
            return program
        slot = (slot + 1) & mask


@njit(forceinline=True)
def _program(buf: Any, pos: int, end: int, image: Any) -> Any:
    """(status, program, start of the Avro binary) by the framing."""
    if pos + 10 <= end and load_u16(buf, pos) == _MAGIC_SINGLE:
        program = _find(image, _FINGERPRINTS, load_i64(buf, pos + 2))
        start = pos + 10
    elif pos + 5 <= end and load_u8(buf, pos) == 0:
        number: Any = 0
        for k in range(1, 5):
            number = number << 8 | np.int64(load_u8(buf, pos + k))
        program = _find(image, _IDS, number)
        start = pos + 5
    else:
        return MALFORMED, -1, pos
    if program < 0:
        return UNKNOWN_SCHEMA, -1, pos
    return OK, program, start


@njit
def decode(buf: Any, pos: int, end: int, image: Any, ri: Any, rf: Any, rs: Any, rn: Any) -> Any:
    """Decode the framed event buf[pos:end]: (status, type id or -1, register of the offending field or -1)."""
    return decode_at(address(buf), pos, end, address(image), address(ri), address(rf), address(rs), address(rn))


@njit
def _null(r: Any, pos: Any, ri: int, rf: int, rs: int, rn: int) -> None:
    store_u8(rn, r, 1)
    store_i64(ri, 8 * r, 0)
    store_f64(rf, 8 * r, 0.0)
    store_i64(rs, 16 * r, pos)
    store_i64(rs, 16 * r + 8, 0)


@njit
def _number(r: Any, whole: Any, number: Any, ri: int, rf: int, rn: int) -> None:
    store_u8(rn, r, 0)
    store_i64(ri, 8 * r, whole)
    store_f64(rf, 8 * r, number)


@njit
def _text(r: Any, hashed: Any, pos: Any, n: Any, ri: int, rf: int, rs: int, rn: int) -> None:
    store_u8(rn, r, 0)
    store_i64(ri, 8 * r, hashed)
    store_f64(rf, 8 * r, 0.0)
    store_i64(rs, 16 * r, pos)
    store_i64(rs, 16 * r + 8, n)


@njit
def decode_at(buf: int, pos: int, end: int, image: int, ri: int, rf: int, rs: int, rn: int) -> Any:
    """decode() on addresses (mem.py); rs holds offsets from `buf`."""
    status, program, pos = _program(buf, pos, end, image)
    if status != OK:
        return status, -1, -1
    row = 8 * (load_i64(image, _PROGRAMS) + PROGRAM_WORDS * program)
    type_id = load_i64(image, row)
    row += 8
    bad: Any = -1
    while True:
        step = load_i32(image, row)
        op = step & 255
        if op == END:
            break
        r = np.int64(step >> 8 & 255)
        flags = step >> 16
        keep = flags & DROP == 0
        field = r if keep else -1
        this = row
        row += _ROW
        if flags & NULLABLE:
            branch, pos = get_long(buf, pos, end)
            if pos < 0 or branch < 0 or branch > 1:
                return MALFORMED, type_id, field
            if branch == (1 if flags & NULL_SECOND else 0):
                if keep:
                    _null(r, pos, ri, rf, rs, rn)
                continue
        if op in (STRING, BYTES):
            n, pos = get_long(buf, pos, end)
            if pos < 0 or n < 0 or n > end - pos:
                return MALFORMED, type_id, field
            if op == STRING:
                h, sound = hash_text(buf, pos, n)
            else:
                h, sound = hash64(buf, pos, n), True
            if keep:
                _text(r, np.int64(h), pos, n, ri, rf, rs, rn)
                if flags & BYTE_LIMITS:
                    sound = sound and load_i64(image, this + _LOW) <= n <= load_i32(image, this + _HIGH)
                if flags & CURRENCY and n > 0:
                    sound = sound and same_bytes(buf, pos, n, image, _CURRENCY, load_i64(image, _CURRENCY_LENGTH))
                if not sound and bad < 0:
                    bad = field
            pos += n
            continue
        whole: Any = np.int64(0)
        number: Any = 0.0
        if op == DOUBLE:
            if end - pos < 8:
                return MALFORMED, type_id, field
            number = load_f64(buf, pos)
            pos += 8
        elif op == BOOLEAN:
            if pos >= end or load_u8(buf, pos) > 1:
                return MALFORMED, type_id, field
            whole = np.int64(load_u8(buf, pos))
            number = np.float64(whole)
            pos += 1
        elif op == PRESET:
            if flags & IS_NULL:
                _null(r, pos, ri, rf, rs, rn)
                continue
            if load_i32(image, this + _HIGH):
                _text(r, _EMPTY_HASH, pos, 0, ri, rf, rs, rn)
                continue
            number = load_f64(image, this + _FLOOR)
            whole = np.int64(number)
        elif op == FLOAT:
            if end - pos < 4:
                return MALFORMED, type_id, field
            number = np.float64(load_f32(buf, pos))
            pos += 4
        else:
            whole, pos = get_long(buf, pos, end)
            if pos < 0:
                return MALFORMED, type_id, field
            if op == INT and not _INT_MIN <= whole <= _INT_MAX:
                return MALFORMED, type_id, field
            if op == ENUM and not 0 <= whole < load_i32(image, this + _HIGH):
                return MALFORMED, type_id, field
            number = np.float64(whole)
        if keep:
            # Not finite: the difference with itself is not 0.
            if bad < 0 and (number - number != 0.0 or (flags & MINIMUM and number < load_f64(image, this + _FLOOR))):
                bad = field
            _number(r, whole, number, ri, rf, rn)
    if pos != end:
        return MALFORMED, type_id, -1
    if bad >= 0:
        return INVALID_FIELD, type_id, bad
    return OK, type_id, -1


@njit
def check_time(t: int, low: int, high: int, wall: int, ahead: int) -> int:
    """Status of an event time: bounds low ≤ t ≤ high; with a wall clock (≠ 0) no more than `ahead` past it. All epoch ms."""
    if t < low or t > high:
        return OUT_OF_BOUNDS_TIME
    if wall != 0 and t > wall + ahead:
        return FUTURE_TIME
    return OK
