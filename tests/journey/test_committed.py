"""The committed policy, told as journeys: who is offered what, and what keeps a contact back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from keepline.jobs.journey.expect import Expect
from keepline.jobs.journey.journey import Journey

ATHENS = "Europe/Athens"


@pytest.fixture
def greek(journey: Journey) -> Journey:
    """A customer in Athens who allows marketing, with a small contract."""
    return journey.consents(time_zone=ATHENS).subscribes(30, at="2024-03-02 12:00")


def test_dropped_calls_lead_to_an_apology(journey: Journey, expect: Expect) -> None:
    journey.weights(dropped_calls_7d=1.5)
    journey.consents(marketing=True, time_zone=ATHENS)
    journey.subscribes(at="2025-01-01", monthly_charge=30)
    journey.at("2026-03-01 09:00").call(dropped=True)
    expect.no_intervention()
    journey.after("1m").call(dropped=True)
    made = expect.intervention("network_apology", channel="PUSH", at="2026-03-01 09:01", trigger="rising", escalation=False)
    assert made["offer"] == "We are sorry for the dropped calls: 5 GB extra data this month"
    assert made["expires_at"] - made["not_before"] == 7 * 86_400_000


def test_who_uses_data_is_offered_data_and_who_does_not_a_discount(journey: Journey, expect: Expect) -> None:
    for customer, kind, channel in ((journey, "sms_discount", "SMS"), (journey.customer("c-2").data(500), "extra_data", "PUSH")):
        customer.consents().score(0.9)
        expect.of(customer).intervention(kind, channel=channel, at="2025-01-06 09:00")


def test_an_unpaid_bill_is_reminded_of_and_then_may_be_paid_in_parts(greek: Journey, expect: Expect) -> None:
    greek.bill(60, due="2026-03-15", at="2026-03-01 10:00").wait_until("2026-03-15 11:00")
    expect.intervention("payment_reminder", channel="EMAIL", trigger="missed_payment", at="11:00")  # at the first tick after it
    greek.wait_until("2026-03-29")
    expect.no_intervention()
    greek.wait_until("2026-03-30")
    expect.intervention("payment_plan", channel="EMAIL", at="2026-03-29 12:00")
    greek.pays().silence(days=60)
    expect.no_intervention()


def test_a_reminder_needs_no_consent_but_a_plan_does(journey: Journey, expect: Expect) -> None:
    journey.subscribes(30, at="2026-01-01").refuses().bill(60, due="2026-01-10").wait_until("2026-02-20")
    for day in ("2026-01-10", "2026-01-24", "2026-02-07"):
        expect.intervention("payment_reminder", at=f"{day} 01:00")
    expect.no_intervention()


def test_a_person_calls_who_brings_much(greek: Journey, expect: Expect) -> None:
    greek.subscribes(95).score(0.9, at="2026-03-02 10:00")
    expect.intervention("personal_call", channel="CALL", at="2026-03-02 10:00")


def test_a_complaint_outranks_all_else(greek: Journey, expect: Expect) -> None:
    greek.score(0.9, at="2026-03-02 20:30")
    expect.intervention("sms_discount")
    greek.complaint(at="2026-03-03 20:30")
    expect.intervention("complaint_apology", channel="SMS", at="2026-03-03 20:30")
    expect.decision("SUPPRESSED", "OUTRANKED", trigger="at_risk", at="2026-03-03 20:30")


# ── consent ──


def test_without_consent_nobody_is_offered_anything(journey: Journey, expect: Expect) -> None:
    journey.score(0.9)
    expect.decision("SUPPRESSED", "NO_MARKETING_CONSENT", kind="sms_discount")
    journey.silence(days=30)
    expect.no_intervention()
    journey.consents().silence(hours=26)
    expect.intervention("sms_discount")


def test_a_refusal_counts_from_its_moment(greek: Journey, expect: Expect) -> None:
    greek.refuses(at="2026-03-02 10:00").score(0.9)
    expect.decision("SUPPRESSED", "NO_MARKETING_CONSENT", at="2026-03-02 10:00")
    expect.no_intervention()


@pytest.mark.parametrize(("allowed", "taken"), [("SMS", "SMS"), ("PUSH", "PUSH"), ("EMAIL", "EMAIL"), ("CALL", "")])
def test_only_a_channel_that_is_allowed_is_taken(journey: Journey, expect: Expect, allowed: str, taken: str) -> None:
    journey.consents(channel=allowed).score(0.9)
    if taken:
        expect.intervention("sms_discount", channel=taken)
    else:
        expect.decision("SUPPRESSED", "NO_MARKETING_CONSENT")
    expect.no_intervention()


def test_of_all_and_one_channel_the_newer_counts(journey: Journey, expect: Expect) -> None:
    journey.consents().refuses(channel="SMS", at="2026-03-02 10:00").score(0.9)
    expect.intervention("sms_discount", channel="PUSH")
    other = journey.customer("c-2").refuses(channel="SMS").consents(at="2026-03-02 11:00").score(0.9)
    expect.of(other).intervention("sms_discount", channel="SMS")


def test_who_refuses_profiling_is_not_contacted_for_a_score(greek: Journey, expect: Expect) -> None:
    greek.consents(marketing=None, profiling=False, at="2026-03-02 10:00").score(0.9)
    expect.decision("SUPPRESSED", "NO_PROFILING_CONSENT", trigger="at_risk")
    greek.complaint(at="2026-03-03 10:00")
    expect.intervention("complaint_apology")
    greek.silence(days=40)
    expect.no_intervention()  # not even a ticket: being at risk is the score's word


# ── caps and cool-downs ──


def test_one_offer_a_day(greek: Journey, expect: Expect) -> None:
    greek.score(0.9, at="2026-03-02 10:00")
    expect.intervention("sms_discount")
    greek.complaint(at="2026-03-03 09:59")
    expect.decision("SUPPRESSED", "CAP", kind="complaint_apology")
    greek.complaint(at="2026-03-03 10:00")
    expect.intervention("complaint_apology", at="2026-03-03 10:00")


def test_two_offers_in_seven_days(greek: Journey, expect: Expect) -> None:
    greek.subscribes(95).score(0.9, at="2026-03-02 10:00")
    expect.intervention("personal_call")
    greek.complaint(at="2026-03-05 12:00")
    expect.intervention("complaint_apology", channel="SMS")
    greek.subscribes(30, at="2026-03-09 09:59")
    expect.decision("SUPPRESSED", "CAP", kind="sms_discount")
    greek.call(at="2026-03-09 10:00").silence(hours=30)
    assert expect.intervention("sms_discount")["decided_at"] >= greek.now - 30 * 3_600_000
    expect.ticket(reason="COMPLAINT", at="2026-03-09 10:00")


def test_a_call_in_thirty_days_then_another_channel(greek: Journey, expect: Expect) -> None:
    """The apology may come by SMS, EMAIL or CALL; who allows calls only has had this month's."""
    greek.refuses().consents(channel="CALL").subscribes(95).score(0.9, at="2026-03-02 10:00")
    expect.intervention("personal_call")
    greek.complaint(at="2026-03-20 10:00")
    expect.decision("SUPPRESSED", "CAP", kind="complaint_apology")


def test_an_offer_rests_for_thirty_days(greek: Journey, expect: Expect) -> None:
    greek.score(0.9, at="2026-03-02 10:00")
    expect.intervention("sms_discount")
    greek.outcome("ACCEPTED").score(0.1, at="2026-03-03 10:00")
    greek.score(0.9, at="2026-04-01 10:59")  # clocks went ahead since: 29 days and 23:59 hours
    expect.decision("SUPPRESSED", "COOLDOWN", kind="sms_discount", at="2026-04-01 10:59")
    expect.no_intervention("sms_discount")
    greek.score(0.1).score(0.9, at="2026-04-01 11:00")
    expect.intervention("sms_discount", at="2026-04-01 11:00")


# ── quiet hours ──


def test_a_night_is_slept_through(greek: Journey, expect: Expect) -> None:
    greek.score(0.9, at="2026-03-02 20:59")
    expect.intervention("sms_discount", at="2026-03-02 20:59")
    other = greek.customer("c-2").consents(time_zone=ATHENS).score(0.9, at="2026-03-02 21:00")
    expect.of(other).held("2026-03-03 08:00", kind="sms_discount")
    expect.of(other).no_intervention()
    greek.wait_until("2026-03-03 07:59:59.999")
    expect.of(other).no_intervention()
    greek.wait_until("2026-03-03 08:00")
    expect.of(other).intervention("sms_discount", at="2026-03-03 08:00", not_before="2026-03-03 08:00")


@pytest.mark.parametrize(
    ("evening", "morning", "hours"),
    [
        ("2026-03-28 22:00", "2026-03-29T05:00:00Z", 9),
        ("2026-10-24 22:00", "2026-10-25T06:00:00Z", 11),
        ("2026-03-27 22:00", "2026-03-28T06:00:00Z", 10),
    ],
)
def test_the_nights_on_which_clocks_change(greek: Journey, expect: Expect, evening: str, morning: str, hours: int) -> None:
    greek.score(0.9, at=evening)
    held = expect.held(morning)
    assert held["hold_until"] - held["decided_at"] == hours * 3_600_000
    greek.wait_until("08:00")
    expect.intervention("sms_discount", at="08:00")


def test_a_customer_who_travels_is_woken_by_the_new_clock(greek: Journey, expect: Expect) -> None:
    greek.score(0.9, at="2025-03-02 22:00")
    expect.held("2025-03-03 08:00")
    greek.consents(time_zone="America/New_York", at="2025-03-03 07:00")
    greek.wait_until("2025-03-03 07:59:59")
    expect.no_intervention()
    greek.wait_until("08:00")
    expect.intervention("sms_discount", at="2025-03-03T13:00:00Z")


def test_an_email_may_come_at_night(greek: Journey, expect: Expect) -> None:
    greek.refuses().consents(channel="EMAIL").score(0.9, at="2026-03-02 23:00")
    expect.intervention("sms_discount", channel="EMAIL", at="2026-03-02 23:00")


Change = Callable[[Journey], object]
GONE: list[tuple[str, Change]] = [
    ("REASON_GONE", lambda j: j.score(0.1)),
    ("NO_MARKETING_CONSENT", lambda j: j.refuses()),
    ("NO_PROFILING_CONSENT", lambda j: j.refuses(marketing=False, profiling=True)),
    ("ENDED", lambda j: j.ends()),
]


@pytest.mark.parametrize(("reason", "change"), GONE, ids=[reason for reason, _ in GONE])
def test_a_held_offer_is_looked_at_once_more(journey: Journey, expect: Expect, reason: str, change: Change) -> None:
    journey.consents().score(0.45, at="2026-03-01 23:00").score(0.6, at="2026-03-02 23:00")  # a rise too small for the trigger rising
    expect.held("2026-03-03 08:00", kind="sms_discount")
    change(journey.at("2026-03-03 07:00"))
    journey.wait_until("2026-03-03 08:00")
    expect.decision("CANCELLED", reason, at="2026-03-03 07:00" if reason == "ENDED" else "2026-03-03 08:00")
    journey.silence(hours=2)
    expect.no_intervention()


# ── what follows ──


def test_a_ticket_follows_an_offer_that_did_not_help(greek: Journey, expect: Expect) -> None:
    greek.score(0.9, at="2026-03-02 10:00")
    offer = expect.intervention("sms_discount")
    greek.outcome("DELIVERED").wait_until("2026-03-09 09:59")
    expect.no_intervention()
    greek.wait_until("2026-03-09 10:00")
    ticket = expect.ticket(at="2026-03-09 10:00", of=offer, reason="STILL_AT_RISK")
    assert ticket["kind"] == "support_ticket"
    greek.silence(days=20)
    expect.no_intervention()


def test_no_ticket_where_it_helped(greek: Journey, expect: Expect) -> None:
    greek.score(0.9, at="2026-03-02 10:00")
    expect.intervention("sms_discount")
    greek.score(0.2, at="2026-03-05 10:00").silence(days=60)
    expect.no_intervention()
    expect.outcome_row(label="RETAINED", status="LANDED", outcomes=[])


def test_a_complaint_since_the_offer_brings_a_ticket(greek: Journey, expect: Expect) -> None:
    greek.score(0.9, at="2026-03-02 10:00")
    offer = expect.intervention("sms_discount")
    greek.score(0.2, at="2026-03-02 10:01").complaint(at="2026-03-02 10:02")
    expect.decision("SUPPRESSED", "CAP", kind="complaint_apology")
    greek.wait_until("2026-03-09 10:00")
    expect.ticket(at="2026-03-09 10:00", of=offer, reason="COMPLAINT")


@pytest.mark.parametrize("outcome", ["DECLINED", "COMPLAINED"])
def test_who_declines_is_called_at_once(greek: Journey, expect: Expect, outcome: str) -> None:
    greek.score(0.9, at="2026-03-02 10:00")
    offer = expect.intervention("sms_discount")
    greek.outcome(outcome, of=offer, at="2026-03-02 15:00")
    expect.ticket(at="2026-03-02 15:00", of=offer, reason=outcome)
    greek.outcome(outcome, of=offer, at="2026-03-02 16:00").silence(days=29)
    expect.no_intervention()  # once for an offer


def test_a_ticket_waits_for_the_morning(greek: Journey, expect: Expect) -> None:
    greek.score(0.9, at="2026-03-02 10:00")
    greek.outcome("DECLINED", of=expect.intervention("sms_discount"), at="2026-03-02 22:00")
    expect.held("2026-03-03 08:00", kind="support_ticket")
    greek.wait_until("2026-03-03 08:00")
    expect.ticket(at="2026-03-03 08:00", reason="DECLINED")


def test_outcomes_land_and_come_late(greek: Journey, expect: Expect) -> None:
    greek.score(0.9, at="2025-03-02 10:00").score(0.2)
    offer = expect.intervention("sms_discount")
    greek.outcome("DELIVERED", of=offer, at="2025-03-02 11:00").outcome("ACCEPTED", of=offer, at="2025-04-01 11:00")
    with pytest.raises(AssertionError, match="there was none"):
        expect.outcome_row()
    greek.after("1s")
    row = expect.outcome_row(of=offer, label="RETAINED", status="LANDED", outcomes=["DELIVERED", "ACCEPTED"], arm="TREATMENT")
    assert row["features"]["monthly_charge"] == 30
    greek.outcome("CHURNED", of=offer, at="2025-04-20")
    late = expect.outcome_row(of=offer, status="LATE", outcomes=["CHURNED"])
    assert late["label"] == "RETAINED", "who leaves after the window was retained in it"
    greek.outcome("DELIVERED", of=offer, at="2025-05-02").outcome("ACCEPTED", of="0" * 32)
    expect.outcome_row(status="UNKNOWN", outcomes=["DELIVERED"])
    expect.outcome_row(status="UNKNOWN", outcomes=["ACCEPTED"])


def test_who_leaves_within_the_window_churned(greek: Journey, expect: Expect) -> None:
    greek.score(0.9, at="2026-03-02 10:00")
    offer = expect.intervention("sms_discount")
    greek.ends(at="2026-03-20").silence(days=13)
    expect.outcome_row(of=offer, label="CHURNED", status="LANDED")
    expect.ticket(of=offer)


def test_what_was_not_delivered_counts_in_no_cap(greek: Journey, expect: Expect) -> None:
    greek.score(0.9, at="2026-03-02 10:00")
    greek.outcome("FAILED", of=expect.intervention("sms_discount"), at="2026-03-02 10:30").complaint(at="2026-03-02 11:00")
    expect.intervention("complaint_apology", at="2026-03-02 11:00")


def test_an_ended_contract_is_let_go_and_a_new_one_begins_anew(greek: Journey, expect: Expect) -> None:
    greek.ends(at="2026-03-01").complaint(at="2026-03-02 10:00")
    expect.decision("SUPPRESSED", "ENDED", kind="complaint_apology")
    greek.silence(days=30)
    expect.no_intervention()
    greek.subscribes(30).score(0.9, at="10:00")
    expect.intervention("sms_discount")


def test_an_erased_customer_leaves_nothing_behind(greek: Journey, expect: Expect) -> None:
    greek.score(0.9, at="2025-03-02 10:00")
    expect.intervention("sms_discount")
    greek.complaint(at="2025-03-04 22:00")
    expect.held("2025-03-05 08:00", kind="complaint_apology")
    greek.erases("r-77", at="2025-03-04 23:00")
    receipt = expect.nothing_kept()
    assert receipt["request_id"] == "r-77"
    assert receipt["counts"] == {"customer_state": 1, "contact_state": 1, "contacts": 1, "held": 1, "open_rows": 1}
    before = len(greek.entries)
    greek.silence(days=60)
    assert len(greek.entries) == before, "neither timers nor ticks"
    greek.score(0.9)
    expect.decision("SUPPRESSED", "NO_MARKETING_CONSENT")  # the consent is gone with the rest
