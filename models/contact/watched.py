"""What the customer operator has to watch for a policy. The bits of `Signal.active` follow the order here."""

from __future__ import annotations

from keepline.models.contact.rules import Level, Policy

MOST_LEVELS = 32
"""As many levels as a signal has bits for."""


def watched_levels(policy: Policy) -> tuple[Level, ...]:
    """The levels among the triggers' conditions, in the order of the triggers."""
    return tuple(trigger.when for trigger in policy.triggers if isinstance(trigger.when, Level))
