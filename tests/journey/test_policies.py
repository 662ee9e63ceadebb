"""Small policies, each for one rule that the committed policy does not have in force: budgets, control groups, channels, levels, rises."""

from __future__ import annotations

import pytest

from keepline.jobs.journey.expect import Expect
from keepline.jobs.journey.journey import Journey
from keepline.jobs.journey.times import JourneyError
from keepline.models.contact.arms import arm_of, shard_of
from keepline.models.contact.rules import Holdout

BASE = """\
policy: small
version: 1
consent: {marketing: assumed, profiling: assumed}
triggers:
  at_risk: {score: churn, at_least: 0.8}
offers:
  discount:
    for: at_risk
    channels: [SMS]
    offer: 10 % off
    cooldown: 10d
    campaign: spring
"""
BUDGET = BASE + "budgets:\n  spring: {per_day: 2}\n"
HOLDOUT = BASE + "holdout: {programme: churn-2026, control: 50%}\nescalation: {after: 2d}\noutcomes: {landing: 5d}\n"


# ── budgets ──


def test_a_budget_is_spent_once_a_day(journey: Journey, expect: Expect) -> None:
    journey.policy(BUDGET).at("2025-03-02 10:00")
    crowd = [journey.customer(f"c-{n}") for n in range(1, 6)]
    for customer in crowd:
        customer.score(0.9)
    for customer in crowd[:2]:
        expect.of(customer).intervention("discount", at="2025-03-02 10:00")
    for customer in crowd[2:]:
        refused = expect.of(customer).decision("SUPPRESSED", "BUDGET", kind="discount", at="2025-03-02 10:00")
        assert len(refused["intervention_id"]) == 32
        expect.of(customer).no_intervention()
    late = journey.customer("c-9").score(0.9, at="2025-03-02 23:59:59.999")
    expect.of(late).decision("SUPPRESSED", "BUDGET")
    early = journey.customer("c-10").score(0.9, at="2025-03-03 00:00")
    expect.of(early).intervention("discount", at="2025-03-03 00:00")


def test_the_day_of_a_budget_is_that_of_utc(journey: Journey, expect: Expect) -> None:
    journey.policy(BUDGET.replace("per_day: 2", "per_day: 1") + "time_zone: Pacific/Auckland\n")
    journey.score(0.9, at="2026-03-03 12:59")  # 23:59 of the 2nd
    other = journey.customer("c-2").score(0.9, at="2026-03-03 13:00")
    expect.intervention("discount", at="2026-03-02T23:59:00Z")
    expect.of(other).intervention("discount", at="2026-03-03 13:00")


def test_no_shard_lends_to_another(journey: Journey, expect: Expect) -> None:
    journey.policy(BUDGET.replace("{per_day: 2}", "{per_day: 3, shards: 2}")).at("2026-03-02 10:00")
    crowd = [journey.customer(f"c-{n}") for n in range(1, 11)]
    left = {0: 2, 1: 1}
    for customer in crowd:
        customer.score(0.9)
        shard = shard_of(customer.customer_id, 2)
        if left[shard]:
            left[shard] -= 1
            expect.of(customer).intervention("discount")
        else:
            expect.of(customer).decision("SUPPRESSED", "BUDGET")
    assert left == {0: 0, 1: 0}


# ── the control group ──


def test_the_control_group_is_not_contacted_but_looked_after(journey: Journey, expect: Expect) -> None:
    journey.policy(HOLDOUT)
    control, treated = journey.customer(arm="CONTROL"), journey.customer(arm="TREATMENT")
    journey.at("2025-03-02 10:00")
    for customer in (control, treated):
        customer.score(0.9)
    decided = expect.of(control).decision("SUPPRESSED", "CONTROL", kind="discount", arm="CONTROL", at="2025-03-02 10:00")
    expect.of(treated).decision("EMITTED", arm="TREATMENT")
    expect.of(treated).intervention("discount")
    journey.wait_until("2025-03-04 10:00")
    expect.of(treated).ticket(reason="STILL_AT_RISK")
    control.outcome("CHURNED", of=decided, at="2025-03-05")
    journey.wait_until("2025-03-08")
    expect.of(control).no_intervention()
    expect.of(control).outcome_row(of=decided, arm="CONTROL", label="CHURNED", status="LANDED", outcomes=["CHURNED"])
    expect.of(treated).outcome_row(arm="TREATMENT", label="RETAINED", kind="discount")


def test_a_control_decision_rests_like_an_offer(journey: Journey, expect: Expect) -> None:
    journey.policy(HOLDOUT)
    control = journey.customer(arm="CONTROL").score(0.9, at="2026-03-02 10:00").silence(days=9)
    mine = expect.of(control)
    mine.decision("SUPPRESSED", "CONTROL", at="2026-03-02 10:00")
    mine.decision("SUPPRESSED", "COOLDOWN")
    control.silence(days=3)
    mine.decision("SUPPRESSED", "CONTROL", at="2026-03-12 11:00")


def test_customers_of_an_arm_are_found(journey: Journey) -> None:
    holdout = Holdout("churn-2026", 0.5)
    journey.policy(HOLDOUT)
    assert {arm: arm_of(journey.customer(arm=arm).customer_id, holdout) for arm in ("CONTROL", "TREATMENT")} == {
        "CONTROL": "CONTROL",
        "TREATMENT": "TREATMENT",
    }
    assert journey.customer("c-1") is journey
    with pytest.raises(JourneyError, match="expected an id, or arm TREATMENT or CONTROL"):
        journey.customer(arm="TREATED")
    with pytest.raises(JourneyError, match="has no control group"):
        Journey(BASE).customer(arm="CONTROL")


# ── caps, triggers, holds ──

CAPPED = """\
policy: capped
version: 1
time_zone: Europe/Athens
consent: {marketing: assumed, profiling: assumed}
quiet_hours:
  - {from: "20:00", to: "10:00", channels: [SMS]}
caps:
  - {at_most: 1, per: 7d, channel: SMS}
  - {at_most: 2, per: 7d}
triggers:
  complaint: {event: SupportContact, topic: [COMPLAINT], priority: 2}
  at_risk: {score: churn, at_least: 0.8, priority: 1}
  idle: {feature: hours_since_last_call, at_least: 48}
offers:
  sorry: {for: complaint, channels: [SMS, EMAIL], offer: Sorry, cooldown: 1h}
  discount: {for: at_risk, channels: [SMS, EMAIL], offer: 10 % off, cooldown: 1d}
  hello: {for: idle, channels: [EMAIL], offer: Hello, cooldown: 30d, service: true}
"""


def test_a_full_cap_of_a_channel_gives_way_to_the_next(journey: Journey, expect: Expect) -> None:
    journey.policy(CAPPED).complaint(at="2026-03-02 12:00")
    expect.intervention("sorry", channel="SMS")
    journey.complaint(at="2026-03-03 12:00")
    expect.intervention("sorry", channel="EMAIL")
    journey.complaint(at="2026-03-04 12:00")
    expect.decision("SUPPRESSED", "CAP", kind="sorry")
    journey.complaint(at="2026-03-09 12:00")
    expect.intervention("sorry", channel="SMS", at="2026-03-09 12:00")


def test_a_held_offer_has_its_place_in_a_cap(journey: Journey, expect: Expect) -> None:
    """Held to 10:00, it counts there: no second one is held to the same morning, and the EMAIL that goes out at once is the last of two."""
    journey.policy(CAPPED).score(0.9, at="2026-03-02 22:00")
    expect.held("2026-03-03 10:00", kind="discount")
    journey.complaint(at="2026-03-02 23:00")
    expect.intervention("sorry", channel="EMAIL", at="2026-03-02 23:00")
    journey.wait_until("2026-03-03 10:00")
    expect.intervention("discount", channel="SMS", at="2026-03-03 10:00")
    journey.complaint(at="2026-03-09 23:00")
    expect.held("2026-03-10 10:00", kind="sorry")
    journey.wait_until("2026-03-10 10:00")
    expect.intervention("sorry", channel="SMS", at="10:00")


def test_a_kind_is_held_once(journey: Journey, expect: Expect) -> None:
    journey.policy(CAPPED.replace("  - {at_most: 1, per: 7d, channel: SMS}\n", "").replace("[SMS, EMAIL]", "[SMS]"))
    journey.complaint(at="2026-03-02 21:00").complaint(at="22:00")
    expect.held("2026-03-03 10:00")
    expect.decision("SUPPRESSED", "ALREADY_HELD", kind="sorry", at="2026-03-02 22:00")


def test_a_level_of_a_feature_needs_no_event(journey: Journey, expect: Expect) -> None:
    journey.policy(CAPPED).call(at="2026-03-02 12:00").silence(days=3)
    made = expect.intervention("hello", trigger="idle")
    assert 48 <= (made["decided_at"] - journey.events[0]["event_time"]) / 3_600_000 <= 73
    expect.no_intervention()


RISING = """\
policy: rising
version: 1
consent: {marketing: assumed, profiling: assumed}
triggers:
  rising: {score: churn, rises_by: 0.3, within: 7d}
offers:
  discount: {for: rising, channels: [SMS], offer: 10 % off, cooldown: 1d}
"""


@pytest.mark.parametrize(("days", "rises"), [(6, True), (7, False)])
def test_a_rise_counts_within_its_time(journey: Journey, expect: Expect, days: int, rises: bool) -> None:
    journey.policy(RISING).score(0.2, at="2026-03-02 12:00").score(0.45, at="2026-03-02 12:01")
    journey.after(f"{days}d").score(0.55)
    expect.score(at_least=0.55, below=0.5501)
    if rises:
        expect.intervention("discount", trigger="rising")
    expect.no_intervention()


# ── restarts ──


def test_a_restart_between_hold_and_morning_changes_nothing(journey: Journey, expect: Expect) -> None:
    journey.policy(CAPPED).score(0.9, at="2026-03-02 22:00")
    expect.held("2026-03-03 10:00")
    journey.restart().wait_until("2026-03-03 10:00")
    expect.intervention("discount", at="2026-03-03 10:00")
