"""Values of files that others wrote, as the fields that `encode` takes: times of every unit, decimals, columns where nothing stands.

A null is an absent field, as an empty cell of CSV is: columns of many writers can all be null. A time without a zone is UTC.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from keepline.schemas.catalog import MISSING, EventType, Field
from keepline.schemas.encode import Ok, Rejected, encode

UNITS = {"millis": 1, "micros": 1_000, "nanos": 1_000_000}
"""Of Avro's timestamp-… and local-timestamp-…: how many make a millisecond."""
DAY_MS = 86_400_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def required(event: EventType) -> list[str]:
    """Fields that a file must have."""
    return [field.name for field in event.fields if field.default is MISSING]


def event_of(record: Mapping[str, Any], event: EventType, per_ms: Mapping[str, int] = {}) -> Ok | Rejected:
    """The event of a record of Python values; `per_ms` says the unit of times that come as numbers (0: days)."""
    fields: dict[str, Any] = {"type": event.name}
    for field in event.fields:
        value = record.get(field.name)
        if value is not None:
            fields[field.name] = _value(field, value, per_ms.get(field.name, 1))
    return encode(fields)


def _value(field: Field, value: Any, per_ms: int) -> Any:
    if field.time:
        if isinstance(value, datetime):
            return ((value if value.tzinfo else value.replace(tzinfo=UTC)) - _EPOCH) // _MILLISECOND
        if isinstance(value, date):
            return (value - _EPOCH.date()).days * DAY_MS
        if type(value) is int:
            return value // per_ms if per_ms else value * DAY_MS
    elif field.kind in {"double", "float"} and isinstance(value, Decimal):
        return float(value)
    elif field.kind in {"string", "enum"} and isinstance(value, bytes):
        return value.decode(errors="surrogateescape")  # what is not UTF-8 becomes lone surrogates, which no writer of a field takes
    return value


def as_line(record: Mapping[str, Any], event: EventType) -> bytes:
    """A record as a line of JSON, for those who want to repair it."""
    return json.dumps({"type": event.name, **record}, ensure_ascii=False, default=_shown).encode(errors="backslashreplace")


def _shown(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)
