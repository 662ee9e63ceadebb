"""JSON Schemas (draft 2020-12) of events and outputs, made from their Avro schemas: for who writes event files or reads what `tail` prints.

An event is as event files hold it (docs/files.md): times are RFC 3339 text or epoch milliseconds, fields with a default may be absent, more
fields are ignored. Only `type` must be there, even where the file's name would say it. `tail` writes events so that they fit too. An output
is as `tail` and `replay` write it: every field is there, times are epoch milliseconds, bytes are base64.

What JSON Schema cannot say stands in descriptions: lengths in bytes, and that a whole number is written without a decimal point.
"""

from __future__ import annotations

from typing import Any

from keepline.schemas.catalog import EventType, output_schema

DRAFT = "https://json-schema.org/draft/2020-12/schema"
RFC3339 = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]+)?([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
"""The form that schemas/times.py reads."""
NO_NUL = r"^[^\u0000]*$"
_BITS = {"int": 31, "long": 63}
_PLAIN = {"boolean": "boolean", "float": "number", "double": "number", "string": "string", "null": "null"}

Json = dict[str, Any]


def of_event(event: EventType) -> Json:
    """The schema of a line of an event file."""
    return _whole(event.schema, "events", {"type": {"const": event.name}}, reading=True)


def of_output(name: str) -> Json:
    """The schema of a line of `tail` or `replay`; KeyError with the known names."""
    return _whole(output_schema(name), "outputs", {}, reading=False)


def _whole(avro: Json, folder: str, first: Json, *, reading: bool) -> Json:
    record = _record(avro, {}, reading=reading)
    record["properties"] = first | record["properties"]
    record["required"] = [*first, *record["required"]]
    name = avro["name"]
    return {"$schema": DRAFT, "$id": f"urn:keepline:{folder}:{name}", "title": name, "description": avro["doc"], **record}


def _record(avro: Json, named: Json, *, reading: bool) -> Json:
    properties = {field["name"]: _field(field, named, reading=reading) for field in avro["fields"]}
    required = [field["name"] for field in avro["fields"] if not (reading and "default" in field)]
    return {"type": "object", "properties": properties, "required": required}


def _field(field: Json, named: Json, *, reading: bool) -> Json:
    found = _type(field["type"], named, reading=reading)
    notes = [found.pop("description", ""), field.get("doc", "")]
    if "minimum" in field:
        found["minimum"] = field["minimum"]
    if "maxBytes" in field:
        # A character has a byte or more: these are limits too, if not the whole truth.
        found |= {"minLength": field["minBytes"], "maxLength": field["maxBytes"]}
    if reading and "default" in field:
        found["default"] = field["default"]
    text = " ".join(note for note in reversed(notes) if note)
    return found | {"description": text} if text else found


def _type(avro: Any, named: Json, *, reading: bool) -> Json:
    """One type. `named` holds the enums and records met so far, which Avro then calls by their names."""
    if isinstance(avro, list):
        return _union(avro, named, reading=reading)
    if isinstance(avro, str):
        return _type(named[avro], named, reading=reading) if avro in named else _scalar(avro, reading=reading)
    if avro.get("logicalType") == "timestamp-millis":
        return _time(reading=reading)
    kind = avro["type"]
    if kind in {"enum", "record"}:
        named[avro["name"]] = avro
    if kind == "enum":
        return {"enum": list(avro["symbols"])}
    if kind == "record":
        return _record(avro, named, reading=reading)
    if kind == "array":
        return {"type": "array", "items": _type(avro["items"], named, reading=reading)}
    if kind == "map":
        return {"type": "object", "additionalProperties": _type(avro["values"], named, reading=reading)}
    return _type(kind, named, reading=reading)


def _union(branches: list[Any], named: Json, *, reading: bool) -> Json:
    """Null and one other type, which is all that the records have."""
    (other,) = (branch for branch in branches if branch != "null")
    found = _type(other, named, reading=reading)
    if "enum" in found:
        return found | {"enum": [*found["enum"], None]}
    types = found["type"] if isinstance(found["type"], list) else [found["type"]]
    return found | {"type": [*types, "null"]}


def _time(*, reading: bool) -> Json:
    found = _whole_number("long")
    if not reading:
        return found | {"description": "Epoch milliseconds, UTC."}
    told = "RFC 3339 with a zone, or epoch milliseconds."
    return found | {"type": ["integer", "string"], "format": "date-time", "pattern": RFC3339, "description": told}


def _whole_number(kind: str) -> Json:
    limit = 2 ** _BITS[kind]
    return {"type": "integer", "minimum": -limit, "maximum": limit - 1}


def _scalar(kind: str, *, reading: bool) -> Json:
    if kind in _BITS:
        return _whole_number(kind)
    if kind == "bytes":
        return {"type": "string", "contentEncoding": "base64"}
    if kind == "string" and reading:
        return {"type": "string", "pattern": NO_NUL}
    return {"type": _PLAIN[kind]}
