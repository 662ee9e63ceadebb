"""A writer's Avro schema as a graph of types: names looked up, logical types noted, recursive types closed to cycles.

Events of ours hold scalars only (catalog.py); what others write may hold anything that Avro has, at least to be skipped.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import fastavro

from keepline.schemas.errors import SchemaError

PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})


@dataclass(eq=False, slots=True)
class Type:
    """One type. `kind` is Avro's word, or "union"; `name` the full name of a record, an enum or a fixed."""

    kind: str
    name: str = ""
    logical: str = ""
    symbols: tuple[str, ...] = ()
    size: int = 0
    fields: list[tuple[str, Type]] = field(default_factory=list)
    branches: list[Type] = field(default_factory=list)
    items: Type | None = None

    def __str__(self) -> str:
        """As a message names it."""
        if self.kind == "union":
            return f"a union of {', '.join(map(str, self.branches)) or 'nothing'}"
        if self.kind in {"array", "map"}:
            return f"{self.kind} of {self.items.name or self.items.kind if self.items else '?'}"
        text = f"{self.kind} {self.name}" if self.name else self.kind
        text += f" ({'|'.join(self.symbols)})" if self.symbols else ""
        return f"{text} in {self.logical}" if self.logical else text


def parse(schema: Any) -> Type:
    """The graph of a schema given as JSON objects. SchemaError for what is no Avro schema."""
    try:
        fastavro.parse_schema(_without_defaults(schema))
        return _parse(schema, "", {})
    except SchemaError:
        raise
    except RecursionError:
        message = "the schema is nested too deeply: expected a record of an event"
        raise SchemaError(message) from None
    except Exception as error:  # noqa: BLE001  fastavro raises errors of many kinds for what is no schema
        message = f"this is no Avro schema: {type(error).__name__}: {str(error)[:200]}"
        raise SchemaError(message) from None


def _without_defaults(schema: Any) -> Any:
    """A writer's defaults are none of a reader's business, even where they are wrong."""
    if isinstance(schema, dict):
        return {name: _without_defaults(value) for name, value in schema.items() if name != "default"}
    return [_without_defaults(part) for part in schema] if isinstance(schema, list) else schema


def _parse(schema: Any, namespace: str, named: dict[str, Type]) -> Type:
    if isinstance(schema, list):
        return Type("union", branches=[_parse(branch, namespace, named) for branch in schema])
    if isinstance(schema, str):
        return Type(schema) if schema in PRIMITIVES else named[full_name(schema, namespace)]
    kind = schema["type"]
    if not isinstance(kind, str) or (kind not in PRIMITIVES and kind not in {"record", "error", "enum", "fixed", "array", "map"}):
        return _parse(kind, namespace, named)
    logical = schema.get("logicalType")
    found = Type(kind, logical=logical if isinstance(logical, str) else "")
    if kind == "array":
        found.items = _parse(schema["items"], namespace, named)
    elif kind == "map":
        found.items = _parse(schema["values"], namespace, named)
    elif kind not in PRIMITIVES:
        found.kind = "record" if kind == "error" else kind
        found.name = full_name(schema["name"], schema.get("namespace", namespace))
        named[found.name] = found
        found.symbols = tuple(schema.get("symbols", ()))
        found.size = int(schema.get("size", 0))
        inner = found.name.rpartition(".")[0]
        found.fields = [(each["name"], _parse(each["type"], inner, named)) for each in schema.get("fields", ())]
    return found


def full_name(name: str, namespace: str) -> str:
    """A name with its namespace.

    >>> full_name("Call", "keepline.events")
    'keepline.events.Call'
    """
    return name if "." in name or not namespace else f"{namespace}.{name}"


def short_name(name: str) -> str:
    """A name without its namespace, which is what schema resolution compares."""
    return name.rpartition(".")[2]
