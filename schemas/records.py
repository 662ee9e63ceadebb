"""Framed Avro for people: whole records as dictionaries, by fastavro. Slow; the stream never comes here.

Times stay epoch milliseconds and enums are strings, as in the files that `replay` and `tail` write; `to_json` writes bytes as base64.
"""

import base64
import io
import json
from functools import cache
from typing import Any

import fastavro

from keepline.schemas.catalog import EVENT_TYPES, OUTPUT_NAMES, output_schema
from keepline.schemas.errors import KeeplineError
from keepline.schemas.framing import FramingError, SingleObject, fingerprint, pack, unpack
from keepline.schemas.history import released


class RecordError(KeeplineError):
    """Bytes that are no record of the contract."""


def without_logical_types(schema: Any) -> Any:
    """The schema with its times as plain longs, so that every long can be read."""
    if isinstance(schema, dict):
        return {name: without_logical_types(value) for name, value in schema.items() if name != "logicalType"}
    return [without_logical_types(part) for part in schema] if isinstance(schema, list) else schema


def _plain(schema: Any) -> Any:
    return fastavro.parse_schema(without_logical_types(schema))


@cache
def _known() -> dict[bytes, tuple[str, Any]]:
    schemas = [event.schema for event in EVENT_TYPES] + [output_schema(name) for name in OUTPUT_NAMES]
    return {fingerprint(s): (s["name"], _plain(s)) for s in schemas}


@cache
def _older() -> dict[bytes, tuple[str, Any, Any]]:
    """What earlier versions wrote: (name, the writer's schema, ours) by the writer's fingerprint."""
    return {
        fingerprint(schema): (name, _plain(schema), ours)
        for ours_fingerprint, (name, ours) in _known().items()
        for schema in released(name)
        if fingerprint(schema) != ours_fingerprint
    }


@cache
def _by_name() -> dict[str, tuple[bytes, Any]]:
    return {name: (key, schema) for key, (name, schema) in _known().items()}


def to_record(framed: bytes) -> tuple[str, dict[str, Any]]:
    """(name, fields) of an event or output in single-object encoding; RecordError if it is none or does not end where it should.

    One that an older version wrote is read as the newest: fields that its writer did not have get their defaults.
    """
    try:
        framing = unpack(framed)
    except FramingError as error:
        raise RecordError(str(error)) from None
    if not isinstance(framing, SingleObject):
        message = f"the value carries the schema id {framing.schema_id} of a registry: expected single-object encoding"
        raise RecordError(message)
    reader: Any = None
    if framing.fingerprint in _known():
        name, schema = _known()[framing.fingerprint]
    elif framing.fingerprint in _older():
        name, schema, reader = _older()[framing.fingerprint]
    else:
        message = f"no schema has the fingerprint {framing.fingerprint.hex()}: the writer's version of Keepline is another"
        raise RecordError(message)
    stream = io.BytesIO(framing.body)
    try:
        record = fastavro.schemaless_reader(stream, schema, reader)
    except Exception as error:  # fastavro raises whatever its reading of damaged bytes ends in
        message = f"the bytes are not a {name}: {type(error).__name__}: {error}"
        raise RecordError(message) from error
    left = len(framing.body) - stream.tell()
    if left or not isinstance(record, dict):
        message = f"{left} bytes follow the {name}: expected none"
        raise RecordError(message)
    return name, record


def from_record(name: str, record: dict[str, Any]) -> bytes:
    """Frame a record of that name (an event's or an output's) in single-object encoding; RecordError if it does not fit the schema."""
    try:
        key, schema = _by_name()[name]
    except KeyError:
        message = f"unknown record {name!r}: expected one of {', '.join(_by_name())}"
        raise RecordError(message) from None
    stream = io.BytesIO()
    try:
        fastavro.schemaless_writer(stream, schema, record, strict_allow_default=True)
    except Exception as error:
        message = f"the fields do not make a {name}: {type(error).__name__}: {error}"
        raise RecordError(message) from error
    return pack(stream.getvalue(), key)


def to_json(record: dict[str, Any]) -> str:
    """One line of JSON: the same names, bytes as base64, other text as it is."""
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"), default=_base64)


def _base64(value: Any) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    message = f"a {type(value).__name__} has no place in a record"
    raise TypeError(message)
