"""Compile schemas into the image that the decoder runs: one flat array of bytes, made of 8-byte words.

One array, because each array passed to compiled code costs reference counts, a tenth of the decoder's time. Nothing is generated: a new
schema is new rows, not new code. Words of the image:

    0 start of the fingerprint table (a word)   1 its mask   2 start of the schema id table   3 its mask   4 start of the programs
    5 bytes of the job's currency   6-7 the currency in UTF-8
    tables: pairs (key, program or -1), open addressing from key & mask; a fingerprint is read as a little-endian int64
    programs: PROGRAM_WORDS each; the event type id, then ROWS rows of three words: step, low, floor

A row is one field. Its step holds operation (bits 0-7), register (8-15), flags (16-31), high (32-63). A program may also come from
another writer's schema of the same record (an older version): fields we do not know are read and dropped, fields it does not have are
set to their defaults by rows that consume nothing.
"""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keepline.schemas.catalog import EVENT_TYPES, MISSING, NREG, EventType, Field, parse_fields
from keepline.schemas.errors import SchemaError
from keepline.schemas.framing import fingerprint

# Operations (column 0).
END, LONG, INT, ENUM, BOOLEAN, DOUBLE, FLOAT, STRING, BYTES, PRESET = range(10)
# Flags. NULL_SECOND: null is branch 1 of the union. MINIMUM: the value is at least `floor`. BYTE_LIMITS: low and high are
# lengths in bytes. CURRENCY: "" or the job's currency. DROP: read, keep nothing. IS_NULL (PRESET): the default is null.
NULLABLE, NULL_SECOND, MINIMUM, BYTE_LIMITS, CURRENCY, DROP, IS_NULL = 1, 2, 4, 8, 16, 32, 64

ROWS = 2 * NREG
ROW_WORDS = 3
PROGRAM_WORDS = 1 + ROWS * ROW_WORDS
HEADER_WORDS = 8
MAX_CURRENCY = 16
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


Image = NDArray[np.uint8]


@dataclass
class _Row:
    op: int
    register: int = 0
    flags: int = 0
    high: int = 0
    low: int = 0
    floor: float = 0.0

    def words(self) -> tuple[int, int, int]:
        step = self.op | self.register << 8 | self.flags << 16 | self.high << 32
        return step, self.low, struct.unpack("<q", struct.pack("<d", self.floor))[0]


def compile_programs(
    events: Iterable[EventType] = EVENT_TYPES,
    *,
    currency: str = "",
    writers: Iterable[tuple[dict[str, Any], EventType]] = (),
    schema_ids: Mapping[int, bytes] | None = None,
) -> Image:
    """The image for these event types, for other writers' schemas of them, and for registry ids given by fingerprint.

    `currency` is the job's; where it is empty, events may only carry "".
    """
    code = currency.encode()
    if len(code) > MAX_CURRENCY:
        message = f"the currency {currency!r} has {len(code)} bytes: expected an ISO 4217 code such as EUR"
        raise SchemaError(message)
    programs: list[int] = []
    prints: dict[int, int] = {}
    for schema, event in [*((event.schema, event) for event in events), *writers]:
        key = _key(fingerprint(schema))
        if key in prints:
            continue
        prints[key] = len(prints)
        rows = _program(schema, event)
        rows += [_Row(END)] * (ROWS - len(rows))
        programs += [event.id, *(word for row in rows for word in row.words())]
    ids = {number: prints[_key(key)] for number, key in (schema_ids or {}).items()}
    by_fingerprint, by_id = _hash_table(prints), _hash_table(ids)
    start_ids = HEADER_WORDS + len(by_fingerprint)
    start_programs = start_ids + len(by_id)
    header = [HEADER_WORDS, len(by_fingerprint) // 2 - 1, start_ids, len(by_id) // 2 - 1, start_programs, len(code)]
    header += np.frombuffer(code.ljust(MAX_CURRENCY, b"\0"), "<i8").tolist()
    return np.array([*header, *by_fingerprint, *by_id, *programs], "<i8").view(np.uint8)


@cache
def default_programs() -> Image:
    """The image for the committed schemas, without a configured currency."""
    return compile_programs()


def configured_currency(image: Image) -> str:
    """The currency an image was compiled with."""
    length = int(image[40:48].view("<i8")[0])
    return bytes(image[48 : 48 + length]).decode()


def _key(print_: bytes) -> int:
    return int.from_bytes(print_, "little", signed=True)


def _program(schema: dict[str, Any], event: EventType) -> list[_Row]:
    written = parse_fields(schema)
    ours = {field.name: field for field in event.fields}
    names = {field.name for field in written}
    missing = [field for field in event.fields if field.name not in names]
    if len(event.fields) > NREG or len(written) + len(missing) >= ROWS:
        message = f"{event.name} has {len(written)} fields: a decoder has {NREG} registers and {ROWS - 1} steps"
        raise SchemaError(message)
    if [field.name for field in written[:3]] != [field.name for field in event.fields[:3]]:
        message = (
            f"the writer's {event.name} starts with {[field.name for field in written[:3]]}: expected customer_id, event_id, event_time"
        )
        raise SchemaError(message)
    for field in written:
        _check_same(event, field, ours.get(field.name))
    return [*(_row(field, ours.get(field.name)) for field in written), *(_preset(event, field) for field in missing)]


def _check_same(event: EventType, field: Field, ours: Field | None) -> None:
    if ours is not None and (field.kind, field.symbols) != (ours.kind, ours.symbols):
        message = (
            f"the writer's {event.name}.{field.name} is {field.kind} {'|'.join(field.symbols)}: "
            f"expected {ours.kind} {'|'.join(ours.symbols)}; give a changed field a new name"
        )
        raise SchemaError(message)


def _row(field: Field, ours: Field | None) -> _Row:
    row = _Row(_OPERATIONS[field.kind])
    if field.nullable:
        row.flags |= NULLABLE | (NULL_SECOND if field.null_branch == 1 else 0)
    if field.kind == "enum":
        row.high = len(field.symbols)
    if ours is None:
        row.flags |= DROP
        return row
    row.register = ours.register
    limits = ours.constraints
    if "minBytes" in limits or "maxBytes" in limits:
        row.flags |= BYTE_LIMITS
        row.low = limits.get("minBytes", 0)
        row.high = limits.get("maxBytes", _INT_LIMIT)
    if limits.get("currency"):
        row.flags |= CURRENCY
    if "minimum" in limits:
        row.flags |= MINIMUM
        row.floor = float(limits["minimum"])
    return row


def _preset(event: EventType, field: Field) -> _Row:
    row = _Row(PRESET, field.register)
    if field.default is MISSING:
        message = f"the writer's {event.name} lacks {field.name}, which has no default: it cannot be read"
        raise SchemaError(message)
    if field.default is None:
        row.flags |= IS_NULL
    elif field.kind in {"string", "bytes"}:
        if field.default:
            message = f"the default of {event.name}.{field.name} is {field.default!r}: a text can only default to the empty one"
            raise SchemaError(message)
        row.high = 1  # an empty text
    elif field.kind == "enum":
        row.floor = float(field.symbols.index(field.default))
    else:
        row.floor = float(field.default)
    return row


def _hash_table(entries: Mapping[int, int]) -> list[int]:
    size = 4
    while size < 4 * len(entries):
        size *= 2
    table = [0, -1] * size
    for key, value in entries.items():
        slot = key & (size - 1)
        while table[2 * slot + 1] >= 0:
            slot = (slot + 1) & (size - 1)
        table[2 * slot : 2 * slot + 2] = key, value
    return table
