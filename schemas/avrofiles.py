"""Avro container files of one event type: blocks of records in, blocks of events out.

fastavro reads the container (header, codec, sync marks). What follows depends on the writer's schema:

- of our shape (names and types of schemas/events, whatever its docs and namespace): the records' bytes are framed as they stand, compiled;
- any other: record by record to Python values (foreign.py), which takes what CSV would take and refuses the rest line by line. Of
  schema evolution, a field may go by one of our aliases, and a symbol that we do not know becomes our enum's default, if it has one.

The type is the record's name in the schema, else `--type`, else the file's name.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import fastavro
import numpy as np
from fastavro.read import block_reader

from keepline.schemas.blocks import EventBlock, of_lines
from keepline.schemas.catalog import EventType, event_type, parse_fields
from keepline.schemas.cities import City, hashed
from keepline.schemas.encode import Ok, Rejected
from keepline.schemas.errors import DamagedFileError, FileError, SchemaError
from keepline.schemas.foreign import UNITS, as_line, event_of, required
from keepline.schemas.framekernel import HEAD, frame_blocks, head, steps
from keepline.schemas.sources import TYPE_NAMES, Progress, opened, untyped

CHUNK = 1 << 20
"""Bytes of records (decompressed) that go through the kernel together."""
_TIMES = ("date", "timestamp-", "local-timestamp-", "time-")


class _Chunk(NamedTuple):
    """Some blocks of the file, decompressed: their records' bytes, records in each, and where each began in the file."""

    data: list[bytes]
    counts: list[int]
    places: list[int]


class _Reading(NamedTuple):
    """How records of another schema are read as events of a type."""

    event: EventType
    per_ms: dict[str, int]
    names: dict[str, str]  # of the writer's fields that go by an alias: ours
    symbols: dict[str, tuple[tuple[str, ...], str]]  # of our enums with a default: the symbols, the default
    city: City | None

    def event_of(self, record: dict[str, Any]) -> Ok | Rejected:
        """The event of one record."""
        fields = {self.names.get(name, name): value for name, value in record.items()} if self.names else record
        for name, (known, default) in self.symbols.items():
            if fields.get(name) is not None and fields[name] not in known:
                fields = {**fields, name: default}
        return event_of(hashed(fields, self.city), self.event, self.per_ms)


def read_avro(path: Path, file: int, type_name: str | None, progress: Progress | None, city: City | None = None) -> Iterator[EventBlock]:
    """The events of one container file in its own order; records are numbered from 1."""
    with opened(path) as stream:
        try:
            reader = block_reader(stream)
            schema = json.loads(reader.metadata["avro.schema"])
            fastavro.parse_schema(schema)
        except Exception as error:  # fastavro raises whatever its reading of damaged bytes ends in
            message = f"{path}: the header is not that of an Avro container file ({error}): expected Obj1, a schema and a known codec"
            raise DamagedFileError(message) from error
        event = _event(path, schema, type_name)
        chunks = _chunks(path, stream, reader, progress)
        if _ours(schema, event):
            yield from _framed(path, file, event, chunks)
        else:
            names = _renamed(schema, event)
            per_ms = _units(path, schema, event, names)
            parsed = fastavro.parse_schema(_without_times(schema))
            reading = _Reading(event, per_ms, names, _symbols(schema, event, names), city)
            yield from of_lines(_entries(path, parsed, reading, chunks), file)


def _event(path: Path, schema: Any, type_name: str | None) -> EventType:
    if not isinstance(schema, dict) or schema.get("type") != "record" or "fields" not in schema:
        message = f"{path}: the schema is {str(schema)[:80]}: expected a record with fields, one event type a file"
        raise FileError(message)
    stem = path.name.split(".")[0]
    for name in (str(schema.get("name", "")).rpartition(".")[2], type_name, stem):
        if name in TYPE_NAMES:
            return event_type(str(name))
    raise untyped(path, f"the schema's record is {schema.get('name')!r}")


def _ours(schema: dict[str, Any], event: EventType) -> bool:
    try:
        written = parse_fields(schema)
    except SchemaError:
        return False
    names = ("name", "kind", "nullable", "null_branch", "symbols")
    same = [[getattr(field, name) for name in names] for field in written] == [[getattr(f, name) for name in names] for f in event.fields]
    return same and all(_logical(raw) in {None, "timestamp-millis"} for raw in schema["fields"])


def _logical(raw: dict[str, Any]) -> str | None:
    """The logical type of a field, or of the other branch of a union with null."""
    kinds = raw["type"] if isinstance(raw["type"], list) else [raw["type"]]
    found: list[str] = [kind["logicalType"] for kind in kinds if isinstance(kind, dict) and "logicalType" in kind]
    return found[0] if found else None


def _renamed(schema: dict[str, Any], event: EventType) -> dict[str, str]:
    """The writer's fields that go by an alias of ours, where our own name is not there."""
    written, found = {raw["name"] for raw in schema["fields"]}, {}
    for ours in event.schema["fields"]:
        if ours["name"] not in written:
            found.update({alias: ours["name"] for alias in ours.get("aliases", ())[::-1] if alias in written})
    return found


def _symbols(schema: dict[str, Any], event: EventType, names: dict[str, str]) -> dict[str, tuple[tuple[str, ...], str]]:
    written = {names.get(raw["name"], raw["name"]): raw["type"] for raw in schema["fields"]}
    found = {}
    for ours in event.schema["fields"]:
        kinds = ours["type"] if isinstance(ours["type"], list) else [ours["type"]]
        theirs = written.get(ours["name"], "string")
        for kind in kinds:
            # A text that is no symbol is an error; a symbol of another version is not.
            if isinstance(kind, dict) and "default" in kind and "string" not in (theirs if isinstance(theirs, list) else [theirs]):
                found[ours["name"]] = (tuple(kind["symbols"]), kind["default"])
    return found


def _units(path: Path, schema: dict[str, Any], event: EventType, names: dict[str, str]) -> dict[str, int]:
    """How many of a time's numbers make a millisecond, by field; 0 for days."""
    raws = {names.get(raw["name"], raw["name"]): raw for raw in schema["fields"]}
    missing = [name for name in required(event) if name not in raws]
    if missing:
        message = f"{path}: the schema of {event.name} lacks {', '.join(missing)}: expected {', '.join(required(event))}"
        raise DamagedFileError(message)
    per_ms = {}
    for field in event.fields:
        logical = _logical(raws[field.name]) if field.time and field.name in raws else None
        if logical is None:
            continue
        unit = logical.removeprefix("local-").removeprefix("timestamp-")
        if logical == "date":
            per_ms[field.name] = 0
        elif unit in UNITS:
            per_ms[field.name] = UNITS[unit]
        else:
            message = f"{path}: {event.name}.{field.name} is a {logical}: expected a moment, such as a long with timestamp-millis"
            raise FileError(message)
    return per_ms


def _without_times(schema: Any) -> Any:
    """The schema with its times as plain numbers: Python's datetime ends at microseconds and the year 9999."""
    if isinstance(schema, dict):
        plain = str(schema.get("logicalType", "")).startswith(_TIMES)
        return {name: _without_times(value) for name, value in schema.items() if not (plain and name == "logicalType")}
    return [_without_times(part) for part in schema] if isinstance(schema, list) else schema


def _chunks(path: Path, stream: BinaryIO, reader: Any, progress: Progress | None) -> Iterator[_Chunk]:
    chunk, held, records = _Chunk([], [], []), 0, 0
    place = before = stream.tell()
    if progress:
        progress(place)
    while True:
        try:
            block = next(reader, None)
        except Exception as error:  # as above
            what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            message = f"{path}: the block at byte {place}, after record {records}, is damaged or cut off ({what}); copy the file again"
            raise DamagedFileError(message) from error
        if block is None:
            break
        data = block.bytes_.getvalue()
        if not 0 <= block.num_records <= len(data):
            message = f"{path}: the block at byte {place}, after record {records}, says {block.num_records} records in {len(data)} bytes"
            raise DamagedFileError(message)
        chunk.data.append(data)
        chunk.counts.append(block.num_records)
        chunk.places.append(place)
        held += len(data)
        records += block.num_records
        place = stream.tell()
        if held >= CHUNK:
            yield chunk
            chunk, held = _Chunk([], [], []), 0
            if progress:
                progress(place - before)
            before = place
    if place != stream.seek(0, io.SEEK_END):
        message = f"{path}: the file is cut off at byte {place}, after record {records}; copy the file again"
        raise DamagedFileError(message)
    yield chunk
    if progress:
        progress(place - before)


def _framed(path: Path, file: int, event: EventType, chunks: Iterator[_Chunk]) -> Iterator[EventBlock]:
    table, framing, before = steps(event.fields), head(event), 0
    for chunk in chunks:
        starts, counts = np.cumsum([0, *map(len, chunk.data)]), np.array(chunk.counts, np.int64)
        n = int(counts.sum())
        out = np.empty(int(starts[-1]) + HEAD * n, np.uint8)
        offsets, lengths, times = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
        data = np.frombuffer(bytearray().join(chunk.data), np.uint8)
        block, record = frame_blocks(data, starts, counts, table, framing, out, offsets, lengths, times)
        if block >= 0:
            raise _broken(path, chunk, int(block), before + int(counts[:block].sum()) + int(record), last=record == counts[block])
        yield EventBlock(out, offsets, lengths, times, np.full(n, file, np.int32), np.arange(before + 1, before + n + 1))
        before += n


def _entries(path: Path, schema: Any, reading: _Reading, chunks: Iterator[_Chunk]) -> Iterator[tuple[int, bytes, Ok | Rejected]]:
    number = 0
    for chunk in chunks:
        for block, (data, count) in enumerate(zip(chunk.data, chunk.counts, strict=True)):
            stream = io.BytesIO(data)
            for _ in range(count):
                try:
                    record: Any = fastavro.schemaless_reader(stream, schema, None)
                except Exception as error:  # as above
                    raise _broken(path, chunk, block, number) from error
                number += 1
                found = reading.event_of(record)
                yield number, b"" if isinstance(found, Ok) else as_line(record, reading.event), found
            if stream.tell() != len(data):
                raise _broken(path, chunk, block, number, last=True)


def _broken(path: Path, chunk: _Chunk, block: int, before: int, *, last: bool = False) -> DamagedFileError:
    what = f"holds more bytes than its records up to {before}" if last else f"cannot be read at record {before + 1}"
    message = f"{path}: the block at byte {chunk.places[block]} {what}: expected records of the file's schema; write the file again"
    return DamagedFileError(message)
