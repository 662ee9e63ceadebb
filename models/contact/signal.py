"""What the customer operator tells the contact policy: a moment at which something may have to be decided.

A signal is self-contained: the score with its reasons, the row of features, and the event that led to it. Most events lead to none
(operators/watch.py says which do).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Reason:
    """One of the three features that weigh most in a score: raw value, and contribution to the logit."""

    feature: str
    value: float
    contribution: float


@dataclass(frozen=True, slots=True)
class Signal:
    """One moment of one customer. `time` is the customer's `now` for an event or a tick, the record's own time for a control record."""

    customer_id: str
    time: int
    """Epoch ms. Signals of events and ticks never go back; a control record's may."""
    event_id: str = ""
    """"" for a tick."""
    event_type: str = ""
    """"" for a tick; else Call, SupportContact, Subscription, Consent, Outcome, Erasure, …"""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """The event's further fields by name (enums as symbols), where the type is one that the policy watches; else empty."""
    value: float | None = None
    """The churn score after the event, or None where there is none (control records of a customer without a state)."""
    band: int = 0
    """0 LOW, 1 MEDIUM, 2 HIGH."""
    reasons: tuple[Reason, ...] = ()
    features: Mapping[str, float] = field(default_factory=dict)
    active: int = 0
    """Bit i: level i of the watch list (`watched_levels`) holds."""
    ended: bool = False
    """The contract is over (Subscription.ended)."""
    quiet_until: int = 0
    """Of a state that 0.1.0 wrote: no contact before it, epoch ms; 0 none."""
    model_id: str = ""
    model_version: int = 0
    had_state: bool = True
    """Erasure: whether the customer operator held anything."""
