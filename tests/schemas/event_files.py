"""Random events of every type, and the same events written in every format that is read."""

from __future__ import annotations

import csv
import gzip
import json
import random
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq

from keepline.schemas.catalog import EVENT_TYPES, MISSING, EventType, Field, event_type
from keepline.schemas.records import without_logical_types
from keepline.schemas.times import to_rfc3339

START = 1_767_225_600_000  # 2026-01-01
TEXTS = ["p", "", "Ünïcödé 🎈", 'quo"te, comma', "x" * 300, "line\nend"]
Event = dict[str, Any]


def value_of(dice: random.Random, field: Field) -> Any:
    if field.time:
        return START + dice.randrange(10**9)
    match field.kind:
        case "boolean":
            return dice.random() < 0.5
        case "int":
            return dice.choice([0, -1, 12, 2**31 - 1, -(2**31), dice.randrange(1000)])
        case "double":
            return dice.choice([0.0, 1.0, 61.5, 0.1, 1e-9, 12345678.9, round(dice.random() * 100, 2)])
        case "enum":
            return dice.choice(field.symbols)
    if field.constraints.get("currency"):
        return ""
    return dice.choice(TEXTS)


def some(dice: random.Random, kind: EventType, n: int, times: int = 10**6, *, whole: bool = False) -> list[Event]:
    """n events of a type; fields with a default are sometimes absent, unless `whole`."""
    found = []
    for number in range(n):
        event: Event = {
            "type": kind.name,
            "customer_id": f"c{dice.randrange(20)}",
            "event_id": f"{kind.name}-{number}",
            "event_time": START + dice.randrange(times),
        }
        for field in kind.fields[3:]:
            if field.nullable and dice.random() < 0.3:
                event[field.name] = None
            elif whole or field.default is MISSING or dice.random() < 0.7:
                event[field.name] = value_of(dice, field)
        found.append(event)
    return found


def fields(event: Event) -> Event:
    return {name: value for name, value in event.items() if name != "type"}


def whole(event: Event) -> Event:
    """The event with its defaults spelled out, without its type."""
    kind = event_type(event["type"])
    return {f.name: event.get(f.name, None if f.default is MISSING else f.default) for f in kind.fields}


def write_json(path: Path, events: list[Event]) -> Path:
    data = "".join(json.dumps(event) + "\n" for event in events).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def write_csv(path: Path, events: list[Event]) -> Path:
    """A null or an empty text is an empty cell, so fields with another default must not have them."""
    names = [field.name for field in event_type(events[0]["type"]).fields]
    with gzip.open(path, "wt", newline="") if path.suffix == ".gz" else path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        for event in events:
            cells = [event.get(name) for name in names]
            writer.writerow(["" if cell is None else str(cell).lower() if isinstance(cell, bool) else cell for cell in cells])
    return path


def write_avro(path: Path, events: list[Event], codec: str = "null", **options: Any) -> Path:
    """With the schema of the contract."""
    schema = event_type(events[0]["type"]).schema
    with path.open("wb") as file:
        fastavro.writer(file, {**without_logical_types(schema)}, map(whole, events), codec=codec, **options)
    return path


def foreign_schema(kind: EventType, unit: str = "micros") -> Event:
    """As a general exporter writes it: everything may be null, other times, enums as text, fields of its own, in an order of its own."""
    types = {"double": "double", "int": "int", "long": "long", "boolean": "boolean", "enum": "string", "string": "string"}
    made = []
    for field in reversed(kind.fields):
        plain: Any = {"type": "long", "logicalType": f"timestamp-{unit}"} if field.time else types[field.kind]
        made.append({"name": field.name, "type": ["null", plain], "default": None})
    made.insert(1, {"name": "more", "type": {"type": "map", "values": {"type": "array", "items": "long"}}})
    return {"type": "record", "name": kind.name, "namespace": "com.example", "fields": made}


def write_foreign_avro(path: Path, events: list[Event], unit: str = "micros") -> Path:
    kind = event_type(events[0]["type"])
    schema, scale = foreign_schema(kind, unit), {"micros": 1000, "nanos": 10**6, "millis": 1}[unit]
    records = []
    for event in events:
        record = {"more": {"a": [1, 2]}, **fields(event)}
        for field in kind.fields:
            if field.time and record.get(field.name) is not None:
                record[field.name] = record[field.name] * scale + (scale - 1)
        records.append(record)
    with path.open("wb") as file:
        fastavro.writer(file, schema, records)
    return path


ARROW = {"double": pa.float64(), "int": pa.int32(), "boolean": pa.bool_(), "enum": pa.string(), "string": pa.string(), "long": pa.int64()}


def arrow_column(field: Field, cells: list[Any], style: str) -> pa.Array:
    if field.time:
        if style == "text":
            return pa.array([None if cell is None else to_rfc3339(cell) for cell in cells], pa.string())
        if style == "numbers":
            return pa.array(cells, pa.int64())
        unit = {"plain": "ms", "pandas": "ns", "spark": "us"}[style]
        scale = {"ms": 1, "us": 1000, "ns": 10**6}[unit]
        ticks = pa.array([None if cell is None else cell * scale + scale - 1 for cell in cells], pa.int64())
        return ticks.cast(pa.timestamp(unit, None if style == "pandas" else "UTC"))
    column = pa.array(cells, ARROW[field.kind])
    if style == "pandas" and field.kind == "enum":
        return column.dictionary_encode()
    if style == "spark" and field.kind == "int":
        return column.cast(pa.int64())
    if style == "numbers" and field.kind == "string":
        return column.cast(pa.large_string())
    if style == "text" and field.kind == "string":
        return column.cast(pa.binary())
    return column


STYLES = ("plain", "pandas", "spark", "numbers", "text")


def write_parquet(path: Path, events: list[Event], style: str = "plain", **options: Any) -> Path:
    kind = event_type(events[0]["type"])
    names = [field.name for field in reversed(kind.fields) if any(field.name in event for event in events)]
    columns = {name: arrow_column(kind.field(name), [event.get(name) for event in events], style) for name in names}
    pq.write_table(pa.table({**columns, "more": pa.array([[1.0]] * len(events))}), path, **options)
    return path


def moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def money(value: float) -> Decimal:
    return Decimal(str(value))


KINDS = list(EVENT_TYPES)
