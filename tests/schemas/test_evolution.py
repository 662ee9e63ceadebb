"""Other writers' schemas: the decoder's programs against fastavro's schema resolution, over random evolutions and random values."""

from __future__ import annotations

import copy
import io
import math
import os
import struct
from typing import Any

import fastavro
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keepline.schemas.catalog import EVENT_TYPES, EventType, event_type
from keepline.schemas.decode import NOT_READ, decode, registers
from keepline.schemas.encode import varint
from keepline.schemas.errors import SchemaError
from keepline.schemas.framing import fingerprint, pack
from keepline.schemas.messages import message
from keepline.schemas.programs import Programs
from keepline.schemas.resolve import reader_of
from keepline.schemas.status import Reason
from keepline.schemas.text import hash64_of
from tests.schemas.evolutions import as_event, evolved, records

ROUNDS = int(os.environ.get("KEEPLINE_FUZZ_ROUNDS", "1"))
FUZZ = settings(max_examples=20 * ROUNDS, deadline=None, suppress_health_check=list(HealthCheck))
EVERY = pytest.mark.parametrize("event", EVENT_TYPES, ids=lambda e: e.name)
CALL = event_type("Call")
HEAD = b"\x02c\x02e" + varint(1000)


def write(schema: dict[str, Any], record: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), record)
    return out.getvalue()


def programs(writer: dict[str, Any], reader: EventType) -> Programs:
    made = Programs([reader], history=False)
    made.add(writer, reader)
    return made


def run(value: bytes, image: Any, after: bytes = b""):
    buffer = np.frombuffer(b"\x55" * 3 + value + after, np.uint8).copy()
    regs = registers()
    for part in regs:
        part[:] = 77
    return decode(buffer, 3, 3 + len(value), image, *regs), regs, buffer


def read(writer: dict[str, Any], reader: EventType, body: bytes):
    made = programs(writer, reader)
    found, regs, _ = run(pack(body, fingerprint(writer)), made.image)
    return found, regs


def valid(reader: EventType, record: dict[str, Any]) -> int | None:
    """Register of the first field, in the order of the record, that breaks the contract."""
    for name, value in record.items():
        field = reader.field(name)
        limits = field.constraints
        if isinstance(value, str) and not field.symbols:
            size = len(value.encode())
            if "\0" in value or not limits.get("minBytes", 0) <= size <= limits.get("maxBytes", size) or (limits.get("currency") and value):
                return field.register
        if isinstance(value, float) and (not math.isfinite(value) or value < limits.get("minimum", -math.inf)):
            return field.register
    return None


def assert_registers(reader: EventType, record: dict[str, Any], regs: Any, buffer: Any) -> None:
    import ctypes

    ri, rf, rs, rn = regs
    for field in reader.fields:
        r, expected = field.register, record[field.name]
        assert rn[r] == (expected is None), field
        if expected is None:
            assert (ri[r], rf[r], rs[r, 1]) == (0, 0, 0)
        elif field.symbols:
            assert field.symbols[ri[r]] == expected
            assert rf[r] == ri[r]
        elif field.kind in {"string", "bytes"}:
            expected = expected.encode("latin-1" if field.kind == "bytes" else "utf-8") if isinstance(expected, str) else expected
            start, length = (int(n) for n in rs[r])
            assert ctypes.string_at(buffer.ctypes.data + start, length) == expected
            assert int(ri[r]) % 2**64 == hash64_of(expected)
        elif field.kind == "double":
            assert rf[r] == float(expected)
            assert ri[r] == 0
        else:
            assert ri[r] == expected
            assert rf[r] == float(expected)


@EVERY
@FUZZ
@given(data=st.data())
def test_what_any_writer_writes_is_read_as_fastavro_does(event: EventType, data: st.DataObject) -> None:
    writer, reader = data.draw(evolved(event))
    record = data.draw(records(writer))
    body = write(writer, record)
    image = programs(writer, reader).image
    value = pack(body, fingerprint(writer))
    (status, type_id, field), regs, buffer = run(value, image)
    assert type_id == event.id
    try:
        wanted = fastavro.schemaless_reader(io.BytesIO(body), fastavro.parse_schema(writer), fastavro.parse_schema(reader.schema))
    except (fastavro.read.SchemaResolutionError, UnicodeDecodeError):
        # A null or a symbol that the reader cannot take, or bytes that are no text.
        assert status == Reason.INVALID_FIELD
        assert message(status, type_id, field, value, image=image)
        return
    order = {**{name: wanted[name] for name in record if name in wanted}, **wanted}
    order = dict(sorted(order.items(), key=lambda item: _place(writer, reader, item[0])))
    invalid = valid(reader, order)
    assert (status, field) == ((Reason.OK, -1) if invalid is None else (Reason.INVALID_FIELD, invalid))
    if invalid is None:
        assert_registers(reader, wanted, regs, buffer)
    for guard in (b"\0" * 16, b"\xff" * 16, b"\x80" * 16):
        assert run(value, image, guard)[0] == (status, type_id, field)


def _place(writer: dict[str, Any], reader: EventType, name: str) -> int:
    names = [field["name"] for field in writer["fields"]]
    known = [name, *reader.field(name).aliases]
    return next((names.index(each) for each in known if each in names), len(names))


@EVERY
@FUZZ
@given(data=st.data())
def test_cut_and_damaged_values_never_reach_outside(event: EventType, data: st.DataObject) -> None:
    """Every cut is malformed; damaged bytes are judged alike whatever follows them."""
    writer, reader = data.draw(evolved(event))
    value = pack(write(writer, data.draw(records(writer))), fingerprint(writer))
    image = programs(writer, reader).image
    for end in range(10, len(value)):
        assert run(value[:end], image, value[end:])[0][0] == Reason.MALFORMED
    assert run(value + b"\0", image)[0] == (Reason.MALFORMED, event.id, -1)
    for _ in range(5):
        body = bytearray(value)
        for _ in range(data.draw(st.integers(1, 3))):
            at = data.draw(st.integers(10, len(body) - 1))
            body[at] = data.draw(st.sampled_from([0, 1, 2, 3, 0x7F, 0x80, 0x81, 0xFF]) | st.integers(0, 255))
        found = {run(bytes(body), image, guard)[0] for guard in (b"", b"\0" * 16, b"\xff" * 16, b"\x80" * 16)}
        assert len(found) == 1
        assert found.pop()[0] in {Reason.OK, Reason.INVALID_FIELD, Reason.MALFORMED}


def with_field(kind: Any, name: str = "theirs") -> dict[str, Any]:
    schema = copy.deepcopy(CALL.schema)
    schema["fields"].append({"name": name, "type": kind})
    return schema


SOUND = HEAD + b"\0" + struct.pack("<d", 1) + b"\0\0"
LONGS = {"type": "array", "items": "long"}
NULLS = {"type": "array", "items": "null"}


@pytest.mark.parametrize(
    ("kind", "rest", "sound"),
    [
        (LONGS, b"\0", True),
        (LONGS, b"\4\2\4\0", True),
        (LONGS, b"\3\4\2\4\0", True),  # a block with its size in bytes
        (LONGS, b"\3\4\2\4\2\2\0", True),  # and one without
        (LONGS, b"\3\x7f\2\4\0", False),  # a negative size
        (LONGS, b"\3\x80\x08\2\4\0", False),  # a size beyond the end
        (LONGS, varint(2**62) + b"\2\0", False),  # more items than bytes
        (LONGS, b"\4\2\4", False),  # no end
        (LONGS, varint(-(2**63)) + b"\0\0", True),  # the least count, with a size of 0
        (NULLS, varint(2**62) + b"\0", True),  # items without bytes cost nothing
        (
            {"type": "array", "items": {"type": "record", "name": "E", "fields": [{"name": "n", "type": "null"}]}},
            varint(2**60) + b"\0",
            True,
        ),
        ({"type": "map", "values": "null"}, b"\2\2a\0", True),
        ({"type": "map", "values": "null"}, varint(2**40) + b"\2a\0", False),
        ({"type": "map", "values": "int"}, b"\2\2a" + varint(2**31) + b"\0", False),
        ({"type": "fixed", "name": "F", "size": 4}, b"1234", True),
        ({"type": "fixed", "name": "F", "size": 4}, b"123", False),
        ({"type": "fixed", "name": "F", "size": 0}, b"", True),
        ({"type": "enum", "name": "X", "symbols": ["A", "B"]}, b"\4", False),
        ({"type": "enum", "name": "X", "symbols": ["A", "B"]}, b"\1", False),
        (["null", "string", LONGS], b"\4\0", True),
        (["null", "string", LONGS], b"\6\0", False),
        ([], b"\0", False),  # a union of nothing has no values
        ("boolean", b"\2", False),
        ("string", varint(2**62), False),
    ],
)
def test_what_only_the_writer_has_is_stepped_over_within_bounds(kind: Any, rest: bytes, sound: bool) -> None:
    wanted = (Reason.OK, 0, -1) if sound else (Reason.MALFORMED, 0, NOT_READ)
    schema = with_field(kind)
    assert read(schema, CALL, SOUND + rest)[0] == wanted
    if not sound:
        text = message(Reason.MALFORMED, 0, NOT_READ, b"")
        assert "only the writer's schema has" in text


def test_types_inside_types_have_a_bound() -> None:
    node = {"type": "record", "name": "Node", "fields": [{"name": "next", "type": ["null", "Node"]}]}
    schema = with_field(node)
    assert read(schema, CALL, SOUND + b"\2" * 60 + b"\0")[0] == (Reason.OK, 0, -1)
    assert read(schema, CALL, SOUND + b"\2" * 100 + b"\0")[0] == (Reason.MALFORMED, 0, NOT_READ)
    assert read(schema, CALL, SOUND + b"\2" * 1_000_000)[0] == (Reason.MALFORMED, 0, NOT_READ)


def test_types_that_multiply_cost_no_more_than_their_bytes() -> None:
    """Records of two records of two records …, without a byte at the end: 2^40 visits if each were made."""
    kind: Any = "null"
    for number in range(40):
        inner = {"type": "record", "name": f"R{number}", "fields": [{"name": "a", "type": kind}]}
        inner["fields"].append({"name": "b", "type": inner["fields"][0]["type"]["name"] if isinstance(kind, dict) else kind})
        kind = inner
    assert read(with_field({"type": "array", "items": kind}), CALL, SOUND + b"\2\0")[0] == (Reason.OK, 0, -1)


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("duration_s", "string", "Call.duration_s is string: expected double, float, long or int"),
        ("duration_s", ["string", "bytes"], "Call.duration_s is a union of string, bytes: no branch can be read, expected double"),
        ("duration_s", LONGS, "Call.duration_s is array of long: expected double"),
        ("roaming", "int", "Call.roaming is int: expected boolean"),
        ("outcome", "string", "Call.outcome is string: expected enum CallOutcome"),
        ("outcome", {"type": "enum", "name": "Other", "symbols": ["A"]}, "an enum of the name CallOutcome"),
        (
            "event_time",
            {"type": "long", "logicalType": "timestamp-micros"},
            "long in timestamp-micros: its unit is not ours, expected timestamp-millis",
        ),
        ("event_time", {"type": "long", "logicalType": "local-timestamp-millis"}, "its unit is not ours"),
        ("event_time", ["null", "long"], "expected int or long, since the source reads it without the schema"),
        ("customer_id", ["string", "null"], "Call.customer_id is a union of string, null: expected bytes or string"),
        ("duration_s", {"type": "int", "logicalType": "time-millis"}, "its unit is not ours, expected no logical type"),
        ("duration_s", None, "lacks duration_s, which has no default"),
    ],
)
def test_what_cannot_be_resolved_is_told_by_field(name: str, kind: Any, words: str) -> None:
    schema = copy.deepcopy(CALL.schema)
    for field in [each for each in schema["fields"] if each["name"] == name]:
        if kind is None:
            schema["fields"].remove(field)
        else:
            field["type"] = kind
    with pytest.raises(SchemaError) as error:
        programs(schema, CALL)
    assert words in str(error.value)
    assert str(error.value).startswith("keepline.events.Call cannot be read as Call: ")


def test_all_problems_are_told_at_once() -> None:
    schema = copy.deepcopy(CALL.schema)
    schema["fields"][4]["type"] = "string"
    schema["fields"][6]["type"] = "string"
    with pytest.raises(SchemaError, match=r"Call\.duration_s is .*; Call\.roaming is "):
        programs(schema, CALL)


def test_a_long_without_a_unit_and_a_uuid_are_taken() -> None:
    schema = copy.deepcopy(CALL.schema)
    schema["fields"][1]["type"] = {"type": "string", "logicalType": "uuid"}
    schema["fields"][2]["type"] = "long"
    schema["fields"][5]["default"] = "NONE_OF_ITS"  # a writer's default does not matter
    assert read(schema, CALL, SOUND)[0] == (Reason.OK, 0, -1)


@pytest.mark.parametrize(
    ("change", "body", "words"),
    [
        ({"outcome": {"type": "enum", "name": "CallOutcome", "symbols": ["X", "LOST"]}}, b"\0" + struct.pack("<d", 1) + b"\2\0", '"LOST"'),
        ({"duration_s": ["null", "double"]}, b"\0\0\0\0", "Call.duration_s is null: expected a finite number >= 0"),
        ({"duration_s": ["boolean", "double", "null"]}, b"\0\0\1\0\0", "of a type that we do not read there"),
        ({"duration_s": "int"}, b"\0\1\0\0", "Call.duration_s is -1.0: expected a finite number >= 0"),
    ],
)
def test_values_that_cannot_be_taken_are_invalid_fields(change: dict[str, Any], body: bytes, words: str) -> None:
    schema, reader = copy.deepcopy(CALL.schema), copy.deepcopy(CALL.schema)
    del reader["fields"][5]["type"]["default"]
    event = as_event(reader, CALL)
    for field in schema["fields"]:
        field["type"] = change.get(field["name"], field["type"])
    made = programs(schema, event)
    value = pack(HEAD + body, fingerprint(schema))
    (status, type_id, field), _, _ = run(value, made.image)
    assert status == Reason.INVALID_FIELD
    assert words in message(status, type_id, field, value, image=made.image, programs=made)


def test_an_unknown_symbol_is_the_enums_default_but_no_consent_is_widened() -> None:
    schema = copy.deepcopy(CALL.schema)
    schema["fields"][5]["type"]["symbols"] = ["LOST", "FAILED"]
    (status, _, _), regs = read(schema, CALL, HEAD + b"\0" + struct.pack("<d", 1) + b"\0\0")
    assert (status, CALL.fields[5].symbols[regs[0][5]]) == (Reason.OK, "COMPLETED")
    for event in EVENT_TYPES:
        for field in event.fields:
            wanted = None if field.name == "channel" and event.name == "Consent" else field.default
            assert not field.symbols or field.enum_default == (wanted if isinstance(wanted, str) else None)


def test_the_reader_is_the_type_of_the_records_name() -> None:
    assert reader_of(CALL.schema | {"namespace": "com.example"}) is CALL
    assert reader_of(CALL.schema | {"name": "com.example.Call"}) is CALL
    with pytest.raises(SchemaError, match="the record Invoice is no event type: expected one of Call, DataSession"):
        reader_of(CALL.schema | {"name": "Invoice"})
    for odd in ("string", ["null"], {"type": "enum"}, 5, {"type": "record"}):
        with pytest.raises(SchemaError, match="expected a record"):
            reader_of(odd)
