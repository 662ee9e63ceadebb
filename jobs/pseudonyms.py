"""Pseudonyms at the edge: what names a customer is replaced by a keyed hash before anything is sent.

    HMAC-SHA-256(key, text in UTF-8), the first 16 bytes, as 32 hex digits

The same text has the same pseudonym in every file, format and mapping, so records still join; without the key nobody can compute it, not
even for ids that can be counted through, such as telephone numbers. 16 bytes: among a billion customers two have the same pseudonym
with a chance of 1 in 10²¹, and an id is key of every record, state and hash, so each byte is paid many times. Hex, since an id is text
and goes into keys and URLs.

Replaced are customer_id, event_id, bill_id and order_id: ids of events, bills and orders are often made of the customer's. A city's name
becomes `city_hash`: the same of `city:` and the name, so that a city is never somebody's pseudonym.
"""

from __future__ import annotations

import hmac
import os
import unicodedata
from collections.abc import Mapping, Sequence
from functools import lru_cache

from keepline.jobs import references
from keepline.schemas.catalog import CUSTOMER_ID, EVENT_TYPES, Field
from keepline.schemas.encode import Ok, Rejected, varint
from keepline.schemas.errors import KeeplineError
from keepline.schemas.packed import read_long
from keepline.schemas.status import Reason

VARIABLE = "KEEPLINE_PSEUDONYM_KEY"
LEAST_KEY = 16
"""Bytes of a key."""
DIGEST = 16
"""Bytes of a hash that are kept."""
LEAST_CLEAR = 6
"""An id of at least so many bytes is looked for in what is sent beside the pseudonyms; a shorter one stands in many bytes by chance."""
NAMES = ("customer_id", "event_id", "bill_id", "order_id")
_HEAD = 10  # bytes of framing
_LENGTH = varint(2 * DIGEST)
_REMEMBERED = 1 << 16  # customers


class PseudonymError(KeeplineError):
    """There is no key, or it is too short; the message never shows it. Or an id that no customer can have."""


def _up_to_the_last(fields: Sequence[Field]) -> tuple[Field, ...]:
    last = max(place for place, field in enumerate(fields) if field.name in NAMES)
    found = tuple(fields[: last + 1])
    assert all(field.name in NAMES or field.time for field in found)  # noqa: S101  what `event` can step over
    return found


_FIELDS = [_up_to_the_last(event.fields) for event in EVENT_TYPES]
"""By type id, the fields from the first to the last that is replaced."""


class Pseudonyms:
    """Pseudonyms by one key."""

    def __init__(self, key: bytes) -> None:
        """PseudonymError for a key that is too short."""
        if len(key) < LEAST_KEY:
            msg = f"{VARIABLE} holds {len(key)} bytes: expected at least {LEAST_KEY}; make a key with: openssl rand -hex 32"
            raise PseudonymError(msg)
        self._keyed = hmac.new(key, digestmod="sha256")  # to copy it is cheaper than to begin with the key each time
        self._of_customer = lru_cache(_REMEMBERED)(self._of)

    def _of(self, text: bytes) -> bytes:
        hashing = self._keyed.copy()
        hashing.update(text)
        return hashing.digest()[:DIGEST].hex().encode()

    def customer(self, customer_id: str) -> str:
        """The pseudonym of a customer, or of an event, bill or order; PseudonymError for what can be no id."""
        text = customer_id.encode(errors="surrogateescape")
        if not text or not _sound(text):
            msg = f"an id of {len(text)} bytes: expected at least 1, in UTF-8 and without NUL"
            raise PseudonymError(msg)
        return self._of(text).decode()

    def city(self, name: str) -> str:
        """The hash of a city: the same in capitals or not, composed or not, and with more spaces. UnicodeEncodeError as `City` says."""
        plain = unicodedata.normalize("NFC", " ".join(name.split())).casefold()
        return self._of(f"city:{plain}".encode()).decode()

    def event(self, event: Ok) -> Ok | Rejected:
        """The event with pseudonyms. Rejected where it has an id that no event may have, or tells the customer's in another field too."""
        value, at = event.value, _HEAD
        parts, customer, pseudonym = [value[:_HEAD]], b"", b""
        for field in _FIELDS[event.type_id]:
            begin = at
            number, at = read_long(value, at)
            if field.nullable and number != field.null_branch:
                parts.append(value[begin:at])
                number, at = read_long(value, at)
            elif field.nullable or field.time:
                parts.append(value[begin:at])
                continue
            text = value[at : at + number]
            at += number
            if not _sound(text) or (field.register == CUSTOMER_ID and not 1 <= number <= field.constraints["maxBytes"]):
                return _refused(
                    event, field.name, "has no pseudonym: expected an id as schemas/events says, in UTF-8 without NUL; correct it"
                )
            made = self._of_customer(text) if field.register == CUSTOMER_ID else self._of(text)
            if field.register == CUSTOMER_ID:
                customer, pseudonym = text, made
            parts += [_LENGTH, made]
        rest = value[at:]
        if len(customer) >= LEAST_CLEAR and customer in rest:
            return _refused(
                event, "customer_id", "stands in another field of the event too, where it would be sent in clear: leave it out there"
            )
        return Ok(event.type_id, pseudonym.decode(), event.event_time, b"".join([*parts, rest]))

    def events(self, made: Sequence[Ok]) -> list[Ok] | Rejected:
        """All of them, or why one of them is rejected."""
        hidden = []
        for each in made:
            one = self.event(each)
            if isinstance(one, Rejected):
                return one
            hidden.append(one)
        return hidden


def _sound(text: bytes) -> bool:
    try:
        return "\0" not in text.decode()
    except UnicodeDecodeError:
        return False


def _refused(event: Ok, field: str, what: str) -> Rejected:
    name = EVENT_TYPES[event.type_id].name
    return Rejected(Reason.INVALID_FIELD, f"{name}.{field} {what}", field, name)


def load(environment: Mapping[str, str] = os.environ) -> Pseudonyms:
    """By the key of the environment, which may be a reference such as ${file:/run/secrets/pseudonym}. PseudonymError, SecretError."""
    given = environment.get(VARIABLE)
    if not given:
        msg = (
            f"{VARIABLE} is not set: expected a secret of at least {LEAST_KEY} bytes, or ${{file:/path}} of one. Make it once with "
            "`openssl rand -hex 32`, and keep it: another key gives other pseudonyms"
        )
        raise PseudonymError(msg)
    return Pseudonyms(references.resolve(given, environment, VARIABLE).encode(errors="surrogateescape"))
