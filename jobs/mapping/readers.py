"""A Kafka value to a foreign record: JSON, Avro with a given schema, Avro with a registry's schema id.

Avro's logical types become Python's: timestamps datetimes, decimals Decimal, so that a mapping needs no format for them.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from typing import Any, NoReturn, Protocol

import fastavro

from keepline.schemas.encode import Rejected
from keepline.schemas.errors import KeeplineError, SchemaError
from keepline.schemas.framing import SINGLE_OBJECT, SINGLE_OBJECT_HEADER, Confluent, FramingError, fingerprint, unpack
from keepline.schemas.status import Reason

FORMATS = ("json", "avro", "avro-confluent")
Read = Callable[[bytes], Any]
"""From a value to a record, or to the Rejected that its dead letter says."""
PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Seconds between the tries of a registry that does not answer; then the job fails and starts again from its last checkpoint."""


class Schemas(Protocol):
    """What a registry is asked."""

    def schema(self, schema_id: int) -> dict[str, Any] | None:
        """The schema of an id; None if the registry does not know it."""


def parse_schema(schema: Any) -> dict[str, Any]:
    """A schema as fastavro wants it; it raises for what is none, or no record."""
    if not isinstance(schema, dict) or schema.get("type") != "record":
        msg = "the schema is no record"
        raise TypeError(msg)
    fastavro.parse_schema(schema)
    return schema


def read_json(value: bytes) -> Any:
    """One JSON object."""
    try:
        return _loads(value.decode())
    except UnicodeDecodeError as error:
        return Rejected(Reason.MALFORMED, f"the value is not UTF-8 (byte {error.start}): expected JSON in UTF-8")
    except RecursionError:
        return Rejected(Reason.MALFORMED, "the value is nested too deeply: expected a JSON object of a record")
    except ValueError as error:
        return Rejected(Reason.MALFORMED, f"the value is not JSON ({str(error)[:80]}): expected one object; check the source's format:")


def _no_constant(text: str) -> NoReturn:
    msg = f"{text} is not JSON"
    raise ValueError(msg)


_loads = json.JSONDecoder(parse_constant=_no_constant).decode


def avro_reader(schemas: tuple[dict[str, Any], ...]) -> Read:
    """Raw Avro of the first schema, or single-object encoding of any of them."""
    known = {fingerprint(schema): fastavro.parse_schema(schema) for schema in schemas}
    first = next(iter(known.values()))

    def read(value: bytes) -> Any:
        if value[:2] == SINGLE_OBJECT:
            schema = known.get(value[2:SINGLE_OBJECT_HEADER])
            if schema is not None:
                return _decode(schema, value, SINGLE_OBJECT_HEADER)
        found = _decode(first, value, 0)
        if isinstance(found, Rejected) and value[:2] == SINGLE_OBJECT and len(value) >= SINGLE_OBJECT_HEADER:
            told = f"no schema of the source has the fingerprint {value[2:SINGLE_OBJECT_HEADER].hex()}: add the writer's schema to schema:"
            return Rejected(Reason.UNKNOWN_SCHEMA, told)
        return found

    return read


def confluent_reader(registry: Schemas, pauses: tuple[float, ...] = PAUSES) -> Read:
    """Avro behind the Confluent header. RegistryAwayError where the registry does not answer after all tries: nothing is lost by it."""
    parsed: dict[int, Any] = {}

    def read(value: bytes) -> Any:
        try:
            framing = unpack(value)
        except FramingError:
            framing = None
        if not isinstance(framing, Confluent):
            start = value[:5].hex(" ") or "nothing"
            told = f"the value starts with {start}: expected 00 and 4 bytes of a schema id; check the source's format:"
            return Rejected(Reason.MALFORMED, told)
        if framing.schema_id not in parsed:
            try:
                schema = _asked(registry, framing.schema_id, pauses)
                if schema is None:
                    told = f"schema id {framing.schema_id} is unknown to the registry: expected a registered one; check --registry-url"
                    return Rejected(Reason.UNKNOWN_SCHEMA, told)
                parsed[framing.schema_id] = fastavro.parse_schema(schema)
            except SchemaError as error:
                return Rejected(Reason.UNKNOWN_SCHEMA, str(error))
            except KeeplineError:
                raise
            except Exception as error:  # noqa: BLE001  fastavro raises whatever a wrong schema ends in
                told = f"schema id {framing.schema_id} is no Avro schema that can be read: {type(error).__name__}: {str(error)[:80]}"
                return Rejected(Reason.UNKNOWN_SCHEMA, told)
        return _decode(parsed[framing.schema_id], framing.body, 0)

    return read


def _asked(registry: Schemas, schema_id: int, pauses: tuple[float, ...]) -> dict[str, Any] | None:
    from keepline.schemas.registry import RegistryAwayError

    for pause in pauses:
        try:
            return registry.schema(schema_id)
        except RegistryAwayError:
            time.sleep(pause)  # back-pressure; bounded, since a checkpoint waits for it too
    return registry.schema(schema_id)


def _decode(schema: Any, value: bytes, start: int) -> Any:
    stream = io.BytesIO(value)
    stream.seek(start)
    try:
        record = fastavro.schemaless_reader(stream, schema, None)
    except Exception as error:  # noqa: BLE001  fastavro raises whatever its reading of damaged bytes ends in
        told = f"the value is not Avro of the schema {_name(schema)} ({type(error).__name__}): expected the writer's schema in schema:"
        return Rejected(Reason.MALFORMED, told)
    left = len(value) - stream.tell()
    if left:
        return Rejected(Reason.MALFORMED, f"{left} bytes follow the {_name(schema)}: expected none; check that schema: is the writer's")
    return record


def _name(schema: Any) -> str:
    return str(schema.get("name", "")) if isinstance(schema, dict) else str(schema)[:40]
