"""The contact policy: whether, when and with what a customer is contacted. A pure function of (contact, candidate, policy).

A *candidate* is a moment at which the model says a customer is at risk. `decide` turns it into output records and the
customer's next contact state; it reads no clock and draws no random number, so the live job, a restart and `replay`
decide alike. The operator keeps `Contact` in the customer's state bytes.

The policy in force: an uninterrupted risk leads to one intervention a cool-down (default 30 days), `extra_data` for the
upper half of data users (by the median of `data_mb_30d` in the model's training baseline), `sms_discount` for the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Offer:
    """What is offered, and through which channel (SMS, EMAIL, PUSH or CALL)."""

    kind: str
    channel: str
    offer: str


DISCOUNT = Offer("sms_discount", "SMS", "10 % off the next three bills")
EXTRA_DATA = Offer("extra_data", "PUSH", "5 GB extra data this month")


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules. Times in milliseconds."""

    threshold: float
    """A score at or above it makes a candidate."""
    cooldown_ms: int = 30 * DAY_MS
    """The least time between two interventions for one customer."""
    expires_ms: int = 7 * DAY_MS
    """How long after the decision an intervention may still be delivered."""
    data_median_mb: float = float("inf")
    """Customers at or above it (`data_mb_30d`) are the upper half of data users."""
    version: int = 1


@dataclass(frozen=True, slots=True)
class Contact:
    """What the policy remembers of a customer."""

    quiet_until: int = 0
    """No intervention before this moment, epoch ms; 0 = none was ever made."""
    interventions: int = 0


@dataclass(frozen=True, slots=True)
class Reason:
    """One of the three features that weigh most in a score: raw value, and contribution to the logit."""

    feature: str
    value: float
    contribution: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """A score at or above the threshold. `event_id` is "" where a tick, not an event, led to it."""

    customer_id: str
    event_id: str
    as_of: int
    score: str
    value: float
    reasons: tuple[Reason, ...]
    features: Mapping[str, float]
    model_id: str
    model_version: int


def identifier(*parts: object) -> str:
    """32 hex digits of a keyed-by-content hash: the same inputs give the same id after a restart.

    >>> identifier("c1", "sms_discount", "e9", 1) == identifier("c1", "sms_discount", "e9", 1)
    True
    """
    digest = blake2b(digest_size=16)
    for part in parts:
        raw = str(part).encode()
        digest.update(len(raw).to_bytes(4, "little") + raw)
    return digest.hexdigest()


def decide(contact: Contact, candidate: Candidate, policy: Policy) -> tuple[Contact, dict[str, Any], dict[str, Any]] | None:
    """The intervention and the decision that a candidate leads to, and the contact state after it; None within a cool-down."""
    now = candidate.as_of
    if candidate.value < policy.threshold or now < contact.quiet_until:
        return None
    used = candidate.features.get("data_mb_30d", 0.0)
    heavy = used > 0 and used >= policy.data_median_mb  # nobody is a data user who used none
    offer = EXTRA_DATA if heavy else DISCOUNT
    # A tick has no event: its moment stands for the trigger, or two ticks would share an id.
    trigger = ("event", candidate.event_id) if candidate.event_id else ("tick", now)
    intervention_id = identifier(candidate.customer_id, offer.kind, *trigger, policy.version)
    intervention = {
        "intervention_id": intervention_id,
        "customer_id": candidate.customer_id,
        "kind": offer.kind,
        "channel": offer.channel,
        "offer": offer.offer,
        "score": candidate.score,
        "value": candidate.value,
        "reasons": [
            {"feature": reason.feature, "value": reason.value, "contribution": reason.contribution} for reason in candidate.reasons
        ],
        "model_id": candidate.model_id,
        "model_version": candidate.model_version,
        "policy_version": policy.version,
        "decided_at": now,
        "not_before": now,
        "expires_at": now + policy.expires_ms,
    }
    decision = {
        "decision_id": identifier("decision", intervention_id, now),
        "intervention_id": intervention_id,
        "customer_id": candidate.customer_id,
        "result": "EMITTED",
        "reason": "SCORE_ABOVE_THRESHOLD",
        "arm": "TREATMENT",
        "kind": offer.kind,
        "decided_at": now,
        "hold_until": None,
        "policy_version": policy.version,
        "model_version": candidate.model_version,
    }
    return Contact(now + policy.cooldown_ms, contact.interventions + 1), intervention, decision
