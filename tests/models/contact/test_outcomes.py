"""What became of decisions: windows to the millisecond, labels, late and unknown outcomes, the control group's rows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from keepline.models.contact import snapshot
from keepline.models.contact.arms import identifier
from keepline.models.contact.rules import Budget, Cap, Holdout, Offer
from keepline.models.contact.signal import Signal
from keepline.models.contact.state import MOST_OUTCOMES
from keepline.schemas.records import from_record, to_record
from tests.models.contact.lives import DAY, HOUR, NOON, POLICY, SMS, Life, brief, calm, outcome, record, signal

LANDING = POLICY.landing_ms
LAST = NOON + LANDING
"""The last moment of the window."""
OFFERED = identifier("c1", "sms_discount", "event", f"e{NOON}", 3)
LANDED = ("labelled", "LANDED", "RETAINED")


def offered(*then: Signal) -> Life:
    life = Life()
    life.send(signal(NOON), *then)
    return life


def test_a_row_has_all_that_there_is_to_learn_from() -> None:
    life = offered(outcome(NOON + 5, OFFERED, "DELIVERED"), outcome(NOON + 9, OFFERED, "ACCEPTED"))
    assert life.until(LAST) == []
    (row,) = (output.record for output in life.until(LAST + 1))
    assert row == {
        "customer_id": "c1",
        "decision_id": life.records("decision")[0]["decision_id"],
        "intervention_id": OFFERED,
        "kind": "sms_discount",
        "channel": "SMS",
        "trigger": "at_risk",
        "arm": "TREATMENT",
        "programme": "",
        "escalation": False,
        "status": "LANDED",
        "decided_at": NOON,
        "closed_at": LAST + 1,
        "outcomes": [{"outcome": "DELIVERED", "event_time": NOON + 5}, {"outcome": "ACCEPTED", "event_time": NOON + 9}],
        "label": "RETAINED",
        "policy": "retention",
        "policy_version": 3,
        "score": "churn",
        "value": 0.9,
        "model_id": "churn",
        "model_version": 2,
        "features": {"overdue_bills": 0.0, "data_mb_30d": 500.0},
    }
    assert to_record(from_record("LabelledOutcome", row)) == ("LabelledOutcome", row)


@pytest.mark.parametrize(
    ("time", "brought"),
    [
        (NOON, []),
        (LAST, []),
        (LAST + 1, [LANDED, ("labelled", "LATE", "RETAINED")]),
        (LAST + LANDING, [LANDED, ("labelled", "LATE", "RETAINED")]),
        (LAST + LANDING + 1, [LANDED, ("labelled", "UNKNOWN", "None")]),
        (NOON - HOUR, []),  # the sender's clock is behind
    ],
)
def test_an_outcome_is_joined_late_or_unknown(time: int, brought: list[tuple[str, ...]]) -> None:
    life = offered()
    assert brief(life.send(outcome(time, OFFERED, "DECLINED"))) == brought
    life.until(LAST + 1)
    row = life.records("labelled")[0]
    assert row["status"] == "LANDED"
    assert row["outcomes"] == ([] if brought else [{"outcome": "DECLINED", "event_time": time}])


def test_an_outcome_that_arrives_after_its_row_closed_is_late_though_its_time_is_within() -> None:
    life = offered(calm(LAST + 5))
    (late,) = (output.record for output in life.send(outcome(LAST - HOUR, OFFERED, "CHURNED")))
    landed = life.records("labelled")[0]
    assert (landed["status"], landed["label"]) == ("LANDED", "RETAINED")
    assert (late["status"], late["label"], late["closed_at"]) == ("LATE", "CHURNED", LAST + 5)
    assert late == landed | {
        "status": "LATE",
        "label": "CHURNED",
        "closed_at": LAST + 5,
        "outcomes": [{"outcome": "CHURNED", "event_time": LAST - HOUR}],
        "features": {},
    }
    assert brief(life.send(outcome(LAST + 6, OFFERED, "CHURNED"))) == [("labelled", "LATE", "RETAINED")]


def test_an_outcome_of_nothing_that_is_remembered() -> None:
    life = Life(replace(POLICY, holdout=Holdout("spring", 0.0)))
    (row,) = (output.record for output in life.send(outcome(NOON, "f" * 32, "ACCEPTED")))
    assert row == {
        "customer_id": "c1", "decision_id": "", "intervention_id": "f" * 32, "kind": "", "channel": "", "trigger": "", "arm": "TREATMENT",
        "programme": "spring", "escalation": False, "status": "UNKNOWN", "decided_at": 0, "closed_at": NOON,
        "outcomes": [{"outcome": "ACCEPTED", "event_time": NOON}], "label": None, "policy": "retention", "policy_version": 3,
        "score": "churn", "value": 0.0, "model_id": "", "model_version": 0, "features": {},
    }  # fmt: skip
    assert to_record(from_record("LabelledOutcome", row)) == ("LabelledOutcome", row)
    assert life.contact is None
    assert brief(life.send(outcome(NOON, "", "ACCEPTED"))) == [("labelled", "UNKNOWN", "None")]


@pytest.mark.parametrize(
    ("then", "label"),
    [
        ([outcome(NOON + 1, OFFERED, "RETAINED")], "RETAINED"),
        ([outcome(NOON + 1, OFFERED, "CHURNED")], "CHURNED"),
        ([outcome(NOON + 1, OFFERED, "CHURNED"), outcome(NOON + 2, OFFERED, "RETAINED")], "CHURNED"),
        ([outcome(LAST, OFFERED, "CHURNED")], "CHURNED"),
        ([calm(NOON + 1, event_type="Subscription", ended=True)], "CHURNED"),
        ([calm(NOON + 1, event_type="Subscription", ended=True), calm(NOON + 2, event_type="Subscription")], "CHURNED"),
        ([calm(LAST, event_type="Subscription", ended=True)], "CHURNED"),
        ([calm(LAST + 1, event_type="Subscription", ended=True)], "RETAINED"),
        # The customer left, whichever offer the record names; but not before the decision.
        ([outcome(NOON + 1, "f" * 32, "CHURNED")], "CHURNED"),
        ([outcome(NOON, "f" * 32, "CHURNED")], "CHURNED"),
        ([outcome(NOON - 1, "f" * 32, "CHURNED")], "RETAINED"),
    ],
)
def test_labels(then: list[Signal], label: str) -> None:
    life = offered(*then)
    life.until(LAST + 1)
    assert [row["label"] for row in life.records("labelled") if row["status"] == "LANDED"] == [label]


def test_the_control_groups_decisions_land_too() -> None:
    life = Life(replace(POLICY, holdout=Holdout("spring", 1.0)))
    life.send(signal(NOON), outcome(NOON + 5, "f" * 32, "ACCEPTED"))
    life.until(LAST + 1)
    decision = life.records("decision")[0]
    _, row = life.records("labelled")
    assert row["features"] == {"overdue_bills": 0.0, "data_mb_30d": 500.0}
    assert (row["decision_id"], row["intervention_id"], row["arm"], row["programme"]) == (
        decision["decision_id"],
        None,
        "CONTROL",
        "spring",
    )
    assert (row["kind"], row["channel"], row["label"], row["outcomes"]) == ("sms_discount", "SMS", "RETAINED", [])


def test_an_outcome_may_name_a_decision_of_the_control_group() -> None:
    life = Life(replace(POLICY, holdout=Holdout("spring", 1.0)))
    life.send(signal(NOON))
    decision = life.records("decision")[0]["decision_id"]
    assert life.send(outcome(NOON + 5, decision, "CHURNED")) == []
    life.until(LAST + 1)
    assert [(row["label"], len(row["outcomes"])) for row in life.records("labelled")] == [("CHURNED", 1)]
    # In the treatment group the intervention's id alone names the row.
    life = offered()
    assert brief(life.send(outcome(NOON + 5, life.records("decision")[0]["decision_id"], "ACCEPTED"))) == [("labelled", "UNKNOWN", "None")]


def test_a_failed_delivery_gives_its_room_back() -> None:
    gift = Offer("gift", "A gift", ("SMS",), ("overdue",))
    for what, then in (("FAILED", ("intervention", "gift", "SMS")), ("DELIVERED", ("decision", "SUPPRESSED", "CAP"))):
        life = Life(replace(POLICY, offers=(gift, replace(SMS, triggers=("at_risk",))), caps=(Cap(1, 90 * DAY),)))
        life.send(signal(NOON), outcome(NOON + 5, OFFERED, what))
        assert brief(life.send(signal(NOON + 6, active=2)))[0] == then
        # Its cool-down stays.
        assert brief(life.send(signal(NOON + 7))) == [("decision", "SUPPRESSED", "COOLDOWN")]


def test_a_failure_gives_room_back_even_when_the_row_is_forgotten() -> None:
    gift = Offer("gift", "A gift", ("SMS",), ("overdue",))
    life = Life(replace(POLICY, offers=(gift, replace(SMS, triggers=("at_risk",))), caps=(Cap(1, 90 * DAY),)))
    life.send(signal(NOON))
    later = LAST + LANDING + DAY
    assert brief(life.send(outcome(later, OFFERED, "FAILED"))) == [LANDED, ("labelled", "UNKNOWN", "None")]
    assert brief(life.send(signal(later + 1, active=2)))[0] == ("intervention", "gift", "SMS")


def test_the_same_record_twice_is_joined_once_and_rows_are_bounded() -> None:
    life = offered(*[outcome(NOON + 5, OFFERED, "DELIVERED")] * 2, *(outcome(NOON + 10 + i, OFFERED, "DELIVERED") for i in range(100)))
    life.send(outcome(NOON + HOUR, OFFERED, "CHURNED"))
    life.until(LAST + 1)
    (row,) = life.records("labelled")
    assert len(row["outcomes"]) == MOST_OUTCOMES
    assert [each["event_time"] - NOON for each in row["outcomes"][:3]] == [5, 10, 11]
    assert row["label"] == "CHURNED"


def test_a_claim_has_a_row_whatever_the_budget_says() -> None:
    life = Life(replace(POLICY, offers=(replace(SMS, campaign="spring"),), budgets=(Budget("spring", 0),)))
    (claim,) = life.send(signal(NOON))
    (row,) = (output.record for output in life.until(LAST + 1))
    assert (row["decision_id"], row["intervention_id"]) == (claim.record["decision"]["decision_id"], OFFERED)


def test_a_row_is_written_once_and_then_only_its_name_is_kept() -> None:
    life = offered(record("Subscription", NOON + 5, time_zone="Asia/Tokyo"))
    assert brief(life.until(LAST + LANDING)) == [LANDED]
    assert life.contact is not None
    assert [snapshot.unpack(row.snapshot).features for row in life.contact.rows] == [{}]
    life.send(calm(LAST + LANDING + 1))
    assert life.contact.rows == ()
