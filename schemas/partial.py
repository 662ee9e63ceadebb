"""A framed event as canonical JSON as far as it can be read, for people who repair dead letters.

What can be said in the event file's terms stands as it is, times as epoch milliseconds. What cannot keeps its bytes and is refused until
a person has put something else in its place: a text that is not UTF-8 or holds NUL is {"bytes": base64}, a number that is not finite its
name.
"""

from __future__ import annotations

import base64
import math
import struct
from typing import Any, NamedTuple

from keepline.schemas.catalog import EVENT_TYPES, MISSING, Field
from keepline.schemas.framing import FramingError, SingleObject, fingerprint, unpack
from keepline.schemas.messages import writers_symbol
from keepline.schemas.packed import read_long

_BY_FINGERPRINT = {event.fingerprint: event for event in EVENT_TYPES}
_DOUBLE = struct.Struct("<d")


class Partial(NamedTuple):
    """`event`: the fields that were read, with "type" first; `whole`: all were, and nothing is left over."""

    event: dict[str, Any]
    whole: bool


class _EndError(ValueError):
    """The bytes do not go on as the schema says."""


def read_partly(value: bytes, schema: dict[str, Any] | None = None) -> Partial | None:
    """The event in `value`, written with a schema of this version; None where the framing does not say so.

    `schema` is the one that its schema id means, where it has one.
    """
    try:
        framing = unpack(value)
    except FramingError:
        return None
    if isinstance(framing, SingleObject):
        event = _BY_FINGERPRINT.get(framing.fingerprint)
    else:
        event = None if schema is None else _BY_FINGERPRINT.get(fingerprint(schema))
    if event is None:
        return None
    fields: dict[str, Any] = {"type": event.name}
    at = 0
    try:
        for field in event.fields:
            fields[field.name], at = _value(field, framing.body, at)
    except _EndError:
        return Partial(fields, whole=False)
    return Partial(fields, whole=at == len(framing.body))


def read_resolved(value: bytes, kind: int, registers: tuple[Any, Any, Any, Any], schema: dict[str, Any] | None) -> Partial:
    """The event of type `kind` in `value`, of any writer's schema, from the registers that `decode` has filled."""
    event = EVENT_TYPES[kind]
    fields: dict[str, Any] = {"type": event.name}
    whole = True
    for field in event.fields:
        known, fields[field.name] = _registered(field, value, registers, schema)
        whole = whole and known
    return Partial(fields, whole)


def _registered(field: Field, value: bytes, registers: tuple[Any, Any, Any, Any], schema: dict[str, Any] | None) -> tuple[bool, Any]:
    """(whether the registers say it, the field's value)."""
    ri, rf, rs, rn = (register[field.register] for register in registers)
    if rn:
        return ri == 0, None
    if field.kind in {"string", "bytes"}:
        start, length = (int(number) for number in rs)
        if 0 <= start <= len(value) - length:
            return True, _text(value[start : start + length])
        return field.default is not MISSING, None if field.default is MISSING else field.default  # a default lies elsewhere
    if field.kind in {"double", "float"}:
        return True, float(rf) if math.isfinite(rf) else str(float(rf))
    if field.kind == "enum":
        written = field.symbols[ri] if ri >= 0 else writers_symbol(field, int(ri), schema)
        return written is not None, written
    return True, bool(ri) if field.kind == "boolean" else int(ri)


def _value(field: Field, body: bytes, at: int) -> tuple[Any, int]:
    if field.nullable:
        branch, at = _long(body, at)
        if branch not in (0, 1):
            raise _EndError
        if branch == field.null_branch:
            return None, at
    if field.kind == "double":
        if len(body) - at < _DOUBLE.size:
            raise _EndError
        number = _DOUBLE.unpack_from(body, at)[0]
        return number if math.isfinite(number) else str(number), at + _DOUBLE.size
    if field.kind == "boolean":
        if at >= len(body):
            raise _EndError
        return bool(body[at]) if body[at] <= 1 else body[at], at + 1
    number, at = _long(body, at)
    if field.kind == "string":
        if not 0 <= number <= len(body) - at:
            raise _EndError
        return _text(body[at : at + number]), at + number
    if field.symbols:
        return field.symbols[number] if 0 <= number < len(field.symbols) else number, at
    return number, at


def _long(body: bytes, at: int) -> tuple[int, int]:
    number, end = read_long(body, at)
    if end < 0:
        raise _EndError
    return number, end


def _text(data: bytes) -> Any:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = "\0"
    return text if "\0" not in text else {"bytes": base64.b64encode(data).decode()}
