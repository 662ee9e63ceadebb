"""What a customer allows: the newest consents, and the channels that they leave.

A consent is for a purpose (MARKETING, PROFILING) and a channel or ALL. For a channel, the newer of its own consent and the one for ALL
counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from keepline.models.contact.rules import CHANNELS, Policy

MARKETING, PROFILING = "MARKETING", "PROFILING"
ALL = "ALL"
GRANTED = "GRANTED"
BIT = {channel: 1 << place for place, channel in enumerate(CHANNELS)}
"""A set of channels is a number with a bit for each: few bytes in the state, quick to compare."""


@dataclass(frozen=True, slots=True)
class Consent:
    """The newest that a customer has said of one purpose and channel."""

    purpose: str
    channel: str
    status: str
    """GRANTED, DENIED or REVOKED."""
    at: int
    """Event time of the record, epoch ms."""


class Permitted(NamedTuple):
    """The channels that may be used for each purpose, as sets of `BIT`."""

    marketing: int
    profiling: int


def with_consent(consents: tuple[Consent, ...], new: Consent) -> tuple[Consent, ...]:
    """The consents after a record came. One that is older than what is known of its purpose and channel changes nothing.

    They stay in the order of their arrival, which decides between two of the same time.
    """
    for old in consents:
        if old.purpose == new.purpose and old.channel == new.channel:
            if new.at < old.at:
                return consents
            return (*(each for each in consents if each is not old), new)
    return (*consents, new)


def permitted(consents: tuple[Consent, ...], policy: Policy) -> Permitted:
    """What the consents allow; where there is none, what the policy assumes."""
    return Permitted(
        _channels(consents, MARKETING, required=policy.marketing_required),
        _channels(consents, PROFILING, required=policy.profiling_required),
    )


def _channels(consents: tuple[Consent, ...], purpose: str, *, required: bool) -> int:
    found = 0
    for channel, bit in BIT.items():
        newest = None
        for each in consents:
            if each.purpose == purpose and each.channel in (channel, ALL) and (newest is None or each.at >= newest.at):
                newest = each
        if (not required) if newest is None else newest.status == GRANTED:
            found |= bit
    return found
