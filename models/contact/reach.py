"""Which offers of a policy no customer can ever be made: an offer before them takes everyone, or their conditions contradict the trigger.

The first offer that suits is taken, so one without conditions hides all that stand below it for the same triggers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from keepline.models.contact.rules import Condition, Level, Offer, Trigger


@dataclass(frozen=True, slots=True)
class _Asked:
    """What conditions ask together: an interval of each number, and sets of which one must be among the reasons."""

    limits: dict[str, tuple[float, float]]
    reasons: tuple[frozenset[str], ...]

    @property
    def possible(self) -> bool:
        return all(low < high for low, high in self.limits.values())

    def implies(self, other: _Asked) -> bool:
        """Whether all that is asked there holds wherever this holds."""
        return all(
            self.limits.get(source, (-math.inf, math.inf))[0] >= low and self.limits.get(source, (-math.inf, math.inf))[1] <= high
            for source, (low, high) in other.limits.items()
        ) and all(any(mine <= wanted for mine in self.reasons) for wanted in other.reasons)


def _asked(conditions: Iterable[Condition], trigger: Trigger) -> _Asked:
    limits: dict[str, tuple[float, float]] = {}
    reasons = []
    when = trigger.when
    level = (Condition(when.source, when.at_least, when.below),) if isinstance(when, Level) else ()  # it holds whenever the trigger fires
    for each in (*level, *conditions):
        if each.reasons:
            reasons.append(frozenset(each.reasons))
        else:
            low, high = limits.get(each.source, (-math.inf, math.inf))
            limits[each.source] = (max(low, each.at_least), min(high, each.below))
    return _Asked(limits, tuple(reasons))


def _before(offer: Offer, asked: _Asked, trigger: Trigger, earlier: Sequence[Offer]) -> list[str]:
    """The kinds that together take every customer of a trigger whom the offer would suit; none where some are left.

    Whoever permits a channel to this offer permits it to an earlier one too, unless that one needs consent to marketing and this does not.
    """
    kinds, channels = [], set(offer.channels)
    for one in earlier:
        if trigger.name not in one.triggers or not asked.implies(_asked(one.conditions, trigger)):
            continue
        if one.service and not trigger.scored:
            return [one.kind]  # it needs no consent at all
        if (one.service or not offer.service) and channels & set(one.channels):
            kinds.append(one.kind)
            channels -= set(one.channels)
    return [] if channels else kinds


def unreachable(offers: Sequence[Offer], triggers: Sequence[Trigger]) -> dict[str, str]:
    """Kinds of offers that cannot come, each with the reason; triggers that are not given are passed over."""
    by_name = {trigger.name: trigger for trigger in triggers}
    found = {}
    for place, offer in enumerate(offers):
        reasons = []
        for trigger in (by_name[name] for name in offer.triggers if name in by_name):
            asked = _asked(offer.conditions, trigger)
            kinds = " and ".join(_before(offer, asked, trigger, offers[:place]))
            if not asked.possible:
                reasons.append(f"its conditions never hold together when {trigger.name} fires: correct them")
            elif kinds:
                reasons.append(f"all its customers are taken by {kinds} before it: move it up, or put a condition there")
        if reasons and len(reasons) == len(offer.triggers):
            found[offer.kind] = reasons[0]
    return found
