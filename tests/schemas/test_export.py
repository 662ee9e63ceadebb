"""The documents under docs/api are those of the committed schemas, and say of a record what the code says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from keepline.operators.spec import CHANNELS
from keepline.schemas import catalog
from keepline.schemas.asyncapi import OUTPUT_TOPICS, document, documents
from keepline.schemas.catalog import EVENT_TYPES, MISSING, OUTPUT_NAMES, EventType, Field, event_type, output_schema
from keepline.schemas.encode import Ok, encode
from keepline.schemas.jsonschemas import of_event, of_output
from keepline.schemas.records import from_record, to_json, to_record
from keepline.schemas.times import to_rfc3339

API = Path(catalog.__file__).resolve().parents[1] / "docs" / "api"
Json = dict[str, Any]
EVENTS = {event.name: Draft202012Validator(of_event(event)) for event in EVENT_TYPES}
OUTPUTS = {name: Draft202012Validator(of_output(name)) for name in OUTPUT_NAMES}


def test_the_committed_files_are_up_to_date() -> None:
    committed = {path.relative_to(API).as_posix(): path.read_text(encoding="utf-8") for path in API.rglob("*") if path.is_file()}
    fresh = documents()
    assert committed.keys() == fresh.keys(), "run `keepline schemas export --out docs/api`"
    for name, text in fresh.items():
        assert committed[name] == text, f"docs/api/{name} is old: run `keepline schemas export --out docs/api`"


@pytest.mark.parametrize("name", [*EVENTS, *OUTPUTS])
def test_each_is_a_json_schema_of_its_own(name: str) -> None:
    schema = (EVENTS | OUTPUTS)[name].schema
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["title"] == name
    ids = [each.schema["$id"] for each in [*EVENTS.values(), *OUTPUTS.values()]]
    assert len(set(ids)) == len(ids)


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
VALUES = {
    "string": TEXT,
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "double": st.floats(allow_nan=False, allow_infinity=False),
    "boolean": st.booleans(),
    "bytes": st.binary(max_size=8),
}


def values(kind: Any, named: Json) -> st.SearchStrategy[Any]:
    """Values of an Avro type, as the records have them. `named` has the types met so far."""
    if isinstance(kind, list):
        return st.one_of([st.none() if each == "null" else values(each, named) for each in kind])
    if isinstance(kind, str):
        return values(named[kind], named) if kind in named else VALUES[kind]
    named |= {kind["name"]: kind} if "name" in kind else {}
    match kind["type"]:
        case "enum":
            return st.sampled_from(kind["symbols"])
        case "record":
            return st.fixed_dictionaries({field["name"]: values(field["type"], named) for field in kind["fields"]})
        case "array":
            return st.lists(values(kind["items"], named), max_size=3)
        case "map":
            return st.dictionaries(TEXT, values(kind["values"], named), max_size=3)
        case other:
            return values(other, named)


@pytest.mark.parametrize("name", OUTPUT_NAMES)
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_every_output_that_is_written_fits(name: str, data: st.DataObject) -> None:
    record = data.draw(values(output_schema(name), {}))
    line = json.loads(to_json(to_record(from_record(name, record))[1]))
    OUTPUTS[name].validate(line)
    assert OUTPUTS[name].schema["properties"].keys() == line.keys()
    for field in line:
        assert not OUTPUTS[name].is_valid({each: value for each, value in line.items() if each != field}), field
        assert not OUTPUTS[name].is_valid(line | {field: {"another": ["type"]}}), field


def cells(field: Field) -> st.SearchStrategy[Any]:
    """Sound values of an event's field."""
    if field.time:
        times = st.integers(0, 4_102_444_800_000)
        return times | times.map(to_rfc3339)
    if field.kind == "enum":
        found: st.SearchStrategy[Any] = st.sampled_from(field.symbols)
    elif "minBytes" in field.constraints:
        found = st.text(st.characters(codec="ascii", exclude_characters="\0"), min_size=1, max_size=128)
    elif "minimum" in field.constraints:
        found = st.floats(0, 1e300) | st.integers(0, 10**9)
    else:
        found = VALUES[field.kind]
    return st.none() | found if field.nullable else found


@st.composite
def sound(draw: st.DrawFn, event: EventType) -> Json:
    line: Json = {"type": event.name}
    for field in event.fields:
        if field.default is MISSING or draw(st.booleans()):
            line[field.name] = draw(cells(field))
    return line


@pytest.mark.parametrize("event", EVENT_TYPES, ids=lambda event: event.name)
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_an_event_fits_as_written_and_as_tail_prints_it(event: EventType, data: st.DataObject) -> None:
    line = data.draw(sound(event)) | data.draw(st.dictionaries(st.just("unknown field"), st.integers()))
    found = encode(line)
    assert isinstance(found, Ok)
    schema = EVENTS[event.name]
    schema.validate(line)
    name, record = to_record(found.value)
    printed = json.loads(to_json({"type": name} | record))
    schema.validate(printed)
    assert schema.schema["properties"].keys() == printed.keys()
    for missing in schema.schema["required"]:
        assert not schema.is_valid({each: value for each, value in line.items() if each != missing})


@pytest.mark.parametrize("event", EVENT_TYPES, ids=lambda event: event.name)
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_what_the_schema_refuses_the_encoder_refuses_and_the_other_way_round(event: EventType, data: st.DataObject) -> None:
    """One field of a sound line gets a value of any kind. Whole numbers as 3.0 are left out: JSON Schema cannot tell them from 3."""
    line = data.draw(sound(event))
    field = data.draw(st.sampled_from(event.fields))
    odd = st.sampled_from(
        [None, True, "", "x", "2026-03-01T12:30:00Z", "2026-03-01 12:30:00.25+01:00", "2026-03-01", 2**31, 2**63, 0.5, [], {}]
    )
    line[field.name] = data.draw(odd)
    taken = isinstance(encode(line), Ok)
    # Ranges, such as 1 to 128 bytes and ≥ 0, are checked by the decoder, which the schema foresees.
    in_range = not (line[field.name] == "" and "minBytes" in field.constraints)
    assert EVENTS[event.name].is_valid(line) == (taken and in_range)


CALL: Json = {"type": "Call", "customer_id": "c", "event_id": "e", "event_time": 0, "duration_s": 1.5}


@pytest.mark.parametrize(
    "change",
    [
        {"type": "Message"}, {"customer_id": ""}, {"customer_id": "x" * 129}, {"customer_id": "a\0b"}, {"event_time": "noon"},
        {"event_time": "2026-03-01T25:00:00Z"}, {"event_time": "2026-03-01T12:00:00"}, {"event_time": True}, {"duration_s": -1},
        {"duration_s": "60"}, {"direction": "outgoing"}, {"roaming": 1}, {"roaming": None},
    ],
    ids=str,
)  # fmt: skip
def test_mistakes_in_events(change: Json) -> None:
    assert EVENTS["Call"].is_valid(CALL)
    assert not EVENTS["Call"].is_valid(CALL | change)


def test_the_asyncapi_document_is_whole() -> None:
    text = documents()["asyncapi.yaml"]
    found = yaml.safe_load(text)
    assert found == document()
    assert (found["asyncapi"], found.keys()) == (
        "3.0.0",
        {"asyncapi", "info", "defaultContentType", "channels", "operations", "components"},
    )
    refs = list(references(found))
    assert refs
    for ref in refs:
        place = found
        for part in ref.removeprefix("#/").split("/"):
            place = place[part]
    for name, message in found["components"]["messages"].items():
        schema = message["payload"]["schema"]
        assert schema == (event_type(name).schema if name in EVENTS else output_schema(name))
        assert message["x-json-schema"] in documents()
        assert message["bindings"]["kafka"]["key"]["type"] == "string"
    assert {each["action"] for each in found["operations"].values()} == {"receive", "send"}
    assert {each["channel"]["$ref"].rpartition("/")[2] for each in found["operations"].values()} == found["channels"].keys()


def references(node: Any) -> Any:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for each in node.values():
            yield from references(each)
    elif isinstance(node, list):
        for each in node:
            yield from references(each)


def test_the_channels_are_the_topics() -> None:
    channels = document()["channels"]
    addresses = {name: channel["address"] for name, channel in channels.items()}
    assert addresses["telemetry"] == "telemetry"
    assert channels["telemetry"]["messages"].keys() == EVENTS.keys()
    for event in EVENT_TYPES:
        assert addresses[event.topic] == event.topic
        assert channels[event.topic]["messages"].keys() == {event.name}
    assert [OUTPUT_TOPICS[name] for name in OUTPUT_TOPICS][: len(CHANNELS)] == list(CHANNELS)
    for name, topic in OUTPUT_TOPICS.items():
        assert addresses[topic] == f"{{prefix}}.{topic}"
        assert channels[topic]["messages"].keys() == {name}
