"""What the fuzzer starts from: sound framed events of every type, with the places of their fields.

A mark is where a field begins; its kind says what a lie about it looks like: a length, a number of eight bytes, a varint.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from keepline.schemas.catalog import EVENT_TYPES, EventType
from keepline.schemas.encode import Ok, encode
from keepline.schemas.framing import SINGLE_OBJECT_HEADER
from keepline.schemas.packed import read_long

NAMES = 16
"""Customers of the corpus, m-00 to m-15: those that are mutated."""
MARKS = 20
LENGTH, DOUBLE, VARINT = 0, 1, 2
WITNESS = 10
"""Bytes of a witness's name."""
TIME = 1_750_000_000_000


class Corpus(NamedTuple):
    """Framed events one behind the other; `marks` is (place, kind) by event and field, place −1 where there is no more."""

    data: NDArray[np.uint8]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    marks: NDArray[np.int64]


def _event(event: EventType, number: int) -> bytes:
    fields: dict[str, Any] = {"type": event.name}
    for field in event.fields:
        if field.symbols:
            value: Any = field.symbols[number % len(field.symbols)]
        elif field.nullable and number % 3 == 0:
            value = None
        else:
            texts = ("", "x", "grüße 😀 " * (number % 4), "y" * 90)
            text = "" if field.constraints.get("currency") else texts[number % 4]
            numbers = {"long": TIME, "int": 7 * number, "double": 1.5 * number, "boolean": number % 2 == 1}
            value = text if field.kind == "string" else numbers[field.kind]
        fields[field.name] = value
    fields |= {"customer_id": f"m-{number % NAMES:02d}", "event_id": f"e{number}", "event_time": TIME + number * 60_000}
    framed = encode(fields)
    assert isinstance(framed, Ok), framed
    return framed.value


def _marks(event: EventType, value: bytes) -> list[tuple[int, int]]:
    found, at = [], SINGLE_OBJECT_HEADER
    for field in event.fields:
        kind = LENGTH if field.kind == "string" else DOUBLE if field.kind == "double" else VARINT
        if field.nullable:
            found.append((at, VARINT))
            branch, at = read_long(value, at)
            if branch == field.null_branch:
                continue
        found.append((at, kind))
        if kind == DOUBLE:
            at += 8
        else:
            number, at = read_long(value, at)
            at += number if kind == LENGTH else 0
    assert at == len(value)
    return found


def corpus(copies: int = 12) -> Corpus:
    """`copies` events of each type."""
    values, marks = [], []
    for event in EVENT_TYPES:
        for number in range(copies):
            value = _event(event, number)
            found = _marks(event, value)[:MARKS]
            values.append(value)
            marks.append(found + [(-1, 0)] * (MARKS - len(found)))
    lengths = np.array([len(value) for value in values], np.int64)
    return Corpus(np.frombuffer(b"".join(values), np.uint8).copy(), np.cumsum(lengths) - lengths, lengths, np.array(marks, np.int64))


def witnesses(count: int = 32) -> tuple[NDArray[np.uint8], int, int]:
    """Sound calls of customers whom no mutation can name (witness-00 …), all of one length.

    The bytes, the place of event_id's ten digits, the place of event_time.
    """
    values = []
    for number in range(count):
        call = {
            "type": "Call",
            "customer_id": f"witness-{number:02d}",
            "event_id": "0" * 10,
            "event_time": TIME,
            "duration_s": 10.0 + number,
        }
        framed = encode(call | {"outcome": ("COMPLETED", "DROPPED")[number % 2]})
        assert isinstance(framed, Ok), framed
        values.append(framed.value)
    first = SINGLE_OBJECT_HEADER + 1 + WITNESS + 1
    return np.frombuffer(b"".join(values), np.uint8).reshape(count, -1).copy(), first, first + 10
