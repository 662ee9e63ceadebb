"""Whatever happens to customers, in whatever order, and however often the job restarts: what they were promised holds.

Hypothesis makes up journeys; `audit` recounts each from its records. The same events are then run again with restarts between all of them,
and with timers that never fire by themselves, and must give the same records.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from keepline.jobs.journey.customer import Customer
from keepline.jobs.journey.journey import Journey
from keepline.jobs.journey.run import Run
from keepline.schemas.packed import Frame
from tests.journey.audit import Audit

POLICY = """\
policy: promises
version: 1
time_zone: Europe/Athens
consent: {marketing: required, profiling: assumed}
quiet_hours:
  - {from: "20:00", to: "09:00", channels: [SMS, CALL]}
  - {from: "13:00", to: "15:00", channels: [PUSH, CALL]}
caps:
  - {at_most: 1, per: 1d}
  - {at_most: 2, per: 7d}
  - {at_most: 1, per: 3d, channel: SMS}
triggers:
  complaint: {event: SupportContact, topic: [COMPLAINT, CANCELLATION], priority: 40}
  missed: {feature: overdue_bills, at_least: 1, priority: 30}
  rising: {score: churn, rises_by: 0.2, within: 7d, priority: 20}
  at_risk: {score: churn, at_least: 0.6, priority: 10}
offers:
  sorry: {for: complaint, channels: [SMS, EMAIL, CALL], offer: Sorry, cooldown: 6h}
  reminder: {for: missed, channels: [SMS], offer: A bill is overdue, service: true, cooldown: 2d}
  bonus: {for: [rising, at_risk], if: {score: churn, at_least: 0.8}, channels: [PUSH, SMS], offer: A bonus, cooldown: 1d, campaign: spring}
  discount: {for: [rising, at_risk], channels: [SMS, PUSH, EMAIL], offer: 10 % off, cooldown: 12h}
escalation: {after: 2d, kind: ticket, channel: CALL}
outcomes: {landing: 5d}
"""
BUDGET = "budgets:\n  spring: {per_day: 1}\n"
ZONES = ("Europe/Athens", "America/New_York", "Pacific/Auckland", "Australia/Lord_Howe")
Step = Callable[[Customer], object]


def said(name: str, *values: Any, **fields: Any) -> tuple[str, Step]:
    return name, lambda customer: getattr(customer, name)(*values, **fields)


def outcome_of(which: int, outcome: str) -> tuple[str, Step]:
    def step(customer: Customer) -> None:
        made = [each.record for each in customer.world.run.entries if each.kind == "intervention" and each.customer == customer.customer_id]
        if made:
            customer.outcome(outcome, of=made[-1 - which % len(made)])

    return f"{outcome} {which}", step


channels = st.sampled_from(["ALL", "ALL", "SMS", "EMAIL", "PUSH", "CALL"])
scores = st.sampled_from([0.05, 0.3, 0.55, 0.65, 0.75, 0.85, 0.95]).map(lambda p: said("score", p))
steps = st.one_of(
    scores,
    scores,
    scores,
    st.builds(lambda c, z: said("consents", channel=c, time_zone=z), channels, st.sampled_from([None, *ZONES])),
    st.builds(lambda c, m, p: said("refuses", channel=c, marketing=m, profiling=p), channels, st.booleans(), st.booleans()),
    st.builds(lambda p: said("consents", marketing=None, profiling=p), st.booleans()),
    st.sampled_from([said("complaint"), said("complaint"), said("call"), said("bill", due="2026-03-20"), said("pays"), said("ends")]),
    st.sampled_from([said("subscribes"), said("silence", days=2), said("erases")]),
    st.builds(
        outcome_of, st.integers(0, 5), st.sampled_from(["DELIVERED", "FAILED", "FAILED", "ACCEPTED", "DECLINED", "COMPLAINED", "CHURNED"])
    ),
)
gaps = st.sampled_from(["0s", "1ms", "17m", "1h", "5h", "7h", "12h", "1d", "2d", "4d"])
stories = st.lists(st.tuples(gaps, st.integers(0, 1), steps), min_size=10, max_size=40)
starts = st.sampled_from(["2026-03-02 10:00", "2026-03-27 19:00", "2026-10-23 19:00"])


def played(story: Any, start: str, policy: str, *, restarts: bool = False) -> Journey:
    """The journey of a story. Both customers begin with consent to all, or nothing would ever be sent."""
    journey = Journey(policy)
    crowd = [journey, journey.customer("c-2")]
    for customer in crowd:
        customer.consents()
    journey.at(start)
    for gap, who, (_, step) in story:
        journey.after(gap)
        if restarts:
            journey.restart()
        step(crowd[who])
    journey.silence(days=9)
    return journey


@settings(max_examples=100, deadline=None)
@given(stories, starts)
def test_promises_hold(story: Any, start: str) -> None:
    journey = played(story, start, POLICY + BUDGET)
    audit = Audit(journey)
    event(f"sent {min(audit.sent, 12) // 3 * 3}+")
    for decision in journey.records("decision"):
        event(f"{decision['result']} {decision['reason']}")


@settings(max_examples=40, deadline=None)
@given(stories, starts)
def test_restarts_change_nothing(story: Any, start: str) -> None:
    once = played(story, start, POLICY + BUDGET)
    again = played(story, start, POLICY + BUDGET, restarts=True)
    assert once.world.run.frames == again.world.run.frames


@settings(max_examples=40, deadline=None)
@given(stories, starts)
def test_when_timers_fire_changes_nothing(story: Any, start: str) -> None:
    """The same events without time that passes between them, as a replay has them: what is due comes with the next event, or at the end."""
    journey = played(story, start, POLICY)
    replayed = Run(journey.world.spec)
    for each in journey.events:
        replayed.event(each, each["event_time"])
    replayed.advance(journey.now)
    assert of_customers(replayed.frames) == of_customers(journey.world.run.frames)


def of_customers(frames: list[Frame]) -> Counter[tuple[int, bytes, int, bytes]]:
    """All frames, each with its customer and its place among the customer's of its channel; the order between customers is free."""
    places: Counter[tuple[int, bytes]] = Counter()
    found: Counter[tuple[int, bytes, int, bytes]] = Counter()
    for frame in frames:
        places[frame.channel, frame.key] += 1
        found[frame.channel, frame.key, places[frame.channel, frame.key], frame.value] += 1
    return found


def test_the_stories_reach_what_they_are_about() -> None:
    """One story by hand that has all of it, so that a change which makes the promises empty is seen."""
    story = [
        ("0s", 0, said("score", 0.95)), ("0s", 1, said("score", 0.95)), ("1h", 0, said("complaint")), ("1d", 0, said("complaint")),
        ("12h", 1, said("score", 0.3)), ("1h", 1, said("score", 0.65)), ("1h", 1, said("refuses")), ("12h", 1, said("consents")),
        ("1h", 1, outcome_of(0, "FAILED")), ("0s", 1, said("complaint")), ("0s", 1, outcome_of(0, "DECLINED")),
    ]  # fmt: skip
    journey = played(story, "2026-03-02 10:00", POLICY + BUDGET)
    found = {(each["result"], each["reason"]) for each in journey.records("decision")}
    assert {("SUPPRESSED", "CAP"), ("SUPPRESSED", "BUDGET"), ("HELD", "QUIET_HOURS"), ("EMITTED", "DECLINED")} <= found, found
    assert Audit(journey).sent >= 5, json.dumps(journey.records("intervention"), indent=1)


def _sent(journey: Journey) -> list[dict[str, Any]]:
    return [each for each in journey.records("intervention") if each["escalation_of"] is None]


def _at_night(journey: Journey) -> None:
    made = next(each for each in journey.entries if each.kind == "intervention" and each.record["channel"] == "SMS")
    made.at += 10 * 3_600_000  # 21:00 in Athens
    made.record |= {"not_before": made.at, "decided_at": made.at}


def _unasked(journey: Journey) -> None:
    journey.entries[:] = [each for each in journey.entries if each.record.get("purpose") != "MARKETING"]


def _twice(journey: Journey) -> None:
    journey.entries.extend(each for each in list(journey.entries) if each.kind == "intervention")


def _again(journey: Journey) -> None:
    journey.entries.extend(
        replace(each, record=each.record | {"intervention_id": "other"}) for each in list(journey.entries) if each.kind == "intervention"
    )


def _gone(journey: Journey) -> None:
    for each in journey.entries:
        if each.record.get("type") == "Subscription":
            each.record["ended"] = True


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (_at_night, "in quiet hours"), (_unasked, "without consent"), (_twice, "sent twice"),
        (_again, "too soon"), (_gone, "one who has left"),
    ],
)  # fmt: skip
def test_the_audit_sees_a_broken_promise(broken: Callable[[Journey], None], words: str) -> None:
    journey = Journey(POLICY).consents().score(0.7, at="2026-03-02 11:00").score(0.1).complaint(at="2026-03-03 12:00")
    assert len(_sent(journey)) == 2
    Audit(journey)
    broken(journey)
    with pytest.raises(AssertionError, match=words):
        Audit(journey)


def test_the_audit_counts_caps() -> None:
    journey = Journey(POLICY).consents().score(0.7, at="2026-03-02 11:00").score(0.1).complaint(at="2026-03-03 12:00")
    for made in journey.entries:
        if made.kind == "intervention" and made.record["kind"] == "sorry":
            made.at -= 2 * 3_600_000
            made.record |= {"not_before": made.at, "decided_at": made.at}
    with pytest.raises(AssertionError, match="more than Cap"):
        Audit(journey)
