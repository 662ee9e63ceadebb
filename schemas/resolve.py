"""Schema resolution: how records of a writer's schema are read as one of our event types, by the rules of the Avro specification.

`resolve(schema, event)` gives one `Step` for each field that the writer has, in the writer's order, then one for each field that takes
its default. A step says what to do with the bytes; `programs.py` turns steps into the rows that the decoder runs. What the rules do not
allow is a SchemaError that names every field and the reason.

On top of the specification: the record starts with customer_id, event_id and event_time, each of one type that is never null, since
the source reads key and time without the schema; and a logical type other than ours is refused, since its numbers mean something else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from keepline.schemas.avrotypes import Type, parse, short_name
from keepline.schemas.catalog import EVENT_TYPES, MISSING, NREG, EventType, Field
from keepline.schemas.errors import SchemaError

# Operations. From RARE on they are those of other writers' schemas, kept out of the decoder's hot loop.
END, LONG, INT, ENUM, BOOLEAN, DOUBLE, STRING, BYTES = range(8)
RARE = 8
PRESET, PRESET_TEXT, NULL, ENUM_MAP, FLOATING, SKIP, REFUSE = range(RARE, 15)
# Flags. NULLABLE: a union of null and this; NULL_SECOND: null is its branch 1; NO_NULL: a null is invalid. CHOICE: a union, one step
# for each branch. MINIMUM: the value is at least `floor`. BYTE_LIMITS: low and high are lengths in bytes. CURRENCY: "" or the job's.
NULLABLE, NULL_SECOND, MINIMUM, BYTE_LIMITS, CURRENCY, NO_NULL, CHOICE = 1, 2, 4, 8, 16, 32, 64
FROM_LONG, FROM_INT, FROM_FLOAT = range(3)
"""What FLOATING reads (`high`); `low` is 1 where the result is a float."""

MAX_FIELDS = 1000
_INT_LIMIT = 2**31 - 1
_OPERATIONS = {"long": LONG, "int": INT, "boolean": BOOLEAN, "double": DOUBLE, "string": STRING, "bytes": BYTES}
_TEXTS = {"string", "bytes"}
_HEAD = (("customer_id", _TEXTS), ("event_id", _TEXTS), ("event_time", {"long", "int"}))


@dataclass(slots=True)
class Step:
    """One field. Beside the numbers of a row: what lies elsewhere, and the row points to."""

    op: int
    register: int = 0
    flags: int = 0
    high: int = 0
    low: int = 0
    floor: float = 0.0
    text: bytes = b""
    """PRESET_TEXT: the default."""
    mapping: tuple[int, ...] = ()
    """ENUM_MAP: our index of each of the writer's symbols, -1 where we have none."""
    skipped: Type | None = None
    """SKIP, REFUSE: what to step over."""
    choices: tuple[Step, ...] = ()
    """CHOICE: what to do for each branch."""


def reader_of(schema: Any) -> EventType:
    """The event type that a writer's record is read as: the one of its name, whatever the namespace, or with its name as an alias."""
    kind = schema.get("type") if isinstance(schema, dict) else schema
    if kind != "record" or not isinstance(schema, dict) or not isinstance(schema.get("name"), str):
        message = f"the schema is {str(schema)[:80]}: expected a record"
        raise SchemaError(message)
    for event in EVENT_TYPES:
        if short_name(schema["name"]) in {event.name, *map(short_name, event.schema.get("aliases", ()))}:
            return event
    message = f"the record {schema['name']} is no event type: expected one of {', '.join(event.name for event in EVENT_TYPES)}"
    raise SchemaError(message)


def resolve(schema: Any, event: EventType) -> list[Step]:
    """The steps; SchemaError with all fields that cannot be read, and why."""
    writer = parse(schema)
    if writer.kind != "record":
        message = f"the writer's schema is {writer}: expected a record that can be read as {event.name}"
        raise SchemaError(message)
    if len(event.fields) > NREG or len(writer.fields) > MAX_FIELDS:
        message = f"{event.name} has {len(writer.fields)} fields: expected at most {MAX_FIELDS}, and {NREG} that are read"
        raise SchemaError(message)
    problems = _head_problems(writer, event)
    sources = _sources(writer, event)
    steps: list[Step] = []
    for name, kind in writer.fields:
        field = sources.get(name)
        found = Step(SKIP, 255, skipped=kind) if field is None else _field(kind, field)
        if isinstance(found, Step):
            steps.append(found)
        else:
            problems.append(f"{event.name}.{name} is {kind}: {found}")
    read = {field.name for field in sources.values()}
    for field in event.fields:
        if field.name not in read:
            try:
                steps.append(_preset(event, field))
            except SchemaError as error:
                problems.append(str(error))
    if problems:
        message = f"{writer.name} cannot be read as {event.name}: {'; '.join(dict.fromkeys(problems))}; give a changed field a new name"
        raise SchemaError(message)
    return steps


def _head_problems(writer: Type, event: EventType) -> list[str]:
    starts = [name for name, _ in writer.fields[:3]]
    if starts != [name for name, _ in _HEAD]:
        return [f"the writer's {event.name} starts with {starts}: expected customer_id, event_id, event_time"]
    return [
        f"{event.name}.{name} is {kind}: expected {' or '.join(sorted(kinds))}, since the source reads it without the schema"
        for (name, kind), (_, kinds) in zip(writer.fields, _HEAD, strict=False)
        if kind.kind not in kinds
    ]


def _sources(writer: Type, event: EventType) -> dict[str, Field]:
    """Our field for each of the writer's names that we read: its own name first, then an alias."""
    names = {name for name, _ in writer.fields}
    found = {field.name: field for field in event.fields if field.name in names}
    for field in event.fields:
        if field.name not in names:
            alias = next((alias for alias in field.aliases if alias in names and alias not in found), None)
            if alias is not None:
                found[alias] = field
    return found


def _field(kind: Type, field: Field) -> Step | str:
    """The step for one field, or why there is none."""
    if kind.kind != "union":
        return _value(kind, field)
    found = [_value(branch, field) for branch in kind.branches]
    if not any(isinstance(step, Step) for step in found):
        return f"no branch can be read, expected {_wanted(field)}"
    nulls = [number for number, branch in enumerate(kind.branches) if branch.kind == "null"]
    if len(found) == 2 and len(nulls) == 1 and isinstance(step := found[1 - nulls[0]], Step):
        step.flags |= NULLABLE | (NULL_SECOND if nulls[0] == 1 else 0) | (0 if field.nullable else NO_NULL)
        return step
    choices = tuple(
        step if isinstance(step, Step) else Step(REFUSE, field.register, skipped=branch)
        for step, branch in zip(found, kind.branches, strict=True)
    )
    return Step(END, field.register, CHOICE, high=len(choices), choices=choices)


def _value(kind: Type, field: Field) -> Step | str:
    if kind.kind == "null":
        return Step(NULL, field.register) if field.nullable else f"expected {_wanted(field)}"
    ours = "timestamp-millis" if field.time else ""
    if kind.logical and kind.logical != ours and not (kind.logical == "uuid" and kind.kind == "string"):
        return f"its unit is not ours, expected {ours or 'no logical type'}"
    step = _scalar(kind, field)
    return step if isinstance(step, str) else _limited(step, field)


def _scalar(kind: Type, field: Field) -> Step | str:
    written, read = kind.kind, field.kind
    if read == "enum" == written:
        return _enum(kind, field)
    if read in _TEXTS and written in _TEXTS:
        return Step(_OPERATIONS[read])
    if read in _OPERATIONS and (written == read or (written, read) == ("int", "long")):
        return Step(_OPERATIONS[written])
    if read in {"float", "double"} and written in {"int", "long", "float"}:
        source = {"long": FROM_LONG, "int": FROM_INT, "float": FROM_FLOAT}[written]
        return Step(FLOATING, high=source, low=int(read == "float"))
    return f"expected {_wanted(field)}"


def _enum(kind: Type, field: Field) -> Step | str:
    if short_name(kind.name) not in {short_name(field.type_name), *map(short_name, field.type_aliases)}:
        return f"expected an enum of the name {field.type_name}"
    if kind.symbols == field.symbols:
        return Step(ENUM, high=len(kind.symbols))
    known = {symbol: number for number, symbol in enumerate(field.symbols)}
    other = known[field.enum_default] if field.enum_default is not None else -1
    return Step(ENUM_MAP, high=len(kind.symbols), mapping=tuple(known.get(symbol, other) for symbol in kind.symbols))


def _limited(step: Step, field: Field) -> Step:
    """The step with our field's register and constraints."""
    step.register = field.register
    limits = field.constraints
    if "minBytes" in limits or "maxBytes" in limits:
        step.flags |= BYTE_LIMITS
        step.low = limits.get("minBytes", 0)
        step.high = limits.get("maxBytes", _INT_LIMIT)
    if limits.get("currency"):
        step.flags |= CURRENCY
    if "minimum" in limits:
        step.flags |= MINIMUM
        step.floor = float(limits["minimum"])
    return step


def _wanted(field: Field) -> str:
    promoted = {"long": "long or int", "float": "float, long or int", "double": "double, float, long or int"}
    kind = promoted.get(field.kind, "string or bytes" if field.kind in _TEXTS else field.kind)
    return f"{kind} {field.type_name}" if field.kind == "enum" else f"{kind}{' or null' if field.nullable else ''}"


def _preset(event: EventType, field: Field) -> Step:
    """The step that sets a field to its default, which must satisfy the field's own constraints."""
    value: Any = field.default
    where = f"{event.name}.{field.name}"
    if value is MISSING:
        message = f"the writer's {event.name} lacks {field.name}, which has no default"
        raise SchemaError(message)
    if value is None:
        return Step(NULL, field.register)
    if field.kind in _TEXTS:
        text = value.encode() if field.kind == "string" else value.encode("latin-1")
        limits = field.constraints
        if b"\0" in text or not limits.get("minBytes", 0) <= len(text) <= limits.get("maxBytes", _INT_LIMIT):
            message = f"the default of {where} is {value!r}, which the field itself may not hold"
            raise SchemaError(message)
        return Step(PRESET_TEXT, field.register, high=len(text), text=text)
    if field.kind == "enum":
        value = field.symbols.index(value)
    number = float(value)
    if not math.isfinite(number) or number < field.constraints.get("minimum", -math.inf):
        message = f"the default of {where} is {value!r}, which the field itself may not hold"
        raise SchemaError(message)
    return Step(PRESET, field.register, low=0 if field.kind in {"float", "double"} else int(value), floor=number)
