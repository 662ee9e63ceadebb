"""Budgets: shards sum to the limit and never exceed it, a refusal is a decision, claims travel as bytes, counts end with their day."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepline.models.contact.budget import BudgetStateError, claim_key, on_budget_time, on_claim, pack_claim, read_claim, shard_limit
from keepline.models.contact.rules import Budget
from keepline.schemas.records import from_record
from tests.models.contact.lives import DAY, NOON, POLICY, SMS, Life, brief, signal


def claim_of(customer: str, budget: Budget, time: int = NOON) -> tuple[str, dict[str, Any]]:
    policy = replace(POLICY, offers=(replace(SMS, campaign=budget.campaign),), budgets=(budget,))
    (claim,) = Life(policy).send(signal(time, customer_id=customer))
    return claim.key, claim.record


def under(*budgets: Budget) -> Any:
    return replace(POLICY, budgets=budgets)


@given(st.integers(0, 10_000), st.integers(1, 64))
def test_shards_sum_to_the_limit(per_day: int, shards: int) -> None:
    limits = [shard_limit(Budget("spring", per_day, shards), shard) for shard in range(shards)]
    assert sum(limits) == per_day
    assert max(limits) - min(limits) <= 1


@given(
    st.integers(0, 6),
    st.integers(1, 4),
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 2 * DAY)), max_size=40, unique_by=lambda x: x[0]),
)
def test_no_day_of_a_campaign_exceeds_its_budget(per_day: int, shards: int, asked: list[tuple[int, int]]) -> None:
    budget = Budget("spring", per_day, shards)
    policy = under(budget)
    states: dict[str, bytes] = {}
    granted, seen = Counter[int](), Counter[tuple[int, int]]()
    for customer, later in asked:
        key, claim = claim_of(f"c{customer}", budget, NOON + later)
        state, outputs, _ = on_claim(states.get(key), read_claim(pack_claim(claim)), policy)
        states[key] = state
        day = (NOON + later) // DAY
        assert key == claim_key("spring", day, claim["shard"])
        seen[day, claim["shard"]] += 1
        room = seen[day, claim["shard"]] <= shard_limit(budget, claim["shard"])
        assert [output.kind for output in outputs] == (["intervention", "decision"] if room else ["decision"])
        granted[day] += room
    assert all(count <= per_day for count in granted.values())


def test_a_grant_puts_out_what_the_contact_policy_would_have() -> None:
    key, claim = claim_of("c1", Budget("spring", 1))
    state, outputs, wake = on_claim(None, claim, under(Budget("spring", 1)))
    plain = Life(replace(POLICY, offers=(replace(SMS, campaign="spring"),))).send(signal())
    assert list(outputs) == plain
    assert wake == (NOON // DAY + 401) * DAY
    assert on_budget_time() == (None, (), 0)
    assert len(state) == 13
    assert key == f"spring|{NOON // DAY}|0"


def test_a_refusal_is_a_decision_that_names_the_offer() -> None:
    policy = under(Budget("spring", 1))
    state, _, _ = on_claim(None, claim_of("c1", Budget("spring", 1))[1], policy)
    _, claim = claim_of("c2", Budget("spring", 1))
    after, outputs, _ = on_claim(state, claim, policy)
    assert after == state
    assert brief(outputs) == [("decision", "SUPPRESSED", "BUDGET")]
    refused = outputs[0].record
    told = json.loads(refused.pop("made_from"))
    assert told.pop("budget") == {"campaign": "spring", "day": NOON // DAY, "shard": 0, "granted": 1}
    assert told == json.loads(claim["decision"]["made_from"])
    asked = {name: value for name, value in claim["decision"].items() if name != "made_from"}
    assert refused == asked | {"result": "SUPPRESSED", "reason": "BUDGET"}
    assert refused["intervention_id"] == claim["intervention"]["intervention_id"]
    from_record("Decision", refused)


def test_a_campaign_without_a_budget_grants_all() -> None:
    """Its budget was taken out of the policy while claims were on their way."""
    state: bytes | None = None
    for i in range(5):
        state, outputs, _ = on_claim(state, claim_of(f"c{i}", Budget("spring", 1))[1], under())
        assert len(outputs) == 2


def test_a_lower_budget_holds_at_once_and_a_higher_one_too() -> None:
    state, _, _ = on_claim(None, claim_of("c1", Budget("spring", 9))[1], under(Budget("spring", 9)))
    claim = claim_of("c2", Budget("spring", 9))[1]
    assert len(on_claim(state, claim, under(Budget("spring", 1)))[1]) == 1
    assert len(on_claim(state, claim, under(Budget("spring", 2)))[1]) == 2


def test_claims_travel_as_bytes() -> None:
    _, claim = claim_of("Ωμέγα", Budget("spring", 1, 7))
    assert read_claim(pack_claim(claim)) == claim


@pytest.mark.parametrize("packed", [b"", b"\x02abc"])
def test_claims_of_another_version_are_refused(packed: bytes) -> None:
    with pytest.raises(BudgetStateError, match="this build reads 1; stop the job with a savepoint"):
        read_claim(packed)


@pytest.mark.parametrize("state", [b"\x02" + bytes(12), b"\x01" + bytes(3)])
def test_counts_of_another_version_are_refused(state: bytes) -> None:
    with pytest.raises(BudgetStateError, match="run the build that wrote it"):
        on_claim(state, claim_of("c1", Budget("spring", 1))[1], under())
