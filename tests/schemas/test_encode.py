"""Events from JSON and CSV cells: what is written, and what is refused with which words."""

import json
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keepline.schemas.catalog import EVENT_TYPES, MISSING
from keepline.schemas.decode import decode, registers
from keepline.schemas.encode import Ok, Rejected, encode, encode_json, encode_row
from keepline.schemas.programs import default_programs
from keepline.schemas.records import from_record, to_record
from keepline.schemas.status import Reason

CALL = {"type": "Call", "customer_id": "c1", "event_id": "e1", "event_time": 1_750_000_000_000, "duration_s": 61.5}
UNLOCK = {"type": "Unlock", "customer_id": "c1", "event_id": "e1", "event_time": 1}
BILL = {"type": "Bill", "customer_id": "c", "event_id": "e", "event_time": 1, "bill_id": "b", "amount": 1, "due_time": 2}


def test_defaults_times_and_unknown_fields():
    event = CALL | {"event_time": "2025-06-15T15:06:40Z", "duration_s": 61, "mood": {"deep": [1]}}
    ok = encode(event)
    assert isinstance(ok, Ok)
    assert ok[:3] == (0, "c1", 1_750_000_000_000)
    expected = {k: v for k, v in CALL.items() if k != "type"} | {
        "direction": "OUTGOING",
        "outcome": "COMPLETED",
        "roaming": False,
        "duration_s": 61.0,
    }
    assert to_record(ok.value) == ("Call", expected)


@pytest.mark.parametrize("event_time", [0, -1, 2**34 - 1, 2**34, 2**41 - 1, 2**41, 2**63 - 1, -(2**63)])
def test_every_time_that_fits(event_time):
    ok = encode(CALL | {"event_time": event_time})
    assert to_record(ok.value)[1]["event_time"] == ok.event_time == event_time


REFUSED = [
    ("", Reason.MALFORMED, None, "not JSON"),
    ("{", Reason.MALFORMED, None, "not JSON"),
    ("[]", Reason.MALFORMED, None, "JSON object"),
    ("3", Reason.MALFORMED, None, "JSON object"),
    ("null", Reason.MALFORMED, None, "JSON object"),
    ("{} {}", Reason.MALFORMED, None, "not JSON"),
    ("[" * 100_000, Reason.MALFORMED, None, "nested too deeply"),
    (b'{"type": "\xff"}', Reason.MALFORMED, None, "not UTF-8"),
    ('{"type":"Call","duration_s":NaN}', Reason.MALFORMED, None, "NaN is not JSON"),
    ('{"type":"Call","duration_s":-Infinity}', Reason.MALFORMED, None, "Infinity is not JSON"),
    ('{"type":"Call","duration_s":' + "9" * 5000 + "}", Reason.MALFORMED, None, "not JSON"),
    ("{}", Reason.MALFORMED, "type", "has no type"),
    ('{"type": null}', Reason.MALFORMED, "type", "has the type null"),
    ('{"type": ["Call"]}', Reason.MALFORMED, "type", "has the type"),
    ({"type": "call"}, Reason.UNKNOWN_SCHEMA, "type", 'unknown event type "call"'),
    ({"type": "Score"}, Reason.UNKNOWN_SCHEMA, "type", "expected one of Call, DataSession"),
    ({"type": "Call"}, Reason.INVALID_FIELD, "customer_id", "Call.customer_id is missing"),
    (CALL | {"customer_id": None}, Reason.INVALID_FIELD, "customer_id", "is null: expected a string"),
    (CALL | {"customer_id": 7}, Reason.INVALID_FIELD, "customer_id", "is 7: expected a string"),
    (CALL | {"event_id": "\ud800"}, Reason.INVALID_FIELD, "event_id", "surrogates"),
    (CALL | {"event_time": "yesterday"}, Reason.INVALID_FIELD, "event_time", "RFC 3339"),
    (CALL | {"event_time": "2025-06-15T15:06:40"}, Reason.INVALID_FIELD, "event_time", "zone"),
    (CALL | {"event_time": 1.5}, Reason.INVALID_FIELD, "event_time", "RFC 3339"),
    (CALL | {"event_time": True}, Reason.INVALID_FIELD, "event_time", "RFC 3339"),
    (CALL | {"event_time": 2**63}, Reason.INVALID_FIELD, "event_time", "RFC 3339"),
    (CALL | {"duration_s": "61.5"}, Reason.INVALID_FIELD, "duration_s", 'is "61.5": expected a number'),
    (CALL | {"duration_s": True}, Reason.INVALID_FIELD, "duration_s", "expected a number"),
    (CALL | {"duration_s": None}, Reason.INVALID_FIELD, "duration_s", "expected a number"),
    (CALL | {"duration_s": 10**400}, Reason.INVALID_FIELD, "duration_s", "floating point"),
    (CALL | {"direction": "outgoing"}, Reason.INVALID_FIELD, "direction", "expected one of OUTGOING, INCOMING"),
    (CALL | {"direction": ["OUTGOING"]}, Reason.INVALID_FIELD, "direction", "expected one of"),
    (CALL | {"roaming": 0}, Reason.INVALID_FIELD, "roaming", "expected true or false"),
    (CALL | {"roaming": "x" * 100}, Reason.INVALID_FIELD, "roaming", "xxx…: expected"),
    (UNLOCK | {"battery_percent": 3.0}, Reason.INVALID_FIELD, "battery_percent", "without a decimal point"),
    (UNLOCK | {"battery_percent": 2**31}, Reason.INVALID_FIELD, "battery_percent", "31 bits"),
    (UNLOCK | {"battery_percent": False}, Reason.INVALID_FIELD, "battery_percent", "whole number"),
    (UNLOCK | {"city_hash": 3}, Reason.INVALID_FIELD, "city_hash", "expected a string"),
    (BILL | {"due_time": "2025"}, Reason.INVALID_FIELD, "due_time", "Bill.due_time is"),
]


@pytest.mark.parametrize(("event", "reason", "field", "words"), REFUSED)
def test_refused(event, reason, field, words):
    rejected = encode_json(event if isinstance(event, str | bytes) else json.dumps(event))
    assert isinstance(rejected, Rejected)
    assert (rejected.reason, rejected.field) == (reason, field)
    assert words in rejected.message
    assert len(rejected.message) < 400


def test_refused_lines_keep_what_is_known_of_them():
    rejected = encode(CALL | {"duration_s": "x"})
    assert (rejected.type_name, rejected.customer_id) == ("Call", "c1")
    assert encode({"type": "Calls", "customer_id": "c1"}).customer_id == "c1"
    assert encode(CALL | {"customer_id": "\udfff"}).customer_id == ""


def test_the_file_may_say_the_type_for_lines_that_do_not():
    untyped = {k: v for k, v in CALL.items() if k != "type"}
    assert encode(untyped, "Call") == encode(CALL)
    assert encode({"type": "Message", "customer_id": "c", "event_id": "e", "event_time": 1}, "Call").type_id == 2


@pytest.mark.parametrize(
    ("changed", "register"),
    [
        ('"duration_s": -0.5', 4),
        ('"duration_s": 1e999', 4),
        ('"duration_s": 1, "customer_id": ""', 0),
        ('"duration_s": 1, "event_id": "a\\u0000b"', 1),
    ],
)
def test_what_avro_can_say_is_left_to_the_decoder(changed, register):
    head = '{"type": "Call", "customer_id": "c1", "event_id": "e1", "event_time": 1, '
    ok = encode_json(head + changed + "}")
    assert isinstance(ok, Ok)
    buffer = np.frombuffer(ok.value, np.uint8)
    assert decode(buffer, 0, len(buffer), default_programs(), *registers()) == (Reason.INVALID_FIELD, 0, register)


STRATEGIES = {
    "string": st.text(st.characters(exclude_categories=["Cs"]), max_size=300),
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "double": st.floats(allow_nan=False, allow_infinity=False),
    "boolean": st.booleans(),
}


@pytest.mark.parametrize("event_type", EVENT_TYPES, ids=lambda e: e.name)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_bytes_equal_fastavros(event_type, data):
    record = {}
    for field in event_type.fields:
        one = st.sampled_from(field.symbols) if field.symbols else STRATEGIES[field.kind]
        record[field.name] = data.draw(st.none() | one if field.nullable else one)
    given_fields = {
        field.name: record[field.name]
        for field in event_type.fields
        if field.default is MISSING or record[field.name] != field.default or data.draw(st.booleans())
    }
    ok = encode_json(json.dumps({"type": event_type.name, **given_fields}))
    assert isinstance(ok, Ok)
    assert ok.value == from_record(event_type.name, record)
    assert (ok.customer_id, ok.event_time) == (record["customer_id"], record["event_time"])


@settings(max_examples=300, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    ),
    st.sampled_from([field.name for event in EVENT_TYPES for field in event.fields] + ["type"]),
)
def test_any_json_is_an_answer_not_an_exception(value, name):
    assert isinstance(encode(value), Rejected)
    assert isinstance(encode(CALL | {name: value}), Ok | Rejected)
    assert isinstance(encode(BILL | {name: value}), Ok | Rejected)


CELLS = {"customer_id": "7", "event_id": "e", "event_time": "1970-01-01T00:00:01Z"}


def test_cells():
    cells = CELLS | {"battery_percent": "", "charging": "True", "network": "G5", "utc_offset_minutes": "-60", "other": "x"}
    assert to_record(encode_row("Unlock", cells).value)[1] == {
        "customer_id": "7",
        "event_id": "e",
        "event_time": 1000,
        "battery_percent": None,
        "charging": True,
        "network": "G5",
        "city_hash": None,
        "utc_offset_minutes": -60,
    }
    assert encode_row("Call", CELLS | {"duration_s": "1e2", "event_time": "1000"}).value[-10:-2] == struct.pack("<d", 100)


@pytest.mark.parametrize(
    ("type_name", "cells", "reason", "field"),
    [
        ("Call", {"duration_s": "long"}, Reason.INVALID_FIELD, "duration_s"),
        ("Call", {"duration_s": "nan"}, Reason.INVALID_FIELD, "duration_s"),
        ("Call", {"duration_s": "1_000"}, Reason.INVALID_FIELD, "duration_s"),
        ("Call", {"duration_s": ""}, Reason.INVALID_FIELD, "duration_s"),
        ("Call", {"duration_s": "1", "event_id": ""}, Reason.INVALID_FIELD, "event_id"),
        ("Call", {"duration_s": "1", "event_time": "1000.0"}, Reason.INVALID_FIELD, "event_time"),
        ("Call", {"duration_s": "1", "roaming": "1"}, Reason.INVALID_FIELD, "roaming"),
        ("Unlock", {"battery_percent": "3.0"}, Reason.INVALID_FIELD, "battery_percent"),
        ("Unlock", {"city_hash": "\udcff"}, Reason.INVALID_FIELD, "city_hash"),
        ("Calls", {}, Reason.UNKNOWN_SCHEMA, "type"),
    ],
)
def test_cells_refused(type_name, cells, reason, field):
    rejected = encode_row(type_name, CELLS | cells)
    assert isinstance(rejected, Rejected)
    assert (rejected.reason, rejected.field) == (reason, field)
