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

from keepline.schemas.catalog import EVENT_TYPES, Field
from keepline.schemas.framing import FramingError, SingleObject, unpack
from keepline.schemas.packed import read_long

_BY_FINGERPRINT = {event.fingerprint: event for event in EVENT_TYPES}
_DOUBLE = struct.Struct("<d")


class Partial(NamedTuple):
    """`event`: the fields that were read, with "type" first; `whole`: all were, and nothing is left over."""

    event: dict[str, Any]
    whole: bool


class _EndError(ValueError):
    """The bytes do not go on as the schema says."""


def read_partly(value: bytes) -> Partial | None:
    """The event in `value`; None where the framing or the schema says nothing of it."""
    try:
        framing = unpack(value)
    except FramingError:
        return None
    event = _BY_FINGERPRINT.get(framing.fingerprint) if isinstance(framing, SingleObject) else None
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
