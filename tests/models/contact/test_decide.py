"""The decision: every reason code, the order of the checks, and which offer and channel are taken."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from keepline.models.contact.arms import identifier
from keepline.models.contact.compiled import compiled
from keepline.models.contact.consent import BIT, Permitted
from keepline.models.contact.decide import Candidate, Emit, Hold, Suppress, Verdict, choose, decide
from keepline.models.contact.rules import CHANNELS, Cap, Condition, Fall, Happens, Holdout, Level, Offer, Policy, QuietHours, Rise, Trigger
from keepline.models.contact.signal import Reason, Signal
from keepline.models.contact.state import Contact, Contacted, Cooldown, Proposal, Row
from tests.models.contact.lives import AT_RISK, CALL_BACK, COMPLAINT, DAY, HOUR, NOON, OVERDUE, POLICY, SMS, at, clv, complaint, signal

ALL = Permitted(15, 15)
NEW = Contact("c1")
NIGHT = QuietHours(21 * 60, 8 * 60)
TWO_AM = at("2026-03-02T02:00:00+00:00")
EIGHT_AM = at("2026-03-02T08:00:00+00:00")
CONTROLS = replace(POLICY, holdout=Holdout("spring", 1.0))
ID = identifier("c1", "sms_discount", "event", f"e{NOON}", 3)
NIGHT_ID = identifier("c1", "sms_discount", "event", f"e{TWO_AM}", 3)


def verdict(
    policy: Policy = POLICY, contact: Contact = NEW, consent: Permitted = ALL, sent: Signal | None = None, trigger: Trigger = AT_RISK
) -> Verdict:
    sent = sent or signal()
    return decide(Candidate(policy, trigger, sent), contact, consent, sent.time)


def only(*channels: str) -> int:
    return sum(BIT[channel] for channel in channels)


def held(kind: str = "sms_discount", due: int = NOON + HOUR, channel: str = "SMS", service: bool = False) -> Proposal:
    return Proposal("h" + kind, kind, "", channel, "at_risk", "AT_RISK", service, "", DAY, DAY, NOON - HOUR, due, "", b"")


def row(intervention_id: str) -> Row:
    return Row("d", intervention_id, "sms_discount", "SMS", "at_risk", "", "retention", 3, NOON - DAY, b"")


STAGES: list[tuple[dict[str, Any], str]] = [
    (
        {"sent": signal(features={}), "policy": replace(POLICY, offers=(replace(SMS, conditions=(Condition("feature:age", 1.0),)),))},
        "NO_OFFER",
    ),
    ({"contact": NEW._replace(ended=True)}, "ENDED"),
    ({"consent": Permitted(15, 0)}, "NO_PROFILING_CONSENT"),
    ({"consent": Permitted(0, 15)}, "NO_MARKETING_CONSENT"),
    ({"contact": NEW._replace(cooldowns=(Cooldown("sms_discount", NOON + 1),))}, "COOLDOWN"),
    ({"contact": NEW._replace(held=(held(),))}, "ALREADY_HELD"),
    ({"contact": NEW._replace(rows=(row(ID),))}, "REPEATED"),
    ({"policy": replace(POLICY, caps=(Cap(0, DAY),))}, "CAP"),
    ({"policy": replace(POLICY, quiet=(QuietHours(0, 1440),))}, "QUIET_HOURS"),
]


@pytest.mark.parametrize(("against", "reason"), STAGES, ids=[reason for _, reason in STAGES])
def test_each_reason(against: dict[str, Any], reason: str) -> None:
    found = verdict(**against)
    assert isinstance(found, Suppress)
    assert found.reason == reason
    assert (found.offer.kind if found.offer else "") == ("" if reason == "NO_OFFER" else "sms_discount")


def test_the_checks_have_an_order() -> None:
    """All that stands against the offer at once; then one after the other is taken away."""
    policy = replace(POLICY, caps=(Cap(0, DAY),), quiet=(QuietHours(0, 1440),))
    contact = NEW._replace(ended=True, cooldowns=(Cooldown("sms_discount", NOON + 1),), held=(held(),), rows=(row(ID),))
    consent = Permitted(0, 0)
    seen = []
    for change in ({"ended": False}, None, None, {"cooldowns": ()}, {"held": ()}, {"rows": ()}, None, None):
        found = verdict(policy, contact, consent)
        assert isinstance(found, Suppress)
        seen.append(found.reason)
        if change is not None:
            contact = contact._replace(**change)
        elif found.reason == "NO_PROFILING_CONSENT":
            consent = Permitted(0, 15)
        elif found.reason == "NO_MARKETING_CONSENT":
            consent = ALL
        elif found.reason == "QUIET_HOURS":
            policy = replace(policy, quiet=())
        else:
            policy = replace(policy, caps=())
    # Where no channel has a time of day, its room in the caps is not asked for.
    assert seen == [
        "ENDED", "NO_PROFILING_CONSENT", "NO_MARKETING_CONSENT", "COOLDOWN", "ALREADY_HELD", "REPEATED", "QUIET_HOURS", "CAP",
    ]  # fmt: skip
    assert verdict(policy, contact, consent) == Emit(SMS, "SMS", ID)


@pytest.mark.parametrize(
    ("against", "detail"),
    [
        ({"contact": NEW._replace(cooldowns=(Cooldown("sms_discount", NOON + 7),))}, {"cooldown_until": NOON + 7}),
        ({"sent": signal(quiet_until=NOON + 9)}, {"cooldown_until": NOON + 9}),
        ({"contact": NEW._replace(held=(held(),))}, {"held_until": NOON + HOUR}),
        ({"policy": replace(POLICY, caps=(Cap(0, DAY, "SMS"), Cap(0, HOUR)))}, {"cap": {"most": 0, "per_ms": DAY, "channel": "SMS"}}),
    ],
)
def test_what_stood_against_it_is_told(against: dict[str, Any], detail: dict[str, Any]) -> None:
    found = verdict(**against)
    assert isinstance(found, Suppress)
    assert found.detail == detail


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Emit(SMS, "SMS", ID)),
        # A cool-down ends to the millisecond; another kind's is no matter.
        ({"contact": NEW._replace(cooldowns=(Cooldown("sms_discount", NOON),))}, Emit(SMS, "SMS", ID)),
        ({"contact": NEW._replace(cooldowns=(Cooldown("gift", NOON + DAY),))}, Emit(SMS, "SMS", ID)),
        ({"sent": signal(quiet_until=NOON)}, Emit(SMS, "SMS", ID)),
        ({"contact": NEW._replace(held=(held("gift"),))}, Emit(SMS, "SMS", ID)),
        # Consent decides on the channel.
        ({"consent": Permitted(only("EMAIL"), 15)}, Emit(SMS, "EMAIL", ID)),
        ({"consent": Permitted(15, only("EMAIL"))}, Emit(SMS, "EMAIL", ID)),
        ({"consent": Permitted(only("SMS"), only("EMAIL"))}, Suppress("NO_MARKETING_CONSENT", SMS)),
        ({"consent": Permitted(15, only("PUSH"))}, Suppress("NO_PROFILING_CONSENT", SMS)),
        # A trigger on a feature rests on no score.
        ({"consent": Permitted(15, 0), "trigger": OVERDUE}, Emit(SMS, "SMS", ID)),
        # A full cap: the channel of next preference.
        (
            {
                "policy": replace(POLICY, caps=(Cap(1, DAY, "SMS"),)),
                "contact": NEW._replace(contacts=(Contacted(NOON - HOUR, "SMS", "x"),)),
            },
            Emit(SMS, "EMAIL", ID),
        ),
        # What is held takes its room already, unless it is service.
        (
            {"policy": replace(POLICY, caps=(Cap(1, DAY),)), "contact": NEW._replace(held=(held("gift"),))},
            Suppress("CAP", SMS, detail={"cap": {"most": 1, "per_ms": DAY, "channel": ""}}),
        ),
        (
            {"policy": replace(POLICY, caps=(Cap(1, DAY),)), "contact": NEW._replace(held=(held("gift", service=True),))},
            Emit(SMS, "SMS", ID),
        ),
        # The control group is decided on like everyone else.
        ({"policy": CONTROLS}, Emit(SMS, "SMS", ID)),
    ],
)
def test_what_is_offered(changes: dict[str, Any], expected: Verdict) -> None:
    assert verdict(**changes) == expected


@pytest.mark.parametrize(
    ("quiet", "caps", "expected"),
    [
        ((NIGHT,), (), Hold(SMS, "SMS", NIGHT_ID, EIGHT_AM)),
        # Quiet hours move an offer to no other channel: they end.
        ((QuietHours(21 * 60, 8 * 60, ("SMS",)),), (), Hold(SMS, "SMS", NIGHT_ID, EIGHT_AM)),
        ((QuietHours(21 * 60, 8 * 60, ("EMAIL", "CALL")),), (), Emit(SMS, "SMS", NIGHT_ID)),
        # No room at the end of the night by SMS; EMAIL is not quiet.
        ((QuietHours(21 * 60, 8 * 60, ("SMS",)),), (Cap(0, DAY, "SMS"),), Emit(SMS, "EMAIL", NIGHT_ID)),
        # No room now, but at the end of the night, when yesterday's contact is a day old.
        ((NIGHT,), (Cap(1, DAY),), Hold(SMS, "SMS", NIGHT_ID, EIGHT_AM)),
        ((QuietHours(0, 1440, ("SMS",)),), (), Emit(SMS, "EMAIL", NIGHT_ID)),
    ],
)
def test_quiet_hours_hold(quiet: tuple[QuietHours, ...], caps: tuple[Cap, ...], expected: Verdict) -> None:
    contact = NEW._replace(contacts=(Contacted(EIGHT_AM - DAY, "SMS", "x"),))
    assert verdict(replace(POLICY, quiet=quiet, caps=caps), contact, sent=signal(TWO_AM)) == expected


def test_the_customers_own_zone_counts() -> None:
    policy = replace(POLICY, quiet=(NIGHT,))
    assert isinstance(verdict(policy, NEW._replace(zone="Asia/Tokyo"), sent=signal(TWO_AM)), Emit)  # 11:00 there
    assert isinstance(verdict(policy, NEW._replace(zone="Mars/Olympus"), sent=signal(TWO_AM)), Hold)
    found = verdict(policy, NEW._replace(zone="Asia/Kathmandu"), sent=signal(NOON + 4 * HOUR))  # 21:45
    assert found == Hold(SMS, "SMS", identifier("c1", "sms_discount", "event", f"e{NOON + 4 * HOUR}", 3), at("2026-03-03T08:00:00+05:45"))


def test_service_needs_no_consent_to_marketing_no_room_and_no_arm_but_a_time_of_day() -> None:
    policy = replace(CONTROLS, caps=(Cap(0, DAY),))
    sent = complaint(NOON)
    found = verdict(policy, NEW, Permitted(0, 0), sent, COMPLAINT)
    assert found == Emit(CALL_BACK, "CALL", identifier("c1", "call_back", "event", sent.event_id, 3))
    night = complaint(TWO_AM)
    assert isinstance(verdict(replace(policy, quiet=(NIGHT,)), NEW, Permitted(0, 0), night, COMPLAINT), Hold)
    cooling = NEW._replace(cooldowns=(Cooldown("call_back", NOON + 1),))
    assert verdict(policy, cooling, sent=sent, trigger=COMPLAINT) == Suppress("COOLDOWN", CALL_BACK, detail={"cooldown_until": NOON + 1})


def test_service_that_rests_on_the_score_needs_consent_to_profiling() -> None:
    policy = replace(POLICY, offers=(replace(SMS, service=True),))
    assert isinstance(verdict(policy, consent=Permitted(0, 15)), Emit)
    found = verdict(policy, consent=Permitted(15, 0))
    assert isinstance(found, Suppress)
    assert found.reason == "NO_PROFILING_CONSENT"


def offers(*conditions: tuple[Condition, ...], **changes: Any) -> Policy:
    return replace(POLICY, offers=tuple(replace(SMS, kind=f"k{i}", conditions=each, **changes) for i, each in enumerate(conditions)))


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (Condition("feature:data_mb_30d", 500.0), True),
        (Condition("feature:data_mb_30d", 500.1), False),
        (Condition("feature:data_mb_30d", below=500.0), False),
        (Condition("feature:data_mb_30d", below=500.1), True),
        (Condition("feature:nan", 0.0), False),
        (Condition("feature:nan"), False),
        (Condition("feature:absent"), False),
        (Condition("score:churn", 0.9), True),
        (Condition("score:churn", below=0.9), False),
        (Condition(reasons=("bill_rise",)), True),
        (Condition(reasons=("absent", "overdue_bills")), True),
        (Condition(reasons=("calls_7d",)), False),  # among the reasons, but it speaks against churn
        (Condition(reasons=("zero",)), False),
    ],
)
def test_conditions(condition: Condition, holds: bool) -> None:
    sent = signal(features={"data_mb_30d": 500.0, "nan": float("nan")}, reasons=(*signal().reasons, Reason("zero", 1.0, 0.0)))
    assert isinstance(verdict(offers((condition,)), sent=sent), Emit) == holds


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (Condition("score:clv_bgnbd", 80.0), True),
        (Condition("score:clv_bgnbd", 80.1), False),
        (Condition("score:clv_bgnbd", below=80.0), False),
        (Condition("score:clv_bgnbd", 0.0, 80.5), True),
        (Condition("score:p_alive", below=1.0), False),  # which is not computed
        (Condition(reasons=("orders",)), False),  # of the value, but the trigger rests on churn
        (Condition(reasons=("bill_rise",)), True),
    ],
)
def test_conditions_on_another_score(condition: Condition, holds: bool) -> None:
    assert isinstance(verdict(offers((condition,)), sent=signal(others={"clv_bgnbd": clv(80.0)})), Emit) == holds


def test_reasons_are_those_of_the_score_that_the_trigger_rests_on() -> None:
    falling = Trigger("falling", Fall("score:clv_bgnbd", 0.3, DAY))
    policy = replace(offers((Condition(reasons=("orders",)),), triggers=("falling",)), triggers=(falling,))
    assert isinstance(verdict(policy, sent=signal(others={"clv_bgnbd": clv(80.0)}), trigger=falling), Emit)
    assert verdict(policy, sent=signal(), trigger=falling) == Suppress("NO_OFFER")  # churn's reasons


@pytest.mark.parametrize(
    "when",
    [
        Level("score:p_alive", below=0.3), Level("score:clv_bgnbd", 5.0),
        Rise("score:p_alive", 0.2, DAY), Fall("score:clv_bgnbd", 0.3, DAY),
    ],
)  # fmt: skip
def test_every_score_needs_consent_to_profiling(when: Level | Rise | Fall) -> None:
    trigger = Trigger("scored", when)
    policy = replace(offers((), triggers=("scored",)), triggers=(trigger,))
    assert isinstance(verdict(policy, trigger=trigger), Emit)
    found = verdict(policy, trigger=trigger, consent=Permitted(15, 0))
    assert isinstance(found, Suppress)
    assert found.reason == "NO_PROFILING_CONSENT"
    assert (trigger.scored, trigger.score) == (True, when.source.removeprefix("score:"))


def test_a_customer_without_a_score_is_within_no_limits_of_it() -> None:
    assert isinstance(verdict(offers((Condition("score:churn"),)), sent=signal(value=None), trigger=OVERDUE), Suppress)


def test_the_first_offer_that_suits_and_may_be_sent_is_taken() -> None:
    no, yes = Condition("feature:data_mb_30d", 501.0), Condition("feature:data_mb_30d", 500.0)
    policy = offers((no,), (yes, no), (yes,), ())
    assert choose(compiled(policy), AT_RISK, signal(), ALL) == (2, "")
    policy = replace(policy, offers=(*policy.offers[:2], replace(policy.offers[2], channels=("PUSH",)), policy.offers[3]))
    assert choose(compiled(policy), AT_RISK, signal(), Permitted(only("EMAIL"), 15)) == (3, "")
    assert choose(compiled(policy), AT_RISK, signal(), Permitted(0, 15)) == (2, "NO_MARKETING_CONSENT")
    # PUSH, which the third would need, may not be used for scores: the fourth has channels that may, and fails on marketing.
    assert choose(compiled(policy), AT_RISK, signal(), Permitted(0, only("SMS"))) == (2, "NO_MARKETING_CONSENT")
    assert choose(compiled(policy), AT_RISK, signal(), Permitted(15, 0)) == (2, "NO_PROFILING_CONSENT")


def test_offers_of_other_triggers_are_passed_over() -> None:
    assert choose(compiled(POLICY), OVERDUE, signal(), ALL) == (1, "")
    lone = Trigger("lone", Happens("Call"))
    assert choose(compiled(replace(POLICY, triggers=(*POLICY.triggers, lone))), lone, signal(), ALL) == (-1, "NO_OFFER")


def test_ids_name_what_led_to_the_offer() -> None:
    def made(**changes: Any) -> str:
        found = verdict(sent=signal(**changes), trigger=OVERDUE)
        assert isinstance(found, Emit)
        return found.intervention_id

    assert made(event_id="e1") == identifier("c1", "sms_discount", "event", "e1", 3)
    assert made(event_id="", event_type="") == identifier("c1", "sms_discount", "tick", NOON, 3)
    assert made(event_id="e1", event_type="Consent") == identifier("c1", "sms_discount", "event", "e1", NOON, 3)
    assert made(event_id="e1", time=NOON + 5) == made(event_id="e1")


def test_every_channel_can_be_preferred() -> None:
    for channel in CHANNELS:
        policy = replace(POLICY, offers=(Offer("k", "o", (channel,), ("at_risk",)),))
        assert isinstance(found := verdict(policy), Emit)
        assert found.channel == channel
