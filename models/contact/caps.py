"""Frequency caps: at most so many marketing contacts in any window of some length, sliding, to the millisecond.

A window is (t − per, t]. A contact counts at the moment from which it may be delivered, a held offer at the one to which it is held; so
there may be contacts after the moment that is asked about, and every window that would hold both is looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from keepline.models.contact.rules import Cap

Taken = tuple[int, str]
"""(moment, channel) of a contact."""


def full(caps: Sequence[Cap], taken: Iterable[Taken], at: int, channel: str) -> Cap | None:
    """The first cap that one more contact at that moment, by that channel, would exceed; None if it fits."""
    taken = tuple(taken)
    for cap in caps:
        if cap.channel and cap.channel != channel:
            continue
        near = [time for time, by in taken if (not cap.channel or by == channel) and -cap.per_ms < time - at < cap.per_ms]
        # Among windows that hold `at`, the fullest ends at it or at a contact after it.
        for end in (at, *(time for time in near if time > at)):
            if sum(end - cap.per_ms < time <= end for time in near) >= cap.most:
                return cap
    return None


def longest(caps: Sequence[Cap], channel: str) -> int:
    """How long a contact by this channel counts for anything, in ms; 0 if no cap asks."""
    return max((cap.per_ms for cap in caps if cap.channel in ("", channel)), default=0)
