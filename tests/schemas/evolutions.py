"""Writers' schemas that differ from ours in every way the specification resolves, and values of any Avro type, for hypothesis."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import strategies as st

from keepline.schemas.catalog import EventType, parse_fields
from keepline.schemas.framing import fingerprint
from keepline.schemas.records import without_logical_types

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SCALARS: dict[str, st.SearchStrategy] = {
    "null": st.none(),
    "boolean": st.booleans(),
    "int": st.integers(-(2**31), 2**31 - 1) | st.integers(-70, 70),
    "long": st.integers(-(2**63), 2**63 - 1) | st.integers(-70, 70),
    "float": st.floats(width=32),
    "double": st.floats() | st.sampled_from([0.0, 1.5]),
    "string": TEXT,
    "bytes": st.binary(max_size=20) | TEXT.map(str.encode),
}
NODE = {
    "type": "record",
    "name": "Node",
    "fields": [{"name": "next", "type": ["null", "Node"]}, {"name": "values", "type": {"type": "array", "items": "int"}}],
}
EMPTY = {"type": "record", "name": "Empty", "fields": []}
NARROWER = {"double": ["float", "long", "int"], "long": ["int"], "string": ["bytes"], "bytes": ["string"]}


def as_event(schema: dict[str, Any], like: EventType) -> EventType:
    """One of our event types with another schema."""
    return EventType(like.name, like.id, like.control, like.topic, schema, fingerprint(schema), parse_fields(schema))


@st.composite
def types(draw: st.DrawFn, numbers: list[int], depth: int = 3) -> Any:
    """Any Avro type; `numbers` makes names of named types unique."""
    kinds = [*SCALARS, "enum", "fixed", "logical"] + (["array", "map", "record", "union", "node", "empty"] if depth else [])
    kind = draw(st.sampled_from(kinds))
    numbers[0] += 1
    name = f"T{numbers[0]}"
    inner = types(numbers, depth - 1)
    match kind:
        case "enum":
            return {"type": "enum", "name": name, "symbols": ["A", "B", "C"][: draw(st.integers(1, 3))]}
        case "fixed":
            return {"type": "fixed", "name": name, "size": draw(st.integers(1, 9))}
        case "logical":
            return draw(
                st.sampled_from([{"type": "int", "logicalType": "date"}, {"type": "bytes", "logicalType": "decimal", "precision": 4}])
            )
        case "array":
            return {"type": "array", "items": draw(inner)}
        case "map":
            return {"type": "map", "values": draw(inner)}
        case "record":
            return {
                "type": "record",
                "name": name,
                "fields": [{"name": f"f{i}", "type": draw(inner)} for i in range(draw(st.integers(1, 3)))],
            }
        case "union":
            return draw(st.sampled_from([["null", "string"], ["long", "null", "boolean"], ["double", {"type": "array", "items": "long"}]]))
        case "node":
            return json.loads(json.dumps(NODE).replace("Node", name))
        case "empty":
            return {"type": "array", "items": EMPTY | {"name": name}}
    return kind


def values(kind: Any, named: dict[str, Any] | None = None) -> st.SearchStrategy:
    """Values of a type, as fastavro takes them."""
    named = {} if named is None else named
    if isinstance(kind, list):
        return st.one_of([values(branch, named).map(lambda value, branch=branch: _tagged(branch, value)) for branch in kind])
    if isinstance(kind, str):
        return SCALARS[kind] if kind in SCALARS else st.deferred(lambda: values(named[kind], named))
    if kind["type"] == "enum":
        return st.sampled_from(kind["symbols"])
    if kind["type"] == "fixed":
        return st.binary(min_size=kind["size"], max_size=kind["size"])
    if kind["type"] == "array":
        return st.lists(values(kind["items"], named), max_size=4)
    if kind["type"] == "map":
        return st.dictionaries(TEXT, values(kind["values"], named), max_size=3)
    if kind["type"] == "record":
        named = named | {kind["name"]: kind}
        return st.fixed_dictionaries({field["name"]: values(field["type"], named) for field in kind["fields"]})
    return values(kind["type"], named)


def _tagged(branch: Any, value: Any) -> Any:
    """fastavro is told the branch where a value could be of several."""
    if branch in {"int", "long", "float", "double", "string", "bytes", "boolean"} if isinstance(branch, str) else False:
        return (branch, value)
    return value


@st.composite
def evolved(draw: st.DrawFn, event: EventType) -> tuple[dict[str, Any], EventType]:
    """(writer's schema, reader): a writer that we must be able to read, and what we read it as."""
    reader = without_logical_types(copy.deepcopy(event.schema))
    writer = without_logical_types(copy.deepcopy(event.schema))
    numbers = [0]
    if len(reader["fields"]) < 16 and draw(st.booleans()):
        kind, default = draw(
            st.sampled_from([("string", "a default of ours"), ("bytes", "raw"), ("long", 2**60 + 1), ("boolean", True), ("double", 2.5)])
        )
        reader["fields"].append({"name": "added_later", "type": kind, "default": default})
    fields = []
    for ours in reader["fields"][3:]:
        field = next((each for each in writer["fields"] if each["name"] == ours["name"]), None)
        if field is None or ("default" in ours and draw(st.integers(0, 3)) == 0):
            continue
        fields.append(field)
        _change(draw, field, ours)
    fields += [{"name": f"theirs_{number}", "type": draw(types(numbers))} for number in range(draw(st.integers(0, 3)))]
    writer["fields"] = writer["fields"][:3] + draw(st.permutations(fields))
    return writer, as_event(reader, event)


def _change(draw: st.DrawFn, field: dict[str, Any], ours: dict[str, Any]) -> None:
    kind = field["type"]
    if isinstance(kind, list):
        kind = next(branch for branch in kind if branch != "null")
    field.pop("default", None)
    if isinstance(kind, dict) and kind["type"] in SCALARS:
        kind = kind["type"]
    if isinstance(kind, dict):
        symbols = draw(st.permutations([*kind["symbols"], "NEW_1", "NEW_2"]))
        kind = kind | {"symbols": symbols[: draw(st.integers(1, len(symbols)))]}
        kind.pop("default", None)
        if draw(st.booleans()):
            kind = kind | {"symbols": ours["type"]["symbols"]}
    elif kind in NARROWER and draw(st.booleans()):
        kind = draw(st.sampled_from(NARROWER[kind]))
    shape = draw(st.integers(0, 5))
    if shape == 0:
        kind = ["null", kind]
    elif shape == 1:
        kind = [kind, "null"]
    elif shape == 2:
        others = [each for each in ("null", "boolean", "string", "long") if each != kind]
        kind = draw(st.permutations([kind, *others[: draw(st.integers(0, 3))]]))
    if draw(st.integers(0, 4)) == 0:
        ours["aliases"] = [f"older_{field['name']}"]
        field["name"] = f"older_{field['name']}"
    field["type"] = kind


def records(schema: dict[str, Any]) -> st.SearchStrategy:
    """Values of a writer's record."""
    return st.fixed_dictionaries({field["name"]: values(field["type"]) for field in schema["fields"]})
