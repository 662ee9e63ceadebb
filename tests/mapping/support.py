"""Mappings from text, and events as dictionaries."""

from __future__ import annotations

import textwrap
from typing import Any

from keepline.jobs.mapping.load import Bundle, Mapping, unpack
from keepline.jobs.mapping.paths import Origin
from keepline.schemas.encode import Rejected
from keepline.schemas.records import to_record

HEAD = """
version: 1
sources:
  - topics: [cdr]
    format: json
    events:
"""
EVENT = """
- type: {type}
  customer_id: c
  event_id: id
  event_time: {{path: t, format: epoch_ms}}
"""
TIME = 1_767_225_600_000
"""2026-01-01T00:00:00Z."""
RECORD = {"c": "c1", "id": "e1", "t": TIME}
ORIGIN = Origin("cdr", 3, 77, TIME + 5, "49-key")


def mapping(text: str, **schemas: str) -> Mapping:
    return unpack(Bundle("m.yaml", text, schemas))


def of_events(text: str) -> Mapping:
    """The mapping of one source with these events."""
    return mapping(HEAD + textwrap.indent(textwrap.dedent(text).strip("\n"), "      "))


def field(lines: str, type_: str = "Call") -> Mapping:
    """One event with the three first fields and these more."""
    return of_events(EVENT.format(type=type_).strip("\n") + "\n" + textwrap.indent(textwrap.dedent(lines).strip("\n"), "  "))


def events(found: Mapping, record: Any, origin: Origin = ORIGIN) -> list[dict[str, Any]] | Rejected:
    """What the first source makes of a record."""
    made = found.sources[0].map(record, origin)
    if isinstance(made, Rejected):
        return made
    told = []
    for one in made:
        name, fields = to_record(one.value)
        assert fields["customer_id"] == one.customer_id
        assert fields["event_time"] == one.event_time
        told.append({"type": name} | fields)
    return told
