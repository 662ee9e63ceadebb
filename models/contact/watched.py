"""What the customer operator has to watch for a policy. The bits of `Signal.active` follow the order here."""

from __future__ import annotations

import math
from typing import NamedTuple

from keepline.models.contact.rules import Fall, Level, Policy, Rise

MOST_LEVELS = 32
"""As many levels as a signal has bits for."""


class Moves(NamedTuple):
    """The smallest moves of a score that a policy waits for: nothing below them can fire. Infinite where it waits for none."""

    source: str
    rise: float
    """Absolute."""
    fall: float
    """A share of the value."""


def watched_levels(policy: Policy) -> tuple[Level, ...]:
    """The levels among the triggers' conditions, in the order of the triggers."""
    return tuple(trigger.when for trigger in policy.triggers if isinstance(trigger.when, Level))


def watched_moves(policy: Policy) -> tuple[Moves, ...]:
    """What rises and falls wait for: one entry a source, in the order in which the triggers first name it."""
    found: dict[str, Moves] = {}
    for trigger in policy.triggers:
        when = trigger.when
        if isinstance(when, Rise | Fall):
            known = found.get(when.source, Moves(when.source, math.inf, math.inf))
            rises = isinstance(when, Rise)
            found[when.source] = known._replace(rise=min(known.rise, when.by)) if rises else known._replace(fall=min(known.fall, when.by))
    return tuple(found.values())
