"""Dead letters say what was wrong, where, what was expected, what to do."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keepline.schemas.decode import decode, registers
from keepline.schemas.encode import encode
from keepline.schemas.messages import message
from keepline.schemas.programs import compile_programs, default_programs
from keepline.schemas.status import Reason

CALL = {"type": "Call", "customer_id": "c1", "event_id": "e1", "event_time": 1000, "duration_s": 1}
BILL = {"type": "Bill", "customer_id": "c", "event_id": "e", "event_time": 1, "bill_id": "b", "amount": 1, "due_time": 2}


def judged(value: bytes, image=None) -> str:
    buffer = np.frombuffer(value, np.uint8).copy()
    verdict = decode(buffer, 0, len(value), default_programs() if image is None else image, *registers())
    return message(*verdict, value, image=image)


@pytest.mark.parametrize(
    ("event", "start"),
    [
        (CALL | {"duration_s": -3}, "Call.duration_s is -3.0: expected a finite number >= 0; correct"),
        (CALL | {"duration_s": float("inf")}, "Call.duration_s is inf: expected a finite number >= 0;"),
        (BILL | {"amount": float("nan")}, "Bill.amount is nan: expected a finite number;"),
        (CALL | {"customer_id": ""}, 'Call.customer_id is "" (0 bytes): expected 1 to 128 bytes of UTF-8 without NUL;'),
        (CALL | {"customer_id": "é" * 65}, 'Call.customer_id is "ééé'),
        (BILL | {"bill_id": "a\0b"}, 'Bill.bill_id is "a\\u0000b" (3 bytes): expected UTF-8 without NUL;'),
        (BILL | {"currency": "USD"}, 'Bill.currency is "USD" (3 bytes): expected "", the configured currency;'),
    ],
)
def test_invalid_fields(event, start):
    assert judged(encode(event).value).startswith(start)


def test_a_configured_currency_is_named():
    image = compile_programs(currency="EUR")
    assert "expected \"\" or the configured currency 'EUR'" in judged(encode(BILL | {"currency": "USD"}).value, image)


def test_bytes_of_the_wrong_shape():
    value = encode(CALL).value
    assert judged(value + b"x").startswith("Call does not end where the value ends: expected one whole record")
    assert judged(value[:-4]).startswith("Call.duration_s cannot be read: expected a double, whole")
    assert judged(b"{}").startswith("the value starts with 7b 7d (2 bytes): expected Avro")
    assert judged(b"\xc3\x01" + b"x" * 8).startswith("no event schema has the fingerprint 7878787878787878:")
    assert judged(b"\0\0\0\0\7").startswith("schema id 7 is unknown:")


def test_checks_after_the_decoder():
    value = encode(CALL).value
    assert message(Reason.FUTURE_TIME, 0, -1, value, ahead_ms=3_600_000).startswith(
        "event_time is 1970-01-01T00:00:01Z (1000): expected at most 1 h after the wall clock;"
    )
    assert message(Reason.OUT_OF_BOUNDS_TIME, 0, -1, value, bounds=(0, 999)).startswith(
        "event_time is 1970-01-01T00:00:01Z (1000): expected a time from 1970-01-01T00:00:00Z (0) to before 1970-01-01T00:00:00.999Z (999);"
    )
    assert message(Reason.KEY_MISMATCH, 0, -1, value, key=b"\xffk").startswith('the Kafka key is "\\\\xffk" and customer_id is "c1":')
    assert message(Reason.OVERSIZED, value=value, value_length=2**20).startswith("the value has 1048576 bytes: expected at most 262144;")


@settings(deadline=None, max_examples=300)
@given(st.integers(-1, 20), st.integers(-2, 17), st.integers(-2, 17), st.binary(max_size=30), st.binary(max_size=5))
def test_never_raises(status, type_id, field, tail, key):
    for value in (tail, encode(CALL).value[:10] + tail, b"\xc3\x01" + tail):
        text = message(status, type_id, field, value, key=key)
        assert 0 < len(text) < 600
