"""Every record of the contract, from the committed `.avsc` files: the event types in their fixed order, and the outputs.

A type's id is its place in `EVENT_TYPES`; a field's register is its place in the schema. Both are part of the state contract.
Constraints stand on the fields as attributes of our own (`minimum`, `minBytes`, `maxBytes`, `currency`), which Avro ignores.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from keepline.schemas.errors import SchemaError
from keepline.schemas.framing import fingerprint

NREG = 16
CUSTOMER_ID, EVENT_ID, EVENT_TIME = 0, 1, 2

_FOLDER = Path(__file__).parent
_CONSTRAINTS = ("minimum", "minBytes", "maxBytes", "currency")
_SCALARS = {"boolean", "int", "long", "float", "double", "string", "bytes", "enum"}
_TOPICS = {
    "Call": "telemetry.calls",
    "DataSession": "telemetry.data-sessions",
    "Message": "telemetry.messages",
    "SupportContact": "telemetry.support-contacts",
    "Bill": "telemetry.bills",
    "Payment": "telemetry.payments",
    "Subscription": "telemetry.subscriptions",
    "Purchase": "commerce.purchases",
    "PageView": "commerce.page-views",
    "PromotionResponse": "commerce.promotion-responses",
    "Unlock": "device.unlocks",
    "AppOpen": "device.app-opens",
    "Consent": "control.consents",
    "Erasure": "control.erasures",
    "Outcome": "feedback.outcomes",
}
_CONTROL = {"Consent", "Erasure", "Outcome"}
OUTPUT_NAMES = ("Score", "Intervention", "Decision", "DeadLetter", "LateEvent", "AppPrediction", "ErasureReceipt", "LabelledOutcome")


class _Missing:
    """A field without a default (None is a default)."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING = _Missing()


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an event."""

    name: str
    register: int
    kind: str  # boolean int long float double string bytes enum
    nullable: bool
    null_branch: int  # which branch of the union is null; -1 if not nullable
    time: bool  # timestamp-millis
    default: Any  # MISSING if there is none
    symbols: tuple[str, ...]
    constraints: MappingProxyType[str, Any]
    aliases: tuple[str, ...] = ()  # other names that a writer may give the field
    type_name: str = ""  # of an enum
    type_aliases: tuple[str, ...] = ()
    enum_default: str | None = None  # what a writer's symbol that we do not have is read as


@dataclass(frozen=True, slots=True)
class EventType:
    """One event type of the contract."""

    name: str
    id: int
    control: bool
    topic: str
    schema: dict[str, Any]
    fingerprint: bytes
    fields: tuple[Field, ...]

    def field(self, name: str) -> Field:
        """The field of that name; KeyError if there is none."""
        for field in self.fields:
            if field.name == name:
                return field
        message = f"{self.name} has no field {name!r}: it has {', '.join(f.name for f in self.fields)}"
        raise KeyError(message)


def parse_fields(schema: dict[str, Any]) -> tuple[Field, ...]:
    """Fields of a record of scalars; SchemaError on anything else."""
    if not isinstance(schema, dict) or schema.get("type") != "record":
        message = f"the schema is {str(schema)[:80]}: expected a record"
        raise SchemaError(message)
    named: dict[str, Any] = {}
    return tuple(_field(schema, raw, register, named) for register, raw in enumerate(schema["fields"]))


def _field(schema: dict[str, Any], raw: dict[str, Any], register: int, named: dict[str, Any]) -> Field:
    where = f"{schema.get('name')}.{raw['name']}"
    kind = raw["type"]
    null_branch = -1
    if isinstance(kind, list):
        if len(kind) != 2 or kind.count("null") != 1:
            message = f"{where} is the union {kind}: expected null and one other type"
            raise SchemaError(message)
        null_branch = kind.index("null")
        kind = kind[1 - null_branch]
    logical = None
    declared: dict[str, Any] = {}
    if isinstance(kind, str):
        kind = named.get(kind, kind)
    if isinstance(kind, dict):
        logical = kind.get("logicalType")
        if kind.get("type") == "enum":
            named[kind["name"]] = declared = kind
        kind = kind.get("type")
    if not isinstance(kind, str) or kind not in _SCALARS:
        message = f"{where} has the type {str(raw['type'])[:80]}: events hold {', '.join(sorted(_SCALARS))}, or one of them and null"
        raise SchemaError(message)
    return Field(
        name=raw["name"],
        register=register,
        kind=kind,
        nullable=null_branch >= 0,
        null_branch=null_branch,
        time=logical == "timestamp-millis",
        default=raw.get("default", MISSING),
        symbols=tuple(declared.get("symbols", ())),
        constraints=MappingProxyType({name: raw[name] for name in _CONSTRAINTS if name in raw}),
        aliases=tuple(raw.get("aliases", ())),
        type_name=declared.get("name", ""),
        type_aliases=tuple(declared.get("aliases", ())),
        enum_default=declared.get("default"),
    )


def _load(folder: str, name: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((_FOLDER / folder / f"{name}.avsc").read_bytes())
    return schema


def _event(index: int, name: str, topic: str) -> EventType:
    schema = _load("events", name)
    return EventType(name, index, name in _CONTROL, topic, schema, fingerprint(schema), parse_fields(schema))


EVENT_TYPES: tuple[EventType, ...] = tuple(_event(i, name, topic) for i, (name, topic) in enumerate(_TOPICS.items()))
_BY_NAME = {event.name: event for event in EVENT_TYPES}


def event_type(name: str) -> EventType:
    """The event type of that name; KeyError with the known names."""
    try:
        return _BY_NAME[name]
    except KeyError:
        message = f"unknown event type {name!r}: expected one of {', '.join(_BY_NAME)}"
        raise KeyError(message) from None


def reg(type_name: str, field_name: str) -> int:
    """Register of a field."""
    return event_type(type_name).field(field_name).register


@cache
def output_schema(name: str) -> dict[str, Any]:
    """The parsed schema of an output record; KeyError with the known names."""
    if name not in OUTPUT_NAMES:
        message = f"unknown output {name!r}: expected one of {', '.join(OUTPUT_NAMES)}"
        raise KeyError(message)
    return _load("outputs", name)


@cache
def output_fingerprint(name: str) -> bytes:
    """The 8 fingerprint bytes of an output record."""
    return fingerprint(output_schema(name))
