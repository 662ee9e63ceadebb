"""A policy's tables, made once: what a step would otherwise look for in the policy again and again."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any
from zlib import crc32
from zoneinfo import ZoneInfo

from keepline.models.contact import caps
from keepline.models.contact.clock import Span, zone_named
from keepline.models.contact.consent import BIT
from keepline.models.contact.rules import CHANNELS, Budget, Fall, Happens, Level, Offer, Policy, Rise, Trigger
from keepline.models.contact.signal import Signal
from keepline.schemas.errors import KeeplineError

CONTROL_TYPES = frozenset({"Consent", "Erasure", "Outcome"})
COMPLAINTS = frozenset({"COMPLAINT", "CANCELLATION"})
"""Topics of SupportContact after which an offer did not help."""
_KEPT = 64
"""Policies whose tables are kept; a job has one, tests have many."""
_MASKS = 4096


class UnknownZoneError(KeeplineError):
    """A policy's time zone that is no IANA name."""


class Compiled:
    """The tables of one policy."""

    def __init__(self, policy: Policy) -> None:
        zone = zone_named(policy.time_zone)
        if zone is None:
            message = f"the policy {policy.name} has the time zone {policy.time_zone!r}: expected an IANA name, such as Europe/Athens"
            raise UnknownZoneError(message)
        self.policy = policy
        self.zone = zone
        self.print = crc32(repr(replace(policy, source="")).encode("utf-8", "surrogatepass"))
        """What tells this policy from another: a state remembers what it was put to sleep under."""
        order = sorted(range(len(policy.triggers)), key=lambda i: (-policy.triggers[i].priority, i))
        self.rank = {policy.triggers[i].name: rank for rank, i in enumerate(order)}
        self.triggers = {trigger.name: trigger for trigger in policy.triggers}
        self.codes = {trigger.name: code(trigger.name) for trigger in policy.triggers}
        self.levels = tuple(trigger for trigger in policy.triggers if isinstance(trigger.when, Level))
        self.risk_levels = frozenset(trigger.name for trigger in self.levels if _of_risk(trigger.when))
        """The levels of a customer who is about to leave: a high churn score, or a low probability to be alive."""
        self.moves = tuple((trigger, trigger.when) for trigger in policy.triggers if isinstance(trigger.when, Rise | Fall))
        self.trail_ms: dict[tuple[str, bool], int] = {}
        """By (source, whether for falls): how long its numbers are remembered."""
        for _, move in self.moves:
            key = move.source, isinstance(move, Fall)
            self.trail_ms[key] = max(self.trail_ms.get(key, 0), move.within_ms)
        self.happens = tuple((trigger, trigger.when) for trigger in policy.triggers if isinstance(trigger.when, Happens))
        self.offers_for: dict[str, tuple[tuple[int, Offer, int], ...]] = {
            name: tuple((i, offer, channel_set(offer.channels)) for i, offer in enumerate(policy.offers) if name in offer.triggers)
            for name in self.triggers
        }
        """By trigger: (place in the file, offer, its channels as a set), in the order of the file."""
        self.quiet: dict[str, tuple[Span, ...]] = {
            channel: tuple((hours.start, hours.end) for hours in policy.quiet if channel in hours.channels) for channel in CHANNELS
        }
        self.cap_ms = {channel: caps.longest(policy.caps, channel) for channel in CHANNELS}
        self.budgets: dict[str, Budget] = {budget.campaign: budget for budget in policy.budgets}
        self.matters = frozenset({"Subscription", *CONTROL_TYPES, *(when.event for _, when in self.happens)}) | (
            {"SupportContact"} if policy.escalation else set()
        )
        """Types of events that may change what is remembered of a customer beyond the numbers."""
        self.sleeps = len(self.levels) <= 64
        """Whether signals may be passed over at all: a state has room for so many levels."""
        self._masks: dict[int, tuple[Trigger, ...]] = {}

    def active(self, mask: int) -> tuple[Trigger, ...]:
        """The levels that hold by a signal's `active`, the one to decide on first."""
        found = self._masks.get(mask)
        if found is None:
            held = [trigger for i, trigger in enumerate(self.levels) if mask >> i & 1]
            if len(self._masks) >= _MASKS:
                self._masks.clear()
            found = self._masks[mask] = tuple(sorted(held, key=lambda trigger: self.rank[trigger.name]))
        return found

    def happened(self, signal: Signal) -> list[Trigger]:
        """The triggers that wait for what this signal's event is."""
        return [
            trigger
            for trigger, when in self.happens
            if when.event == signal.event_type and (not when.field or signal.fields.get(when.field) in when.symbols)
        ]

    def zone_of(self, name: str) -> ZoneInfo:
        """The customer's zone, or the policy's where the customer has said none that there is."""
        return (zone_named(name) if name else None) or self.zone


def _of_risk(when: object) -> bool:
    if not isinstance(when, Level):
        return False
    return (when.source == "score:churn" and when.at_least > -math.inf) or (when.source == "score:p_alive" and when.below < math.inf)


def channel_set(channels: tuple[str, ...]) -> int:
    """Channels as a set of `consent.BIT`."""
    return sum(BIT[channel] for channel in set(channels))


def code(name: str) -> str:
    """A trigger's name as a code of the records.

    >>> code("at_risk")
    'AT_RISK'
    """
    return re.sub(r"[^A-Z0-9]+", "_", name.upper())


_tables: dict[int, tuple[Any, Compiled]] = {}


def compiled(policy: Policy) -> Compiled:
    """The tables of this very object; made at its first use. UnknownZoneError if its time zone is none.

    By identity, for a policy takes longer to hash than a decision to make. The policy is kept beside its tables, so its id stays its own.
    """
    found = _tables.get(id(policy))
    if found is None:
        if len(_tables) >= _KEPT:
            _tables.clear()
        found = _tables[id(policy)] = (policy, Compiled(policy))
    return found[1]
