"""Parquet files of one event type: columns in, blocks of events out.

A batch of rows becomes one table of cells (numbers, bits of doubles, addresses of texts), which compiled code writes as records; no cell
becomes a Python object. Rows that this cannot do (a value that must be there is null, an unknown symbol, a number out of range, a time
as text) are taken one by one as the other formats take them (foreign.py), and refused with the same words.

The type is `--type`, else the file's name: Parquet has no name for its rows. Columns go by the names of the fields, in any order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from keepline.schemas.blocks import EventBlock, RejectedLine
from keepline.schemas.catalog import EVENT_TIME, MISSING, EventType, Field, event_type
from keepline.schemas.cities import CITY, CITY_HASH, City, city_field, hashed
from keepline.schemas.encode import Ok
from keepline.schemas.errors import DamagedFileError, FileError
from keepline.schemas.foreign import DAY_MS, as_line, event_of, required
from keepline.schemas.framekernel import HEAD, ROOM, head, steps, write_rows
from keepline.schemas.sources import TYPE_NAMES, Progress, opened, untyped

ROWS = 1 << 16
"""Rows that are turned together."""
_PER_MS = {"s": 0, "ms": 1, "us": 1_000, "ns": 1_000_000}
_INTEGERS = {"int": (-(2**31), 2**31 - 1), "long": (-(2**63), 2**63 - 1)}

Int64 = NDArray[np.int64]
Flags = NDArray[np.bool_]


class _Column(NamedTuple):
    """A field's cells of one batch (see framekernel.write_rows). `odd` marks the rows that are taken one by one."""

    cells: Int64
    sizes: Int64 | int
    nulls: Flags | bool
    odd: Flags | bool
    keep: Any = None  # what the addresses point into


def read_parquet(path: Path, file: int, type_name: str | None, progress: Progress | None, city: City | None = None) -> Iterator[EventBlock]:
    """The events of one file in its own order; rows are numbered from 1."""
    with opened(path) as stream:
        try:
            source = pq.ParquetFile(stream)
        except (pa.ArrowException, OSError) as error:
            message = f"{path}: not a whole Parquet file ({_first(error)}): copy the file again"
            raise DamagedFileError(message) from error
        event = _event(path, type_name)
        plain = city_field(event) if city else None
        columns = _checked(path, source.schema_arrow, event, (*event.fields, plain) if plain else event.fields)
        size, rows, done, told = path.stat().st_size, source.metadata.num_rows, 0, 0
        try:
            for batch in source.iter_batches(ROWS, columns=columns):
                yield _block(_with_hashes(path, batch, city) if city and CITY in columns else batch, event, file, done)
                done += batch.num_rows
                if progress:
                    progress(size * done // rows - told)
                    told = size * done // rows
        except (pa.ArrowException, OSError) as error:
            message = f"{path}: the data is damaged after row {done} ({_first(error)}): copy the file again"
            raise DamagedFileError(message) from error
        if progress:
            progress(size - told)


def _first(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]


def _event(path: Path, type_name: str | None) -> EventType:
    for name in (type_name, path.name.split(".")[0]):
        if name in TYPE_NAMES:
            return event_type(str(name))
    raise untyped(path, "Parquet has no name for its rows, and the file's is no event type")


def _checked(path: Path, schema: Any, event: EventType, fields: tuple[Field, ...]) -> list[str]:
    """The columns to read; FileError where one is missing, there twice, or of a type that cannot be its field's."""
    missing = [name for name in required(event) if name not in schema.names]
    if missing:
        message = f"{path}: {event.name} lacks the columns {', '.join(missing)}: expected {', '.join(required(event))}"
        raise DamagedFileError(message)
    found = []
    for field in fields:
        if schema.names.count(field.name) > 1:
            message = f"{path}: the column {field.name} is there twice"
            raise DamagedFileError(message)
        if field.name in schema.names:
            kind = schema.field(field.name).type
            expected = _refused(field, kind.value_type if pa.types.is_dictionary(kind) else kind)
            if expected:
                message = f"{path}: the column {field.name} is {kind}: expected {expected}; convert the column"
                raise FileError(message)
            found.append(field.name)
    return found


def _refused(field: Field, kind: Any) -> str:
    """What was expected, where a column of this type cannot be the field."""
    t = pa.types
    if t.is_null(kind):
        return ""
    texts = t.is_string(kind) or t.is_large_string(kind)
    if field.time:
        fits = t.is_timestamp(kind) or t.is_date(kind) or t.is_integer(kind) or texts
        return "" if fits else "a timestamp, whole epoch milliseconds, or RFC 3339 text"
    match field.kind:
        case "boolean":
            return "" if t.is_boolean(kind) else "a boolean"
        case "int" | "long":
            return "" if t.is_integer(kind) else "whole numbers (int32; in pandas Int32, which can be null)"
        case "double" | "float":
            return "" if t.is_floating(kind) or t.is_integer(kind) or t.is_decimal(kind) else "numbers (double)"
        case _:
            return "" if texts or t.is_binary(kind) or t.is_large_binary(kind) else "text, plain or as a dictionary"


def _with_hashes(path: Path, batch: Any, city: City) -> Any:
    """The batch with the hashes of cities in the place of their names."""
    names = batch.schema.names
    both = [name for name in (CITY, CITY_HASH) if name in names]
    columns = [_values(batch.column(names.index(name))) for name in both]
    made = [hashed(dict(zip(both, cells, strict=True)), city).get(CITY_HASH) for cells in zip(*columns, strict=True)]
    try:
        column = pa.array([value.decode() if isinstance(value, bytes) else value for value in made], pa.string())
    except UnicodeError:
        message = f"{path}: the column {CITY} or {CITY_HASH} is not text in UTF-8; write the file again"
        raise DamagedFileError(message) from None
    kept = [name for name in names if name not in (CITY, CITY_HASH)]
    return pa.RecordBatch.from_arrays([*(batch.column(names.index(name)) for name in kept), column], names=[*kept, CITY_HASH])


def _values(column: Any) -> list[Any]:
    """Texts as bytes: Arrow holds some that are no UTF-8."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    found: list[Any] = column.cast(pa.large_binary()).to_pylist()
    return found


def _block(batch: Any, event: EventType, file: int, before: int) -> EventBlock:
    n, names = batch.num_rows, batch.schema.names
    fields = event.fields
    cells, sizes = np.empty((len(fields), n), np.int64), np.zeros((len(fields), n), np.int64)
    nulls, odd = np.zeros((len(fields), n), np.uint8), np.zeros(n, np.bool_)
    kept = []
    for i, field in enumerate(fields):
        column = _cells(field, batch.column(names.index(field.name))) if field.name in names else _absent(field, n)
        cells[i], sizes[i], nulls[i] = column.cells, column.sizes, column.nulls
        odd |= column.odd
        kept.append(column.keep)
    room = int(np.where(odd, 0, sizes.sum(axis=0)).sum()) + n * (HEAD + ROOM * len(fields))
    out, offsets, lengths = np.empty(room, np.uint8), np.empty(n, np.int64), np.empty(n, np.int64)
    used = write_rows(cells, sizes, nulls, odd, steps(fields), head(event), out, offsets, lengths)
    numbers, times = np.arange(before + 1, before + n + 1), cells[EVENT_TIME]
    block = EventBlock(out[:used], offsets, lengths, times, np.full(n, file, np.int32), numbers)
    return _one_by_one(batch, event, block, np.flatnonzero(odd)) if odd.any() else block


def _one_by_one(batch: Any, event: EventType, block: EventBlock, rows: NDArray[np.intp]) -> EventBlock:
    """The block with these rows filled in, and without those that are no events."""
    good, values = np.ones(len(block), np.bool_), []
    rejected: list[RejectedLine] = []
    end = block.buffer.shape[0]
    for record, row in zip(batch.take(pa.array(rows)).to_pylist(), rows.tolist(), strict=True):
        found = event_of(record, event)
        if isinstance(found, Ok):
            block.offsets[row], block.lengths[row], block.times[row] = end, len(found.value), found.event_time
            values.append(found.value)
            end += len(found.value)
        else:
            good[row] = False
            at = row - len(rejected)
            rejected.append(RejectedLine(at, int(block.files[row]), int(block.numbers[row]), as_line(record, event), found))
    buffer = np.concatenate([block.buffer, np.frombuffer(b"".join(values), np.uint8)])
    return replace(block.select(good, rejected), buffer=buffer)


def _absent(field: Field, n: int) -> _Column:
    """Every row has the field's default; one that has none is odd."""
    if field.default is MISSING:
        return _Column(np.zeros(n, np.int64), 0, False, True)
    if field.default is None:
        return _Column(np.zeros(n, np.int64), 0, True, False)
    if field.kind in {"string", "bytes"}:
        text = np.frombuffer(field.default.encode() + b"\0", np.uint8)
        return _Column(np.full(n, text.ctypes.data), len(field.default.encode()), False, False, text)
    if field.kind == "enum":
        return _Column(np.full(n, field.symbols.index(field.default)), 0, False, False)
    if field.kind == "double":
        return _Column(np.full(n, float(field.default)).view(np.int64), 0, False, False)
    return _Column(np.full(n, int(field.default)), 0, False, False)


def _cells(field: Field, column: Any) -> _Column:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_null(column.type):
        return _absent(field, len(column))
    made = _texts(column) if field.kind in {"string", "bytes"} else _numbers(field, column)
    if column.null_count == 0:
        return made
    absent, gone = _absent(field, len(column)), column.is_null().to_numpy(zero_copy_only=False)
    return _Column(
        np.where(gone, absent.cells, made.cells),
        np.where(gone, absent.sizes, made.sizes),
        gone & absent.nulls,
        np.where(gone, absent.odd, made.odd),
        (made.keep, absent.keep),
    )


def _texts(column: Any) -> _Column:
    column = column.cast(pa.large_binary())
    _, offsets, data = column.buffers()
    ends = np.frombuffer(offsets, np.int64)[column.offset : column.offset + len(column) + 1]
    return _Column(ends[:-1] + (data.address if data else 0), np.diff(ends), False, False, column)


def _whole(column: Any) -> Int64:
    found: Int64 = column.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    return found


def _numbers(field: Field, column: Any) -> _Column:
    kind, n = column.type, len(column)
    if field.time:
        return _moments(column)
    if field.kind == "enum":
        symbols = pa.array(list(field.symbols), pa.binary())
        places = pc.index_in(column.cast(pa.binary()), value_set=symbols)
        return _Column(_whole(places), 0, False, places.is_null().to_numpy(zero_copy_only=False))
    if field.kind == "boolean":
        return _Column(_whole(column.cast(pa.int8())), 0, False, False)
    if field.kind == "double":
        doubles = column.cast(pa.float64(), safe=False).fill_null(0.0).to_numpy(zero_copy_only=False)
        return _Column(np.ascontiguousarray(doubles).view(np.int64), 0, False, False)
    low, high = _INTEGERS[field.kind]
    if pa.types.is_uint64(kind):
        low, high = 0, min(high, 2**63 - 1)
        wide = column.fill_null(0).to_numpy(zero_copy_only=False)
        return _Column(wide.astype(np.int64), 0, False, wide > np.uint64(high))
    values = _whole(column)
    return _Column(values, 0, False, (values < low) | (values > high) if n else False)


def _moments(column: Any) -> _Column:
    kind = column.type
    if pa.types.is_timestamp(kind):
        ticks = _whole(column.cast(pa.int64()))
        if kind.unit == "s":
            far = np.abs(ticks) > 2**53
            return _Column(np.where(far, 0, ticks) * 1000, 0, False, far)
        return _Column(ticks // _PER_MS[kind.unit], 0, False, False)
    if pa.types.is_date32(kind):
        return _Column(_whole(column.cast(pa.int32())) * DAY_MS, 0, False, False)
    if pa.types.is_date64(kind):
        return _Column(_whole(column.cast(pa.int64())), 0, False, False)
    if pa.types.is_integer(kind) and not pa.types.is_uint64(kind):
        return _Column(_whole(column), 0, False, False)
    return _Column(np.zeros(len(column), np.int64), 0, False, True)  # text, unsigned
