"""A customer's course: suppressions told once, cool-downs, holds and what becomes of them, priorities, rises, wakes, what is dropped."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from keepline.models.contact.arms import identifier
from keepline.models.contact.course import advance, on_signal, on_time
from keepline.models.contact.rules import (
    Budget,
    Cap,
    Condition,
    Escalation,
    Fall,
    Happens,
    Holdout,
    Level,
    Offer,
    Policy,
    QuietHours,
    Rise,
    Trigger,
)
from keepline.models.contact.signal import Signal
from keepline.models.contact.state import MOST_POINTS, TOLD_MS, Point, Trail
from keepline.schemas.records import from_record, to_record
from tests.models.contact.lives import (
    AT_RISK,
    DAY,
    HOUR,
    NOON,
    OVERDUE,
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

NIGHT = replace(POLICY, quiet=(QuietHours(21 * 60, 8 * 60),))
TWO_AM = at("2026-03-02T02:00:00+00:00")
EIGHT_AM = at("2026-03-02T08:00:00+00:00")
RISING = Trigger("rising", Rise("score:churn", 0.25, 2 * DAY))
FALLING = Trigger("falling", Fall("score:clv_bgnbd", 0.3, 2 * DAY))
EMITTED = [("intervention", "sms_discount", "SMS"), ("decision", "EMITTED", "AT_RISK")]


def test_an_offer_says_all_that_its_receiver_needs() -> None:
    intervention, decision = (output.record for output in Life().send(signal()))
    offered = identifier("c1", "sms_discount", "event", f"e{NOON}", 3)
    assert intervention == {
        "intervention_id": offered,
        "customer_id": "c1",
        "kind": "sms_discount",
        "channel": "SMS",
        "offer": "10 % off",
        "score": "churn",
        "value": 0.9,
        "reasons": [
            {"feature": "bill_rise", "value": 4.0, "contribution": 0.7},
            {"feature": "calls_7d", "value": 0.0, "contribution": -0.2},
            {"feature": "overdue_bills", "value": 1.0, "contribution": 0.1},
        ],
        "model_id": "churn",
        "model_version": 2,
        "policy_version": 3,
        "decided_at": NOON,
        "not_before": NOON,
        "expires_at": NOON + 7 * DAY,
        "trigger": "at_risk",
        "escalation_of": None,
    }
    made_from = json.loads(decision.pop("made_from"))
    assert decision == {
        "decision_id": decision["decision_id"],
        "intervention_id": offered,
        "customer_id": "c1",
        "result": "EMITTED",
        "reason": "AT_RISK",
        "arm": "TREATMENT",
        "kind": "sms_discount",
        "decided_at": NOON,
        "hold_until": None,
        "policy_version": 3,
        "model_version": 2,
        "trigger": "at_risk",
        "policy": "retention",
    }
    assert len(decision["decision_id"]) == 32
    assert made_from == {
        "event_id": f"e{NOON}",
        "score": 0.9,
        "band": "HIGH",
        "score_name": "churn",
        "scores": {"churn": 0.9},
        "active": ["at_risk"],
        "ended": False,
        "consents": [],
        "time_zone": "UTC",
        "local_time": "2026-03-02T12:00",
        "contacts": [],
        "cooldowns": {},
        "held": [],
    }


def test_what_a_decision_was_made_from_is_told_in_full() -> None:
    policy = replace(NIGHT, caps=(Cap(1, 60 * DAY),), time_zone="Europe/Athens", offers=(replace(SMS, cooldown_ms=DAY),))
    life = Life(policy)
    life.send(consent(NOON - HOUR, zone="America/New_York"), signal(NOON + 4 * HOUR))
    (decision,) = (output.record for output in life.send(signal(NOON + 2 * DAY + 6 * HOUR, value=0.85)))
    assert (decision["result"], decision["reason"]) == ("SUPPRESSED", "CAP")
    assert json.loads(decision["made_from"]) == {
        "event_id": f"e{NOON + 2 * DAY + 6 * HOUR}",
        "score": 0.85,
        "band": "HIGH",
        "score_name": "churn",
        "scores": {"churn": 0.85},
        "active": ["at_risk"],
        "ended": False,
        "consents": [{"purpose": "MARKETING", "channel": "ALL", "status": "GRANTED", "at": NOON - HOUR}],
        "time_zone": "America/New_York",
        "local_time": "2026-03-04T13:00",
        "contacts": [{"at": NOON + 4 * HOUR, "channel": "SMS"}],
        "cooldowns": {},
        "held": [],
        "cap": {"most": 1, "per_ms": 60 * DAY, "channel": ""},
    }


LEAVING = Trigger("leaving", Level("score:p_alive", below=0.3))
WIN_BACK = Offer("win_back", "Come back", ("EMAIL",), ("leaving",))
OF_SCORES = replace(POLICY, triggers=(AT_RISK, LEAVING, OVERDUE), offers=(WIN_BACK, SMS))
OTHERS = {"p_alive": alive(0.25, 0), "clv_bgnbd": clv(80.0)}


def test_records_say_the_score_that_the_trigger_rests_on() -> None:
    life = Life(OF_SCORES)
    outputs = life.send(signal(others=OTHERS, active=0b111))
    assert brief(outputs) == [
        ("intervention", "sms_discount", "SMS"),
        ("decision", "EMITTED", "AT_RISK"),
        ("decision", "SUPPRESSED", "OUTRANKED"),
        ("decision", "SUPPRESSED", "OUTRANKED"),
    ]
    for output, score, value, band, version in zip(
        outputs[1:], ("churn", "p_alive", "churn"), (0.9, 0.25, 0.9), ("HIGH", "LOW", "HIGH"), (2, 4, 2), strict=True
    ):
        made_from = json.loads(output.record["made_from"])
        assert (made_from["score_name"], made_from["score"], made_from["band"]) == (score, value, band)
        assert made_from["scores"] == {"churn": 0.9, "clv_bgnbd": 80.0, "p_alive": 0.25}
        assert output.record["model_version"] == version
    made, decision = (output.record for output in Life(OF_SCORES).send(signal(others=OTHERS, active=0b010)))
    assert (decision["reason"], decision["model_version"]) == ("LEAVING", 4)
    assert {key: made[key] for key in ("kind", "score", "value", "model_id", "model_version", "reasons")} == {
        "kind": "win_back",
        "score": "p_alive",
        "value": 0.25,
        "model_id": "bgnbd",
        "model_version": 4,
        "reasons": [{"feature": "recency_days", "value": 3.0, "contribution": 0.2}],
    }


def test_a_held_offer_its_row_and_its_ticket_keep_the_score_that_they_rest_on() -> None:
    policy = replace(OF_SCORES, quiet=(QuietHours(21 * 60, 8 * 60, ("EMAIL",)),), escalation=Escalation(3 * DAY))
    life = Life(policy)
    life.send(signal(TWO_AM, value=0.2, band=0, others=OTHERS, active=0b010))
    life.send(signal(TWO_AM + HOUR, others={"p_alive": alive(0.1, 0)}, active=0b010))
    life.until(EIGHT_AM)
    life.send(complaint(EIGHT_AM + HOUR))
    life.until(NOON + 100 * DAY)
    told = [(each["kind"], each["score"], each["value"], each["model_version"]) for each in life.records("intervention")]
    assert told == [("win_back", "p_alive", 0.25, 4), ("support_ticket", "p_alive", 0.25, 4)]
    assert [(each["score"], each["value"], each["model_id"]) for each in life.records("labelled")] == [("p_alive", 0.25, "bgnbd")] * 2
    scores = {json.dumps(json.loads(each["made_from"])["scores"]) for each in life.records("decision") if each["result"] != "SUPPRESSED"}
    assert scores == {'{"churn": 0.2, "clv_bgnbd": 80.0, "p_alive": 0.25}'}


def test_a_job_without_churn_has_another_main_score() -> None:
    main = {"score": "p_alive", "value": 0.25, "band": 0, "reasons": OTHERS["p_alive"].reasons, "model_id": "bgnbd", "model_version": 4}
    outputs = Life(OF_SCORES).send(signal(**main, others={"clv_bgnbd": clv(80.0)}, active=0b100))
    assert [output.record["score"] for output in outputs if output.kind == "intervention"] == ["p_alive"]
    (unknown,) = Life(OF_SCORES).send(replace(outcome(NOON, "f" * 32, "ACCEPTED"), **main))
    assert (unknown.record["status"], unknown.record["score"]) == ("UNKNOWN", "p_alive")


def test_a_suppression_is_told_once_until_something_else_is_decided() -> None:
    life = Life()
    assert brief(life.send(signal(NOON))) == EMITTED
    assert brief(life.send(signal(NOON + 1))) == [("decision", "SUPPRESSED", "COOLDOWN")]
    assert life.send(signal(NOON + 2)) == []
    assert life.send(calm(NOON + 3)) == []
    assert life.send(signal(NOON + 4)) == []
    life.send(consent(NOON + 5, "DENIED"))
    assert brief(life.send(signal(NOON + 6))) == [("decision", "SUPPRESSED", "NO_MARKETING_CONSENT")]
    life.send(consent(NOON + 7, "GRANTED"))
    assert brief(life.send(signal(NOON + 8))) == [("decision", "SUPPRESSED", "COOLDOWN")]
    # Another trigger's are its own.
    assert brief(life.send(signal(NOON + 9, active=2))) == [("decision", "SUPPRESSED", "COOLDOWN")]
    assert life.send(signal(NOON + 10)) == []


def test_a_consent_that_comes_is_decided_on_at_once() -> None:
    life = Life(replace(POLICY, marketing_required=True))
    assert brief(life.send(signal(NOON))) == [("decision", "SUPPRESSED", "NO_MARKETING_CONSENT")]
    granted = replace(consent(NOON + 5), value=0.9, band=2, active=1)
    assert brief(life.send(granted)) == EMITTED


def test_a_cool_down_is_over_to_the_millisecond() -> None:
    life = Life(replace(POLICY, offers=(replace(SMS, cooldown_ms=DAY),)))
    life.send(signal(NOON))
    assert brief(life.send(signal(NOON + DAY - 1))) == [("decision", "SUPPRESSED", "COOLDOWN")]
    assert brief(life.send(signal(NOON + DAY))) == EMITTED


def test_a_state_of_0_1_0_rests_until_its_cool_down_is_over() -> None:
    life = Life()
    assert brief(life.send(signal(NOON, quiet_until=NOON + 9))) == [("decision", "SUPPRESSED", "COOLDOWN")]
    assert brief(life.send(signal(NOON + 9, quiet_until=NOON + 9))) == EMITTED


@pytest.mark.parametrize(
    ("priorities", "order"), [((0, 0), ("at_risk", "overdue")), ((0, 1), ("overdue", "at_risk")), ((5, 1), ("at_risk", "overdue"))]
)
def test_of_several_triggers_the_most_important_is_decided_on(priorities: tuple[int, int], order: tuple[str, str]) -> None:
    triggers = tuple(replace(trigger, priority=priority) for trigger, priority in zip((AT_RISK, OVERDUE), priorities, strict=True))
    life = Life(replace(POLICY, triggers=triggers))
    made = life.send(signal(active=3))
    assert brief(made)[1:] == [("decision", "EMITTED", order[0].upper()), ("decision", "SUPPRESSED", "OUTRANKED")]
    assert [output.record["trigger"] for output in made] == [order[0], *order]
    assert made[2].record["kind"] == ""
    assert brief(life.send(signal(NOON + 1, active=3))) == [("decision", "SUPPRESSED", "COOLDOWN")]


def test_events_fire_only_with_the_symbols_that_are_waited_for() -> None:
    life = Life()
    assert life.send(record("SupportContact", NOON, topic="QUESTION")) == []
    assert life.send(calm(NOON + 1, event_type="SupportContact")) == []
    assert life.send(calm(NOON + 2, fields={"topic": "COMPLAINT"})) == []
    assert brief(life.send(complaint(NOON + 3))) == [("intervention", "call_back", "CALL"), ("decision", "EMITTED", "COMPLAINT")]
    any_call = replace(POLICY, triggers=(Trigger("call", Happens("Call")),), offers=(replace(SMS, triggers=("call",)),))
    assert brief(Life(any_call).send(calm(NOON)))[1] == ("decision", "EMITTED", "CALL")


@pytest.mark.parametrize(
    ("scores", "fires"),
    [
        ([(0, 0.3)], False),
        ([(0, 0.3), (1, 0.55)], True),
        ([(0, 0.3), (1, 0.549)], False),
        ([(0, 0.3), (48, 0.55)], True),  # the window is two days, its edge included
        ([(0, 0.3), (48.001, 0.55)], False),
        ([(0, 0.5), (1, 0.3), (2, 0.4), (3, 0.55)], True),
        ([(0, 0.3), (10, 0.4), (49, 0.6)], False),  # 0.4 is the lowest that is left
        ([(0, 0.3), (10, 0.4), (49, 0.65)], True),
        ([(0, 0.9), (1, 0.6)], False),
    ],
)
def test_a_rise_is_over_the_lowest_score_of_its_window(scores: list[tuple[float, float]], fires: bool) -> None:
    life = Life(replace(POLICY, triggers=(RISING,), offers=(replace(SMS, triggers=("rising",)),)))
    outputs = [life.send(calm(NOON + round(hours * HOUR), value=value)) for hours, value in scores]
    assert not any(outputs[:-1])
    assert bool(outputs[-1]) == fires


@pytest.mark.parametrize(
    ("values", "fires"),
    [
        ([(0, 100.0)], False),
        ([(0, 100.0), (1, 70.0)], True),
        ([(0, 100.0), (1, 70.01)], False),
        ([(0, 100.0), (48, 70.0)], True),  # the window is two days, its edge included
        ([(0, 100.0), (48.001, 70.0)], False),
        ([(0, 60.0), (1, 100.0), (2, 80.0), (3, 70.0)], True),
        ([(0, 100.0), (10, 90.0), (49, 65.0)], False),  # 90 is the highest that is left
        ([(0, 100.0), (10, 90.0), (49, 63.0)], True),
        ([(0, 70.0), (1, 100.0)], False),
        ([(0, 0.0), (1, 0.0)], False),  # of nothing there is no share
        ([(0, 0.0), (1, -5.0)], False),
        ([(0, 5.0), (1, 0.0)], True),
    ],
)
def test_a_fall_is_a_share_of_the_highest_score_of_its_window(values: list[tuple[float, float]], fires: bool) -> None:
    life = Life(replace(POLICY, triggers=(FALLING,), offers=(replace(SMS, triggers=("falling",)),)))
    outputs = [life.send(calm(NOON + round(hours * HOUR), others={"clv_bgnbd": clv(value)})) for hours, value in values]
    assert not any(outputs[:-1])
    assert bool(outputs[-1]) == fires


@pytest.mark.parametrize(("hours", "fired"), [(1, ["soon", "later"]), (23, ["soon", "later"]), (25, ["later"]), (49, [])])
@pytest.mark.parametrize("falls", [False, True])
def test_each_trigger_looks_at_a_window_of_its_own(falls: bool, hours: int, fired: list[str]) -> None:
    kind, values = (Fall, (0.8, 0.4)) if falls else (Rise, (0.4, 0.8))
    triggers = (Trigger("soon", kind("score:p_alive", 0.3, DAY)), Trigger("later", kind("score:p_alive", 0.3, 2 * DAY)))
    life = Life(replace(POLICY, triggers=triggers, offers=()))
    life.send(*(calm(NOON + each * HOUR, others={"p_alive": alive(value)}) for each, value in zip((0, hours), values, strict=True)))
    assert [each["trigger"] for each in life.records("decision")] == fired


def test_a_customer_without_the_score_neither_rises_nor_falls() -> None:
    rising = Trigger("alive", Rise("score:p_alive", 0.2, DAY))
    life = Life(replace(POLICY, triggers=(FALLING, rising), offers=(replace(SMS, triggers=("falling", "alive")),)))
    assert life.send(calm(NOON), calm(NOON + 1, value=None), calm(NOON + 2)) == []
    assert life.contact is None
    assert life.send(calm(NOON + 3, others={"clv_bgnbd": clv(9.0)}), calm(NOON + 4)) == []
    assert life.contact is not None
    assert life.contact.trails == (Trail("score:clv_bgnbd", True, (Point(NOON + 3, 9.0),)),)
    assert brief(life.send(calm(NOON + 5, others={"clv_bgnbd": clv(5.0)})))[-1] == ("decision", "EMITTED", "FALLING")


def test_each_score_has_trails_of_its_own() -> None:
    """Rises of churn and falls of it, falls of another score; each remembers for the longest of its own windows."""
    triggers = (
        RISING,
        Trigger("soon", Rise("score:churn", 0.5, HOUR)),
        Trigger("calmed", Fall("score:churn", 0.9, DAY)),
        Trigger("falling", Fall("score:clv_bgnbd", 0.9, 3 * HOUR)),
    )
    life = Life(replace(POLICY, triggers=triggers, offers=()))
    for hour, (churn, value) in enumerate([(0.5, 50.0), (0.4, 60.0), (0.45, 55.0)]):
        life.send(calm(NOON + hour * HOUR, value=churn, others={"clv_bgnbd": clv(value)}))

    def kept() -> dict[tuple[str, bool], list[float]]:
        return {(each.source, each.falls): [point.value for point in each.points] for each in life.contact.trails} if life.contact else {}

    assert kept() == {
        ("score:churn", False): [0.4, 0.45],
        ("score:churn", True): [0.5, 0.45],
        ("score:clv_bgnbd", True): [60.0, 55.0],
    }
    life.send(replace(consent(NOON + 4 * HOUR + 1), value=None))
    assert kept()["score:clv_bgnbd", True] == [55.0]
    life.send(replace(consent(NOON + DAY + 1), value=None))
    assert kept() == {("score:churn", False): [0.4, 0.45], ("score:churn", True): [0.45]}
    life.send(replace(consent(NOON + 2 * DAY + 2 * HOUR + 1), value=None))
    assert kept() == {}


@pytest.mark.parametrize("falls", [False, True])
def test_trails_are_bounded(falls: bool) -> None:
    when = (Fall if falls else Rise)("score:churn", 0.9, DAY)
    life = Life(replace(POLICY, triggers=(replace(RISING, when=when),), offers=()))
    for i in range(MOST_POINTS + 50):
        life.send(calm(NOON + i, value=0.5 + (-i if falls else i) / 10_000))
    assert life.contact is not None
    (trail,) = life.contact.trails
    assert trail.falls == falls
    assert len(trail.points) == MOST_POINTS
    assert trail.points[0].value == 0.5
    assert trail.points[-1].at == NOON + MOST_POINTS + 49


def test_a_held_offer_is_made_when_the_night_is_over() -> None:
    life = Life(NIGHT)
    (held,) = (output.record for output in life.send(signal(TWO_AM)))
    assert (held["result"], held["reason"], held["hold_until"], held["decided_at"]) == ("HELD", "QUIET_HOURS", EIGHT_AM, TWO_AM)
    assert life.wake == EIGHT_AM
    assert brief(life.send(signal(TWO_AM + 5, value=0.99))) == [("decision", "SUPPRESSED", "ALREADY_HELD")]
    assert life.until(EIGHT_AM - 1) == []
    made, decision = (output.record for output in life.until(EIGHT_AM))
    assert made["intervention_id"] == decision["intervention_id"] == held["intervention_id"]
    assert (made["decided_at"], made["not_before"], made["expires_at"]) == (EIGHT_AM, EIGHT_AM, EIGHT_AM + 7 * DAY)
    assert (made["value"], made["model_version"]) == (0.9, 2)  # as they were when it was decided on
    assert (decision["result"], decision["reason"], decision["decided_at"]) == ("EMITTED", "AT_RISK", EIGHT_AM)
    # The cool-down runs from the delivery.
    assert brief(life.send(signal(EIGHT_AM + 30 * DAY - 1))[-1:]) == [("decision", "SUPPRESSED", "COOLDOWN")]
    assert brief(life.send(signal(EIGHT_AM + 30 * DAY))) == EMITTED


def test_a_signal_of_the_very_time_comes_after_what_is_due() -> None:
    life = Life(NIGHT)
    life.send(signal(TWO_AM))
    assert brief(life.send(calm(EIGHT_AM))) == EMITTED


HAPPENING = Trigger("happening", Happens("Bill"))
SEVERAL: dict[str, Any] = {
    "triggers": (AT_RISK, HAPPENING, RISING),
    "offers": (replace(SMS, triggers=("at_risk", "happening", "rising"), valid_ms=HOUR),),
}
BILL = calm(TWO_AM, event_type="Bill")


@pytest.mark.parametrize(
    ("changes", "first", "then", "reason"),
    [
        ({}, signal(TWO_AM), [calm(TWO_AM + 1)], "REASON_GONE"),
        ({}, signal(TWO_AM), [calm(TWO_AM + 1), signal(TWO_AM + 2)], ""),
        ({}, signal(TWO_AM), [replace(consent(TWO_AM + 1, "REVOKED"), active=1)], "NO_MARKETING_CONSENT"),
        # Another channel may be used; this offer was for SMS.
        ({}, signal(TWO_AM), [replace(consent(TWO_AM + 1, "REVOKED", channel="SMS"), active=1)], "NO_MARKETING_CONSENT"),
        ({}, signal(TWO_AM), [replace(consent(TWO_AM + 1, "REVOKED", channel="EMAIL"), active=1)], ""),
        ({}, signal(TWO_AM), [replace(consent(TWO_AM + 1, "DENIED", "PROFILING"), active=1)], "NO_PROFILING_CONSENT"),
        # A control record of a customer without a score says nothing of the levels.
        ({}, signal(TWO_AM), [replace(consent(TWO_AM + 1), value=None)], ""),
        (SEVERAL, BILL, [], "EXPIRED"),
        (SEVERAL, calm(EIGHT_AM - HOUR, event_type="Bill"), [], ""),
        (SEVERAL, calm(EIGHT_AM - HOUR - 1, event_type="Bill"), [], "EXPIRED"),
        (SEVERAL, signal(TWO_AM), [], ""),  # a level lasts as long as it does
    ],
)
def test_a_held_offer_is_looked_at_again(changes: dict[str, Any], first: Signal, then: list[Signal], reason: str) -> None:
    life = Life(replace(NIGHT, **changes))
    assert brief(life.send(first)) == [("decision", "HELD", "QUIET_HOURS")]
    for each in then:
        life.send(each)
    made = life.until(EIGHT_AM)
    if not reason:
        assert [output.kind for output in made] == ["intervention", "decision"]
        return
    (cancelled,) = (output.record for output in made)
    held = life.records("decision")[0]
    assert (cancelled["result"], cancelled["reason"], cancelled["decided_at"]) == ("CANCELLED", reason, EIGHT_AM)
    assert cancelled["intervention_id"] == held["intervention_id"]
    # It was not made, so it cools nothing down.
    assert (
        brief(life.send(consent(EIGHT_AM + 1), replace(consent(EIGHT_AM + 2, "GRANTED", "PROFILING")), signal(EIGHT_AM + 3)))[0]
        == EMITTED[0]
    )


def test_a_held_offer_is_cancelled_when_the_contract_ends() -> None:
    life = Life(NIGHT)
    life.send(signal(TWO_AM))
    ended = record("Subscription", TWO_AM + 5, ended=True)
    (cancelled,) = (output.record for output in life.send(replace(ended, ended=True)))
    assert (cancelled["result"], cancelled["reason"], cancelled["decided_at"]) == ("CANCELLED", "ENDED", TWO_AM + 5)
    assert brief(life.send(signal(NOON, ended=True))) == [("decision", "SUPPRESSED", "ENDED")]
    assert brief(life.send(signal(NOON + 1))) == EMITTED


def test_a_held_offer_waits_on_where_the_customers_clock_is_another_one_since() -> None:
    life = Life(NIGHT)
    life.send(signal(TWO_AM))
    life.send(replace(consent(TWO_AM + 1, zone="America/New_York"), value=0.9, active=1))
    there = at("2026-03-02T08:00:00-05:00")
    assert life.until(there - 1) == []
    assert life.wake == there
    assert brief(life.until(there)) == EMITTED
    assert life.decisions == [("HELD", "QUIET_HOURS"), ("SUPPRESSED", "ALREADY_HELD"), ("EMITTED", "AT_RISK")]


def test_a_zone_that_is_none_or_older_changes_nothing() -> None:
    life = Life(NIGHT)
    life.send(consent(NOON, zone="Asia/Tokyo"), consent(NOON + 9, zone="Mars/Olympus"), consent(NOON - 9, zone="Asia/Kathmandu"))
    life.send(
        record("Subscription", NOON + 10, time_zone="Europe/Athens", event_time=NOON - 1), record("Subscription", NOON + 11, time_zone=None)
    )
    assert life.contact is not None
    assert (life.contact.zone, life.contact.zone_at) == ("Asia/Tokyo", NOON)
    life.send(record("Subscription", NOON + 12, time_zone="Europe/Athens"))
    assert life.contact.zone == "Europe/Athens"


def test_held_offers_take_room_in_the_caps() -> None:
    gift = Offer("gift", "A gift", ("SMS",), ("overdue",))
    policy = replace(NIGHT, offers=(gift, replace(SMS, triggers=("at_risk",))), caps=(Cap(1, DAY),))
    life = Life(policy)
    assert brief(life.send(signal(TWO_AM))) == [("decision", "HELD", "QUIET_HOURS")]
    assert brief(life.send(signal(TWO_AM + 1, active=2))) == [("decision", "SUPPRESSED", "CAP")]


def test_a_hold_that_has_to_wait_on_into_a_full_window_is_cancelled() -> None:
    """By SMS until 08:00, by e-mail until 13:00, at most one an hour. In New York 08:00 is when it is 13:00 UTC."""
    gift = Offer("gift", "A gift", ("EMAIL",), ("overdue",))
    quiet = (QuietHours(21 * 60, 8 * 60, ("SMS",)), QuietHours(21 * 60, 13 * 60, ("EMAIL",)))
    life = Life(replace(POLICY, offers=(gift, replace(SMS, triggers=("at_risk",))), caps=(Cap(1, HOUR),), quiet=quiet))
    life.send(signal(TWO_AM, active=2), signal(TWO_AM + 1, active=3))
    assert life.contact is not None
    assert [held.due for held in life.contact.held] == [NOON + HOUR, EIGHT_AM]
    life.send(replace(consent(TWO_AM + 2, zone="America/New_York"), value=0.9, active=3))
    assert brief(life.until(EIGHT_AM)) == [("decision", "CANCELLED", "CAP")]
    assert life.until(NOON + HOUR) == []
    assert brief(life.until(NOON + 6 * HOUR))[0] == ("intervention", "gift", "EMAIL")


@pytest.mark.parametrize("cooldown", [0, 1])
def test_no_event_leads_to_the_same_offer_twice(cooldown: int) -> None:
    life = Life(replace(POLICY, offers=(replace(SMS, cooldown_ms=cooldown),)))
    assert brief(life.send(signal(NOON, event_id="once"))) == EMITTED
    assert [reason for _, _, reason in brief(life.send(signal(NOON + 1, event_id="once")))] == ["REPEATED"]
    assert brief(life.send(signal(NOON + 1, event_id="again"))) == EMITTED
    assert brief(life.send(signal(NOON + 2, event_id="", event_type=""))) == EMITTED
    assert [each[2] for each in brief(life.send(signal(NOON + 2, event_id="", event_type="")))] == [["REPEATED", "COOLDOWN"][cooldown]]


def test_the_control_group_is_decided_on_once_a_cool_down_and_never_contacted() -> None:
    policy = replace(POLICY, holdout=Holdout("spring", 1.0), offers=(replace(SMS, cooldown_ms=DAY),))
    life = Life(policy)
    (decision,) = (output.record for output in life.send(signal()))
    assert (decision["result"], decision["reason"], decision["arm"], decision["kind"]) == (
        "SUPPRESSED",
        "CONTROL",
        "CONTROL",
        "sms_discount",
    )
    assert decision["intervention_id"] == Life(replace(policy, holdout=None)).send(signal())[0].record["intervention_id"]
    (cooling,) = (output.record for output in life.send(signal(NOON + 1)))
    assert (cooling["reason"], cooling["arm"]) == ("COOLDOWN", "CONTROL")
    assert brief(life.send(signal(NOON + DAY))) == [("decision", "SUPPRESSED", "CONTROL")]
    assert brief(life.send(signal(NOON + 3 * DAY))) == [("decision", "SUPPRESSED", "CONTROL")]  # though nothing else was decided since
    assert life.records("intervention") == []


def test_service_reaches_the_control_group_outside_the_programme() -> None:
    life = Life(replace(POLICY, holdout=Holdout("spring", 1.0)))
    life.send(complaint(NOON))
    assert life.records("decision")[0]["arm"] == "TREATMENT"
    life.until(NOON + 11 * DAY)
    (row,) = life.records("labelled")
    assert (row["kind"], row["arm"], row["programme"]) == ("call_back", "TREATMENT", "")


def test_an_offer_with_a_budget_is_claimed_and_counts_at_once() -> None:
    offer = replace(SMS, campaign="spring")
    policy = replace(POLICY, offers=(offer,), budgets=(Budget("spring", 5, 4),), caps=(Cap(1, DAY),))
    life = Life(policy)
    (claim,) = life.send(signal())
    assert (claim.kind, claim.record["campaign"], claim.record["day"]) == ("claim", "spring", NOON // DAY)
    assert claim.key == f"spring|{NOON // DAY}|{claim.record['shard']}"
    plain = Life(replace(POLICY, offers=(offer,))).send(signal())
    assert [output.kind for output in plain] == ["intervention", "decision"]
    assert [claim.record["intervention"], claim.record["decision"]] == [output.record for output in plain]
    assert life.contact is not None
    assert len(life.contact.contacts) == len(life.contact.cooldowns) == len(life.contact.rows) == 1
    assert brief(life.send(signal(NOON + 1))) == [("decision", "SUPPRESSED", "COOLDOWN")]


def test_a_held_offer_with_a_budget_claims_at_its_due_time() -> None:
    life = Life(replace(NIGHT, offers=(replace(SMS, campaign="spring"),), budgets=(Budget("spring", 5),), time_zone="Asia/Tokyo"))
    late = at("2026-03-01T23:00:00+09:00")  # 1 March in UTC too; due 2 March in Tokyo, 1 March in UTC
    assert brief(life.send(signal(late))) == [("decision", "HELD", "QUIET_HOURS")]
    (claim,) = life.until(late + DAY)
    assert claim.record["decision"]["decided_at"] == at("2026-03-02T08:00:00+09:00")
    assert claim.record["day"] == at("2026-03-01T00:00:00+00:00") // DAY


def test_now_never_goes_back() -> None:
    life = Life()
    life.send(calm(NOON), consent(NOON + HOUR))
    (decision,) = (output.record for output in life.send(replace(signal(NOON), time=NOON))[-1:])
    assert decision["decided_at"] == NOON + HOUR
    life.send(consent(NOON - DAY, "REVOKED"))
    assert life.contact is not None
    assert life.contact.clock == NOON + HOUR
    assert [each.at for each in life.contact.consents] == [NOON + HOUR]


# What is kept, and for how long.


def test_nothing_is_kept_of_a_customer_about_whom_there_is_nothing_to_know() -> None:
    life = Life()
    assert life.send(calm(NOON), calm(NOON + 1, event_id="", event_type=""), record("Subscription", NOON + 2)) == []
    assert life.contact is None
    assert life.wake == 0


def test_a_state_wakes_at_what_is_due_and_ends_when_all_is_over() -> None:
    life = Life()
    life.send(signal(NOON))
    assert life.wake == NOON + 10 * DAY + 1
    assert brief(life.until(life.wake)) == [("labelled", "LANDED", "RETAINED")]
    assert life.wake == NOON + TOLD_MS  # of cool-down, late outcomes and what was told, the last
    assert life.contact is not None
    assert life.until(NOON + TOLD_MS) == []
    assert life.contact is None
    assert life.wake == 0
    assert brief(life.send(signal(NOON + TOLD_MS))) == EMITTED


def test_consents_and_zone_stay_and_need_no_timer() -> None:
    life = Life()
    life.send(consent(NOON, zone="Asia/Tokyo"), signal(NOON + 1))
    life.until(2**50)
    assert life.wake == 0
    assert life.contact is not None
    assert (life.contact.rows, life.contact.told, life.contact.cooldowns) == ((), (), ())
    assert len(life.contact.consents) == 1


def test_contacts_are_kept_as_long_as_a_cap_asks() -> None:
    life = Life(replace(POLICY, caps=(Cap(9, DAY), Cap(9, 3 * DAY, "EMAIL"))))
    life.send(signal(NOON))
    life.send(calm(NOON + DAY - 1))
    assert life.contact is not None
    assert len(life.contact.contacts) == 1
    life.send(calm(NOON + DAY))
    assert life.contact.contacts == ()
    uncapped = Life(replace(POLICY, caps=(Cap(9, DAY, "EMAIL"),)))
    uncapped.send(signal(NOON))
    assert uncapped.contact is not None
    assert uncapped.contact.contacts == ()


def test_what_is_forgotten_on_the_way_is_over() -> None:
    """Something ends at each of these moments, and only that is gone."""
    policy = replace(POLICY, triggers=(*POLICY.triggers, RISING), offers=(replace(SMS, cooldown_ms=HOUR),), caps=(Cap(9, 2 * HOUR),))
    life = Life(policy)
    life.send(signal(NOON))

    def left() -> list[int]:
        assert life.contact is not None
        return [len(life.contact.cooldowns), len(life.contact.contacts), len(life.contact.trails)]

    seen = []
    for later in (HOUR - 1, HOUR, 2 * HOUR - 1, 2 * HOUR, 2 * DAY, 2 * DAY + 1):
        life.send(replace(consent(NOON + later), value=None))
        seen.append(left())
    assert seen == [[1, 1, 1], [0, 1, 1], [0, 1, 1], [0, 0, 1], [0, 0, 1], [0, 0, 0]]


def test_a_suppression_is_told_again_after_more_than_a_year() -> None:
    life = Life(replace(POLICY, offers=()))
    assert brief(life.send(signal(NOON))) == [("decision", "SUPPRESSED", "NO_OFFER")]
    assert life.send(signal(NOON + TOLD_MS - 1)) == []
    assert brief(life.send(signal(NOON + TOLD_MS))) == [("decision", "SUPPRESSED", "NO_OFFER")]


@pytest.mark.parametrize("known", [False, True])
def test_an_erasure_leaves_a_receipt_and_nothing_else(known: bool) -> None:
    gift = Offer("gift", "A gift", ("SMS",), ("overdue",))
    life = Life(replace(NIGHT, offers=(gift, SMS), caps=(Cap(5, 3 * DAY),)))
    if known:
        life.send(signal(NOON - DAY), signal(TWO_AM, active=2), consent(TWO_AM + 1))
    (receipt,) = life.send(replace(record("Erasure", TWO_AM + 2, request_id="r-1"), had_state=known))
    assert receipt.key == "r-1"
    assert receipt.record == {
        "request_id": "r-1",
        "erased_at": TWO_AM + 2,
        "counts": {
            "customer_state": int(known),
            "contact_state": int(known),
            "contacts": int(known),
            "held": int(known),
            "open_rows": int(known),
        },
    }
    assert life.contact is None
    assert life.wake == 0
    assert to_record(from_record("ErasureReceipt", receipt.record))[1] == receipt.record


def test_an_erasure_first_does_what_is_due() -> None:
    life = Life(NIGHT)
    life.send(signal(TWO_AM))
    assert brief(life.send(record("Erasure", NOON, request_id="r"))) == [*EMITTED, ("receipt", "r")]


# Another policy than the one that the state was made under.


def changed(life: Life, policy: Policy) -> Life:
    life.policy = policy
    return life


def test_a_held_offer_survives_a_change_of_policy_if_its_trigger_does() -> None:
    renamed = replace(NIGHT, version=4, triggers=(Trigger("new", Level("feature:x", 1.0)), AT_RISK), offers=(replace(SMS, kind="other"),))
    life = Life(NIGHT)
    life.send(signal(TWO_AM))
    made, decision = (output.record for output in changed(life, renamed).until(EIGHT_AM))
    assert (made["kind"], made["policy_version"], decision["policy_version"]) == ("sms_discount", 4, 4)
    life = Life(NIGHT)
    life.send(signal(TWO_AM))
    gone = changed(life, replace(NIGHT, triggers=(OVERDUE,), offers=(replace(SMS, triggers=("overdue",)),)))
    assert brief(gone.until(EIGHT_AM)) == [("decision", "CANCELLED", "REASON_GONE")]


def test_a_held_offer_is_kept_back_if_the_customer_comes_into_the_control_group() -> None:
    life = Life(NIGHT)
    life.send(signal(TWO_AM))
    assert brief(changed(life, replace(NIGHT, holdout=Holdout("spring", 1.0))).until(EIGHT_AM)) == [("decision", "SUPPRESSED", "CONTROL")]


def test_a_held_offer_is_given_up_if_every_hour_is_quiet() -> None:
    life = Life(NIGHT)
    life.send(signal(TWO_AM))
    always = replace(NIGHT, quiet=(QuietHours(0, 1440),))
    assert brief(changed(life, always).until(EIGHT_AM)) == [("decision", "CANCELLED", "QUIET_HOURS")]


def test_offers_by_conditions_have_cool_downs_of_their_own() -> None:
    heavy = replace(SMS, kind="extra_data", conditions=(Condition("feature:data_mb_30d", 1000.0),))
    life = Life(replace(POLICY, offers=(heavy, SMS)))
    assert brief(life.send(signal(NOON)))[0] == ("intervention", "sms_discount", "SMS")
    assert brief(life.send(signal(NOON + 1, features={"data_mb_30d": 1000.0})))[0] == ("intervention", "extra_data", "SMS")
    assert brief(life.send(signal(NOON + 2))) == [("decision", "SUPPRESSED", "COOLDOWN")]


def test_steps_are_pure() -> None:
    first = on_signal(None, signal(), NIGHT)
    assert first == on_signal(None, signal(), NIGHT)
    assert first.contact is not None
    again = on_signal(first.contact, signal(NOON + 5), NIGHT)
    assert again == on_signal(first.contact, signal(NOON + 5), NIGHT)
    assert on_time(first.contact, first.wake, NIGHT) == advance(first.contact, first.wake, NIGHT)
