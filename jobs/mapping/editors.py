"""The JSON Schema of mapping files, made from the same tables as the checks: editors complete and underline by it.

It is committed as `mapping.schema.json`; a test holds both equal. What a schema cannot say (paths, formats) the check at load says.
"""

from __future__ import annotations

import json
from typing import Any

from keepline.jobs.mapping import conditions, fields, load, times
from keepline.jobs.mapping.readers import FORMATS
from keepline.jobs.mapping.units import units
from keepline.schemas.catalog import EVENT_TYPES, MISSING, EventType, Field

URL = "https://json-schema.org/draft/2020-12/schema"
_SCALAR = {"$ref": "#/$defs/scalar"}
_PATH = {"$ref": "#/$defs/path"}
_PATHS = {"$ref": "#/$defs/paths"}
_WHEN = {"$ref": "#/$defs/when"}


def text() -> str:
    """The schema as it is committed."""
    return json.dumps(json_schema(), indent=1) + "\n"


def json_schema() -> dict[str, Any]:
    """The schema of a whole file."""
    names = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
    shared = {each.name: True for event in EVENT_TYPES for each in load.fields_of(event)}
    source = {
        "topics": names,
        "files": names,
        "format": {"enum": list(FORMATS)},
        "schema": names,
        "delimiter": {"type": "string", "maxLength": 1, "minLength": 1},
        "fields": {"type": "object", "properties": shared, "additionalProperties": False},
        "events": {"type": "array", "minItems": 1, "items": {"oneOf": [_event(event) for event in EVENT_TYPES]}},
    }
    assert tuple(source) == load.SOURCE  # noqa: S101  a key that one of them lacks
    return {
        "$schema": URL,
        "title": "Keepline mapping",
        "type": "object",
        "additionalProperties": False,
        "required": ["version", "sources"],
        "$defs": _definitions(),
        "properties": {
            "version": {"const": load.VERSION},
            "unmatched": {"enum": list(load.UNMATCHED)},
            "sources": {
                "type": "array",
                "minItems": 1,
                "items": {"type": "object", "additionalProperties": False, "required": ["events"], "properties": source},
            },
        },
    }


def _definitions() -> dict[str, Any]:
    block = {"type": "object", "additionalProperties": {"$ref": "#/$defs/condition"}}
    return {
        "scalar": {"type": ["string", "number", "boolean", "null"]},
        "path": {"type": "string", "minLength": 1, "description": "a path, such as subscriber.msisdn or legs[0].start"},
        "paths": {"anyOf": [_PATH, {"type": "array", "items": _PATH, "minItems": 1}]},
        "condition": _condition(),
        "when": {"anyOf": [block, {"type": "array", "items": block, "minItems": 1}]},
        **{f"{event.name}.{each.name}": _field(each) for event in EVENT_TYPES for each in load.fields_of(event)[3:]},
        **{each.name: _field(each) for each in EVENT_TYPES[0].fields[:3]},
    }


def _event(event: EventType) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["type"],  # fields may stand in the source's fields:
        "properties": {
            "type": {"const": event.name},
            "when": _WHEN,
            "each": _PATH,
            **{
                each.name: {"$ref": f"#/$defs/{'' if place < 3 else event.name + '.'}{each.name}"}
                for place, each in enumerate(load.fields_of(event))
            },
        },
    }


def _condition() -> dict[str, Any]:
    values = {"anyOf": [_SCALAR, {"type": "array", "items": _SCALAR, "minItems": 1}]}
    words: dict[str, Any] = {word: {"type": "number"} if word in conditions.ORDER else values for word in conditions.WORDS}
    words["exists"] = {"type": "boolean"}
    return {"anyOf": [*values["anyOf"], {"type": "object", "additionalProperties": False, "minProperties": 1, "properties": words}]}


def _field(field: Field) -> dict[str, Any]:
    constant: dict[str, Any] = {"enum": list(field.symbols)} if field.symbols else _SCALAR
    properties: dict[str, Any] = {"path": _PATHS, "constant": constant, "otherwise": constant, "default": constant}
    if field.time:
        properties |= {"format": {"type": "string"}, "time_zone": {"type": "string"}, "ambiguous": {"enum": list(times.AMBIGUOUS)}}
    else:
        properties["values"] = {"type": "object", "additionalProperties": constant}
    if field.kind in {"double", "float", "int", "long"} and not field.time:
        properties["sum"] = _PATHS
    if units(field.name):
        properties["unit"] = {"enum": list(units(field.name))}
    if field.kind == "string":
        properties |= {"hash": _PATHS, "prefix": {"type": "string"}}
    assert properties.keys() <= set(fields.KEYS)  # noqa: S101
    sources = [{"required": [name]} for name in fields.SOURCES if name in properties]
    told = "required" if field.default is MISSING else f"default {field.default!r}"
    block = {"type": "object", "additionalProperties": False, "properties": properties, "oneOf": sources}
    return {"description": f"{field.kind}{', a time' if field.time else ''}; {told}", "anyOf": [_PATH, block]}
