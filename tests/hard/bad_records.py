"""Every kind of record that is no event, by name; what becomes of it stands in docs/bad-input.md, and a test holds both together."""

from __future__ import annotations

import struct
import time
from typing import Any, NamedTuple

from keepline.schemas.catalog import EVENT_TYPES
from keepline.schemas.encode import Ok, encode, varint
from keepline.schemas.packed import MAX_VALUE
from tests.whole.history import DAY, START, Event

CUSTOMER = "x000"
"""Nobody of the crowd."""
CALL: Event = {"type": "Call", "customer_id": CUSTOMER, "event_id": "bad", "event_time": START, "duration_s": 5.0}
"""Its time is the oldest of all, wherever it stands: a dead letter's time moves event time, and no replay of a file knows of it."""
HEAD = {name: CALL[name] for name in ("customer_id", "event_id", "event_time")}
MIN_TIME, MAX_TIME = 631_152_000_000, 4_102_444_800_000


class Bad(NamedTuple):
    """One record; `kind` is its row of the table."""

    kind: str
    reason: str
    key: bytes | None
    value: bytes | None


def framed(**fields: Any) -> bytes:
    """A call, framed, whatever its fields say."""
    event = encode(CALL | fields)
    assert isinstance(event, Ok), event
    return event.value


def bad_records() -> list[Bad]:
    """At least one of every kind."""
    key, value = CUSTOMER.encode(), framed()
    head, body = value[:10], value[10:]
    purchase = encode({"type": "Purchase", **HEAD, "order_id": "o", "amount": 1.0})
    assert isinstance(purchase, Ok)
    identity = varint(len(key)) + key + varint(3) + b"bad" + varint(START)
    made = [
        Bad("empty value", "MALFORMED", key, b""),
        Bad("null value", "MALFORMED", key, None),
        Bad("null value", "MALFORMED", None, None),
        *(Bad("cut at any length", "MALFORMED", key, value[:end]) for end in range(1, len(value))),
        Bad("no framing", "MALFORMED", key, b"not Avro at all"),
        Bad("no framing", "MALFORMED", None, b'{"type": "Call"}'),
        Bad("no framing", "MALFORMED", key, b"\xc3\x02" + value[2:]),
        Bad("something behind the record", "MALFORMED", key, value + b"\0"),
        Bad("something behind the record", "MALFORMED", key, value + value),
        Bad("a number longer than 64 bits", "MALFORMED", key, head + b"\x88" + b"\x80" * 9 + b"\x00" + body[1:]),
        Bad("a number longer than 64 bits", "MALFORMED", key, head + identity[: -len(varint(START))] + b"\xff" * 10 + b"\x01"),
        Bad("a length that is wrong", "MALFORMED", key, head + b"\x07" + body[1:]),
        Bad("a length that is wrong", "MALFORMED", key, head + varint(2**40) + body[1:]),
        Bad("a length that is wrong", "MALFORMED", key, head + varint(-(2**63)) + body[1:]),
        Bad("a symbol, union branch or boolean out of range", "MALFORMED", key, head + identity + varint(9) + body[len(identity) + 1 :]),
        Bad("a symbol, union branch or boolean out of range", "MALFORMED", key, head + identity + varint(-1) + body[len(identity) + 1 :]),
        Bad("a symbol, union branch or boolean out of range", "MALFORMED", key, value[:-1] + b"\x02"),
        Bad("a symbol, union branch or boolean out of range", "MALFORMED", key, _branch()),
        Bad("text that is not UTF-8, or holds NUL", "INVALID_FIELD", b"\xff\xfe\xfd\xfc", head + body[:1] + b"\xff\xfe\xfd\xfc" + body[5:]),
        Bad("text that is not UTF-8, or holds NUL", "INVALID_FIELD", key, framed(event_id="a\0b")),
        Bad("text that is not UTF-8, or holds NUL", "INVALID_FIELD", key, value.replace(b"bad", b"\xed\xa0\x80")),
        Bad("customer_id empty or longer than 128 bytes", "INVALID_FIELD", b"", framed(customer_id="")),
        Bad("customer_id empty or longer than 128 bytes", "INVALID_FIELD", None, framed(customer_id="x" * 129)),
        Bad("an unknown fingerprint", "UNKNOWN_SCHEMA", key, b"\xc3\x01" + b"\x11" * 8 + body),
        Bad("a schema id without a registry", "UNKNOWN_SCHEMA", key, b"\0\0\0\0\x07" + body),
        Bad("another key than customer_id", "KEY_MISMATCH", b"c001", value),
        Bad("another key than customer_id", "KEY_MISMATCH", key + b"\0", value),
        Bad("another key than customer_id", "KEY_MISMATCH", b"x00", value),
        Bad("an empty key", "KEY_MISMATCH", b"", value),
        Bad("a key that is not UTF-8", "KEY_MISMATCH", b"\xff\xfe", value),
        Bad("a key of 100 KB", "KEY_MISMATCH", b"k" * 100_000, value),
        Bad("a key of 100 KB", "OVERSIZED", b"k" * 100_000, value + b"x" * 300_000),
        Bad("a key longer than 128 KiB", "KEY_MISMATCH", b"k" * 300_000, value),
        Bad("a value longer than 256 KiB", "OVERSIZED", key, value + b"x" * MAX_VALUE),
        Bad("a value longer than 256 KiB", "OVERSIZED", key, framed(event_id="x" * 1_000_000)),
        Bad("a value longer than 256 KiB", "OVERSIZED", None, b"\0" * (MAX_VALUE + 1)),
        Bad("event_time out of bounds", "OUT_OF_BOUNDS_TIME", key, framed(event_time=MIN_TIME - 1)),
        Bad("event_time out of bounds", "OUT_OF_BOUNDS_TIME", key, framed(event_time=MAX_TIME)),
        Bad("event_time out of bounds", "OUT_OF_BOUNDS_TIME", key, framed(event_time=START // 1000)),
        Bad("event_time out of bounds", "OUT_OF_BOUNDS_TIME", key, framed(event_time=2**63 - 1)),
        Bad("event_time out of bounds", "OUT_OF_BOUNDS_TIME", key, framed(event_time=-(2**63))),
        Bad("event_time more than 24 h ahead", "FUTURE_TIME", key, framed(event_time=MAX_TIME - 1)),
        Bad("event_time more than 24 h ahead", "FUTURE_TIME", key, framed(event_time=int(time.time() * 1000) + 2 * DAY)),
        *(Bad("NaN or infinity", "INVALID_FIELD", key, framed(duration_s=n)) for n in (float("nan"), float("inf"), float("-inf"))),
        Bad("NaN or infinity", "INVALID_FIELD", key, purchase.value.replace(struct.pack("<d", 1.0), struct.pack("<d", float("nan")))),
        Bad("a number below its least", "INVALID_FIELD", key, framed(duration_s=-1.0)),
        Bad("another currency", "INVALID_FIELD", key, _bill("EUR")),
    ]
    # The identity of every type, and then nothing.
    return made + [Bad("cut at any length", "MALFORMED", key, b"\xc3\x01" + event.fingerprint + identity[:-1]) for event in EVENT_TYPES]


def flood(count: int) -> list[Bad]:
    """Thousands in a row."""
    return [Bad("thousands in a row", "INVALID_FIELD", CUSTOMER.encode(), framed(duration_s=-float(n + 1))) for n in range(count)]


def _branch() -> bytes:
    payment = encode({"type": "Payment", **HEAD, "amount": 1.0})
    assert isinstance(payment, Ok)
    identity = len(varint(4)) + 4 + len(varint(3)) + 3 + len(varint(START))
    return payment.value[: 10 + identity] + varint(2) + payment.value[10 + identity + 1 :]


def _bill(currency: str) -> bytes:
    bill = encode({"type": "Bill", **HEAD, "bill_id": "b", "amount": 1.0, "due_time": START, "currency": currency})
    assert isinstance(bill, Ok)
    return bill.value
