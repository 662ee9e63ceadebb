"""The output records as dictionaries with the fields of their schemas, and what a step has put out so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from keepline.models.contact.arms import TREATMENT, arm_of, identifier
from keepline.models.contact.clock import local_time
from keepline.models.contact.compiled import Compiled
from keepline.models.contact.signal import Signal, values
from keepline.models.contact.snapshot import Snapshot, unpack
from keepline.models.contact.state import Contact, Joined, Proposal, Row

INTERVENTION, DECISION, LABELLED, RECEIPT, CLAIM = "intervention", "decision", "labelled", "receipt", "claim"
RECORD_NAMES = {INTERVENTION: "Intervention", DECISION: "Decision", LABELLED: "LabelledOutcome", RECEIPT: "ErasureReceipt"}
"""The schema of each kind of output. A claim is none: `budget.pack_claim` makes its bytes."""
EMITTED, HELD, SUPPRESSED, CANCELLED = "EMITTED", "HELD", "SUPPRESSED", "CANCELLED"
LANDED, LATE, UNKNOWN = "LANDED", "LATE", "UNKNOWN"
CHURNED, RETAINED = "CHURNED", "RETAINED"
BANDS = ("LOW", "MEDIUM", "HIGH")


@dataclass(frozen=True, slots=True)
class Output:
    """One record that a step puts out."""

    kind: str
    record: dict[str, Any]
    key: str
    """The customer; of a receipt the request, of a claim `budget.claim_key`."""
    at: int
    """`now` when it was made, epoch ms."""


@dataclass(slots=True)
class Moment:
    """The moment of a step: the policy's tables, `now`, and what was put out so far."""

    rules: Compiled
    now: int
    outputs: list[Output] = field(default_factory=list)

    def put(self, kind: str, record: dict[str, Any], key: str) -> None:
        """Puts out one more record."""
        self.outputs.append(Output(kind, record, key, self.now))


def decision(
    contact: Contact,
    moment: Moment,
    result: str,
    reason: str,
    *,
    trigger: str,
    source: Signal | Snapshot,
    kind: str = "",
    arm: str = TREATMENT,
    intervention_id: str | None = None,
    hold_until: int | None = None,
    detail: Mapping[str, object] | None = None,
) -> dict[str, Any]:
    """A Decision. `source` has the numbers that it rests on, the score being its main one; `detail` is further made_from."""
    policy = moment.rules.policy
    return {
        "decision_id": identifier(
            "decision", contact.customer_id, moment.now, contact.decisions, trigger, kind, result, reason, source.event_id, intervention_id
        ),
        "intervention_id": intervention_id,
        "customer_id": contact.customer_id,
        "result": result,
        "reason": reason,
        "arm": arm,
        "kind": kind,
        "decided_at": moment.now,
        "hold_until": hold_until,
        "policy_version": policy.version,
        "model_version": source.model_version,
        "trigger": trigger,
        "policy": policy.name,
        "made_from": _made_from(contact, moment, source, detail),
    }


def _made_from(contact: Contact, moment: Moment, source: Signal | Snapshot, detail: Mapping[str, object] | None) -> str:
    """What a decision was made from, as JSON with plain words for keys; times are epoch ms, local ones as people write them."""
    rules, now = moment.rules, moment.now
    told: dict[str, object] = {
        "event_id": source.event_id,
        "score": source.value,
        "band": BANDS[source.band],
        "score_name": source.score,
        "scores": source.scores if isinstance(source, Snapshot) else values(source),
        "active": contact.active,
        "ended": contact.ended,
        "consents": [{"purpose": c.purpose, "channel": c.channel, "status": c.status, "at": c.at} for c in contact.consents],
        "time_zone": (zone := rules.zone_of(contact.zone)).key,
        "local_time": local_time(zone, now),
        "contacts": [{"at": c.at, "channel": c.channel} for c in contact.contacts],
        "cooldowns": {c.kind: c.until for c in contact.cooldowns if c.until > now},
        "held": [{"kind": h.kind, "channel": h.channel, "until": h.due} for h in contact.held],
    }
    return orjson.dumps({**told, **(detail or {})}).decode()


def intervention(contact: Contact, moment: Moment, proposal: Proposal) -> dict[str, Any]:
    """The Intervention of a proposal that is emitted now."""
    seen = unpack(proposal.snapshot)
    return {
        "intervention_id": proposal.intervention_id,
        "customer_id": contact.customer_id,
        "kind": proposal.kind,
        "channel": proposal.channel,
        "offer": proposal.offer,
        "score": seen.score,
        "value": seen.value,
        "reasons": [{"feature": r.feature, "value": r.value, "contribution": r.contribution} for r in seen.reasons],
        "model_id": seen.model_id,
        "model_version": seen.model_version,
        "policy_version": moment.rules.policy.version,
        "decided_at": moment.now,
        "not_before": moment.now,
        "expires_at": moment.now + proposal.valid_ms,
        "trigger": proposal.trigger,
        "escalation_of": proposal.escalation_of or None,
    }


def labelled(contact: Contact, moment: Moment, row: Row, status: str, outcomes: tuple[Joined, ...], label: str) -> dict[str, Any]:
    """A LabelledOutcome of a row that is remembered."""
    seen = unpack(row.snapshot)
    return {
        "customer_id": contact.customer_id,
        "decision_id": row.decision_id,
        "intervention_id": row.intervention_id if row.arm == TREATMENT and row.intervention_id else None,
        "kind": row.kind,
        "channel": row.channel,
        "trigger": row.trigger,
        "arm": row.arm,
        "programme": row.programme,
        "escalation": row.escalation,
        "status": status,
        "decided_at": row.decided_at,
        "closed_at": moment.now,
        "outcomes": [{"outcome": each.outcome, "event_time": each.at} for each in outcomes],
        "label": label,
        "policy": row.policy,
        "policy_version": row.policy_version,
        "score": seen.score,
        "value": seen.value,
        "model_id": seen.model_id,
        "model_version": seen.model_version,
        "features": seen.features,
    }


def unknown(contact: Contact, moment: Moment, intervention_id: str, outcome: Joined, score: str) -> dict[str, Any]:
    """A LabelledOutcome of an outcome whose intervention is not remembered, or never was; `score` is the job's main one."""
    policy = moment.rules.policy
    return {
        "customer_id": contact.customer_id,
        "decision_id": "",
        "intervention_id": intervention_id,
        "kind": "",
        "channel": "",
        "trigger": "",
        "arm": arm_of(contact.customer_id, policy.holdout),
        "programme": policy.holdout.programme if policy.holdout else "",
        "escalation": False,
        "status": UNKNOWN,
        "decided_at": 0,
        "closed_at": moment.now,
        "outcomes": [{"outcome": outcome.outcome, "event_time": outcome.at}],
        "label": None,
        "policy": policy.name,
        "policy_version": policy.version,
        "score": score,
        "value": 0.0,
        "model_id": "",
        "model_version": 0,
        "features": {},
    }


def receipt(contact: Contact | None, signal: Signal) -> dict[str, Any]:
    """An ErasureReceipt: what there was, of which nothing is left."""
    return {
        "request_id": str(signal.fields.get("request_id", "")),
        "erased_at": signal.time,
        "counts": {
            "customer_state": int(signal.had_state),
            "contact_state": int(contact is not None),
            "contacts": len(contact.contacts) if contact else 0,
            "held": len(contact.held) if contact else 0,
            "open_rows": sum(not row.landed for row in contact.rows) if contact else 0,
        },
    }
