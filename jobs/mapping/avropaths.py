"""Checks a path against an Avro schema, so that a slip in a path is an error at load and not a column of nothing."""

from __future__ import annotations

from typing import Any

from keepline.jobs.mapping.document import nearest
from keepline.jobs.mapping.paths import Step

_NULL = "null"


class Shape:
    """A place in a schema: what paths may go on from there."""

    def __init__(self, schema: Any, named: dict[str, Any] | None = None, namespace: str = "") -> None:
        """`schema` is parsed JSON; `named` collects the types that it defines."""
        self._named = {} if named is None else named
        self._schema, self._namespace = schema, namespace
        if named is None:
            self._define(schema, "")

    def _define(self, schema: Any, namespace: str) -> None:
        if isinstance(schema, list):
            for branch in schema:
                self._define(branch, namespace)
        elif isinstance(schema, dict):
            inner = schema.get("namespace", namespace)
            name = schema.get("name")
            if name and isinstance(schema.get("type"), str) and schema["type"] in {"record", "enum", "fixed", "error"}:
                self._named[name] = self._named[name if "." in name or not inner else f"{inner}.{name}"] = schema
            for part in (schema.get("type"), schema.get("items"), schema.get("values")):
                if isinstance(part, dict | list):
                    self._define(part, inner)
            for field in schema.get("fields", ()):
                self._define(field["type"], inner)

    def _branches(self, schema: Any) -> list[Any]:
        """What a value here may be, null aside, by definition."""
        if isinstance(schema, list):
            return [found for branch in schema for found in self._branches(branch)]
        if isinstance(schema, str):
            known = self._named.get(schema) or self._named.get(schema.rpartition(".")[2])
            return [known] if known is not None else [] if schema == _NULL else [schema]
        if isinstance(schema, dict) and isinstance(schema.get("type"), dict | list):
            return self._branches(schema["type"])
        return [schema]

    def follow(self, steps: tuple[Step, ...]) -> Shape | str:
        """The place that the steps lead to, or what is wrong with them: `expected …`."""
        here = self._branches(self._schema)
        for step in steps:
            found: list[Any] = []
            options: list[str] = []
            for schema in here:
                kind = schema.get("type") if isinstance(schema, dict) else schema
                if kind == "record" and isinstance(step, str):
                    fields = {field["name"]: field["type"] for field in schema["fields"]}
                    options += fields
                    if step in fields:
                        found += self._branches(fields[step])
                elif kind == "map" and isinstance(step, str):
                    found += self._branches(schema["values"])
                elif kind == "array" and isinstance(step, int):
                    found += self._branches(schema["items"])
            if not found:
                if not options:
                    return f"the schema has nothing below {step!r}; expected a path that ends before it"
                return f"the schema has no {step!r} there{nearest(step, options)}; expected one of {', '.join(options)}"
            here = found
        return Shape(here, self._named)

    def items(self) -> Shape | None:
        """What a list here holds; None where there is no list."""
        found = [schema["items"] for schema in self._branches(self._schema) if isinstance(schema, dict) and schema.get("type") == "array"]
        return Shape(found, self._named) if found else None
