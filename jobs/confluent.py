"""Canonical events behind the Confluent header: their schemas registered under the record's name, their values with the registry's id."""

from __future__ import annotations

from collections.abc import Callable

from keepline.schemas.catalog import EVENT_TYPES
from keepline.schemas.encode import Ok
from keepline.schemas.framing import SINGLE_OBJECT_HEADER, pack_confluent
from keepline.schemas.registry import Registry, RegistryError


def subject_of(type_name: str) -> str:
    """The subject of an event type by the record-name strategy, which lets one topic carry all types.

    >>> subject_of("Call")
    'keepline.events.Call'
    """
    return f"keepline.events.{type_name}"


def confluent_framing(registry: Registry, *, register: bool = True) -> Callable[[Ok], bytes]:
    """A function that reframes an encoded event. Each type's id is asked for once, when its first event comes.

    `register`: put a schema into the registry that is not there yet; else RegistryError says which is missing.
    """
    ids: dict[int, int] = {}

    def framed(event: Ok) -> bytes:
        if event.type_id not in ids:
            kind = EVENT_TYPES[event.type_id]
            subject = subject_of(kind.name)
            found = registry.register(subject, kind.schema) if register else registry.lookup(subject, kind.schema)
            if found is None:
                msg = (
                    f"the schema registry at {registry.url} does not have schemas/events/{kind.name}.avsc under the subject {subject}; "
                    "register it, or let produce do so (without --no-register)"
                )
                raise RegistryError(msg)
            ids[event.type_id] = found
        return pack_confluent(event.value[SINGLE_OBJECT_HEADER:], ids[event.type_id])

    return framed
