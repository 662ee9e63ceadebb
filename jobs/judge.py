"""What the job would say of a value: the same decoder, with the schemas that the job would know.

Those of this version and its history, those of `writer_schemas`, and those of the schema registry, which is asked for an id when a value
first carries it. The job waits for a registry that does not answer; here that is a RegistryAwayError, and nothing is guessed.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from keepline.jobs.writer_schemas import writer_schemas
from keepline.models.contact.rules import DAY_MS
from keepline.operators.spec import MAX_TIME_MS, MIN_TIME_MS
from keepline.schemas.decode import NOT_ASKED, check_time, decode, registers
from keepline.schemas.framing import CONFLUENT
from keepline.schemas.messages import message
from keepline.schemas.partial import Partial, read_partly, read_resolved
from keepline.schemas.programs import Programs
from keepline.schemas.resolve import reader_of
from keepline.schemas.status import Reason

EVENT_TIME = 2
FOR_THIS_RUN = float("inf")
"""For how long the registry's answer that it does not know an id is believed, in seconds."""


class Judge:
    """Today's decoder and checks, as the job has them with these settings."""

    def __init__(
        self, currency: str = "", writers: Iterable[Path] = (), registry_url: str = "", registry: Mapping[str, str] | None = None
    ) -> None:
        self._programs = Programs(currency=currency)
        for schema in writer_schemas(writers):
            self._programs.add(schema, reader_of(schema))
        self._ids = None
        if registry_url:
            from keepline.operators.schema_ids import SchemaIds
            from keepline.schemas.registry import Registry

            self._ids = SchemaIds(self._programs, Registry(registry_url, registry), FOR_THIS_RUN)
        self._regs, self._bounds = registers(), (MIN_TIME_MS, MAX_TIME_MS)

    def __call__(self, value: bytes) -> str:
        """Why the job would refuse the value, keyed by its customer_id; "" if it would take it."""
        status, kind, field = self._decode(value)
        if status == 0:
            wall = int(time.time() * 1000)
            status = check_time(self._regs[0][EVENT_TIME], *self._bounds, wall, DAY_MS)
        if status == 0:
            return ""
        unknown = self._ids.why(_schema_id(value)) if self._ids is not None and value[:1] == CONFLUENT else ""
        image = self._programs.image
        return message(status, kind, field, value, bounds=self._bounds, image=image, programs=self._programs, unknown=unknown)

    def event(self, value: bytes) -> Partial | None:
        """The event in `value` as far as it can be read; None where no known schema says anything of it."""
        status, kind, _ = self._decode(value)
        found = read_partly(value, self._programs.schema_of(value))
        if found is None and status in {0, Reason.INVALID_FIELD}:
            found = read_resolved(value, kind, self._regs, self._programs.schema_of(value))
        return found

    def _decode(self, value: bytes) -> tuple[int, int, int]:
        """(status, event type, field) of `decode`, once the registry has said what it knows of the value's schema id."""
        buffer = np.frombuffer(value or b"\0", np.uint8)
        found: tuple[int, int, int] = decode(buffer, 0, len(value), self._programs.image, *self._regs)
        if self._ids is None or value[:1] != CONFLUENT or found[0] != Reason.UNKNOWN_SCHEMA or found[2] != NOT_ASKED:
            return found
        if not self._ids.settle(_schema_id(value)):
            from keepline.schemas.registry import RegistryAwayError

            raise RegistryAwayError(self._ids.waiting)
        again: tuple[int, int, int] = decode(buffer, 0, len(value), self._programs.image, *self._regs)
        return again


def _schema_id(value: bytes) -> int:
    return int.from_bytes(value[1:5], "big")
