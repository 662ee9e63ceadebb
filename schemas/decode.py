"""The compiled decoder: one framed event in, registers and a status code out.

`decode(buf, pos, end, image, ri, rf, rs, rn)` runs the schema's program (`image`: see `programs.py`) over buf[pos:end]. It never raises
and never reads outside that range. Registers, one set reused for every event, indexed by the field's place in our schema:

    ri  int64[16]    long, int, enum index, boolean 0 or 1; of a text its hash64, as int64
    rf  float64[16]  the same numbers, and doubles
    rs  int64[16,2]  of a text: offset in buf, length in bytes
    rn  uint8[16]    1 where the field is null; its other registers are then 0

The default of a text lies in the image; its offset is still one from buf, and may be far outside it.

The shape of the bytes is judged first: whatever is not Avro of that schema is MALFORMED, and only a record that is whole can be
INVALID_FIELD. Stricter than fastavro, on purpose: nothing may follow the record, a boolean is 0 or 1, an int fits 32 bits, a varint
has at most 10 bytes and fits 64 bits. Longer spellings of a varint than needed are read, as everywhere.
"""

from typing import Any

import numpy as np

from keepline.schemas.jit import njit
from keepline.schemas.mem import address, load_f32, load_f64, load_i32, load_i64, load_u8, load_u16, store_f64, store_i64, store_u8
from keepline.schemas.resolve import (
    BOOLEAN,
    BYTE_LIMITS,
    BYTES,
    CHOICE,
    CURRENCY,
    DOUBLE,
    END,
    ENUM,
    ENUM_MAP,
    FLOATING,
    FROM_FLOAT,
    FROM_INT,
    INT,
    MINIMUM,
    NO_NULL,
    NULL,
    NULL_SECOND,
    NULLABLE,
    PRESET,
    PRESET_TEXT,
    RARE,
    REFUSE,
    SKIP,
    STRING,
)
from keepline.schemas.skip import INT_MAX, INT_MIN, get_long, step_over
from keepline.schemas.status import FUTURE_TIME, INVALID_FIELD, MALFORMED, OK, OUT_OF_BOUNDS_TIME, UNKNOWN_SCHEMA
from keepline.schemas.text import hash64, hash_text, is_utf8, same_bytes

__all__ = ["check_time", "decode", "decode_at", "get_long", "hash64", "is_utf8", "registers", "same_bytes"]

_MAGIC_SINGLE = 0x01C3
NOT_ASKED, NOT_READABLE, NOT_READ = -1, -2, -2
"""In place of a field. UNKNOWN_SCHEMA: nothing is known of the schema, or that it leads nowhere; MALFORMED: it is one that we step over."""
# Byte offsets in the image and in a row (programs.py).
_FINGERPRINTS, _IDS, _CODE, _CURRENCY_LENGTH, _CURRENCY = 0, 16, 32, 40, 48
_ROW, _HIGH, _LOW, _FLOOR = 24, 4, 8, 16


def registers() -> tuple[Any, Any, Any, Any]:
    """A fresh set of registers: ri, rf, rs, rn."""
    return np.zeros(16, np.int64), np.zeros(16, np.float64), np.zeros((16, 2), np.int64), np.zeros(16, np.uint8)


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
    if program <= 0:
        return UNKNOWN_SCHEMA, program, pos
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
def _rare(op: int, r: Any, flags: int, row: int, buf: int, pos: int, end: int, code: int, ri: int, rf: int, rs: int, rn: int) -> Any:
    """A step that only other writers' schemas have: (position, -1 if malformed, whether the field is valid).

    What an invalid one leaves tells its message: of an enum -1 less the writer's index; of a value of a wrong type a null of -1.
    """
    low, high = load_i64(row, _LOW), load_i32(row, _HIGH)
    if op in (SKIP, REFUSE):
        pos = step_over(buf, pos, end, code, low)
        if op == SKIP or pos < 0:
            return pos, True
        _null(r, pos, ri, rf, rs, rn)
        store_i64(ri, 8 * r, -1)
        return pos, False
    if op == NULL:
        _null(r, pos, ri, rf, rs, rn)
        return pos, True
    if op == PRESET_TEXT:
        _text(r, load_i64(row, _FLOOR), code + 8 * low - buf, np.int64(high), ri, rf, rs, rn)
        return pos, True
    whole: Any = low
    number: Any = load_f64(row, _FLOOR)
    if op == ENUM_MAP:
        whole, pos = get_long(buf, pos, end)
        if pos < 0 or not 0 <= whole < high:
            return -1, True
        ours = load_i64(code, 8 * (low + whole))
        whole = ours if ours >= 0 else -1 - whole
        _number(r, whole, np.float64(whole), ri, rf, rn)
        return pos, ours >= 0
    if op == FLOATING:
        if high == FROM_FLOAT:
            if end - pos < 4:
                return -1, True
            number = np.float64(load_f32(buf, pos))
            pos += 4
        else:
            whole, pos = get_long(buf, pos, end)
            if pos < 0 or (high == FROM_INT and not INT_MIN <= whole <= INT_MAX):
                return -1, True
            number = np.float64(np.float32(whole)) if low else np.float64(whole)
        whole = 0
    _number(r, whole, number, ri, rf, rn)
    if op == PRESET:
        return pos, True
    return pos, number - number == 0.0 and not (flags & MINIMUM and number < load_f64(row, _FLOOR))


@njit
def decode_at(buf: int, pos: int, end: int, image: int, ri: int, rf: int, rs: int, rn: int) -> Any:
    """decode() on addresses (mem.py); rs holds offsets from `buf`."""
    status, program, pos = _program(buf, pos, end, image)
    if status != OK:
        return status, -1, NOT_READABLE if program == 0 else NOT_ASKED
    code = image + 8 * load_i64(image, _CODE)
    row = code + 8 * program
    type_id = load_i64(row, 0)
    row += 8
    bad: Any = -1
    while True:
        step = load_i32(row, 0)
        op = step & 255
        flags = step >> 16
        r = np.int64(step >> 8 & 255)
        this = row
        row += _ROW
        if flags & (NULLABLE | CHOICE):
            branch, pos = get_long(buf, pos, end)
            if flags & CHOICE:
                if pos < 0 or branch < 0 or branch >= load_i32(this, _HIGH):
                    return MALFORMED, type_id, r
                this = code + 8 * load_i64(this, _LOW) + _ROW * branch
                step = load_i32(this, 0)
                op = step & 255
                flags = step >> 16
            else:
                if pos < 0 or branch < 0 or branch > 1:
                    return MALFORMED, type_id, r
                if branch == (1 if flags & NULL_SECOND else 0):
                    _null(r, pos, ri, rf, rs, rn)
                    if flags & NO_NULL and bad < 0:
                        bad = r
                    continue
        if op == END:
            break
        if op in (STRING, BYTES):
            n, pos = get_long(buf, pos, end)
            if pos < 0 or n < 0 or n > end - pos:
                return MALFORMED, type_id, r
            if op == STRING:
                h, sound = hash_text(buf, pos, n)
            else:
                h, sound = hash64(buf, pos, n), True
            _text(r, np.int64(h), pos, n, ri, rf, rs, rn)
            if flags & BYTE_LIMITS:
                sound = sound and load_i64(this, _LOW) <= n <= load_i32(this, _HIGH)
            if flags & CURRENCY and n > 0:
                sound = sound and same_bytes(buf, pos, n, image, _CURRENCY, load_i64(image, _CURRENCY_LENGTH))
            if not sound and bad < 0:
                bad = r
            pos += n
            continue
        if op >= RARE:
            pos, valid = _rare(op, r, flags, this, buf, pos, end, code, ri, rf, rs, rn)
            if pos < 0:
                return MALFORMED, type_id, NOT_READ if op == SKIP else r
            if not valid and bad < 0:
                bad = r
            continue
        whole: Any = np.int64(0)
        number: Any = 0.0
        if op == DOUBLE:
            if end - pos < 8:
                return MALFORMED, type_id, r
            number = load_f64(buf, pos)
            pos += 8
        elif op == BOOLEAN:
            if pos >= end or load_u8(buf, pos) > 1:
                return MALFORMED, type_id, r
            whole = np.int64(load_u8(buf, pos))
            number = np.float64(whole)
            pos += 1
        else:
            whole, pos = get_long(buf, pos, end)
            if pos < 0:
                return MALFORMED, type_id, r
            if op == INT and not INT_MIN <= whole <= INT_MAX:
                return MALFORMED, type_id, r
            if op == ENUM and not 0 <= whole < load_i32(this, _HIGH):
                return MALFORMED, type_id, r
            number = np.float64(whole)
        # Not finite: the difference with itself is not 0.
        if bad < 0 and (number - number != 0.0 or (flags & MINIMUM and number < load_f64(this, _FLOOR))):
            bad = r
        _number(r, whole, number, ri, rf, rn)
    if pos != end:
        return MALFORMED, type_id, -1
    if bad >= 0:
        return INVALID_FIELD, type_id, bad
    return OK, type_id, -1


@njit
def check_time(t: int, low: int, high: int, wall: int, ahead: int) -> int:
    """Status of an event time: low ≤ t < high; with a wall clock (≠ 0) no more than `ahead` past it. All epoch ms."""
    if t < low or t >= high:
        return OUT_OF_BOUNDS_TIME
    if wall != 0 and t > wall + ahead:
        return FUTURE_TIME
    return OK
