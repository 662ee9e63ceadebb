"""What the customer operator tells the contact policy: a moment at which something may have to be decided.

A signal is self-contained: all scores with their reasons, the features of all sets, and the event that led to it. Most events lead to
none (operators/watch.py says which do). One score is the main one; a decision that rests on another one is made from `seen_by` that score.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Reason:
    """One of the three features that weigh most in a score: raw value, and contribution to the score as its model defines it."""

    feature: str
    value: float
    contribution: float


@dataclass(frozen=True, slots=True)
class Scored:
    """One score of a customer at a moment."""

    value: float
    band: int
    """0 LOW, 1 MEDIUM, 2 HIGH."""
    reasons: tuple[Reason, ...]
    model_id: str
    model_version: int


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
    """The main score after the event, or None where there is none (control records of a customer without a state)."""
    band: int = 0
    """0 LOW, 1 MEDIUM, 2 HIGH."""
    reasons: tuple[Reason, ...] = ()
    features: Mapping[str, float] = field(default_factory=dict)
    """Of all feature sets, by name."""
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
    score: str = "churn"
    """The main score's name: churn where it is computed, else the first score that is."""
    others: Mapping[str, Scored] = field(default_factory=dict)
    """Every other score, by name."""


def scored(signal: Signal, name: str) -> Scored | None:
    """The score of this name, main or other; None where there is none."""
    if name != signal.score:
        return signal.others.get(name)
    if signal.value is None:
        return None
    return Scored(signal.value, signal.band, signal.reasons, signal.model_id, signal.model_version)


def number(signal: Signal, source: str) -> float | None:
    """The number of a source, `score:NAME` or `feature:NAME`; None where there is none."""
    kind, _, name = source.partition(":")
    if kind == "feature":
        return signal.features.get(name)
    if name == signal.score:
        return signal.value
    other = signal.others.get(name)
    return None if other is None else other.value


def values(signal: Signal) -> dict[str, float]:
    """All scores by name, in the order of their names."""
    found = {name: other.value for name, other in signal.others.items()}
    if signal.value is not None:
        found[signal.score] = signal.value
    return dict(sorted(found.items()))


def seen_by(signal: Signal, name: str) -> Signal:
    """The signal with this score for its main one; the signal as it is for "" and for a score that it does not have."""
    wanted = signal.others.get(name)
    if wanted is None:
        return signal
    others = {other: each for other, each in signal.others.items() if other != name}
    main = scored(signal, signal.score)
    if main is not None:
        others[signal.score] = main
    return replace(
        signal,
        score=name,
        value=wanted.value,
        band=wanted.band,
        reasons=wanted.reasons,
        model_id=wanted.model_id,
        model_version=wanted.model_version,
        others=others,
    )
