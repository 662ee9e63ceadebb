"""The compiled decoder: one framed event in, registers and a status code out.

`decode(buf, pos, end, programs, ri, rf, rs, rn)` runs the schema's program (`programs.py`) over buf[pos:end]. It never raises and never reads
outside that range. Registers, one set reused for every event, indexed by the field's place in our schema:

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
from keepline.schemas.mem import load_f32, load_f64, load_i64, load_u16
from keepline.schemas.programs import (
    BOOLEAN,
    BYTE_LIMITS,
    BYTES,
    CURRENCY,
    DOUBLE,
    DROP,
    END,
    ENUM,
    FLAGS,
    FLOAT,
    HIGH,
    INT,
    IS_NULL,
    LONG,
    LOW,
    MINIMUM,
    NULL_SECOND,
    NULLABLE,
    OP,
    PRESET,
    REGISTER,
    ROWS,
    STRING,
)
from keepline.schemas.status import FUTURE_TIME, INVALID_FIELD, MALFORMED, OK, OUT_OF_BOUNDS_TIME, UNKNOWN_SCHEMA
from keepline.schemas.text import hash64, hash_text, is_utf8, same_bytes

__all__ = ["check_time", "decode", "get_long", "hash64", "is_utf8", "registers", "same_bytes"]

_INT_MIN, _INT_MAX = -(2**31), 2**31 - 1
_MAGIC_SINGLE = 0x01C3


def registers() -> tuple[Any, Any, Any, Any]:
    """A fresh set of registers: ri, rf, rs, rn."""
    return np.zeros(16, np.int64), np.zeros(16, np.float64), np.zeros((16, 2), np.int64), np.zeros(16, np.uint8)


@njit
def get_long(buf: Any, pos: int, end: int) -> Any:
    """One zigzag varint: (value, position after it); position -1 if it does not end before `end` or does not fit 64 bits."""
    result = np.uint64(0)
    shift = np.uint64(0)
    while pos < end:
        byte = np.uint64(buf[pos])
        pos += 1
        if shift == np.uint64(63) and byte > np.uint64(1):
            return np.int64(0), -1
        result |= (byte & np.uint64(127)) << shift
        if byte < np.uint64(128):
            return np.int64(result >> np.uint64(1)) ^ -np.int64(result & np.uint64(1)), pos
        shift += np.uint64(7)
    return np.int64(0), -1


@njit
def _find(table: Any, key: int) -> int:
    mask = table.shape[0] - 1
    slot = key & mask
    while table[slot, 1] >= 0:
        if table[slot, 0] == key:
            return table[slot, 1]
        slot = (slot + 1) & mask
    return -1


@njit
def _program(buf: Any, pos: int, end: int, by_fingerprint: Any, by_id: Any) -> Any:
    """(status, program, start of the Avro binary) by the framing."""
    if pos + 10 <= end and load_u16(buf, pos) == _MAGIC_SINGLE:
        program = _find(by_fingerprint, load_i64(buf, pos + 2))
        start = pos + 10
    elif pos + 5 <= end and buf[pos] == 0:
        number = 0
        for k in range(1, 5):
            number = number << 8 | buf[pos + k]
        program = _find(by_id, number)
        start = pos + 5
    else:
        return MALFORMED, -1, pos
    if program < 0:
        return UNKNOWN_SCHEMA, -1, pos
    return OK, program, start


@njit
def decode(buf: Any, pos: int, end: int, programs: Any, ri: Any, rf: Any, rs: Any, rn: Any) -> Any:
    """Decode the framed event buf[pos:end]: (status, type id or -1, register of the offending field or -1)."""
    status, program, pos = _program(buf, pos, end, programs.by_fingerprint, programs.by_id)
    if status != OK:
        return status, -1, -1
    ops, floor, currency = programs.ops, programs.floor, programs.currency
    type_id = np.int64(programs.type_ids[program])
    bad = -1
    for row in range(ROWS):
        op = ops[program, row, OP]
        if op == END:
            break
        flags = ops[program, row, FLAGS]
        r = np.int64(ops[program, row, REGISTER])
        keep = flags & DROP == 0
        field = r if keep else -1
        if op == PRESET:
            _preset(r, flags & IS_NULL != 0, floor[program, row], ops[program, row, HIGH], ri, rf, rs, rn, pos)
            continue
        if flags & NULLABLE:
            branch, pos = get_long(buf, pos, end)
            if pos < 0 or branch < 0 or branch > 1:
                return MALFORMED, type_id, field
            is_null = branch == (1 if flags & NULL_SECOND else 0)
            if keep:
                rn[r] = is_null
            if is_null:
                if keep:
                    ri[r] = 0
                    rf[r] = 0.0
                    rs[r, 0] = pos
                    rs[r, 1] = 0
                continue
        elif keep:
            rn[r] = 0
        if op == STRING or op == BYTES:
            n, pos = get_long(buf, pos, end)
            if pos < 0 or n < 0 or n > end - pos:
                return MALFORMED, type_id, field
            if op == STRING:
                h, sound = hash_text(buf, pos, n)
            else:
                h, sound = hash64(buf, pos, n), True
            if keep:
                ri[r] = np.int64(h)
                rs[r, 0] = pos
                rs[r, 1] = n
                if flags & BYTE_LIMITS:
                    sound = sound and ops[program, row, LOW] <= n <= ops[program, row, HIGH]
                if flags & CURRENCY:
                    sound = sound and (n == 0 or same_bytes(buf, pos, n, currency, 0, currency.shape[0]))
            if not sound and bad < 0:
                bad = field if keep else 99
            pos += n
            continue
        whole = np.int64(0)
        if op == DOUBLE or op == FLOAT:
            size = 8 if op == DOUBLE else 4
            if end - pos < size:
                return MALFORMED, type_id, field
            number = load_f64(buf, pos) if op == DOUBLE else np.float64(load_f32(buf, pos))
            pos += size
            if not np.isfinite(number) and keep and bad < 0:
                bad = field
        elif op == BOOLEAN:
            if pos >= end or buf[pos] > 1:
                return MALFORMED, type_id, field
            whole = np.int64(buf[pos])
            number = np.float64(whole)
            pos += 1
        else:
            whole, pos = get_long(buf, pos, end)
            if pos < 0:
                return MALFORMED, type_id, field
            if op == INT and not _INT_MIN <= whole <= _INT_MAX:
                return MALFORMED, type_id, field
            if op == ENUM and not 0 <= whole < ops[program, row, HIGH]:
                return MALFORMED, type_id, field
            number = np.float64(whole)
        if keep:
            if flags & MINIMUM and number < floor[program, row] and bad < 0:
                bad = field
            ri[r] = whole
            rf[r] = number
    if pos != end:
        return MALFORMED, type_id, -1
    if bad >= 0:
        return INVALID_FIELD, type_id, bad
    return OK, type_id, -1


@njit
def _preset(r: int, null: bool, number: float, text: int, ri: Any, rf: Any, rs: Any, rn: Any, pos: int) -> None:
    rn[r] = null
    rf[r] = number
    ri[r] = np.int64(number)
    rs[r, 0] = pos
    rs[r, 1] = 0
    if text:
        ri[r] = np.int64(hash64(np.empty(0, np.uint8), 0, 0))


@njit
def check_time(t: int, low: int, high: int, wall: int, ahead: int) -> int:
    """Status of an event time: bounds low ≤ t ≤ high; with a wall clock (≠ 0) no more than `ahead` past it. All epoch ms."""
    if t < low or t > high:
        return OUT_OF_BOUNDS_TIME
    if wall != 0 and t > wall + ahead:
        return FUTURE_TIME
    return OK


# The program's operations that are plain numbers by varint end in the last branch above.
assert {LONG, INT, ENUM} == {1, 2, 3}  # noqa: S101
