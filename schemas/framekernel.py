"""Compiled ways from the inside of a file to framed events: copy Avro records as they are, or write them from columns.

`frame_blocks` walks the records of Avro blocks that were written with our own shape of schema and puts the framing before each: no
number is decoded but the event time. `write_rows` writes records from columns, one table of cells a field. Whether a value is allowed is
not judged here but by the decoder, which all events pass.

A field is one row of `steps`: kind (VARINT, FIXED, TEXT), bytes of a FIXED, the union branch of null or −1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from keepline.schemas.catalog import EVENT_TIME, EventType, Field
from keepline.schemas.decode import get_long
from keepline.schemas.jit import njit
from keepline.schemas.mem import address, copy_bytes, load_i64, put_long, store_i64, store_u8

VARINT, FIXED, TEXT = range(3)
HEAD = 10  # bytes of single-object framing
_KINDS = {
    "int": (VARINT, 0),
    "long": (VARINT, 0),
    "enum": (VARINT, 0),
    "boolean": (FIXED, 1),
    "double": (FIXED, 8),
    "string": (TEXT, 0),
    "bytes": (TEXT, 0),
}
ROOM = 11  # bytes that a cell may need beside its text: a union branch and the longest varint

Int64 = NDArray[np.int64]


def steps(fields: tuple[Field, ...]) -> Int64:
    """The rows of these fields; KeyError for a kind that events do not have (float)."""
    return np.array([(*_KINDS[field.kind], field.null_branch) for field in fields], np.int64)


def head(event: EventType) -> NDArray[np.uint8]:
    """The framing of a type's values."""
    return np.frombuffer(b"\xc3\x01" + event.fingerprint, np.uint8).copy()


@njit
def _walk(data: int, pos: int, end: int, table: int, fields: int) -> Any:
    """(position behind the record at `pos`, its event time); position −1 if it does not end before `end`."""
    time: Any = np.int64(0)
    for field in range(fields):
        row = table + 24 * field
        null = load_i64(row, 16)
        if null >= 0:
            branch, pos = get_long(data, pos, end)
            if pos < 0 or branch < 0 or branch > 1:
                return -1, time
            if branch == null:
                continue
        kind = load_i64(row, 0)
        if kind == FIXED:
            pos += load_i64(row, 8)
            if pos > end:
                return -1, time
            continue
        number, pos = get_long(data, pos, end)
        if pos < 0:
            return -1, time
        if kind == TEXT:
            if number < 0 or number > end - pos:
                return -1, time
            pos += number
        elif field == EVENT_TIME:
            time = number
    return pos, time


@njit
def frame_blocks(data: Any, starts: Any, counts: Any, table: Any, framing: Any, out: Any, offsets: Any, lengths: Any, times: Any) -> Any:
    """Frame the records of blocks: block b is data[starts[b]:starts[b + 1]] with counts[b] records.

    `out` has room for `data` and HEAD bytes a record. Returns (−1, 0), or the block and the record in it that cannot be read; a record
    number of counts[b] says that bytes follow the last.
    """
    source, target, rows, mark = address(data), address(out), address(table), address(framing)
    fields = table.shape[0]
    p, i = 0, 0
    for block in range(counts.shape[0]):
        pos, end = starts[block], starts[block + 1]
        for record in range(counts[block]):
            after, time = _walk(source, pos, end, rows, fields)
            if after < 0:
                return block, record
            copy_bytes(target, p, mark, 0, HEAD)
            copy_bytes(target, p + HEAD, source, pos, after - pos)
            offsets[i] = p
            lengths[i] = HEAD + after - pos
            times[i] = time
            p += HEAD + after - pos
            pos = after
            i += 1
        if pos != end:
            return block, counts[block]
    return -1, 0


@njit
def write_rows(cells: Any, sizes: Any, nulls: Any, skip: Any, table: Any, framing: Any, out: Any, offsets: Any, lengths: Any) -> int:
    """Write a framed record for each row that is not skipped; returns the bytes written. A skipped row has length 0.

    cells int64[fields, rows]: the number, the bits of a double, or the address of a text; sizes int64[fields, rows]: bytes of a text;
    nulls uint8[fields, rows]. `out` has room for all texts, and HEAD + fields × ROOM bytes a row.
    """
    target, mark = address(out), address(framing)
    fields = table.shape[0]
    p = 0
    for row in range(skip.shape[0]):
        offsets[row] = p
        lengths[row] = 0
        if skip[row]:
            continue
        copy_bytes(target, p, mark, 0, HEAD)
        p += HEAD
        for field in range(fields):
            null = table[field, 2]
            if null >= 0:
                if nulls[field, row]:
                    p = put_long(target, p, null)
                    continue
                p = put_long(target, p, 1 - null)
            kind, cell = table[field, 0], cells[field, row]
            if kind == VARINT:
                p = put_long(target, p, cell)
            elif kind == FIXED:
                if table[field, 1] == 1:
                    store_u8(target, p, cell)
                    p += 1
                else:
                    store_i64(target, p, cell)
                    p += 8
            else:
                size = sizes[field, row]
                p = copy_bytes(target, put_long(target, p, size), cell, 0, size)
        lengths[row] = p - offsets[row]
    return p


@njit
def gather(buffer: Any, offsets: Any, lengths: Any, out: Any, starts: Any) -> None:
    """Copy values out of a buffer, one behind the other; starts[i] is where value i begins in `out`."""
    source, target = address(buffer), address(out)
    p = 0
    for i in range(offsets.shape[0]):
        starts[i] = p
        p = copy_bytes(target, p, source, offsets[i], lengths[i])
