"""The schema registry's client: writers' schemas by the id that a Confluent-framed value carries.

Built on `confluent_kafka.schema_registry`, which takes the properties (`basic.auth.user.info`, `ssl.ca.location`, …). What differs
here: one attempt per call and a short time limit, since the caller waits and tries again in its own way; and three answers that are kept
apart: the schema, `None` (the registry says that it does not know the id), `RegistryAwayError` (it does not say anything usable).
Imported only where a registry URL is set: the client's libraries take half a second to load.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError

from keepline.schemas.errors import KeeplineError, SchemaError

TIMEOUT_SECONDS = 2.0
"""For one attempt, where the properties do not say (`timeout`)."""
NOT_KNOWN = {40401, 40402, 40403}
"""Error codes of the REST interface: no such subject, version, schema."""
MASK = "******"
_NUMBERS = {"timeout": float, "max.retries": int, "retries.wait.ms": int, "retries.max.wait.ms": int, "cache.capacity": int}
Answer = TypeVar("Answer")


class RegistryAwayError(KeeplineError):
    """The registry does not answer, or refuses to; the message says which and what to check."""


class RegistryError(KeeplineError):
    """The registry answered that it will not do what was asked, or its address or properties cannot be used."""


def shown_url(url: str) -> str:
    """The URL without what stands before the host.

    >>> shown_url("https://app:s3cret@registry:8081")
    'https://******@registry:8081'
    """
    return re.sub(r"//[^/,]*@", f"//{MASK}@", url)


class Registry:
    """Asks one registry (or several addresses of it, separated by commas). Known ids are kept for ever: an id never changes its schema."""

    def __init__(self, url: str, properties: Mapping[str, str] | None = None, *, unknown_ttl: float = 0.0) -> None:
        """`unknown_ttl`: for how many seconds the answer "I do not know this id" is believed without asking again."""
        given: dict[str, Any] = {"timeout": TIMEOUT_SECONDS, "max.retries": 0, **(properties or {})}
        self.url = shown_url(url)
        self._secrets = [text for text in (*re.findall(r"//([^/,]*)@", url), given.get("basic.auth.user.info", "")) if text]
        try:
            given |= {name: kind(given[name]) for name, kind in _NUMBERS.items() if name in given}
            self._client = SchemaRegistryClient({"url": url, **given})
        except (ValueError, TypeError, OSError) as error:
            msg = f"the schema registry's client refuses its settings: {self._plain(error)}; correct registry_url or [registry]"
            raise RegistryError(msg) from None
        self._unknown_ttl = unknown_ttl
        self._known: dict[int, dict[str, Any]] = {}
        self._unusable: dict[int, str] = {}
        self._unknown: dict[int, float] = {}

    def schema(self, schema_id: int) -> dict[str, Any] | None:
        """The parsed Avro schema of an id; None if the registry does not know it.

        Raises RegistryAwayError where it does not say, and SchemaError for an id whose schema no Avro record can have.
        """
        if schema_id in self._known:
            return self._known[schema_id]
        if schema_id in self._unusable:
            raise SchemaError(self._unusable[schema_id])
        if self._unknown.get(schema_id, 0.0) > time.monotonic():
            return None
        found = self._ask(f"schema id {schema_id}", lambda: self._client.get_schema(schema_id))
        if found is None:
            self._unknown[schema_id] = time.monotonic() + self._unknown_ttl
            return None
        try:
            self._known[schema_id] = self._parse(schema_id, found)
        except SchemaError as error:
            self._unusable[schema_id] = str(error)
            raise
        self._unknown.pop(schema_id, None)
        return self._known[schema_id]

    def register(self, subject: str, schema: Mapping[str, Any]) -> int:
        """Registers the schema under a subject, unless it is there; its id. RegistryError where the registry refuses it."""
        text = Schema(json.dumps(schema), "AVRO")
        number = self._ask(f"subject {subject}", lambda: self._client.register_schema(subject, text))
        if number is None:
            msg = f"the schema registry at {self.url} has no place for subject {subject}: is this the registry's address?"
            raise RegistryError(msg)
        return int(number)

    def lookup(self, subject: str, schema: Mapping[str, Any]) -> int | None:
        """The id that this schema has under a subject, None where it is not registered."""
        text = Schema(json.dumps(schema), "AVRO")
        found = self._ask(f"subject {subject}", lambda: self._client.lookup_schema(subject, text))
        return None if found is None else int(found.schema_id)

    def subjects(self) -> list[str]:
        """The names of all subjects: what tells that the registry is there."""
        return list(self._ask("its subjects", self._client.get_subjects) or [])

    def close(self) -> None:
        """Closes the connections."""
        self._client.__exit__(None, None, None)

    def _ask(self, what: str, question: Callable[[], Answer]) -> Answer | None:
        try:
            return question()
        except SchemaRegistryError as error:
            status, code = error.http_status_code, error.error_code
            said = f"HTTP {status}: {self._plain(error.error_message)}"
            if code in NOT_KNOWN:
                return None
            if status in {409, 422}:
                msg = f"the schema registry at {self.url} refuses {what} ({said})"
                raise RegistryError(msg) from None
            if status in {401, 403}:
                fix = "check user and password: basic.auth.user.info in [registry]"
            elif status == 404:
                fix = "is this the registry's address? expected its REST interface"
            else:
                fix = "look into the registry's log"
            msg = f"the schema registry at {self.url} does not tell {what} ({said}); {fix}"
            raise RegistryAwayError(msg) from None
        except Exception as error:  # noqa: BLE001  what its HTTP library raises is the client's own business
            reason = self._plain(f"{type(error).__name__}: {error}")
            msg = f"no answer from the schema registry at {self.url} to {what} ({reason}); start it, or correct registry_url"
            raise RegistryAwayError(msg) from None

    def _plain(self, told: object) -> str:
        text = str(told)
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return text[:300]

    def _parse(self, schema_id: int, found: Schema) -> dict[str, Any]:
        if (found.schema_type or "AVRO") != "AVRO":
            msg = f"schema id {schema_id} of the schema registry is {found.schema_type}: expected Avro"
            raise SchemaError(msg)
        named: dict[str, Any] = {}
        self._collect(found, named)
        try:
            parsed = json.loads(found.schema_str)
        except (ValueError, TypeError) as error:
            msg = f"schema id {schema_id} of the schema registry is no JSON ({error})"
            raise SchemaError(msg) from None
        parsed = _inlined(parsed, named, set(), "") if named else parsed
        if not isinstance(parsed, dict) or parsed.get("type") != "record":
            msg = f"schema id {schema_id} of the schema registry is {json.dumps(parsed)[:80]}: expected a record"
            raise SchemaError(msg)
        return parsed

    def _collect(self, schema: Schema, named: dict[str, Any]) -> None:
        """The schemas that this one refers to, and those that they refer to, by full name."""
        for reference in schema.references or []:
            if reference.name in named:
                continue
            subject, version = reference.subject, reference.version
            found = self._ask(f"{subject} version {version}", partial(self._client.get_version, subject, version))
            if found is None or not found.schema:
                msg = f"the schema registry refers to {reference.name} in {subject} version {version}, which it does not have"
                raise SchemaError(msg)
            named[reference.name] = json.loads(found.schema.schema_str)
            self._collect(found.schema, named)


def _inlined(schema: Any, named: Mapping[str, Any], seen: set[str], namespace: str) -> Any:
    """The schema with each referred type written out where it is first named."""
    if isinstance(schema, str):
        name = schema if "." in schema or not namespace else f"{namespace}.{schema}"
        if name in named and name not in seen:
            seen.add(name)
            return _inlined(named[name], named, seen, name.rpartition(".")[0])
        return schema
    if isinstance(schema, list):
        return [_inlined(branch, named, seen, namespace) for branch in schema]
    if not isinstance(schema, dict):
        return schema
    namespace = schema.get("namespace", namespace)
    inner = {key: _inlined(schema[key], named, seen, namespace) for key in ("type", "items", "values") if key in schema}
    if "fields" in schema:
        inner["fields"] = [field | {"type": _inlined(field["type"], named, seen, namespace)} for field in schema["fields"]]
    return schema | inner
