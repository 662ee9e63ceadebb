"""Passing signals over: only where the whole step would change nothing but the clock, and then always."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from keepline.models.contact.course import on_signal
from keepline.models.contact.rest import asleep
from keepline.models.contact.rules import Cap, Condition, Escalation, Policy, QuietHours, Rise, Trigger
from keepline.models.contact.signal import Signal
from keepline.models.contact.state import TOLD_MS
from keepline.models.contact.stored import pack, unpack
from tests.models.contact.lives import DAY, HOUR, NOON, POLICY, SMS, Life, calm, complaint, consent, outcome, record, signal

HEAVY = replace(SMS, kind="extra_data", conditions=(Condition("feature:data_mb_30d", 1000.0),))
TWO = replace(POLICY, offers=(HEAVY, SMS))
RISING = replace(TWO, triggers=(*TWO.triggers, Trigger("rising", Rise("score:churn", 0.2, DAY))))
SHORT = replace(POLICY, offers=(replace(SMS, cooldown_ms=DAY),))


def state(*signals: Signal, policy: Policy = TWO) -> bytes:
    life = Life(policy)
    life.send(*signals)
    assert life.contact is not None
    return pack(life.contact)


COOLING = (signal(NOON), signal(NOON + 1))


@pytest.mark.parametrize(
    ("sent", "passed"),
    [
        (signal(NOON + 5), True),
        (signal(NOON + 5, value=0.81, reasons=()), True),
        (signal(NOON + 5, event_id="", event_type=""), True),
        (signal(NOON - 5), True),  # now is not before the clock
        (signal(NOON + 10 * DAY), True),
        (signal(NOON + 10 * DAY + 1), False),  # a row closes
        (signal(NOON + 5, active=0), False),
        (signal(NOON + 5, active=3), False),
        (signal(NOON + 5, ended=True), False),
        (signal(NOON + 5, quiet_until=NOON + 6), False),
        (signal(NOON + 5, features={"data_mb_30d": 2000.0}), False),  # another offer suits now
        (complaint(NOON + 5, active=1), False),
        (replace(consent(NOON + 5), active=1), False),
        (replace(outcome(NOON + 5, "x", "DELIVERED"), active=1), False),
        (replace(record("Erasure", NOON + 5, request_id="r"), active=1), False),
        (replace(record("Subscription", NOON + 5), active=1), False),
    ],
)
def test_a_customer_in_a_cool_down(sent: Signal, passed: bool) -> None:
    before = state(*COOLING)
    after = asleep(before, sent, TWO)
    assert (after is not None) == passed
    if after is not None:
        step = on_signal(unpack(before), sent, TWO)
        assert step.outputs == ()
        assert step.contact is not None
        assert after == pack(step.contact)
        assert unpack(after).clock == max(NOON + 1, sent.time)


def test_the_same_clock_is_the_same_state() -> None:
    before = state(*COOLING)
    assert asleep(before, signal(NOON + 1), TWO) is before


@pytest.mark.parametrize(
    ("signals", "sent", "policy", "passed"),
    [
        ((signal(NOON),), signal(NOON + 1), TWO, False),  # the cool-down has not been told
        ((consent(NOON), calm(NOON + 1)), calm(NOON + 2), TWO, True),
        ((consent(NOON),), calm(NOON + 2), TWO, True),
        ((replace(consent(NOON), value=None),), calm(NOON + 2), TWO, False),  # which said nothing of the levels
        ((consent(NOON, "DENIED"), signal(NOON + 1)), signal(NOON + 2), TWO, True),
        ((consent(NOON, "DENIED"), signal(NOON + 1)), signal(NOON + TOLD_MS), TWO, True),
        ((consent(NOON, "DENIED"), signal(NOON + 1)), signal(NOON + TOLD_MS + 1), TWO, False),
        ((consent(NOON, "DENIED", "PROFILING"), signal(NOON + 1)), signal(NOON + 2), TWO, True),
        ((signal(NOON),), signal(NOON + 2), replace(POLICY, offers=()), True),
        ((signal(NOON, ended=True),), signal(NOON + 2, ended=True), TWO, True),
        # A cool-down that ends before anything is due.
        (COOLING, signal(NOON + DAY - 1), SHORT, True),
        (COOLING, signal(NOON + DAY), SHORT, False),
        # Other triggers were outranked, and told so.
        ((signal(NOON, active=3), signal(NOON + 1, active=3)), signal(NOON + 2, active=3), TWO, True),
        # Held: until the night is over.
        ((signal(NOON), signal(NOON + 1)), signal(NOON + 2), replace(TWO, quiet=(QuietHours(0, 13 * 60),)), True),
        ((signal(NOON), signal(NOON + 1)), signal(NOON + HOUR), replace(TWO, quiet=(QuietHours(0, 13 * 60),)), False),
        # Room in the caps comes and goes with the hour of the day.
        ((signal(NOON),), signal(NOON + 1), replace(TWO, caps=(Cap(0, DAY),)), False),
        # A score that has risen is one to decide on, one that has not is remembered.
        ((consent(NOON), calm(NOON + 1)), calm(NOON + 2, value=0.39), RISING, True),
        ((consent(NOON), calm(NOON + 1)), calm(NOON + 2, value=0.41), RISING, False),
        # Complaints matter where they may be waited for.
        ((consent(NOON),), record("SupportContact", NOON + 1, topic="QUESTION"), replace(TWO, triggers=TWO.triggers[:2]), True),
        (
            (consent(NOON),),
            record("SupportContact", NOON + 1, topic="QUESTION"),
            replace(TWO, triggers=TWO.triggers[:2], escalation=Escalation(DAY)),
            False,
        ),
    ],
)
def test_other_customers(signals: tuple[Signal, ...], sent: Signal, policy: Policy, passed: bool) -> None:
    assert (asleep(state(*signals, policy=policy), sent, policy) is not None) == passed


def test_what_is_passed_over_is_remembered_for_rises() -> None:
    before, passed = state(consent(NOON), calm(NOON + 1, value=0.3), policy=RISING), calm(NOON + HOUR, value=0.05)
    after = asleep(before, passed, RISING)
    assert after is not None
    step = on_signal(unpack(before), passed, RISING)
    assert step.contact is not None
    assert unpack(after).trails == step.contact.trails != unpack(before).trails
    assert unpack(after) == unpack(before)._replace(clock=NOON + HOUR, trails=step.contact.trails)
    assert asleep(after, calm(NOON + 2 * HOUR, value=0.26), RISING) is None
    assert asleep(before, calm(NOON + 2 * HOUR, value=0.26), RISING) is not None


@pytest.mark.parametrize("change", [{"version": 4}, {"caps": (Cap(1, DAY),)}, {"offers": (SMS,)}])
def test_another_policy_looks_anew(change: dict[str, Any]) -> None:
    before = state(*COOLING)
    assert asleep(before, signal(NOON + 5), replace(TWO, source="other text, same rules")) is not None
    assert asleep(before, signal(NOON + 5), replace(TWO, **change)) is None


def test_a_state_of_another_version_is_not_guessed_at() -> None:
    assert asleep(state(*COOLING), signal(NOON + 5), TWO) is not None
    for version in (b"\x02", b"\x04"):
        assert asleep(version + state(*COOLING)[1:], signal(NOON + 5), TWO) is None


def test_levels_beyond_the_heads_bits_are_handled() -> None:
    many = replace(POLICY, triggers=tuple(replace(POLICY.triggers[0], name=f"t{i}") for i in range(65)))
    assert asleep(state(consent(NOON), policy=many), calm(NOON + 1), many) is None
    wide = calm(NOON + 1, active=2**64)
    assert asleep(state(consent(NOON), wide), wide, TWO) is None
