"""Plain names of cities beside the fields of events that have a `city_hash`: hashed as they are read, and never written.

No event has a field for the name of a place. A file or a mapping may give one all the same, as `city`; whoever reads with a `City` makes
the opaque `city_hash` of it, unless the event has one already. Without, `city` is an unknown field, and passed over as others are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from keepline.schemas.catalog import EventType, Field

CITY, CITY_HASH = "city", "city_hash"
City = Callable[[str], str]
"""From the name of a city to its hash. UnicodeEncodeError for text that UTF-8 cannot carry."""


def city_field(event: EventType) -> Field | None:
    """`city` as a field of this type; None where the type has no `city_hash`."""
    return next((replace(field, name=CITY) for field in event.fields if field.name == CITY_HASH), None)


def hashed(fields: Mapping[str, Any], city: City | None) -> Mapping[str, Any]:
    """The fields with `city_hash` made of `city`, where there is a city and no hash. What is no name is left for the encoder to refuse."""
    if city is None or (found := fields.get(CITY)) is None or fields.get(CITY_HASH) not in (None, "", b""):
        return fields
    name = found.decode(errors="surrogateescape") if isinstance(found, bytes) else found
    if isinstance(name, str):
        if not name.strip():
            return fields
        try:
            name = city(name)
        except UnicodeEncodeError:
            pass  # lone surrogates: no field takes them
    return {**fields, CITY_HASH: name}
