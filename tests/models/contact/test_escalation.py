"""A ticket for people where an offer did not help: why, when, how often, and to whom never."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from keepline.models.contact.arms import identifier
from keepline.models.contact.rules import Budget, Cap, Escalation, Holdout, Level, Offer, QuietHours, Trigger
from keepline.models.contact.signal import Signal
from tests.models.contact.lives import (
    CALL_BACK,
    DAY,
    HOUR,
    NOON,
    POLICY,
    SMS,
    Life,
    alive,
    at,
    brief,
    calm,
    clv,
    complaint,
    consent,
    outcome,
    record,
    signal,
)

AFTER = 3 * DAY
ESCALATING = replace(POLICY, escalation=Escalation(AFTER, valid_ms=2 * DAY))
LOOKED = NOON + AFTER
OFFERED = identifier("c1", "sms_discount", "event", f"e{NOON}", 3)


def ticket(reason: str) -> list[tuple[str, ...]]:
    return [("intervention", "support_ticket", "CALL"), ("decision", "EMITTED", reason)]


@pytest.mark.parametrize(
    ("then", "reason"),
    [
        ([], "STILL_AT_RISK"),
        ([calm(NOON + 1)], ""),
        ([calm(NOON + 1), signal(LOOKED - 1)], "STILL_AT_RISK"),
        ([signal(NOON + 1, active=2)], ""),  # a level on a feature is no risk of leaving
        ([calm(NOON + 1), complaint(NOON + 2)], "COMPLAINT"),
        ([calm(NOON + 1), record("SupportContact", NOON + 2, topic="CANCELLATION")], "COMPLAINT"),
        ([calm(NOON + 1), record("SupportContact", NOON + 2, topic="QUESTION")], ""),
        ([calm(NOON), complaint(NOON)], ""),  # of the very moment of the offer: not since
        ([outcome(NOON + 1, OFFERED, "ACCEPTED")], ""),
        ([replace(outcome(NOON + 1, OFFERED, "DELIVERED"), active=1)], "STILL_AT_RISK"),
        ([replace(consent(NOON + 1, "DENIED", "PROFILING"), active=1)], ""),
        ([replace(consent(NOON + 1, "DENIED", "MARKETING"), active=1)], "STILL_AT_RISK"),
        ([signal(NOON + 1, ended=True)], ""),
    ],
)
def test_what_is_looked_at_after_an_offer(then: list[Signal], reason: str) -> None:
    policy = replace(ESCALATING, offers=(SMS,), triggers=ESCALATING.triggers[:2])
    life = Life(policy)
    life.send(signal(NOON), *then)
    assert life.until(LOOKED - 1) == []
    assert brief(life.until(LOOKED)) == (ticket(reason) if reason else [])
    assert len(life.records("intervention")) == 1 + bool(reason)


@pytest.mark.parametrize(
    ("when", "at_risk"),
    [
        (Level("score:churn", 0.8), True),
        (Level("score:churn", 0.1, 0.8), True),
        (Level("score:churn", below=0.8), False),
        (Level("score:p_alive", below=0.3), True),
        (Level("score:p_alive", 0.1, 0.3), True),
        (Level("score:p_alive", 0.3), False),
        (Level("score:clv_bgnbd", 100.0), False),
        (Level("score:clv_bgnbd", below=100.0), False),
        (Level("feature:overdue_bills", 1.0), False),
    ],
)
def test_which_levels_are_a_risk_of_leaving(when: Level, at_risk: bool) -> None:
    lasting = Trigger("lasting", when)
    policy = replace(ESCALATING, triggers=(lasting,), offers=(replace(SMS, triggers=("lasting",)),))
    life = Life(policy)
    life.send(signal(NOON, others={"p_alive": alive(0.2), "clv_bgnbd": clv(80.0)}))
    assert brief(life.until(LOOKED)) == (ticket("STILL_AT_RISK") if at_risk else [])


def test_a_ticket_says_what_it_follows() -> None:
    life = Life(ESCALATING)
    life.send(signal(NOON), signal(NOON + DAY, value=0.99))
    made, decision = (output.record for output in life.until(LOOKED))
    assert made == life.records("intervention")[0] | {
        "intervention_id": identifier("c1", "support_ticket", "escalation", OFFERED, 3),
        "kind": "support_ticket",
        "channel": "CALL",
        "offer": "A person calls the customer",
        "decided_at": LOOKED,
        "not_before": LOOKED,
        "expires_at": LOOKED + 2 * DAY,
        "escalation_of": OFFERED,
    }
    assert (decision["intervention_id"], decision["trigger"], decision["kind"]) == (made["intervention_id"], "at_risk", "support_ticket")
    life.until(2**50)
    offer, after = life.records("labelled")
    assert (offer["escalation"], after["escalation"]) == (False, True)
    assert after["intervention_id"] == made["intervention_id"]
    assert after["decision_id"] == decision["decision_id"]
    assert (after["decided_at"], after["closed_at"]) == (LOOKED, LOOKED + 10 * DAY + 1)
    assert after["features"] == offer["features"] == signal().features


@pytest.mark.parametrize("what", ["DECLINED", "COMPLAINED"])
def test_who_declines_or_complains_of_an_offer_is_called_at_once_and_once(what: str) -> None:
    life = Life(ESCALATING)
    life.send(signal(NOON))
    assert brief(life.send(outcome(NOON + 5, OFFERED, what))) == ticket(what)
    assert life.send(outcome(NOON + 6, OFFERED, "DECLINED"), outcome(NOON + 7, OFFERED, "COMPLAINED")) == []
    life.send(signal(NOON + DAY))
    assert life.until(NOON + 9 * DAY) == []
    assert life.send(outcome(NOON + 9 * DAY, OFFERED, "DECLINED")) == []  # the ticket is old by now
    assert len(life.records("intervention")) == 2


@pytest.mark.parametrize("what", ["DELIVERED", "FAILED", "ACCEPTED", "CHURNED", "RETAINED"])
def test_other_outcomes_do_not_escalate(what: str) -> None:
    life = Life(ESCALATING)
    assert life.send(signal(NOON), outcome(NOON + 5, OFFERED, what)) == []


def test_a_decline_after_the_moment_of_looking_escalates_still_and_a_late_one_does_not() -> None:
    life = Life(ESCALATING)
    life.send(signal(NOON), calm(NOON + 1))
    assert life.until(LOOKED + 1) == []
    assert brief(life.send(outcome(LOOKED + 2, OFFERED, "DECLINED"))) == ticket("DECLINED")
    life = Life(ESCALATING)
    life.send(signal(NOON), calm(NOON + 1))
    assert brief(life.send(outcome(NOON + 11 * DAY, OFFERED, "DECLINED"))) == [
        ("labelled", "LANDED", "RETAINED"),
        ("labelled", "LATE", "RETAINED"),
    ]


def two_offers(**changes: Any) -> Life:
    gift = Offer("gift", "A gift", ("EMAIL",), ("overdue",))
    life = Life(replace(ESCALATING, offers=(gift, replace(SMS, triggers=("at_risk",))), **changes))
    life.send(signal(NOON, active=1), signal(NOON + HOUR, active=2), signal(NOON + HOUR + 1, active=1))
    assert [made["kind"] for made in life.records("intervention")] == ["sms_discount", "gift"]
    return life


def test_one_ticket_is_enough_for_a_while() -> None:
    life = two_offers()
    assert brief(life.until(LOOKED)) == ticket("STILL_AT_RISK")
    assert life.until(LOOKED + HOUR) == []
    # The ticket is young until LOOKED + AFTER; then a decline of the other offer has its own.
    gift = life.records("intervention")[1]["intervention_id"]
    assert life.send(outcome(LOOKED + AFTER - 1, gift, "DECLINED")) == []
    assert brief(life.send(outcome(LOOKED + AFTER, gift, "COMPLAINED"))) == ticket("COMPLAINED")


def test_a_decline_that_met_a_young_ticket_is_looked_at_later() -> None:
    gift = Offer("gift", "A gift", ("EMAIL",), ("overdue",))
    life = Life(replace(ESCALATING, offers=(gift, replace(SMS, triggers=("at_risk",)))))
    assert brief(life.send(signal(NOON), outcome(NOON + 1, OFFERED, "DECLINED"))) == ticket("DECLINED")
    given = life.send(signal(NOON + HOUR, active=2))[0].record["intervention_id"]
    assert life.send(outcome(NOON + HOUR + 1, given, "COMPLAINED")) == []
    assert brief(life.until(LOOKED + HOUR)) == ticket("COMPLAINED")


NIGHT = QuietHours(21 * 60, 8 * 60, ("CALL",))


def test_tickets_keep_quiet_hours() -> None:
    life = Life(replace(ESCALATING, quiet=(NIGHT,)))
    night = at("2026-03-02T23:00:00+00:00")
    morning = at("2026-03-03T08:00:00+00:00")
    life.send(signal(NOON))
    assert brief(life.send(outcome(night, OFFERED, "DECLINED"))) == [("decision", "HELD", "QUIET_HOURS")]
    assert life.send(outcome(night + 1, OFFERED, "COMPLAINED")) == []
    assert brief(life.until(morning)) == ticket("DECLINED")
    assert life.records("intervention")[1]["not_before"] == morning
    assert life.until(NOON + 9 * DAY) == []


def test_a_held_ticket_is_cancelled_when_the_contract_ends_and_another_may_follow() -> None:
    life = Life(replace(ESCALATING, quiet=(NIGHT,)))
    night = at("2026-03-02T23:00:00+00:00")
    life.send(signal(NOON), outcome(night, OFFERED, "DECLINED"))
    assert brief(life.send(calm(night + 1, ended=True))) == [("decision", "CANCELLED", "ENDED")]
    assert life.contact is not None
    assert life.contact.ticket_at == 0


def test_a_held_ticket_waits_on_with_the_customers_clock() -> None:
    life = Life(replace(ESCALATING, quiet=(NIGHT,)))
    night = at("2026-03-02T23:00:00+00:00")
    life.send(signal(NOON), outcome(night, OFFERED, "DECLINED"), consent(night + 1, zone="America/New_York"))
    there = at("2026-03-03T08:00:00-05:00")
    assert life.until(there - 1) == []
    assert life.contact is not None
    assert life.contact.ticket_at == there
    assert brief(life.until(there)) == ticket("DECLINED")


def test_tickets_need_no_consent_to_marketing_and_no_room() -> None:
    life = Life(replace(ESCALATING, caps=(Cap(1, 30 * DAY),)))
    life.send(signal(NOON), replace(consent(NOON + 1, "DENIED"), active=1))
    assert brief(life.until(LOOKED)) == ticket("STILL_AT_RISK")
    assert life.contact is not None
    assert len(life.contact.contacts) == 1


def test_the_control_group_and_service_are_never_escalated() -> None:
    life = Life(replace(ESCALATING, holdout=Holdout("spring", 1.0)))
    life.send(signal(NOON), signal(NOON + DAY), complaint(NOON + 2 * DAY))
    called = life.records("intervention")[0]
    assert called["kind"] == CALL_BACK.kind
    controlled = life.records("decision")[0]["decision_id"]
    life.send(outcome(NOON + 2 * DAY + 1, called["intervention_id"], "DECLINED"), outcome(NOON + 2 * DAY + 2, controlled, "DECLINED"))
    life.until(2**50)
    assert len(life.records("intervention")) == 1


def test_a_ticket_is_not_escalated_itself() -> None:
    life = Life(ESCALATING)
    life.send(signal(NOON), outcome(NOON + 5, OFFERED, "DECLINED"))
    made = life.records("intervention")[1]
    assert life.send(outcome(NOON + AFTER + HOUR, made["intervention_id"], "COMPLAINED")) == []


@pytest.mark.parametrize(("proved", "tickets"), [(False, 0), (True, 1)])
def test_an_offer_that_a_budget_may_have_refused_is_followed_only_if_an_outcome_proves_it(proved: bool, tickets: int) -> None:
    life = Life(replace(ESCALATING, offers=(replace(SMS, campaign="spring"),), budgets=(Budget("spring", 1),)))
    life.send(signal(NOON))
    if proved:
        life.send(replace(outcome(NOON + 1, OFFERED, "DELIVERED"), active=1))
    life.until(NOON + 9 * DAY)
    assert len(life.records("intervention")) == tickets


def test_a_ticket_is_made_after_the_row_has_landed_too() -> None:
    life = Life(replace(ESCALATING, landing_ms=DAY))
    life.send(signal(NOON))
    assert brief(life.until(LOOKED)) == [("labelled", "LANDED", "RETAINED"), *ticket("STILL_AT_RISK")]
    assert life.records("intervention")[1]["reasons"] == life.records("intervention")[0]["reasons"]


def test_without_escalation_nothing_follows() -> None:
    life = Life(POLICY)
    life.send(signal(NOON), outcome(NOON + 5, OFFERED, "DECLINED"))
    life.until(2**50)
    assert len(life.records("intervention")) == 1
