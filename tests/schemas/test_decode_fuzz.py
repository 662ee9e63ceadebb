"""The compiled decoder against fastavro, on sound, damaged and random bytes of every type."""

import io
import math

import fastavro
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keepline.schemas.catalog import EVENT_TYPES, EventType, Field
from keepline.schemas.decode import decode, registers
from keepline.schemas.framing import pack
from keepline.schemas.programs import default_programs
from keepline.schemas.records import without_logical_types
from keepline.schemas.status import Reason
from keepline.schemas.text import hash64_of

IMAGE = default_programs()
SCHEMAS = {e.name: fastavro.parse_schema(without_logical_types(e.schema)) for e in EVENT_TYPES}
FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
EVERY = pytest.mark.parametrize("event", EVENT_TYPES, ids=lambda e: e.name)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=24) | st.sampled_from(["", "EUR", "a\0b", "x" * 128, "é" * 65, "😀" * 40])
VALUES = {
    "string": TEXT,
    "long": st.integers(-(2**63), 2**63 - 1) | st.integers(-70, 70),
    "int": st.integers(-(2**31), 2**31 - 1) | st.integers(-70, 70),
    "double": st.floats() | st.sampled_from([0.0, -0.0, 1.5, -1.0]),
    "boolean": st.booleans(),
}


def values(field: Field) -> st.SearchStrategy:
    one = st.sampled_from(field.symbols) if field.symbols else VALUES[field.kind]
    return st.none() | one if field.nullable else one


def records(event: EventType) -> st.SearchStrategy:
    return st.fixed_dictionaries({field.name: values(field) for field in event.fields})


def write(event: EventType, record: dict) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, SCHEMAS[event.name], record)
    return out.getvalue()


def run(value: bytes, after: bytes = b""):
    """decode() with the value in the middle of a buffer; `after` must make no difference."""
    buffer = np.frombuffer(b"\x55" * 3 + value + after, np.uint8).copy()
    regs = registers()
    for part in regs:
        part[:] = 77
    status, type_id, field = decode(buffer, 3, 3 + len(value), IMAGE, *regs)
    return status, type_id, field, regs


def first_invalid(event: EventType, record: dict) -> int | None:
    """Register of the first field whose value breaks the contract."""
    for field in event.fields:
        value = record[field.name]
        limits = field.constraints
        if isinstance(value, str) and not field.symbols:
            size = len(value.encode())
            if "\0" in value or not limits.get("minBytes", 0) <= size <= limits.get("maxBytes", size) or (limits.get("currency") and value):
                return field.register
        if isinstance(value, float) and (not math.isfinite(value) or value < limits.get("minimum", -math.inf)):
            return field.register
    return None


def assert_registers(event: EventType, record: dict, value: bytes, regs) -> None:
    ri, rf, rs, rn = regs
    for field in event.fields:
        r, expected = field.register, record[field.name]
        assert rn[r] == (expected is None)
        if expected is None:
            assert (ri[r], rf[r], rs[r, 1]) == (0, 0, 0)
        elif field.symbols:
            assert field.symbols[ri[r]] == expected
            assert rf[r] == ri[r]
        elif field.kind == "string":
            start, length = rs[r]
            assert value[start - 3 : start - 3 + length] == expected.encode()
            assert int(ri[r]) % 2**64 == hash64_of(expected)
        elif field.kind == "double":
            assert rf[r] == expected
            assert math.copysign(1, rf[r]) == math.copysign(1, expected)
        else:
            assert ri[r] == expected
            assert rf[r] == float(expected)


def judge(event: EventType, body: bytes) -> None:
    """Hold decode() against fastavro on any bytes behind the event's fingerprint."""
    value = pack(body, event.fingerprint)
    status, type_id, field, regs = run(value)
    assert type_id == event.id
    for guard in (b"\0" * 16, b"\xff" * 16, b"\x80" * 16):
        again = run(value, guard)
        assert again[:3] == (status, type_id, field)
        if status == Reason.OK:
            assert all((a == b).all() for a, b in zip(again[3], regs, strict=True))
    stream = io.BytesIO(body)
    try:
        record = fastavro.schemaless_reader(stream, SCHEMAS[event.name], None)
        left = len(body) - stream.tell()
    except UnicodeDecodeError:
        # fastavro stops there; what follows may be damaged too, which we judge first.
        assert status in {Reason.INVALID_FIELD, Reason.MALFORMED}
        return
    except Exception:  # noqa: BLE001  fastavro raises whatever damaged bytes lead to
        assert status == Reason.MALFORMED
        return
    if status == Reason.MALFORMED:
        # Where fastavro reads it all the same, it is one of the documented differences (a boolean of 2, an int over 32 bits, a negative
        # enum index, a varint over 64 bits), and writing what was read gives other bytes or nothing.
        if not left:
            try:
                assert write(event, record) != body
            except (ValueError, OverflowError):
                pass
        return
    assert left == 0
    invalid = first_invalid(event, record)
    if invalid is None:
        assert status == Reason.OK
        assert field == -1
        assert_registers(event, record, value, regs)
    else:
        assert (status, field) == (Reason.INVALID_FIELD, invalid)


@EVERY
@FUZZ
@given(data=st.data())
def test_what_fastavro_writes_is_read_equal(event, data):
    record = data.draw(records(event))
    judge(event, write(event, record))


@EVERY
@FUZZ
@given(data=st.data())
def test_damaged_records_are_judged_as_fastavro_and_the_contract_do(event, data):
    body = bytearray(write(event, data.draw(records(event))))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(body)))
        byte = data.draw(st.sampled_from([0, 1, 2, 3, 4, 0x7F, 0x80, 0x81, 0xFF]) | st.integers(0, 255))
        match data.draw(st.sampled_from(["set", "insert", "delete", "cut", "append"])):
            case "set" if at < len(body):
                body[at] = byte
            case "insert":
                body.insert(at, byte)
            case "delete" if at < len(body):
                del body[at]
            case "cut":
                del body[at:]
            case _:
                body.append(byte)
    judge(event, bytes(body))


@EVERY
@FUZZ
@given(body=st.binary(max_size=80))
def test_random_bytes(event, body):
    judge(event, body)


@EVERY
def test_every_cut_of_a_sound_record_is_malformed(event):
    sample = {"string": "c1", "long": 1_750_000_000_000, "int": 1, "double": 1.5, "boolean": True}
    record = {f.name: f.symbols[-1] if f.symbols else sample[f.kind] for f in event.fields}
    record |= {"currency": ""} if "currency" in record else {}
    value = pack(write(event, record), event.fingerprint)
    assert run(value)[:3] == (Reason.OK, event.id, -1)
    for end in range(len(value)):
        assert run(value[:end], value[end:])[0] == Reason.MALFORMED
    assert run(value + b"\0")[:3] == (Reason.MALFORMED, event.id, -1)


@settings(max_examples=300, deadline=None)
@given(value=st.binary(max_size=40))
def test_no_bytes_at_all_raise(value):
    status, type_id, field, _ = run(value)
    assert status in {Reason.MALFORMED, Reason.UNKNOWN_SCHEMA}
    assert (type_id, field) == (-1, -1)
