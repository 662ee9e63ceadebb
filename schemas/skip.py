"""Steps over one Avro value of any type, compiled: what a writer has and we do not. Also the varint that all of Avro is made of.

Never reads outside buf[pos:end]; whatever is not a whole value of its type is position -1. `code` and `place` say the type: see
`programs.py`, `_Code.type`.
"""

from typing import Any

import numpy as np

from keepline.schemas.jit import njit
from keepline.schemas.mem import load_i64, load_u8
from keepline.schemas.programs import T_ARRAY, T_BOOLEAN, T_EMPTY_ITEMS, T_FIXED, T_INT, T_LONG, T_MAP, T_RECORD, T_TEXT, T_UNION

INT_MIN, INT_MAX = -(2**31), 2**31 - 1
MAX_DEPTH = 64
"""Of types inside types."""


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


@njit
def _scalar_end(buf: int, pos: int, end: int, kind: int, number: int) -> int:
    """The position behind a value without parts, or -1."""
    if kind == T_FIXED:
        return pos + number if number <= end - pos else -1
    if kind == T_BOOLEAN:
        return pos + 1 if pos < end and load_u8(buf, pos) <= 1 else -1
    value, pos = get_long(buf, pos, end)
    if pos < 0 or kind == T_LONG:
        return pos
    if kind == T_INT:
        return pos if INT_MIN <= value <= INT_MAX else -1
    if kind == T_TEXT:
        return pos + value if 0 <= value <= end - pos else -1
    return pos if 0 <= value < number else -1


@njit
def _block(buf: int, pos: int, end: int, empty: bool) -> Any:
    """(items, position) of the next block of an array or map that is to be entered: 0 items at its end; position -1 if malformed."""
    while True:
        count, pos = get_long(buf, pos, end)
        if pos < 0 or count == 0:
            return np.int64(0), pos
        if count < 0:  # the block's length in bytes follows
            size, pos = get_long(buf, pos, end)
            if pos < 0 or size < 0 or size > end - pos:
                return np.int64(0), -1
            pos += size
        elif not empty:
            return count, pos if count <= end - pos else -1


@njit
def step_over(buf: int, pos: int, end: int, code: int, place: int) -> int:
    """The position behind one value of any type (programs.py, `_Code.type`), or -1 where the bytes are none or end too early.

    Each value that is entered has a byte at least, so there is no more work than bytes, whatever the counts say. The stack is our own,
    three words a level (type, kind, parts or items left), since numba cannot keep a function on disk that calls itself.
    """
    stack = np.empty(3 * MAX_DEPTH, np.int64)
    depth = 0
    while True:
        at = code + 8 * place
        kind, number = load_i64(at, 0), load_i64(at, 8)
        if kind == T_UNION:
            branch, pos = get_long(buf, pos, end)
            if pos < 0 or not 0 <= branch < number:
                return -1
            place = load_i64(at, 16 + 8 * branch)
            continue
        if kind in (T_RECORD, T_ARRAY, T_EMPTY_ITEMS, T_MAP):
            if depth >= MAX_DEPTH:
                return -1
            stack[3 * depth], stack[3 * depth + 1], stack[3 * depth + 2] = at, kind, number if kind == T_RECORD else 0
            depth += 1
        else:
            pos = _scalar_end(buf, pos, end, kind, number)
            if pos < 0:
                return -1
        # Behind a value: on to the next part of what it is in.
        while True:
            if depth == 0:
                return pos
            at, kind, left = stack[3 * depth - 3], stack[3 * depth - 2], stack[3 * depth - 1]
            if left == 0 and kind != T_RECORD:
                left, pos = _block(buf, pos, end, kind == T_EMPTY_ITEMS)
                if pos < 0:
                    return -1
            if left > 0:
                break
            depth -= 1
        stack[3 * depth - 1] = left - 1
        if kind == T_RECORD:
            place = load_i64(at, 16 + 8 * (load_i64(at, 8) - left))
        else:
            place = load_i64(at, 16)
            if kind == T_MAP:
                pos = _scalar_end(buf, pos, end, T_TEXT, 0)
                if pos < 0:
                    return -1
