"""Events from JSON or CSV to framed Avro: `encode_json(line)`, `encode(object)`, `encode_row(type name, cells)`.

The answer is a value: `Ok` with the framed bytes, or `Rejected` with the reason a dead letter would have. Types are strict (3.0 is not a
long, true is not a number); fields with a default may be absent; unknown fields are ignored. Refused here is what Avro cannot say;
whether a number is in its range is for the decoder, which all events pass, wherever they come from.

Each type is compiled once into a list of (name, writer, bytes of the default); a writer is a closure from the JSON value to bytes.
"""

import json
import struct
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, NoReturn

from keepline.schemas.catalog import EVENT_TYPES, MISSING, EventType, Field
from keepline.schemas.cities import City, hashed
from keepline.schemas.framing import SINGLE_OBJECT
from keepline.schemas.status import Reason
from keepline.schemas.times import TimeError, from_rfc3339

Writer = Callable[[Any], bytes]

_I64 = 2**63
_I32 = 2**31
_SHOWN = 40
_pack_double = struct.Struct("<d").pack
_pack_float = struct.Struct("<f").pack


class Ok(NamedTuple):
    """An event that Avro can say; `value` is framed."""

    type_id: int
    customer_id: str
    event_time: int
    value: bytes


class Rejected(NamedTuple):
    """An event that cannot be written. `customer_id` and `type_name` are "" where they could not be read."""

    reason: Reason
    message: str
    field: str | None = None
    type_name: str = ""
    customer_id: str = ""


class _Bad(Exception):  # noqa: N818  never leaves this module
    """What was expected instead."""


def varint(value: int) -> bytes:
    """An Avro int or long."""
    rest = (value << 1) ^ (value >> 63)
    out = bytearray()
    while rest >= 128:
        out.append(rest & 127 | 128)
        rest >>= 7
    out.append(rest)
    return bytes(out)


_SMALL = tuple(varint(n) for n in range(256))
_TIME_LOW, _TIME_HIGH = 2**34, 2**41  # their zigzag has six bytes: 1970-07-18 to 2039-09-07


def _string(value: Any) -> bytes:
    if type(value) is not str:
        raise _Bad("a string")  # noqa: EM101, TRY003
    try:
        data = value.encode()
    except UnicodeEncodeError:
        raise _Bad("text that UTF-8 can carry (no lone surrogates)") from None  # noqa: EM101, TRY003
    n = len(data)
    return (_SMALL[n] if n < 256 else varint(n)) + data


def _bytes(value: Any) -> bytes:
    if type(value) is not str or not value.isascii():
        raise _Bad("bytes, as ASCII text")  # noqa: EM101, TRY003
    return _string(value)


def _whole(value: Any, limit: int, what: str) -> bytes:
    if type(value) is not int:
        raise _Bad(f"{what}, a number without a decimal point")  # noqa: EM102, TRY003
    if 0 <= value < 256:
        return _SMALL[value]
    if not -limit <= value < limit:
        raise _Bad(f"{what} of at most {63 if limit == _I64 else 31} bits")  # noqa: EM102, TRY003
    return varint(value)


def _long(value: Any) -> bytes:
    return _whole(value, _I64, "a whole number")


def _int(value: Any) -> bytes:
    return _whole(value, _I32, "a whole number")


def _milliseconds(value: Any) -> int:
    if type(value) is int and -_I64 <= value < _I64:
        return value
    if type(value) is str:
        try:
            return from_rfc3339(value)
        except TimeError:
            pass
    raise _Bad("a time: RFC 3339 with a zone, such as 2026-03-01T12:30:00Z, or epoch milliseconds")  # noqa: EM101, TRY003


def _time(value: Any) -> bytes:
    ms = _milliseconds(value)
    if _TIME_LOW <= ms < _TIME_HIGH:
        z = ms << 1
        return bytes((z & 127 | 128, z >> 7 & 127 | 128, z >> 14 & 127 | 128, z >> 21 & 127 | 128, z >> 28 & 127 | 128, z >> 35))
    return varint(ms)


def _number(value: Any, pack: Callable[[float], bytes]) -> bytes:
    if type(value) is not float and type(value) is not int:
        raise _Bad("a number")  # noqa: EM101, TRY003
    try:
        return pack(value)
    except (OverflowError, struct.error):
        raise _Bad("a number that floating point can hold") from None  # noqa: EM101, TRY003


def _double(value: Any) -> bytes:
    return _pack_double(value) if type(value) is float else _number(value, _pack_double)


def _float(value: Any) -> bytes:
    return _number(value, _pack_float)


def _boolean(value: Any) -> bytes:
    if value is True:
        return b"\1"
    if value is False:
        return b"\0"
    raise _Bad("true or false")  # noqa: EM101, TRY003


def _enum(symbols: tuple[str, ...]) -> Writer:
    table = {symbol: varint(i) for i, symbol in enumerate(symbols)}

    def write(value: Any) -> bytes:
        try:
            return table[value]
        except (KeyError, TypeError):
            raise _Bad(f"one of {', '.join(symbols)}") from None  # noqa: EM102, TRY003

    return write


def _nullable(write: Writer, null_branch: int) -> Writer:
    null, other = varint(null_branch), varint(1 - null_branch)

    def union(value: Any) -> bytes:
        return null if value is None else other + write(value)

    return union


_WRITERS: dict[str, Writer] = {
    "string": _string,
    "bytes": _bytes,
    "long": _long,
    "int": _int,
    "double": _double,
    "float": _float,
    "boolean": _boolean,
}


def _writer(field: Field) -> Writer:
    write = _time if field.time else _enum(field.symbols) if field.kind == "enum" else _WRITERS[field.kind]
    return _nullable(write, field.null_branch) if field.nullable else write


class _Encoder:
    """One event type, compiled."""

    def __init__(self, event: EventType) -> None:
        self.event = event
        self.head = SINGLE_OBJECT + event.fingerprint
        self.rest: list[tuple[str, Writer, bytes | None]] = []
        for field in event.fields[3:]:
            write = _writer(field)
            self.rest.append((field.name, write, None if field.default is MISSING else write(field.default)))

    def encode(self, fields: Mapping[str, Any]) -> Ok | Rejected:
        name = "customer_id"
        try:
            customer = fields["customer_id"]
            parts = [self.head, _string(customer)]
            name = "event_id"
            parts.append(_string(fields["event_id"]))
            name = "event_time"
            ms = _milliseconds(fields["event_time"])
            parts.append(_time(ms))
            for name, write, default in self.rest:
                if name in fields:
                    parts.append(write(fields[name]))
                elif default is not None:
                    parts.append(default)
                else:
                    raise KeyError  # noqa: TRY301
            return Ok(self.event.id, customer, ms, b"".join(parts))
        except KeyError:
            return self._rejected(fields, name, f"{self.event.name}.{name} is missing")
        except _Bad as bad:
            shown = _show(fields[name])
            return self._rejected(fields, name, f"{self.event.name}.{name} is {shown}: expected {bad}")

    def _rejected(self, fields: Mapping[str, Any], name: str, message: str) -> Rejected:
        customer = fields.get("customer_id")
        known = customer if type(customer) is str and _encodable(customer) else ""
        return Rejected(Reason.INVALID_FIELD, f"{message}; correct the field where the event is made", name, self.event.name, known)


_ENCODERS = {event.name: _Encoder(event) for event in EVENT_TYPES}


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _show(value: Any) -> str:
    try:
        text = json.dumps(value, default=repr)
    except (ValueError, TypeError, RecursionError):  # a whole number of thousands of digits; depth
        return f"a {type(value).__name__} too large to show"
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def encode(event: object, type_name: str | None = None) -> Ok | Rejected:
    """Encode one parsed JSON object; `type_name` serves where the object has no "type"."""
    if not isinstance(event, dict):
        return Rejected(Reason.MALFORMED, f"the event is {_show(event)}: expected a JSON object such as {_EXAMPLE}")
    name: Any = event.get("type", type_name)
    try:
        encoder = _ENCODERS[name]  # a KeyError or TypeError for whatever is no name
    except (KeyError, TypeError):
        return _unknown_type(name, event)
    return encoder.encode(event)


_EXAMPLE = '{"type": "Call", "customer_id": "c1", "event_id": "e1", "event_time": "2026-03-01T12:30:00Z", "duration_s": 61.5}'


def _unknown_type(name: object, event: dict[str, Any]) -> Rejected:
    customer = event.get("customer_id")
    known = customer if type(customer) is str and _encodable(customer) else ""
    names = ", ".join(_ENCODERS)
    if type(name) is not str:
        found = "has no type" if name is None and "type" not in event else f"has the type {_show(name)}"
        return Rejected(Reason.MALFORMED, f'the event {found}: expected "type" to be one of {names}', "type", customer_id=known)
    return Rejected(Reason.UNKNOWN_SCHEMA, f"unknown event type {_show(name)}: expected one of {names}", "type", customer_id=known)


def _no_constant(text: str) -> NoReturn:
    message = f"{text} is not JSON"
    raise ValueError(message)


_loads = json.JSONDecoder(parse_constant=_no_constant).decode


def encode_json(line: bytes | str, type_name: str | None = None, city: City | None = None) -> Ok | Rejected:
    """Encode one line of JSON Lines; `city` as in cities.py."""
    try:
        event = _loads(line if isinstance(line, str) else line.decode())
    except UnicodeDecodeError as error:
        return Rejected(Reason.MALFORMED, f"the line is not UTF-8 (byte {error.start}): expected JSON in UTF-8; save the file as UTF-8")
    except RecursionError:
        return Rejected(Reason.MALFORMED, "the line is nested too deeply: expected one flat JSON object")
    except ValueError as error:
        return Rejected(Reason.MALFORMED, f"the line is not JSON ({error}): expected one object on the line, such as {_EXAMPLE}")
    return encode(hashed(event, city) if city is not None and isinstance(event, dict) else event, type_name)


def encode_row(type_name: str, cells: Mapping[str, str]) -> Ok | Rejected:
    """Encode one row of a CSV file; an empty cell is an absent field. Numbers, booleans and times are read from their text."""
    encoder = _ENCODERS.get(type_name)
    if encoder is None:
        return _unknown_type(type_name, dict(cells))
    fields: dict[str, Any] = {}
    for field in encoder.event.fields:
        text = cells.get(field.name, "")
        if text != "":
            fields[field.name] = text if field.kind in {"string", "enum", "bytes"} else _from_cell(field, text)
    return encoder.encode(fields)


_BOOLEANS = {"true": True, "false": False}


def _from_cell(field: Field, text: str) -> Any:
    """The JSON value a cell stands for; the text itself where it stands for none, which the writer then refuses."""
    if field.kind == "boolean":
        return _BOOLEANS.get(text.lower(), text)
    if field.kind in {"double", "float"} or field.time or field.kind in {"int", "long"}:
        try:
            value = _loads(text)
        except (ValueError, RecursionError):
            return text
        if type(value) is int or (type(value) is float and field.kind in {"double", "float"}):
            return value
    return text
