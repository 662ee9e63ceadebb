"""Lives that end in each decision there is, and the sentences that tell it: `SCENES`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from keepline.models.contact import arms, budget, records
from keepline.models.contact.arms import arm_of, identifier
from keepline.models.contact.course import Step, advance, on_signal
from keepline.models.contact.records import Output
from keepline.models.contact.rules import Budget, Cap, Condition, Escalation, Fall, Holdout, Level, Offer, Policy, QuietHours, Trigger
from keepline.models.contact.signal import Signal
from tests.models.contact.lives import CALL_BACK, DAY, HOUR, NOON, POLICY, SMS, alive, calm, clv, complaint, consent, outcome, signal

NIGHT = NOON + 11 * HOUR
QUIET = (QuietHours(22 * 60, 8 * 60),)
DAYTIME = (QuietHours(8 * 60, 22 * 60),)
ATHENS = "Europe/Athens"


def lived(policy: Policy, *signals: Signal, until: int = 0) -> list[dict[str, Any]]:
    """The decisions of a life, those of budgets included."""
    contact, made = None, list[Output]()
    for each in signals:
        step: Step = on_signal(contact, each, policy)
        contact, made = step.contact, [*made, *step.outputs]
    if until and contact is not None:
        made += advance(contact, until, policy).outputs
    return list(decisions(made, policy))


def decisions(made: Iterable[Output], policy: Policy) -> Iterable[dict[str, Any]]:
    counts: dict[str, bytes] = {}
    for output in made:
        if output.kind == records.CLAIM:
            counts[output.key], more, _ = budget.on_claim(counts.get(output.key), output.record, policy)
            yield from (each.record for each in more if each.kind == records.DECISION)
        elif output.kind == records.DECISION:
            yield output.record


def the(found: list[dict[str, Any]], result: str, reason: str) -> dict[str, Any]:
    chosen = [each for each in found if (each["result"], each["reason"]) == (result, reason)]
    assert chosen, [(each["result"], each["reason"]) for each in found]
    return chosen[-1]


def in_arm(arm: str, holdout: Holdout) -> str:
    return next(f"c{i}" for i in range(1000) if arm_of(f"c{i}", holdout) == arm)


BONUS = Offer("bonus", "5 GB", ("PUSH",), ("at_risk",), (Condition("feature:data_mb_30d", at_least=600.0),))
ASKING = replace(POLICY, marketing_required=True)
CAPPED = replace(POLICY, caps=(Cap(1, DAY), Cap(1, 7 * DAY, "SMS")), offers=(CALL_BACK, replace(SMS, channels=("SMS",), cooldown_ms=HOUR)))
HELD_BACK = Holdout("spring-2026", 0.1)
SHORT = replace(POLICY, quiet=QUIET, offers=(replace(CALL_BACK, valid_ms=HOUR), SMS))
ESCALATING = replace(POLICY, escalation=Escalation(7 * DAY), quiet=QUIET)
BUDGETED = replace(POLICY, offers=(replace(SMS, campaign="spring"),), triggers=POLICY.triggers[:2], budgets=(Budget("spring", 1),))
LEAVING = Trigger("leaving", Level("score:p_alive", below=0.3))
FALLING = Trigger("falling", Fall("score:clv_bgnbd", 0.3, 30 * DAY))
WIN_BACK = Offer("win_back", "Come back", ("EMAIL",), ("leaving", "falling"), (Condition("score:clv_bgnbd", 50.0),))
OF_SCORES = replace(POLICY, triggers=(*POLICY.triggers, LEAVING, FALLING), offers=(CALL_BACK, SMS, WIN_BACK))
NO_PROFILING = {"purpose": "PROFILING", "status": "DENIED", "channel": "SMS"}
SMS_ID = identifier("c1", "sms_discount", "event", f"e{NOON}", 3)


def spent() -> list[dict[str, Any]]:
    """Two customers on a budget of one."""
    made: list[Output] = []
    for customer in ("c1", "c2"):
        made += on_signal(None, signal(customer_id=customer), BUDGETED).outputs
    return list(decisions(made, BUDGETED))


def regrouped() -> list[dict[str, Any]]:
    """A held offer whose customer is in the control group of the policy that follows."""
    customer = in_arm(arms.CONTROL, HELD_BACK)
    contact = on_signal(None, signal(NIGHT, customer_id=customer), replace(POLICY, quiet=QUIET)).contact
    assert contact is not None
    return list(decisions(advance(contact, NIGHT + DAY, replace(POLICY, quiet=QUIET, holdout=HELD_BACK)).outputs, POLICY))


def crowded() -> list[dict[str, Any]]:
    """A held offer under a policy that then allows fewer contacts."""
    loose = replace(POLICY, quiet=QUIET, caps=(Cap(9, 7 * DAY),), offers=(replace(SMS, cooldown_ms=HOUR),))
    contact = on_signal(on_signal(None, signal(), loose).contact, signal(NIGHT), loose).contact
    assert contact is not None
    return list(decisions(advance(contact, NIGHT + DAY, replace(loose, caps=(Cap(1, 7 * DAY),))).outputs, POLICY))


def silenced() -> list[dict[str, Any]]:
    """A held offer under a policy that then leaves no time of the day."""
    contact = on_signal(None, signal(NIGHT), replace(POLICY, quiet=QUIET)).contact
    assert contact is not None
    return list(decisions(advance(contact, NIGHT + DAY, replace(POLICY, quiet=QUIET + DAYTIME)).outputs, POLICY))


# Scenario, its policy, result and reason; then what is said with the policy, and what without.
SCENES: dict[str, tuple[list[dict[str, Any]], Policy, str, str, tuple[str, str, str, str]]] = {
    "held": (
        lived(replace(POLICY, quiet=QUIET), consent(NOON, zone=ATHENS), signal(NIGHT)),
        replace(POLICY, quiet=QUIET), "HELD", "QUIET_HOURS",
        (
            "at_risk: the churn score is at least 0.8 (it was 0.900)",
            "sms_discount is held until 2026-03-03 08:00",
            "it was 2026-03-03 01:00 by the customer's clock (Europe/Athens), within the quiet hours",
            "nothing: it goes out then, if what led to it still holds, the customer still permits it and the caps have room",
        ),
    ),
    "no offer": (
        lived(replace(POLICY, offers=(CALL_BACK, BONUS)), signal()),
        replace(POLICY, offers=(CALL_BACK, BONUS)), "SUPPRESSED", "NO_OFFER",
        (
            "at_risk: the churn score is at least 0.8 (it was 0.900)",
            "nothing was offered",
            "no offer of the trigger suits the customer: bonus asks that data_mb_30d is at least 600",
            "the conditions of one of the trigger's offers have to hold",
        ),
    ),
    "ended": (
        lived(POLICY, signal(ended=True)), POLICY, "SUPPRESSED", "ENDED",
        (
            "at_risk: the churn score is at least 0.8 (it was 0.900)",
            "sms_discount was not offered",
            "the customer's contract is over",
            "a newer Subscription event with ended = false has to come",
        ),
    ),
    "profiling": (
        lived(POLICY, consent(NOON - HOUR, "REVOKED", "PROFILING", zone=ATHENS), signal()), POLICY, "SUPPRESSED", "NO_PROFILING_CONSENT",
        (
            "at_risk: the churn score is at least 0.8 (it was 0.900)",
            "sms_discount was not offered",
            "the trigger rests on a score, and no channel of the offer may be used for that; "
            "the customer has said of profiling: all channels REVOKED (2026-03-02 13:00)",
            "a Consent event has to come: purpose PROFILING, status GRANTED, channel SMS or EMAIL or ALL",
        ),
    ),
    "marketing": (
        lived(ASKING, signal()), ASKING, "SUPPRESSED", "NO_MARKETING_CONSENT",
        (
            "at_risk: the churn score is at least 0.8 (it was 0.900)",
            "sms_discount was not offered",
            "no channel of the offer may be used for marketing; the customer has said nothing of marketing, and the policy asks for a yes",
            "a Consent event has to come: purpose MARKETING, status GRANTED, channel SMS or EMAIL or ALL",
        ),
    ),
    "cool-down": (
        lived(POLICY, signal(), signal(NOON + DAY)), POLICY, "SUPPRESSED", "COOLDOWN",
        (
            "at_risk: the churn score is at least 0.8 (it was 0.900)",
            "sms_discount was not offered",
            "sms_discount was offered too recently: not again before 2026-04-01 12:00",
            "from 2026-04-01 12:00 on it may be made, if a trigger fires then",
        ),
    ),
    "cool-down of 0.1.0": (
        lived(POLICY, signal(quiet_until=NOON + DAY)), POLICY, "SUPPRESSED", "COOLDOWN",
        (
            "at_risk: the churn score is at least 0.8 (it was 0.900)",
            "sms_discount was not offered",
            "Keepline 0.1.0 contacted the customer, and its cool-down lasts until 2026-03-03 12:00",
            "from 2026-03-03 12:00 on it may be made, if a trigger fires then",
        ),
    ),
    "control": (
        lived(replace(POLICY, holdout=HELD_BACK), signal(customer_id=in_arm(arms.CONTROL, HELD_BACK))),
        replace(POLICY, holdout=HELD_BACK), "SUPPRESSED", "CONTROL",
        (
            "at_risk: the churn score is at least 0.8 (it was 0.900)",
            "sms_discount was not offered",
            "the customer is in the control group of spring-2026 (10% of all customers), which gets no marketing offers, so that "
            "their effect can be measured",
            "nothing that the customer does: the group stays as long as its programme; service messages are not held back",
        ),
    ),
    "held already": (
        lived(replace(POLICY, quiet=QUIET), signal(NIGHT), signal(NIGHT + HOUR)),
        replace(POLICY, quiet=QUIET), "SUPPRESSED", "ALREADY_HELD",
        (
            "at_risk: the churn score is at least 0.8 (it was 0.900)",
            "sms_discount was not offered",
            "an offer of this kind is being held already, until 2026-03-03 08:00",
            "nothing: that one is looked at again at 2026-03-03 08:00",
        ),
    ),
    "repeated": (
        lived(replace(POLICY, offers=(replace(SMS, cooldown_ms=0),)), signal(), signal(NOON + HOUR, event_id=f"e{NOON}")),
        POLICY, "SUPPRESSED", "REPEATED",
        (
            "at_risk: the churn score is at least 0.8 (it was 0.900)",
            "sms_discount was not offered",
            f"this very event has led to this offer already (intervention {SMS_ID})",
            "another event has to lead to it",
        ),
    ),
    "cap": (
        lived(CAPPED, signal(), signal(NOON + 2 * HOUR)), CAPPED, "SUPPRESSED", "CAP",
        (
            "at_risk: the churn score is at least 0.8 (it was 0.900)",
            "sms_discount was not offered",
            "a cap is full: at most 1 marketing contact in any 1d; contacts that count: SMS 2026-03-02 12:00",
            "it has room from 2026-03-03 12:00 on, if no more is sent until then",
        ),
    ),
    "no time of day": (
        lived(replace(POLICY, quiet=QUIET + DAYTIME), signal()), POLICY, "SUPPRESSED", "QUIET_HOURS",
        (
            "at_risk: the churn score is at least 0.8 (it was 0.900)",
            "sms_discount was not offered",
            "the quiet hours leave no time of the day to any permitted channel",
            "the policy's quiet hours have to be shorter",
        ),
    ),
    "outranked": (
        lived(POLICY, signal(active=3)), POLICY, "SUPPRESSED", "OUTRANKED",
        (
            "overdue: overdue_bills is at least 1",
            "nothing was offered",
            "at_risk fired at the same moment, and comes first by the policy's priorities",
            "what comes first has to end; what was decided of it is a decision of its own",
        ),
    ),
    "budget": (
        spent(), BUDGETED, "SUPPRESSED", "BUDGET",
        (
            "at_risk: the churn score is at least 0.8 (it was 0.900)",
            "sms_discount was not offered",
            "the budget of spring for 2026-03-02 (UTC) is used up: 1 granted where this customer is counted",
            "a new day has a new budget; but the cool-down has begun as if the offer had been made, and lasts until 2026-04-01 12:00",
        ),
    ),
    "ended while held": (
        lived(replace(POLICY, quiet=QUIET), signal(NIGHT), calm(NIGHT + HOUR, ended=True)), POLICY, "CANCELLED", "ENDED",
        (
            "at_risk: the churn score is at least 0.8 (it was 0.900)",
            "sms_discount had been held, and was given up",
            "the customer's contract is over",
            "a newer Subscription event with ended = false has to come",
        ),
    ),
    "profiling refused while held": (
        lived(
            replace(POLICY, quiet=QUIET),
            signal(NIGHT), signal(NIGHT + HOUR, event_type="Consent", fields=NO_PROFILING),
            until=NIGHT + DAY,
        ),
        POLICY, "CANCELLED", "NO_PROFILING_CONSENT",
        (
            "at_risk: the churn score is at least 0.8 (it was 0.900)",
            "sms_discount had been held, and was given up",
            "when its time came, its channel could no longer be used for offers that rest on a score; "
            "the customer has said of profiling: SMS DENIED (2026-03-03 00:00)",
            "a Consent event has to come: purpose PROFILING, status GRANTED, channel SMS or EMAIL or ALL",
        ),
    ),
    "marketing refused while held": (
        lived(
            replace(POLICY, quiet=QUIET),
            signal(NIGHT), signal(NIGHT + HOUR, event_type="Consent", fields={"purpose": "MARKETING", "status": "REVOKED"}),
            until=NIGHT + DAY,
        ),
        POLICY, "CANCELLED", "NO_MARKETING_CONSENT",
        (
            "at_risk: the churn score is at least 0.8 (it was 0.900)",
            "sms_discount had been held, and was given up",
            "when its time came, its channel could no longer be used for marketing; "
            "the customer has said of marketing: all channels REVOKED (2026-03-03 00:00)",
            "a Consent event has to come: purpose MARKETING, status GRANTED, channel SMS or EMAIL or ALL",
        ),
    ),
    "control since": (
        regrouped(), replace(POLICY, holdout=HELD_BACK), "SUPPRESSED", "CONTROL",
        (
            "at_risk: the churn score is at least 0.8 (it was 0.900)",
            "sms_discount was not offered",
            "the customer is in the control group of spring-2026 (10% of all customers), which gets no marketing offers, so that "
            "their effect can be measured",
            "nothing that the customer does: the group stays as long as its programme; service messages are not held back",
        ),
    ),
    "crowded while held": (
        crowded(), POLICY, "CANCELLED", "CAP",
        (
            "at_risk: the churn score is at least 0.8 (it was 0.900)",
            "sms_discount had been held, and was given up",
            "a cap is full: at most 1 marketing contact in any 7d; contacts that count: SMS 2026-03-02 12:00",
            "it has room from 2026-03-09 12:00 on, if no more is sent until then",
        ),
    ),
    "expired": (
        lived(SHORT, complaint(NIGHT), until=NIGHT + DAY), SHORT, "CANCELLED", "EXPIRED",
        (
            "complaint: a SupportContact arrives whose topic is COMPLAINT or CANCELLATION",
            "call_back had been held, and was given up",
            "when its time came, it was past its validity of 1h",
            "the trigger has to fire again",
        ),
    ),
    "silenced while held": (
        silenced(), POLICY, "CANCELLED", "QUIET_HOURS",
        (
            "at_risk: the churn score is at least 0.8 (it was 0.900)",
            "sms_discount had been held, and was given up",
            "the quiet hours leave no time of the day to any permitted channel",
            "the policy's quiet hours have to be shorter",
        ),
    ),
    "gone": (
        lived(replace(POLICY, quiet=QUIET), signal(NIGHT), calm(NIGHT + HOUR), until=NIGHT + DAY), POLICY, "CANCELLED", "REASON_GONE",
        (
            "at_risk: the churn score is at least 0.8 (it was 0.900)",
            "sms_discount had been held, and was given up",
            "when its time came, at_risk no longer held, or was no longer in the policy",
            "the trigger has to fire again",
        ),
    ),
    "ticket": (
        lived(ESCALATING, signal(), outcome(NOON + HOUR, SMS_ID, "DECLINED")), ESCALATING, "EMITTED", "DECLINED",
        (
            "an offer that was made because of at_risk was looked at again",
            "the ticket for people (support_ticket) was opened",
            "the customer declined the offer",
            "",
        ),
    ),
    "ticket held": (
        lived(ESCALATING, signal(), outcome(NIGHT, SMS_ID, "COMPLAINED")), ESCALATING, "HELD", "QUIET_HOURS",
        (
            "an offer that was made because of at_risk was looked at again",
            "the ticket for people (support_ticket) is held until 2026-03-03 08:00",
            "it was 2026-03-02 23:00 by the customer's clock (UTC), within the quiet hours",
            "nothing: it is opened then, unless the contract is over",
        ),
    ),
    "ticket after a complaint": (
        lived(ESCALATING, signal(), replace(complaint(NOON + DAY), active=1), until=NOON + 8 * DAY), ESCALATING, "EMITTED", "COMPLAINT",
        (
            "an offer that was made because of at_risk was looked at again",
            "the ticket for people (support_ticket) was opened",
            "the customer has complained since the offer was made",
            "",
        ),
    ),
    "ticket for who stays at risk": (
        lived(ESCALATING, signal(), until=NOON + 8 * DAY), ESCALATING, "EMITTED", "STILL_AT_RISK",
        (
            "an offer that was made because of at_risk was looked at again",
            "the ticket for people (support_ticket) was opened",
            "the customer is still at risk, as long after the offer as the policy waits",
            "",
        ),
    ),
    "offered": (
        lived(POLICY, signal()), POLICY, "EMITTED", "AT_RISK",
        (
            "at_risk: the churn score is at least 0.8 (it was 0.900)",
            "sms_discount was offered",
            "it suited, and consent, cool-down and caps left room for it",
            "the next sms_discount may be made from 2026-04-01 12:00 on",
        ),
    ),
    "low": (
        lived(OF_SCORES, calm(NOON, active=4, others={"p_alive": alive(0.1234, 0), "clv_bgnbd": clv(80.0)})),
        OF_SCORES, "EMITTED", "LEAVING",
        (
            "leaving: the p_alive score is below 0.3 (it was 0.123)",
            "win_back was offered",
            "it suited, and consent, cool-down and caps left room for it",
            "the next win_back may be made from 2026-04-01 12:00 on",
        ),
    ),
    "fallen": (
        lived(OF_SCORES, *(calm(NOON + hours * HOUR, others={"clv_bgnbd": clv(value)}) for hours, value in ((0, 60.0), (1, 40.0)))),
        OF_SCORES, "SUPPRESSED", "NO_OFFER",
        (
            "falling: the clv_bgnbd score falls by 30% within 30d",
            "nothing was offered",
            "no offer of the trigger suits the customer: win_back asks that the clv_bgnbd score is at least 50",
            "the conditions of one of the trigger's offers have to hold",
        ),
    ),
    "served": (
        lived(POLICY, complaint(NOON)), POLICY, "EMITTED", "COMPLAINT",
        (
            "complaint: a SupportContact arrives whose topic is COMPLAINT or CANCELLATION",
            "call_back was offered",
            "it suited, and a service message needs no consent and counts in no cap",
            "the next call_back may be made from 2026-04-01 12:00 on",
        ),
    ),
}  # fmt: skip
