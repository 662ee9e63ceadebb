"""The plain words that marketing reviews."""

from __future__ import annotations

import pytest

from keepline.models.contact.rules import Condition, Fall, Happens, Holdout, Level, Policy, Rise, Trigger, When
from keepline.models.contact.show import condition, show, when
from tests.models.contact.policy_files import BASE, read

SHOWN = """\
Policy telecom, version 3

Triggers, the highest priority first:
  10  at_risk    the churn score is at least 0.25
  0   rising     the churn score rises by 0.2 within 7d
  0   complaint  a SupportContact arrives whose topic is COMPLAINT or CANCELLATION
  0   missed     overdue_bills is at least 1

Offers, of which the first that suits is taken:
  1. bonus: A bonus
     for      at_risk, rising
     if       bill_rise raises the score, among its three reasons and monthly_charge is at least 70 and below 200
     by       PUSH, else SMS
     is       marketing
     again    after 30d at the earliest
     valid    for 7d
     campaign spring
  2. sorry: Sorry
     for      complaint, missed, at_risk
     by       CALL
     is       a service message: needs no consent, counts in no cap, has no control group
     again    after 12h at the earliest
     valid    for 30m

Consent:
  marketing: unless the customer refuses
  offers because of a score (profiling): only with the customer's consent

Caps on marketing contacts:
  at most 1 in any 1d

Quiet hours, in the customer's time zone, else Europe/Berlin:
  21:00 to 08:30: SMS, CALL

Control group:
  10% of all customers, by a hash of the programme p-1 and the customer

Escalation:
  ticket by CALL: A person calls the customer
  7d after a marketing offer, if the customer is still at risk or has complained since;
  at once if the customer declines the offer or complains about it; valid for 7d

Budgets:
  spring: at most 100 a day (UTC), counted in 4 parts

Outcomes:
  are waited for 14d after a decision
"""


def test_show() -> None:
    assert show(read(BASE)) == SHOWN


def test_without_any_of_it() -> None:
    told = show(Policy("p", 1, (Trigger("a", Happens("Bill"), 5),), ()))
    for section in (
        "Caps on marketing contacts",
        "Quiet hours, in the customer's time zone, else UTC",
        "Control group",
        "Escalation",
        "Budgets",
    ):
        assert f"{section}:\n  none\n" in told
    assert "  5  a  a Bill arrives\n" in told


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (Condition("score:churn", below=0.5), "the churn score is below 0.5"),
        (Condition("feature:bills", 1_250_000.0), "bills is at least 1250000"),
        (Condition("score:clv_bgnbd", 20.5, 400.0), "the clv_bgnbd score is at least 20.5 and below 400"),
        (Condition(reasons=("a", "b")), "one of a, b raises the score, among its three reasons"),
    ],
)
def test_conditions(asked: Condition, words: str) -> None:
    assert condition(asked) == words


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (Level("score:churn", 0.123456789), "the churn score is at least 0.123456789"),
        (Level("score:p_alive", below=0.3), "the p_alive score is below 0.3"),
        (Level("feature:orders_90d", 1.0, 5.0), "orders_90d is at least 1 and below 5"),
        (Rise("score:p_alive", 0.5, 90_000), "the p_alive score rises by 0.5 within 90s"),
        (Fall("score:clv_bgnbd", 0.3, 86_400_000), "the clv_bgnbd score falls by 30% within 1d"),
        (Fall("score:churn", 1 / 3, 86_400_000), "the churn score falls by 33.3333% within 1d"),
        (Happens("Call", "outcome", ("COMPLETED", "DROPPED", "FAILED")), "a Call arrives whose outcome is COMPLETED, DROPPED or FAILED"),
        (Happens("Call", "outcome", ("FAILED",)), "a Call arrives whose outcome is FAILED"),
    ],
)
def test_triggers(asked: When, words: str) -> None:
    assert when(asked) == words


@pytest.mark.parametrize(("share", "words"), [(0.1, "10%"), (0.125, "12.5%"), (0.0005, "0.05%"), (1 / 3, "33.3333%")])
def test_shares(share: float, words: str) -> None:
    assert f"  {words} of all customers" in show(Policy("p", 1, (), (), holdout=Holdout("x", share)))
