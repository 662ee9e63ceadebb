"""Compile schemas into the image that the decoder runs: one flat array of bytes, made of 8-byte words.

One array, because each array passed to compiled code costs reference counts, a tenth of the decoder's time. Nothing is generated: a new
schema is new rows, not new code. Words of the image:

    0 start of the fingerprint table (a word)   1 its mask   2 start of the schema id table   3 its mask   4 start of the code
    5 bytes of the job's currency   6-7 the currency in UTF-8
    tables: pairs (key, program), open addressing from key & mask; a fingerprint is read as a little-endian int64; program -1: an empty
    place, 0: known as not readable
    code: programs, and what their rows point to; every place in it is counted in words from its start, so it can move

A program is the event type's id, then rows of three words: step, low, floor; one row for each field, then END. A step holds operation
(bits 0-7), register (8-15), flags (16-31), high (32-63). Rows of `low` that point elsewhere: CHOICE to a row for each branch, ENUM_MAP
to a word for each symbol, PRESET_TEXT to the text, SKIP and REFUSE to a type. `floor` of a PRESET_TEXT is the text's hash. A type is a
word for its kind, one number, and one place for each part (see `_Code.type`).
"""

import json
import struct
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keepline.schemas.avrotypes import Type
from keepline.schemas.catalog import EVENT_TYPES, EventType
from keepline.schemas.errors import SchemaError
from keepline.schemas.framing import Confluent, FramingError, fingerprint, unpack
from keepline.schemas.history import released
from keepline.schemas.resolve import CHOICE, ENUM_MAP, PRESET_TEXT, REFUSE, SKIP, Step, resolve
from keepline.schemas.text import hash64_of

ROW_WORDS = 3
HEADER_WORDS = 8
MAX_CURRENCY = 16
MAX_CODE = 1 << 16
"""Words of code of one schema: far beyond what an event has, little enough to keep."""
UNREADABLE = 0
"""The program of a schema id that is known to lead nowhere."""
# Kinds of a type to step over.
T_FIXED, T_LONG, T_INT, T_ENUM, T_BOOLEAN, T_TEXT, T_RECORD, T_UNION, T_ARRAY, T_MAP, T_EMPTY_ITEMS = range(11)
_SIZES = {"null": 0, "float": 4, "double": 8}
_SCALARS = {"long": T_LONG, "int": T_INT, "boolean": T_BOOLEAN, "string": T_TEXT, "bytes": T_TEXT}

Image = NDArray[np.uint8]
Writer = tuple[dict[str, Any], EventType]


class _Code:
    """Words that grow; `at` is where the next one goes."""

    def __init__(self) -> None:
        self.words: list[int] = [0]  # place 0 is nobody's: UNREADABLE
        self.begun = 0

    def put(self, words: Iterable[int]) -> int:
        place = len(self.words)
        self.words += words
        return place

    def program(self, event: EventType, steps: list[Step]) -> int:
        self.begun = len(self.words)
        rows = [word for step in steps for word in self._row(step, {})]
        return self.put([event.id, *rows, 0, 0, 0])

    def _row(self, step: Step, types: dict[int, int]) -> tuple[int, int, int]:
        low, floor = step.low, struct.unpack("<q", struct.pack("<d", step.floor))[0]
        if step.flags & CHOICE:
            rows = [word for choice in step.choices for word in self._row(choice, types)]
            low = self.put(rows)
        elif step.op == ENUM_MAP:
            low = self.put(step.mapping)
        elif step.op == PRESET_TEXT:
            low = self.put(np.frombuffer(step.text.ljust(-(-len(step.text) // 8) * 8, b"\0"), "<i8").tolist())
            floor = int(np.uint64(hash64_of(step.text)).view(np.int64))
        elif step.op in {SKIP, REFUSE} and step.skipped is not None:
            low = self.type(step.skipped, types)
        return step.op | step.register << 8 | step.flags << 16 | step.high << 32, low, floor

    def type(self, kind: Type, seen: dict[int, int]) -> int:
        """The place of a type: its kind, a number (bytes, symbols, parts), the places of its parts. Recursive types point back."""
        if id(kind) in seen:
            return seen[id(kind)]
        parts = [part for _, part in kind.fields] or kind.branches or ([kind.items] if kind.items else [])
        number, code = len(parts), {"record": T_RECORD, "union": T_UNION, "array": T_ARRAY, "map": T_MAP}.get(kind.kind, -1)
        if _empty(kind, set()):  # also a bound: whatever is entered from here on has a byte, so there is no more work than bytes
            code, number, parts = T_FIXED, 0, []
        elif kind.kind == "array" and kind.items is not None and _empty(kind.items, set()):
            code, parts = T_EMPTY_ITEMS, []
        elif kind.kind in _SCALARS:
            code = _SCALARS[kind.kind]
        elif kind.kind == "enum":
            code, number = T_ENUM, len(kind.symbols)
        elif code < 0:
            code, number = T_FIXED, _SIZES.get(kind.kind, kind.size)
        place = seen[id(kind)] = self.put([code, number, *[0] * len(parts)])
        if len(self.words) - self.begun > MAX_CODE:
            message = f"the schema has more than {MAX_CODE} parts: expected a record of an event"
            raise SchemaError(message)
        for number, part in enumerate(parts):
            self.words[place + 2 + number] = self.type(part, seen)
        return place


def _empty(kind: Type, seen: set[int]) -> bool:
    """Whether values of a type have no bytes at all, so that any number of them fits anywhere."""
    if id(kind) in seen:
        return True
    seen.add(id(kind))
    return kind.kind == "null" or (kind.kind == "fixed" and kind.size == 0) or (kind.kind == "record" and all(
        _empty(part, seen) for _, part in kind.fields
    ))  # fmt: skip


class Programs:
    """The programs of a set of writers' schemas, and their image. Schemas can be added; `image` is then another array."""

    def __init__(self, events: Iterable[EventType] = EVENT_TYPES, *, currency: str = "", history: bool = True) -> None:
        """`currency` is the job's; where it is empty, events may only carry "". `history`: all released versions are known too."""
        self.currency = currency.encode()
        if len(self.currency) > MAX_CURRENCY:
            message = f"the currency {currency!r} has {len(self.currency)} bytes: expected an ISO 4217 code such as EUR"
            raise SchemaError(message)
        self._code = _Code()
        self._prints: dict[int, int] = {}
        self._ids: dict[int, int] = {}
        self._made: dict[str, int] = {}
        self._image: Image | None = None
        self._schemas: dict[bytes | int, dict[str, Any]] = {}
        for event in events:
            self.add(event.schema, event)
            for schema in released(event.name) if history else ():
                self.add(schema, event)

    @property
    def image(self) -> Image:
        """What the decoder runs."""
        if self._image is None:
            by_fingerprint, by_id = _hash_table(self._prints), _hash_table(self._ids)
            start_ids = HEADER_WORDS + len(by_fingerprint)
            start_code = start_ids + len(by_id)
            header = [HEADER_WORDS, len(by_fingerprint) // 2 - 1, start_ids, len(by_id) // 2 - 1, start_code, len(self.currency)]
            header += np.frombuffer(self.currency.ljust(MAX_CURRENCY, b"\0"), "<i8").tolist()
            self._image = np.array([*header, *by_fingerprint, *by_id, *self._code.words], "<i8").view(np.uint8)
        return self._image

    def add(self, schema: dict[str, Any], event: EventType) -> None:
        """Values in single-object encoding with this schema's fingerprint are read as this event type. SchemaError if they cannot be."""
        program = self._program(schema, event)
        print_ = fingerprint(schema)
        self._prints.setdefault(_key(print_), program)
        self._schemas.setdefault(print_, schema)
        self._image = None

    def add_id(self, number: int, schema: dict[str, Any], event: EventType) -> None:
        """Values with this schema id are. The fingerprint does not count: it says nothing of logical types."""
        self._ids[number] = self._program(schema, event)
        self._schemas[number] = schema
        self._image = None

    def refuse_id(self, number: int) -> None:
        """Values with this schema id have an unknown schema, and there is nobody to ask."""
        self._ids[number] = UNREADABLE
        self._image = None

    def forget_id(self, number: int) -> None:
        """Nothing is known of this schema id any more."""
        del self._ids[number]
        self._image = None

    def schema_of(self, value: bytes) -> dict[str, Any] | None:
        """The schema that a framed value names, where it is known."""
        try:
            framing = unpack(value)
        except FramingError:
            return None
        return self._schemas.get(framing.schema_id if isinstance(framing, Confluent) else framing.fingerprint)

    def _program(self, schema: dict[str, Any], event: EventType) -> int:
        """The place of a schema's program: the same for the same schema."""
        same = f"{event.name} {json.dumps(schema, sort_keys=True)}"
        if same not in self._made:
            before = len(self._code.words)
            try:
                self._made[same] = self._code.program(event, resolve(schema, event))
            except SchemaError:
                del self._code.words[before:]
                raise
            except RecursionError:
                del self._code.words[before:]
                message = f"the writer's {event.name} is nested too deeply: expected a record of an event"
                raise SchemaError(message) from None
        return self._made[same]


def compile_programs(
    events: Iterable[EventType] = EVENT_TYPES,
    *,
    currency: str = "",
    writers: Iterable[Writer] = (),
    schema_ids: Mapping[int, Writer] | None = None,
) -> Image:
    """The image for these event types, for other writers' schemas of them, and for schemas by registry id."""
    programs = Programs(events, currency=currency)
    for schema, event in writers:
        programs.add(schema, event)
    for number, (schema, event) in (schema_ids or {}).items():
        programs.add_id(number, schema, event)
    return programs.image


@cache
def default_programs() -> Image:
    """The image for the committed schemas and all released versions of them, without a configured currency."""
    return compile_programs()


def configured_currency(image: Image) -> str:
    """The currency an image was compiled with."""
    length = int(image[40:48].view("<i8")[0])
    return bytes(image[48 : 48 + length]).decode()


def _key(print_: bytes) -> int:
    return int.from_bytes(print_, "little", signed=True)


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
