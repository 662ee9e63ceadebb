"""The contact policy as a pure function: its edges, its ids, what it remembers."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest

from keepline.models.policy import DAY_MS, DISCOUNT, EXTRA_DATA, Candidate, Contact, Policy, Reason, decide, identifier
from keepline.schemas.records import from_record, to_record

NOW = 1_767_225_600_000
POLICY = Policy(threshold=0.8, data_median_mb=2000.0)
CANDIDATE = Candidate(
    customer_id="c1",
    event_id="e1",
    as_of=NOW,
    score="churn",
    value=0.9,
    reasons=(Reason("calls_7d", 3.0, 0.5), Reason("data_mb_30d", 10.0, -0.4), Reason("overdue_bills", 1.0, 0.3)),
    features={"data_mb_30d": 10.0},
    model_id="churn",
    model_version=2,
)
NEVER = Contact()


def made(contact: Contact = NEVER, policy: Policy = POLICY, **changes: Any) -> tuple[Contact, dict[str, Any], dict[str, Any]]:
    result = decide(contact, replace(CANDIDATE, **changes), policy)
    assert result is not None
    return result


def test_an_intervention_says_all_that_its_receiver_needs() -> None:
    contact, intervention, decision = made()
    assert contact == Contact(NOW + 30 * DAY_MS, 1)
    assert intervention == {
        "intervention_id": identifier("c1", "sms_discount", "event", "e1", 1),
        "customer_id": "c1",
        "kind": "sms_discount",
        "channel": "SMS",
        "offer": DISCOUNT.offer,
        "score": "churn",
        "value": 0.9,
        "reasons": [
            {"feature": "calls_7d", "value": 3.0, "contribution": 0.5},
            {"feature": "data_mb_30d", "value": 10.0, "contribution": -0.4},
            {"feature": "overdue_bills", "value": 1.0, "contribution": 0.3},
        ],
        "model_id": "churn",
        "model_version": 2,
        "policy_version": 1,
        "decided_at": NOW,
        "not_before": NOW,
        "expires_at": NOW + 7 * DAY_MS,
    }
    assert decision == {
        "decision_id": decision["decision_id"],
        "intervention_id": intervention["intervention_id"],
        "customer_id": "c1",
        "result": "EMITTED",
        "reason": "SCORE_ABOVE_THRESHOLD",
        "arm": "TREATMENT",
        "kind": "sms_discount",
        "decided_at": NOW,
        "hold_until": None,
        "policy_version": 1,
        "model_version": 2,
    }
    for name, record in (("Intervention", intervention), ("Decision", decision)):
        assert to_record(from_record(name, record)) == (name, record)


@pytest.mark.parametrize(("value", "expected"), [(0.8, True), (0.7999999999999999, False), (1.0, True), (0.0, False)])
def test_the_threshold_itself_is_above(value: float, expected: bool) -> None:
    assert (decide(Contact(), replace(CANDIDATE, value=value), POLICY) is not None) is expected


@pytest.mark.parametrize(("after", "expected"), [(0, False), (30 * DAY_MS - 1, False), (30 * DAY_MS, True), (31 * DAY_MS, True)])
def test_the_cooldown_ends_to_the_millisecond(after: int, expected: bool) -> None:
    contact, _, _ = made()
    again = decide(contact, replace(CANDIDATE, as_of=NOW + after, event_id="e2"), POLICY)
    assert (again is not None) is expected
    if again:
        assert again[0] == Contact(NOW + after + 30 * DAY_MS, 2)


def test_no_cooldown_contacts_every_time() -> None:
    policy = replace(POLICY, cooldown_ms=0)
    contact, _, _ = made(policy=policy)
    assert made(contact, policy, event_id="e2")[0] == Contact(NOW, 2)


@pytest.mark.parametrize(("mb", "offer"), [(2000.0, EXTRA_DATA), (1999.99, DISCOUNT), (0.0, DISCOUNT), (1e300, EXTRA_DATA)])
def test_the_upper_half_of_data_users_is_offered_data(mb: float, offer: Any) -> None:
    _, intervention, decision = made(features={"data_mb_30d": mb})
    assert (intervention["kind"], intervention["channel"], intervention["offer"]) == (offer.kind, offer.channel, offer.offer)
    assert decision["kind"] == offer.kind


def test_without_a_median_or_the_feature_all_are_offered_the_discount() -> None:
    assert made(policy=Policy(threshold=0.8), features={"data_mb_30d": 1e9})[1]["kind"] == "sms_discount"
    assert made(features={})[1]["kind"] == "sms_discount"


def test_ids_are_the_same_again_and_differ_with_what_they_name() -> None:
    first = made()
    assert made() == first
    assert made(contact=Contact(NOW - 1, 5))[1] == first[1]
    others = [
        made(customer_id="c2"), made(event_id="e2"), made(features={"data_mb_30d": 3000.0}), made(policy=replace(POLICY, version=2)),
        made(event_id=""), made(event_id="", as_of=NOW + DAY_MS),
    ]  # fmt: skip
    ids = [made[1]["intervention_id"] for made in [first, *others]]
    decisions = [made[2]["decision_id"] for made in [first, *others]]
    for each in (*ids, *decisions):
        assert len(each) == 32
        assert set(each) <= set("0123456789abcdef")
    assert len({*ids, *decisions}) == 14
    # What moves without being named: the score and its reasons.
    assert made(value=0.95, reasons=())[1]["intervention_id"] == ids[0]


def test_an_event_that_is_named_like_a_tick_is_none() -> None:
    tick = made(event_id="")[1]["intervention_id"]
    assert tick not in {made(event_id=name)[1]["intervention_id"] for name in ("tick", str(NOW), f"tick:{NOW}")}


def test_parts_of_an_id_do_not_run_together() -> None:
    texts = ["", "a", "ab", "b", "a\0b"]
    seen = {identifier(*parts) for n in (1, 2, 3) for parts in itertools.product(texts, repeat=n)}
    assert len(seen) == 5 + 25 + 125


def test_contact_of_another_customer_is_not_touched() -> None:
    before = Contact(NOW + 1, 3)
    assert decide(before, CANDIDATE, POLICY) is None
    assert before == Contact(NOW + 1, 3)


def test_who_used_no_data_is_no_data_user_whatever_the_median() -> None:
    policy = Policy(threshold=0.8, data_median_mb=0.0)
    none, some = (made(policy=policy, features={"data_mb_30d": used})[1]["kind"] for used in (0.0, 0.1))
    assert (none, some) == ("sms_discount", "extra_data")
