"""Compile schemas into the tables that the decoder runs: one row per field, and two small tables from a framing to its program.

`compile_programs(event types)` gives `DecodePrograms`, NumPy arrays only, so that compiled code takes it as it is. Nothing is generated:
a new schema is new rows, not new code.

A row of `ops` is one field: operation, register, flags, and two numbers of the operation. A program may also come from another
writer's schema of the same record (an older version): fields we do not know are read and dropped, fields it does not have are set to
their defaults by rows that consume nothing.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from keepline.schemas.catalog import EVENT_TYPES, MISSING, NREG, EventType, Field, parse_fields
from keepline.schemas.errors import SchemaError
from keepline.schemas.framing import fingerprint

# Operations (column 0).
END, LONG, INT, ENUM, BOOLEAN, DOUBLE, FLOAT, STRING, BYTES, PRESET = range(10)
# Columns of a row.
OP, REGISTER, FLAGS, LOW, HIGH = range(5)
COLUMNS = 5
# Flags. NULL_SECOND: null is branch 1 of the union. MINIMUM: `floor[program, row]` holds for the value. BYTE_LIMITS: LOW and HIGH are
# lengths in bytes. CURRENCY: "" or the job's currency. DROP: read, keep nothing. IS_NULL (PRESET): the default is null.
NULLABLE, NULL_SECOND, MINIMUM, BYTE_LIMITS, CURRENCY, DROP, IS_NULL = 1, 2, 4, 8, 16, 32, 64

ROWS = 2 * NREG
_OPERATIONS = {
    "long": LONG,
    "int": INT,
    "enum": ENUM,
    "boolean": BOOLEAN,
    "double": DOUBLE,
    "float": FLOAT,
    "string": STRING,
    "bytes": BYTES,
}
_INT_LIMIT = 2**31 - 1


class DecodePrograms(NamedTuple):
    """The decoder's tables."""

    by_fingerprint: NDArray[np.int64]  # (2^k, 2): fingerprint as a little-endian int64, program or -1; open addressing
    by_id: NDArray[np.int64]  # (2^k, 2): registry schema id, program or -1; open addressing
    type_ids: NDArray[np.int32]  # (programs,): the event type each program yields
    ops: NDArray[np.int32]  # (programs, ROWS, COLUMNS)
    floor: NDArray[np.float64]  # (programs, ROWS): minimum, or the default number of a PRESET row
    currency: NDArray[np.uint8]  # the job's configured currency in UTF-8; empty: only "" is accepted


def compile_programs(
    events: Iterable[EventType] = EVENT_TYPES,
    *,
    currency: str = "",
    writers: Iterable[tuple[dict[str, Any], EventType]] = (),
    schema_ids: Mapping[int, bytes] | None = None,
) -> DecodePrograms:
    """Tables for these event types, for other writers' schemas of them, and for registry ids given by fingerprint."""
    ops: list[NDArray[np.int32]] = []
    floors: list[NDArray[np.float64]] = []
    types: list[int] = []
    prints: dict[int, int] = {}
    for schema, event in [*((event.schema, event) for event in events), *writers]:
        key = int.from_bytes(fingerprint(schema), "little", signed=True)
        if key in prints:
            continue
        rows, floor = _program(schema, event)
        prints[key] = len(ops)
        ops.append(rows)
        floors.append(floor)
        types.append(event.id)
    ids = {number: prints[int.from_bytes(key, "little", signed=True)] for number, key in (schema_ids or {}).items()}
    return DecodePrograms(
        by_fingerprint=_hash_table(prints),
        by_id=_hash_table(ids),
        type_ids=np.array(types, np.int32),
        ops=np.array(ops, np.int32).reshape(len(ops), ROWS, COLUMNS),
        floor=np.array(floors, np.float64).reshape(len(ops), ROWS),
        currency=np.frombuffer(currency.encode(), np.uint8).copy(),
    )


@cache
def default_programs() -> DecodePrograms:
    """Tables for the committed schemas, with the currency left open."""
    return compile_programs()


def _program(schema: dict[str, Any], event: EventType) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    written = parse_fields(schema)
    ours = {field.name: field for field in event.fields}
    names = {field.name for field in written}
    missing = [field for field in event.fields if field.name not in names]
    if len(event.fields) > NREG or len(written) + len(missing) >= ROWS:
        message = f"{event.name} has {len(written)} fields: a decoder has {NREG} registers and {ROWS - 1} steps"
        raise SchemaError(message)
    rows = np.zeros((ROWS, COLUMNS), np.int32)
    floor = np.zeros(ROWS, np.float64)
    for i, field in enumerate(written):
        _check_same(event, field, ours.get(field.name))
        floor[i] = _row(rows[i], field, ours.get(field.name))
    for i, field in enumerate(missing, len(written)):
        floor[i] = _preset(rows[i], event, field)
    return rows, floor


def _check_same(event: EventType, field: Field, ours: Field | None) -> None:
    if ours is not None and (field.kind, field.symbols) != (ours.kind, ours.symbols):
        message = (
            f"the writer's {event.name}.{field.name} is {field.kind} {'|'.join(field.symbols)}: "
            f"expected {ours.kind} {'|'.join(ours.symbols)}; give a changed field a new name"
        )
        raise SchemaError(message)


def _row(row: NDArray[np.int32], field: Field, ours: Field | None) -> float:
    row[OP] = _OPERATIONS[field.kind]
    if field.nullable:
        row[FLAGS] |= NULLABLE | (NULL_SECOND if field.null_branch == 1 else 0)
    if field.kind == "enum":
        row[HIGH] = len(field.symbols)
    if ours is None:
        row[FLAGS] |= DROP
        return 0.0
    row[REGISTER] = ours.register
    limits = ours.constraints
    if "minBytes" in limits or "maxBytes" in limits:
        row[FLAGS] |= BYTE_LIMITS
        row[LOW] = limits.get("minBytes", 0)
        row[HIGH] = limits.get("maxBytes", _INT_LIMIT)
    if limits.get("currency"):
        row[FLAGS] |= CURRENCY
    if "minimum" in limits:
        row[FLAGS] |= MINIMUM
        return float(limits["minimum"])
    return 0.0


def _preset(row: NDArray[np.int32], event: EventType, field: Field) -> float:
    if field.default is MISSING:
        message = f"the writer's {event.name} lacks {field.name}, which has no default: it cannot be read"
        raise SchemaError(message)
    row[OP], row[REGISTER] = PRESET, field.register
    if field.default is None:
        row[FLAGS] |= IS_NULL
        return 0.0
    if field.kind in {"string", "bytes"}:
        if field.default:
            message = f"the default of {event.name}.{field.name} is {field.default!r}: a text can only default to the empty one"
            raise SchemaError(message)
        row[HIGH] = 1  # an empty text
        return 0.0
    return float(field.symbols.index(field.default) if field.kind == "enum" else field.default)


def _hash_table(entries: Mapping[int, int]) -> NDArray[np.int64]:
    size = 4
    while size < 4 * len(entries):
        size *= 2
    table = np.full((size, 2), -1, np.int64)
    for key, value in entries.items():
        slot = key & (size - 1)
        while table[slot, 1] >= 0:
            slot = (slot + 1) & (size - 1)
        table[slot] = key, value
    return table
