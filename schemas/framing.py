"""How Avro bytes say which schema wrote them: the two framings that every input topic accepts.

Single-object encoding: C3 01, the 8-byte little-endian CRC-64-AVRO fingerprint of the schema, the Avro binary.
Confluent: 00, a 4-byte big-endian schema id of the registry, the Avro binary.

The fingerprint is taken over the Parsing Canonical Form, both as in the Avro specification ("Schema Fingerprints"), so attributes that
are not Avro's (constraints, docs, defaults) do not change it.
"""

import json
from typing import Any, NamedTuple

SINGLE_OBJECT = b"\xc3\x01"
CONFLUENT = b"\x00"
SINGLE_OBJECT_HEADER = 10
CONFLUENT_HEADER = 5

_EMPTY = 0xC15D213AA4D7A795
_PRIMITIVES = {"null", "boolean", "int", "long", "float", "double", "bytes", "string"}


def _table() -> list[int]:
    table = []
    for value in range(256):
        fp = value
        for _ in range(8):
            fp = (fp >> 1) ^ (_EMPTY if fp & 1 else 0)
        table.append(fp)
    return table


_TABLE = _table()


class FramingError(ValueError):
    """A value that starts with neither framing."""


class SingleObject(NamedTuple):
    """A value in single-object encoding."""

    fingerprint: bytes
    body: bytes


class Confluent(NamedTuple):
    """A value with the registry's schema id."""

    schema_id: int
    body: bytes


def crc64(data: bytes) -> int:
    """CRC-64-AVRO of the bytes, as an unsigned integer."""
    fp = _EMPTY
    for byte in data:
        fp = (fp >> 8) ^ _TABLE[(fp ^ byte) & 0xFF]
    return fp


def canonical_form(schema: Any, namespace: str = "") -> str:
    """Parsing Canonical Form of a parsed schema (the JSON as Python objects)."""
    if isinstance(schema, str):
        return json.dumps(schema if schema in _PRIMITIVES else _full_name(schema, namespace))
    if isinstance(schema, list):
        return "[" + ",".join(canonical_form(branch, namespace) for branch in schema) + "]"
    kind = schema["type"]
    if not isinstance(kind, str) or kind in _PRIMITIVES:
        return canonical_form(kind, namespace)
    if kind == "array":
        return '{"type":"array","items":' + canonical_form(schema["items"], namespace) + "}"
    if kind == "map":
        return '{"type":"map","values":' + canonical_form(schema["values"], namespace) + "}"
    if kind not in {"record", "error", "enum", "fixed"}:
        return canonical_form(kind, namespace)
    name = _full_name(schema["name"], schema.get("namespace", namespace))
    inner = name.rpartition(".")[0]
    head = f'{{"name":{json.dumps(name)},"type":{json.dumps(kind)}'
    if kind == "enum":
        return head + ',"symbols":[' + ",".join(json.dumps(symbol) for symbol in schema["symbols"]) + "]}"
    if kind == "fixed":
        return head + f',"size":{int(schema["size"])}}}'
    fields = (f'{{"name":{json.dumps(f["name"])},"type":{canonical_form(f["type"], inner)}}}' for f in schema["fields"])
    return head + ',"fields":[' + ",".join(fields) + "]}"


def _full_name(name: str, namespace: str) -> str:
    return name if "." in name or not namespace else f"{namespace}.{name}"


def fingerprint(schema: Any) -> bytes:
    """The 8 bytes that single-object encoding carries for this schema."""
    return crc64(canonical_form(schema).encode()).to_bytes(8, "little")


def pack(body: bytes, fingerprint: bytes) -> bytes:
    """Frame Avro binary in single-object encoding."""
    return SINGLE_OBJECT + fingerprint + body


def pack_confluent(body: bytes, schema_id: int) -> bytes:
    """Frame Avro binary with a registry's schema id."""
    return CONFLUENT + schema_id.to_bytes(4, "big") + body


def unpack(value: bytes) -> SingleObject | Confluent:
    """Take the framing off; FramingError if there is none."""
    if value[:2] == SINGLE_OBJECT and len(value) >= SINGLE_OBJECT_HEADER:
        return SingleObject(value[2:10], value[10:])
    if value[:1] == CONFLUENT and len(value) >= CONFLUENT_HEADER:
        return Confluent(int.from_bytes(value[1:5], "big"), value[5:])
    start = value[:10].hex(" ") or "nothing"
    message = (
        f"the value starts with {start} ({len(value)} bytes): expected Avro in single-object encoding (c3 01 and 8 bytes of fingerprint) "
        "or with the Confluent header (00 and 4 bytes of schema id); write events with `keepline produce` or an Avro serialiser"
    )
    raise FramingError(message)
