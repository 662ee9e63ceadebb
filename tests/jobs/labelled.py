"""Records of LabelledOutcome for tests."""

from __future__ import annotations

from typing import Any

DAY = 86_400_000
NOON = 20_513 * DAY + DAY // 2
"""2026-03-01T12:00:00Z."""


def labelled(customer: str = "c-1", decision: str = "d-1", **fields: Any) -> dict[str, Any]:
    """A LANDED record; `outcomes` may be given as names, which then came a minute after the decision."""
    record = {
        "customer_id": customer, "decision_id": decision, "intervention_id": f"i-{decision}", "kind": "sms_discount", "channel": "SMS",
        "trigger": "AT_RISK", "arm": "TREATMENT", "programme": "p", "escalation": False, "status": "LANDED", "decided_at": NOON,
        "closed_at": NOON + 30 * DAY, "outcomes": [], "label": "RETAINED", "policy": "standard", "policy_version": 2, "score": "churn",
        "value": 0.75, "model_id": "m", "model_version": 3, "features": {"calls_7d": 2.0, "data_mb_30d": 0.5},
    } | fields  # fmt: skip
    if record["arm"] == "CONTROL" and "intervention_id" not in fields:
        record["intervention_id"] = None
    record["outcomes"] = [
        {"outcome": each, "event_time": record["decided_at"] + 60_000} if isinstance(each, str) else each for each in record["outcomes"]
    ]
    return record


def late(of: dict[str, Any], outcome: str, days: int = 40) -> dict[str, Any]:
    """A LATE record of a decision."""
    one = {"outcome": outcome, "event_time": of["decided_at"] + days * DAY}
    return of | {"status": "LATE", "outcomes": [one], "features": {}, "closed_at": one["event_time"]}


def unknown(customer: str, intervention: str, outcome: str, at: int) -> dict[str, Any]:
    """An UNKNOWN record."""
    return labelled(
        customer, "", intervention_id=intervention, status="UNKNOWN", decided_at=0, closed_at=at, label=None, features={}, model_id="",
        outcomes=[{"outcome": outcome, "event_time": at}],
    )  # fmt: skip
