"""Output records as dictionaries: to framed Avro, back from it, and to the JSON that files and `tail` show.

Times stay epoch milliseconds throughout, so logical types are taken off the schema first.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from functools import cache
from typing import Any

import fastavro

from keepline.schemas.catalog import OUTPUT_NAMES, output_fingerprint, output_schema
from keepline.schemas.framing import SingleObject, pack, unpack
from keepline.schemas.decode import to_record


def _plain(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {key: _plain(value) for key, value in schema.items() if key != "logicalType"}
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    return schema


@cache
def _parsed(name: str) -> Any:
    return fastavro.parse_schema(_plain(output_schema(name)))


@cache
def _by_fingerprint() -> dict[bytes, str]:
    return {output_fingerprint(name): name for name in OUTPUT_NAMES}


def encode(name: str, record: Mapping[str, Any]) -> bytes:
    """A record of an output schema in single-object encoding."""
    body = io.BytesIO()
    fastavro.schemaless_writer(body, _parsed(name), record)
    return pack(body.getvalue(), output_fingerprint(name))


def decode(value: bytes) -> tuple[str, dict[str, Any]]:
    """(name, record) of a framed output; KeyError where the schema is not one of ours."""
    framed = unpack(value)
    if not isinstance(framed, SingleObject):
        msg = f"schema id {framed.schema_id} of a registry: outputs are written in single-object encoding"
        raise KeyError(msg)
    name = _by_fingerprint()[framed.fingerprint]
    record = fastavro.schemaless_reader(io.BytesIO(framed.body), _parsed(name), None)
    return name, record  # type: ignore[return-value]


def jsonable(value: Any) -> Any:
    """Bytes as base64, all else as it is.

    >>> jsonable({"key": b"c1", "offset": 3})
    {'key': 'YzE=', 'offset': 3}
    """
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {key: jsonable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [jsonable(item) for item in value]
    return value


def readable(value: bytes) -> dict[str, Any]:
    """A framed output or event as a JSON-able dictionary; an event says its type first. ValueError or KeyError where it is neither."""
    framed = unpack(value)
    if isinstance(framed, SingleObject) and framed.fingerprint in _by_fingerprint():
        shown: dict[str, Any] = jsonable(decode(value)[1])
        return shown
    kind, record = to_record(value)
    return {"type": kind} | jsonable(record)
