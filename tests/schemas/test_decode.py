"""The decoder on chosen bytes: framings, the documented strictness, other writers' schemas, currencies, times."""

import copy
import struct

import numpy as np
import pytest

from keepline.schemas.catalog import event_type, reg
from keepline.schemas.decode import NOT_READ, check_time, decode, get_long, registers
from keepline.schemas.encode import encode, varint
from keepline.schemas.errors import SchemaError
from keepline.schemas.framing import fingerprint, pack, pack_confluent, unpack
from keepline.schemas.programs import compile_programs, configured_currency, default_programs
from keepline.schemas.records import from_record
from keepline.schemas.status import FUTURE_TIME, INVALID_FIELD, MALFORMED, OK, OUT_OF_BOUNDS_TIME, UNKNOWN_SCHEMA
from keepline.schemas.text import hash64_of

CALL = event_type("Call")
HEAD = b"\x02c" + b"\x02e" + varint(1000)


def text(value: str) -> bytes:
    return varint(len(value.encode())) + value.encode()


def run(value: bytes, image=None):
    regs = registers()
    buffer = np.frombuffer(value, np.uint8).copy()
    return decode(buffer, 0, len(value), default_programs() if image is None else image, *regs), regs


def call(duration: float = 1.0, rest: bytes = b"\0\0", head: bytes = HEAD) -> bytes:
    return pack(head + b"\0" + struct.pack("<d", duration) + rest, CALL.fingerprint)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"", (MALFORMED, -1, -1)),
        (b"\xc3", (MALFORMED, -1, -1)),
        (b"\xc3\x01" + b"x" * 7, (MALFORMED, -1, -1)),
        (b"\xc3\x02" + b"x" * 20, (MALFORMED, -1, -1)),
        (b'{"type":"Call"}', (MALFORMED, -1, -1)),
        (b"\0\0\0\0", (MALFORMED, -1, -1)),
        (b"\xc3\x01" + b"x" * 8, (UNKNOWN_SCHEMA, -1, -1)),
        (b"\xc3\x01" + b"\0" * 8, (UNKNOWN_SCHEMA, -1, -1)),
        (b"\xc3\x01" + b"\xff" * 8, (UNKNOWN_SCHEMA, -1, -1)),
        (b"\0\0\0\0\0", (UNKNOWN_SCHEMA, -1, -1)),
        (b"\0\xff\xff\xff\xff rest", (UNKNOWN_SCHEMA, -1, -1)),
        (pack(b"", CALL.fingerprint), (MALFORMED, 0, 0)),
        (call(), (OK, 0, -1)),
        # Stricter than fastavro.
        (call(rest=b"\0\2"), (MALFORMED, 0, 6)),  # a boolean of 2
        (call(rest=b"\1\0"), (MALFORMED, 0, 5)),  # enum index -1
        (call(rest=b"\6\0"), (MALFORMED, 0, 5)),  # enum index 3 of 3
        (call(rest=b"\0\0\0"), (MALFORMED, 0, -1)),  # a byte too many
        (call(head=b"\x02c\x02e" + b"\xff" * 9 + b"\x02"), (MALFORMED, 0, 2)),  # more than 64 bits
        (call(head=b"\x02c\x02e" + b"\x80" * 10 + b"\0"), (MALFORMED, 0, 2)),  # 11 bytes
        (call(head=b"\x02c\x02e" + b"\xff" * 9 + b"\x01"), (OK, 0, -1)),  # the least long
        (call(head=b"\x02c\x02e" + b"\x80\x00"), (OK, 0, -1)),  # 0, longer than needed
        (call(head=b"\x01c\x02e" + varint(1)), (MALFORMED, 0, 0)),  # a length of -1
        (call(head=varint(2**62) + b"c\x02e" + varint(1)), (MALFORMED, 0, 0)),  # a length over everything
        # The contract.
        (call(-0.0), (OK, 0, -1)),
        (call(-1e-300), (INVALID_FIELD, 0, 4)),
        (call(float("nan")), (INVALID_FIELD, 0, 4)),
        (call(float("inf")), (INVALID_FIELD, 0, 4)),
        (call(head=b"\0\x02e" + varint(1)), (INVALID_FIELD, 0, 0)),  # no customer
        (call(head=text("x" * 128) + b"\x02e" + varint(1)), (OK, 0, -1)),
        (call(head=text("x" * 129) + b"\x02e" + varint(1)), (INVALID_FIELD, 0, 0)),
        (call(head=text("é" * 65) + b"\x02e" + varint(1)), (INVALID_FIELD, 0, 0)),
        (call(head=b"\x02c\x02\xff" + varint(1)), (INVALID_FIELD, 0, 1)),
        (call(head=b"\x02c\x02\0" + varint(1)), (INVALID_FIELD, 0, 1)),
        (call(head=b"\x02c\0" + varint(1)), (OK, 0, -1)),  # an empty event_id is a text
        # The first offence is named; the shape comes first.
        (call(-1.0, head=b"\x02c\x02\0" + varint(1)), (INVALID_FIELD, 0, 1)),
        (call(-1.0, rest=b"\0"), (MALFORMED, 0, 6)),
    ],
)
def test_status_and_field(value, expected):
    assert run(value)[0] == expected


def test_int_must_fit_32_bits():
    body = HEAD + text("o") + struct.pack("<d", 1) + varint(2**31) + b"\0" + b"\0"
    assert run(pack(body, event_type("Purchase").fingerprint))[0] == (MALFORMED, 7, reg("Purchase", "quantity"))


@pytest.mark.parametrize(("branch", "status"), [(0, OK), (1, OK), (2, MALFORMED), (-1, MALFORMED)])
def test_a_union_has_the_branches_it_has(branch, status):
    """Payment.bill_id: null or a text."""
    body = HEAD + varint(branch) + (text("b") if branch else b"") + struct.pack("<d", 1) + b"\0"
    assert run(pack(body, event_type("Payment").fingerprint))[0][0] == status


@pytest.mark.parametrize(
    ("configured", "sent", "status"),
    [
        ("", "", OK),
        ("", "EUR", INVALID_FIELD),
        ("EUR", "", OK),
        ("EUR", "EUR", OK),
        ("EUR", "USD", INVALID_FIELD),
        ("EUR", "EU", INVALID_FIELD),
    ],
)
def test_currency_is_the_jobs_or_empty(configured, sent, status):
    image = compile_programs(currency=configured)
    assert configured_currency(image) == configured
    value = encode({"type": "Payment", "customer_id": "c", "event_id": "e", "event_time": 1, "amount": 2, "currency": sent}).value
    assert run(value, image)[0][0] == status


def test_a_currency_that_is_none_is_refused():
    with pytest.raises(SchemaError, match="ISO 4217"):
        compile_programs(currency="a very long currency")


def test_confluent_ids_are_looked_up():
    message = event_type("Message")
    image = compile_programs(schema_ids={7: (CALL.schema, CALL), 2**32 - 1: (message.schema, message)})
    body = unpack(call(61.5)).body
    status, regs = run(pack_confluent(body, 7), image)
    assert status == (OK, 0, -1)
    assert regs[1][4] == 61.5
    assert run(pack_confluent(HEAD + b"\2", 2**32 - 1), image)[0] == (OK, 2, -1)
    assert run(pack_confluent(body, 8), image)[0] == (UNKNOWN_SCHEMA, -1, -1)


def test_another_writers_schema_is_read_by_names():
    """An older Call without outcome and roaming, with two fields of its own in between."""
    schema = copy.deepcopy(CALL.schema)
    fields = [field for field in schema["fields"] if field["name"] not in {"outcome", "roaming"}]
    fields.insert(3, {"name": "cell", "type": ["string", "null"]})
    fields.append({"name": "cost", "type": "float"})
    schema["fields"] = fields
    image = compile_programs(writers=[(schema, CALL)])
    body = HEAD + b"\0" + text("zz") + b"\2" + struct.pack("<d", 9) + struct.pack("<f", 1)
    status, (ri, rf, _, rn) = run(pack(body, fingerprint(schema)), image)
    assert status == (OK, 0, -1)
    assert ri[:7].tolist()[2:] == [1000, 1, 0, 0, 0]
    assert rf[4] == 9
    assert not rn.any()
    body = HEAD + b"\2" + b"\2" + struct.pack("<d", -9) + struct.pack("<f", 1)
    assert run(pack(body, fingerprint(schema)), image)[0] == (INVALID_FIELD, 0, 4)
    assert run(pack(body[:-1], fingerprint(schema)), image)[0] == (MALFORMED, 0, NOT_READ)


def test_defaults_of_a_missing_text_and_a_missing_null():
    payment = event_type("Payment")
    schema = copy.deepcopy(payment.schema)
    schema["fields"] = [field for field in schema["fields"] if field["name"] not in {"bill_id", "currency"}]
    image = compile_programs(writers=[(schema, payment)])
    status, (ri, _, rs, rn) = run(pack(HEAD + struct.pack("<d", 5), fingerprint(schema)), image)
    assert status == (OK, payment.id, -1)
    assert (rn[3], ri[3], rs[3, 1]) == (1, 0, 0)
    assert (rn[5], int(ri[5]) % 2**64, rs[5, 1]) == (0, hash64_of(""), 0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda fields: fields.pop(4), "lacks duration_s"),
        (lambda fields: fields[4].update(type="string"), r"Call\.duration_s is string: expected double, float, long or int"),
        (lambda fields: fields.insert(0, fields.pop(1)), "starts with"),
        (lambda fields: fields.extend({"name": f"f{i}", "type": "long"} for i in range(1000)), "1007 fields"),
        (lambda fields: fields.append({"name": "list", "type": "unheard"}), "no Avro schema: UnknownType"),
    ],
)
def test_writers_that_cannot_be_read_are_refused_at_start(change, words):
    schema = copy.deepcopy(CALL.schema)
    change(schema["fields"])
    with pytest.raises(SchemaError, match=words):
        compile_programs(writers=[(schema, CALL)])


def test_registers_of_the_last_event_do_not_show_through():
    """A null after a value, a value after a null, in one set of registers."""
    regs = registers()
    image = default_programs()
    base = {"customer_id": "c", "event_id": "e", "event_time": 1, "amount": 2.0, "currency": ""}
    for bill in ("b1", None, "b2"):
        value = np.frombuffer(from_record("Payment", base | {"bill_id": bill}), np.uint8).copy()
        assert decode(value, 0, len(value), image, *regs)[0] == OK
        ri, _, rs, rn = regs
        assert (rn[3], rs[3, 1], int(ri[3]) % 2**64) == ((1, 0, 0) if bill is None else (0, 2, hash64_of(bill)))


@pytest.mark.parametrize("number", [0, 1, -1, 63, 64, -64, -65, 2**31, -(2**31), 2**63 - 1, -(2**63)])
def test_varints(number):
    data = np.frombuffer(varint(number) + b"\xff", np.uint8).copy()
    assert get_long(data, 0, len(data)) == (number, len(data) - 1)
    assert get_long(data, 0, len(data) - 2)[1] == -1


@pytest.mark.parametrize(
    ("t", "wall", "status"),
    [
        (10, 0, OK),
        (19, 0, OK),
        (20, 0, OUT_OF_BOUNDS_TIME),
        (9, 0, OUT_OF_BOUNDS_TIME),
        (21, 0, OUT_OF_BOUNDS_TIME),
        (17, 12, OK),
        (18, 12, FUTURE_TIME),
        (21, 12, OUT_OF_BOUNDS_TIME),
    ],
)
def test_check_time(t, wall, status):
    assert check_time(t, 10, 20, wall, 5) == status
