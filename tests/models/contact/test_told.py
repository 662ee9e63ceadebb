"""Every code that the policy can emit has its sentences, with the numbers of the decision in them."""

from __future__ import annotations

import ast
import importlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keepline.models.contact import budget, decide, outcomes, proposals, told
from keepline.models.contact.facts import Facts
from keepline.models.contact.rules import Budget, Holdout
from keepline.models.contact.told import SENTENCES, TICKETS, explained
from tests.models.contact.lives import CALL_BACK, DAY, HOUR, NOON, POLICY, SMS, calm, complaint, consent, signal
from tests.models.contact.told_scenes import BONUS, CAPPED, ESCALATING, OF_SCORES, SCENES, lived, the

FOLDER = Path(told.__file__).parent
CORE = ("decide", "proposals", "outcomes", "course", "budget", "ends", "rest", "records")


@pytest.mark.parametrize("scene", SCENES)
def test_sentences(scene: str) -> None:
    found, policy, result, reason, expected = SCENES[scene]
    made = explained(the(found, result, reason), policy)
    assert (made.fired, made.decided, made.because, made.change) == expected


def test_every_sentence_has_its_scene() -> None:
    told_of = {(result, reason) for _, _, result, reason, _ in SCENES.values()}
    assert told_of >= SENTENCES.keys()
    tickets = {reason for _, policy, result, reason, _ in SCENES.values() if policy is ESCALATING and result == "EMITTED"}
    assert tickets | {"COMPLAINED"} == TICKETS.keys()


def emitted_codes() -> set[tuple[str, str]]:
    """Every (result, code) that the core's sources put into a decision, read from their syntax trees."""
    found: set[tuple[str, str]] = set()
    for module in CORE:
        tree = ast.parse((FOLDER / f"{module}.py").read_text(encoding="utf-8"))
        names = vars(importlib.import_module(f"{told.__package__}.{module}"))

        def code_of(node: ast.expr, names: dict[str, Any] = names, module: str = module) -> list[str]:
            if isinstance(node, ast.Constant):
                return [node.value] if isinstance(node.value, str) and node.value else []
            if isinstance(node, ast.Name) and node.id.isupper():
                return [names[node.id]]
            if isinstance(node, ast.IfExp):
                return code_of(node.body) + code_of(node.orelse)
            return [] if isinstance(node, ast.Name | ast.Call | ast.Attribute) else pytest.fail(f"{module}: {ast.unparse(node)}")

        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func).rpartition(".")[2]
                if called == "Suppress":
                    found |= {("SUPPRESSED", each) for each in code_of(node.args[0])}
                elif called == "cancel":
                    found |= {("CANCELLED", each) for each in code_of(node.args[3])}
                elif called in ("_decision", "decision"):
                    result = ast.unparse(node.args[2]).rpartition(".")[2]
                    found |= {(result, each) for each in code_of(node.args[3])}
            elif isinstance(node, ast.FunctionDef) and node.name in ("_gone", "_unhelped", "choose"):
                result = {"_gone": "CANCELLED", "_unhelped": "EMITTED", "choose": "SUPPRESSED"}[node.name]
                for each in ast.walk(node):
                    if isinstance(each, ast.Return) and each.value is not None:
                        value = each.value.elts[1] if isinstance(each.value, ast.Tuple) else each.value
                        if ast.unparse(value) == "each.outcome":
                            found |= {("EMITTED", outcomes.DECLINED), ("EMITTED", outcomes.COMPLAINED)}
                        else:
                            found |= {(result, one) for one in code_of(value)}
            elif isinstance(node, ast.Dict):
                fields = {key.value: value for key, value in zip(node.keys, node.values, strict=True) if isinstance(key, ast.Constant)}
                if {"result", "reason"} <= fields.keys():
                    found |= {(ast.unparse(fields["result"]).rpartition(".")[2], each) for each in code_of(fields["reason"])}
    return found


def test_complete() -> None:
    codes = emitted_codes()
    assert {each for each in codes if each[0] != "EMITTED"} == SENTENCES.keys()
    assert {reason for result, reason in codes if result == "EMITTED"} == TICKETS.keys()
    assert {*decide.REFUSALS[1:], decide.CAP, proposals.EXPIRED, budget.BUDGET} <= {reason for _, reason in SENTENCES}


@pytest.mark.parametrize("scene", SCENES)
def test_without_the_policy_nothing_is_guessed(scene: str) -> None:
    found, _, result, reason, expected = SCENES[scene]
    decision = the(found, result, reason)
    made = explained(decision)
    assert made.because
    assert "does not know" not in made.because
    assert "at least 0.8" not in made.fired, "a limit that only the policy knows"
    assert explained(decision | {"made_from": ""}).because, "a decision that does not tell what it was made from"
    if scene == "marketing":
        assert made.change.endswith("status GRANTED, channel one of the offer's or ALL")
    if scene == "budget":
        assert made.change == "a new day has a new budget; but the cool-down has begun as if the offer had been made"
    if scene == "outranked":
        before = json.loads(decision["made_from"])
        assert before.pop("outranked_by") == "at_risk"
        older = explained(decision | {"made_from": json.dumps(before)})
        assert older.because == "another trigger fired at the same moment, and comes first by the policy's priorities"
    if scene in ("cap", "cool-down", "held already", "gone"):
        assert (made.because, made.change) == expected[2:]


def test_numbers_name_the_score_that_a_decision_rests_on_and_the_others() -> None:
    told = dict(Facts(the(SCENES["low"][0], "EMITTED", "LEAVING")).numbers())
    assert (told["score"], told["other scores"]) == ("p_alive 0.123 (LOW)", "churn 0.200, clv_bgnbd 80.00")
    told = dict(Facts(the(SCENES["fallen"][0], "SUPPRESSED", "NO_OFFER")).numbers())
    assert (told["score"], told["other scores"]) == ("clv_bgnbd 40.00 (MEDIUM)", "churn 0.200")
    told = dict(Facts(the(SCENES["cap"][0], "SUPPRESSED", "CAP")).numbers())
    assert told["score"] == "0.900 (HIGH)"
    assert "other scores" not in told


def test_a_decision_of_before_there_were_several_scores_is_churns() -> None:
    decision = the(SCENES["offered"][0], "EMITTED", "AT_RISK")
    before = {name: value for name, value in json.loads(decision["made_from"]).items() if name not in ("score_name", "scores")}
    older = decision | {"made_from": json.dumps(before)}
    assert explained(older, POLICY) == explained(decision, POLICY)
    assert Facts(older).numbers() == Facts(decision).numbers()
    assert explained(older, OF_SCORES).fired == "at_risk: the churn score is at least 0.8 (it was 0.900)"


def test_a_ticket_is_told_from_an_offer_of_the_same_code() -> None:
    both = [each for each in SCENES["ticket after a complaint"][0] if each["reason"] == "COMPLAINT"]
    assert [each["kind"] for each in both] == ["call_back", "support_ticket"]
    assert [explained(each, ESCALATING).decided for each in both] == [
        "call_back was offered",
        "the ticket for people (support_ticket) was opened",
    ]
    assert explained(both[1], ticket=True).because == TICKETS["COMPLAINT"], "by what its intervention says"
    assert explained(both[1], ticket=False).because == "it suited, and nothing stood against it"
    assert explained(SCENES["ticket"][0][-1]).because == TICKETS["DECLINED"], "a code that is not its trigger's can only be a ticket's"


def test_a_decision_of_0_1_0_and_one_of_a_later_version() -> None:
    old = {
        "decision_id": "d", "intervention_id": "i", "customer_id": "c", "result": "EMITTED", "reason": "SCORE_ABOVE_THRESHOLD",
        "arm": "TREATMENT", "kind": "sms_discount", "decided_at": NOON, "hold_until": None, "policy_version": 1, "model_version": 1,
    }  # fmt: skip
    made = explained(old)
    assert made.fired == "the churn score"
    assert "Keepline 0.1.0 decided" in made.because
    assert Facts(old).numbers() == []
    later = explained(old | {"result": "SUPPRESSED", "reason": "MOON"})
    assert later.because == "its code is SUPPRESSED MOON, which this version of Keepline does not know; ask the one that decided"


def test_room_in_a_cap_counts_what_is_held_where_the_policy_tells() -> None:
    cap = {"most": 1, "per_ms": DAY, "channel": ""}
    seen = {
        "contacts": [{"at": NOON - HOUR, "channel": "SMS"}],
        "held": [
            {"kind": "sms_discount", "channel": "SMS", "until": NOON + 5 * HOUR},
            {"kind": "call_back", "channel": "CALL", "until": NOON + 9 * HOUR},
        ],
        "cap": cap,
    }
    decision = the(SCENES["cap"][0], "SUPPRESSED", "CAP") | {"made_from": orjson.dumps(seen).decode(), "decided_at": NOON}
    assert explained(decision, POLICY).change == "it has room from 2026-03-03 17:00 on, if no more is sent until then"
    assert explained(decision).change == "the cap has to have room", "whether what is held is marketing only the policy knows"


@given(st.lists(st.tuples(st.integers(1, 40), st.sampled_from(range(9))), max_size=30), st.booleans(), st.booleans())
@settings(max_examples=60, deadline=None)
def test_every_decision_of_any_life_can_be_told(steps: list[tuple[int, int]], asking: bool, held_out: bool) -> None:
    policy = replace(
        ESCALATING, marketing_required=asking, caps=CAPPED.caps, holdout=Holdout("p", 0.5) if held_out else None,
        offers=(CALL_BACK, replace(SMS, cooldown_ms=3 * DAY, campaign="spring"), BONUS), budgets=(Budget("spring", 1),),
    )  # fmt: skip
    now, lives = NOON, []
    for hours, what in steps:
        now += hours * HOUR
        lives.append(
            [
                signal(now), signal(now, active=3), calm(now), signal(now, active=2), complaint(now), consent(now),
                consent(now, "REVOKED", channel="SMS"), consent(now, "DENIED", "PROFILING"), calm(now, ended=hours % 7 == 0),
            ][what]
        )  # fmt: skip
    for decision in lived(policy, *lives, until=now + 40 * DAY):
        for given_policy in (policy, None):
            made = explained(decision, given_policy)
            assert made.fired
            assert made.decided
            assert "does not know" not in made.because
            assert "does not tell" not in made.decided + made.because + made.change
        assert dict(Facts(decision).numbers())["score"]
