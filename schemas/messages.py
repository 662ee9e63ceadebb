"""The message of a dead letter: what was wrong, where, what was expected, what to do.

A function of the record's bytes and the configured bounds alone, so that live run and replay say the same.
"""

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from keepline.schemas.catalog import EVENT_TYPES, Field
from keepline.schemas.decode import NOT_READ, decode, registers
from keepline.schemas.framing import Confluent, FramingError, unpack
from keepline.schemas.packed import MAX_VALUE, NO_TIME, peek
from keepline.schemas.programs import Image, Programs, configured_currency, default_programs
from keepline.schemas.status import Reason
from keepline.schemas.times import TimeError, to_rfc3339

_SHOWN = 40
_TYPES = {"string": "text", "enum": "the index of a symbol", "boolean": "0 or 1", "int": "a varint of 32 bits", "bytes": "bytes"}


def message(
    status: int,
    type_id: int = -1,
    field: int = -1,
    value: bytes = b"",
    *,
    key: bytes = b"",
    bounds: tuple[int, int] | None = None,
    ahead_ms: int = 86_400_000,
    value_length: int | None = None,
    image: Image | None = None,
    programs: Programs | None = None,
    unknown: str = "",
) -> str:
    """The message for one framed value that `decode` or a check after it refused; never raises on data.

    `image` is the decoder's (default: the committed schemas, no configured currency), `programs` what it was made of, which knows the
    writers' schemas. `unknown` says why the schema id of an UNKNOWN_SCHEMA is.
    `bounds` are the accepted event times (epoch ms, the second is the first that is not), `value_length` the length of the whole value
    where `value` was cut.
    """
    makers: dict[int, Callable[[], str]] = {
        Reason.MALFORMED: lambda: _malformed(type_id, field, value),
        Reason.UNKNOWN_SCHEMA: lambda: _unknown(value, unknown),
        Reason.INVALID_FIELD: lambda: _invalid(type_id, field, value, default_programs() if image is None else image, programs),
        Reason.FUTURE_TIME: lambda: _future(value, ahead_ms),
        Reason.OUT_OF_BOUNDS_TIME: lambda: _bounds(value, bounds),
        Reason.KEY_MISMATCH: lambda: _key(value, key),
        Reason.OVERSIZED: lambda: (
            f"the value has {value_length if value_length is not None else len(value)} bytes: expected at most {MAX_VALUE}; "
            "send large content elsewhere and refer to it"
        ),
    }
    make = makers.get(status)
    return make() if make is not None else f"status {status}: expected a reason of a dead letter, 1 to 7"


def _name(type_id: int, field: int) -> str:
    if not 0 <= type_id < len(EVENT_TYPES):
        return "the value"
    event = EVENT_TYPES[type_id]
    return f"{event.name}.{event.fields[field].name}" if 0 <= field < len(event.fields) else event.name


def _malformed(type_id: int, field: int, value: bytes) -> str:
    if type_id < 0:
        try:
            unpack(value)
        except FramingError as error:
            return str(error)
        return "the value cannot be read: expected a framed Avro record"
    repair = "check that the producer writes with the schema whose fingerprint or id it sends"
    if field == NOT_READ:
        return f"a field of {_name(type_id, -1)} that only the writer's schema has cannot be stepped over: expected Avro binary; {repair}"
    if field < 0:
        return f"{_name(type_id, field)} does not end where the value ends: expected one whole record and nothing after it; {repair}"
    known = type_id < len(EVENT_TYPES) and field < len(EVENT_TYPES[type_id].fields)
    kind = EVENT_TYPES[type_id].fields[field].kind if known else "value"
    return f"{_name(type_id, field)} cannot be read: expected {_TYPES.get(kind, 'a ' + kind)}, whole and in Avro binary; {repair}"


def _unknown(value: bytes, why: str) -> str:
    try:
        framing = unpack(value)
    except FramingError as error:
        return str(error)
    if isinstance(framing, Confluent):
        nobody = "no schema registry is configured: name it in registry_url"
        return f"schema id {framing.schema_id} is unknown: {why or nobody}"
    return (
        f"no event schema has the fingerprint {framing.fingerprint.hex()}: expected one of schemas/events or schemas/history; write with a "
        "released schema, or name the producer's in writer_schemas"
    )


def _invalid(type_id: int, field: int, value: bytes, image: Image, programs: Programs | None) -> str:
    if not 0 <= type_id < len(EVENT_TYPES) or not 0 <= field < len(EVENT_TYPES[type_id].fields):
        return f"{_name(type_id, field)} has a value out of range; correct it where the event is made"
    what = EVENT_TYPES[type_id].fields[field]
    return (
        f"{_name(type_id, field)} is {_shown(what, value, image, programs)}: expected {_expected(what, configured_currency(image))}; "
        "correct the field where the event is made"
    )


def _shown(field: Field, value: bytes, image: Image, programs: Programs | None) -> str:
    ri, rf, rs, rn = registers()
    buffer = np.frombuffer(value, np.uint8).copy()
    decode(buffer, 0, len(buffer), image, ri, rf, rs, rn)
    r = field.register
    if rn[r]:
        return "null" if ri[r] == 0 else "of a type that we do not read there"
    if field.kind == "enum":
        written = writers_symbol(field, int(ri[r]), None if programs is None else programs.schema_of(value))
        return f"symbol {-1 - int(ri[r])} of the writer's schema" if written is None else json.dumps(written)
    if field.kind in {"string", "bytes"}:
        start, length = (int(n) for n in rs[r])
        text = value[start : start + length][: 4 * _SHOWN].decode(errors="backslashreplace")
        return f"{_short(json.dumps(text, ensure_ascii=False))} ({length} bytes)"
    return repr(float(rf[r])) if field.kind in {"double", "float"} else str(int(ri[r]))


def writers_symbol(field: Field, number: int, schema: dict[str, Any] | None) -> str | None:
    """A symbol that only the writer has, where its schema tells; the decoder leaves -1 less its number."""
    written = next((each["type"] for each in (schema or {}).get("fields", ()) if each["name"] in {field.name, *field.aliases}), None)
    for kind in written if isinstance(written, list) else [written]:
        if isinstance(kind, dict) and 0 <= -1 - number < len(kind.get("symbols", ())):
            return str(kind["symbols"][-1 - number])
    return None


def _expected(field: Field, currency: str) -> str:
    limits = field.constraints
    if field.kind == "enum":
        return f"one of {', '.join(field.symbols)}"
    if limits.get("currency"):
        return f'"" or the configured currency {currency!r}' if currency else '"", the configured currency'
    if field.kind == "string":
        text = "UTF-8 without NUL"
        return f"{limits.get('minBytes', 0)} to {limits['maxBytes']} bytes of {text}" if "maxBytes" in limits else text
    if field.kind in {"boolean", "bytes"}:
        return field.kind
    return f"a finite number >= {limits['minimum']}" if "minimum" in limits else "a finite number"


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _moment(ms: int) -> str:
    try:
        return f"{to_rfc3339(ms)} ({ms})"
    except TimeError:
        return str(ms)


def _event_time(value: bytes) -> str:
    time = peek(value)[1]
    return "unreadable" if time == NO_TIME else _moment(time)


def _future(value: bytes, ahead_ms: int) -> str:
    hours = ahead_ms / 3_600_000
    return (
        f"event_time is {_event_time(value)}: expected at most {hours:g} h after the wall clock; check the producer's clock, "
        "and that it sends UTC in milliseconds"
    )


def _bounds(value: bytes, bounds: tuple[int, int] | None) -> str:
    span = f"a time from {_moment(bounds[0])} to before {_moment(bounds[1])}" if bounds else "a time within the configured bounds"
    return f"event_time is {_event_time(value)}: expected {span}; check that the producer sends milliseconds, not seconds"


def _key(value: bytes, key: bytes) -> str:
    def shown(data: bytes | None) -> str:
        text: Any = (data or b"")[: 4 * _SHOWN].decode(errors="backslashreplace")
        return _short(json.dumps(text, ensure_ascii=False))

    customer = shown(peek(value)[0])
    return f"the Kafka key is {shown(key)} and customer_id is {customer}: expected the same; key records by customer_id, or by nothing"
