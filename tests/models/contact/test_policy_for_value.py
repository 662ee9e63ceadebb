"""The committed policy for churn and customer lifetime value together: what each customer is offered, under one set of caps."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from keepline.features.churn import CHURN
from keepline.features.clv import CLV
from keepline.models.contact.document import DEFAULT, load
from keepline.models.contact.names import names_of_all
from keepline.models.contact.rules import Cap, Fall, Level
from keepline.models.contact.show import show
from keepline.models.contact.signal import Signal
from keepline.models.contact.values import PolicyError
from keepline.models.contact.watched import Moves, watched_levels, watched_moves
from tests.models.contact.lives import DAY, HOUR, NOON, Life, alive, brief, clv, complaint, consent, record, signal

FILE = DEFAULT.with_name("retention-clv.yaml")
CHURN_NAMES = ("churn", 0.4, (0.2, 0.6), ())
NAMES = names_of_all(
    [CHURN_NAMES, ("p_alive", None, (0.3, 0.7), ()), ("clv_bgnbd", None, (20.0, 400.0), tuple(range(10, 100, 10)))],
    (*CHURN.names, *CLV.names),
)
POLICY = load(FILE, NAMES)


def customer(time: int, churn: float = 0.1, p_alive: float = 0.9, value: float = 100.0, **changes: Any) -> Signal:
    """A customer of these scores, with the levels that hold for them."""
    numbers = {"score:churn": churn, "score:p_alive": p_alive, "score:clv_bgnbd": value}
    levels = enumerate(watched_levels(POLICY))
    active = sum(1 << bit for bit, level in levels if level.at_least <= numbers[level.source] < level.below)
    others = {"p_alive": alive(p_alive), "clv_bgnbd": clv(value)}
    return signal(time, **({"value": churn, "band": 0, "others": others, "active": active} | changes))


def offered(*signals: Signal) -> list[tuple[str, str, str]]:
    """(kind, channel, score) of what a customer who allows all is offered."""
    life = Life(POLICY)
    life.send(replace(consent(NOON - HOUR), value=None), *signals)
    return [(each["kind"], each["channel"], each["score"]) for each in life.records("intervention")]


@pytest.mark.parametrize(
    ("signals", "expected"),
    [
        ([customer(NOON)], []),
        ([customer(NOON, value=400.0)], [("loyalty_reward", "EMAIL", "clv_bgnbd")]),
        ([customer(NOON, value=19.0)], [("re_engagement", "EMAIL", "clv_bgnbd")]),
        ([customer(NOON), customer(NOON + DAY, value=70.0)], [("re_engagement", "EMAIL", "clv_bgnbd")]),
        ([customer(NOON), customer(NOON + DAY, value=70.1)], []),
        ([customer(NOON, p_alive=0.29)], [("win_back", "EMAIL", "p_alive")]),
        ([customer(NOON, p_alive=0.29, value=19.0)], [("win_back", "EMAIL", "p_alive")]),
        ([customer(NOON, p_alive=0.29, value=500.0)], [("personal_call", "CALL", "p_alive")]),
        ([customer(NOON, churn=0.4)], [("stay_discount", "SMS", "churn")]),
        ([customer(NOON, churn=0.4, value=500.0)], [("personal_call", "CALL", "churn")]),
        ([complaint(NOON)], [("complaint_apology", "SMS", "churn")]),
    ],
)
def test_who_is_offered_what(signals: list[Signal], expected: list[tuple[str, str, str]]) -> None:
    assert offered(*signals) == expected


def test_a_high_value_may_not_be_called() -> None:
    refused = record("Consent", NOON - 5, purpose="MARKETING", channel="CALL", status="DENIED", time_zone=None)
    assert offered(refused, customer(NOON, churn=0.4, value=500.0)) == [("stay_discount", "SMS", "churn")]


def test_all_offers_share_one_set_of_caps() -> None:
    """Churn, value and probability come one after the other: two contacts a week, one a day."""
    life = Life(POLICY)
    life.send(replace(consent(NOON - HOUR), value=None), customer(NOON, churn=0.4))
    assert brief(life.send(customer(NOON + HOUR, value=500.0))) == [("decision", "SUPPRESSED", "CAP")]
    assert brief(life.send(customer(NOON + DAY, value=500.0)))[-1] == ("decision", "EMITTED", "HIGH_VALUE")
    lost = life.send(customer(NOON + 3 * DAY, p_alive=0.2, value=500.0))
    assert brief(lost) == [("decision", "SUPPRESSED", "CAP"), ("decision", "SUPPRESSED", "OUTRANKED")]
    assert [each["score"] for each in life.records("intervention")] == ["churn", "clv_bgnbd"]
    later = brief(life.send(customer(NOON + 8 * DAY, p_alive=0.2, value=500.0)))
    assert later[:2] == [("intervention", "support_ticket", "CALL"), ("decision", "EMITTED", "STILL_AT_RISK")]  # of the first offer
    assert ("intervention", "personal_call", "CALL") in later


def test_what_the_file_means() -> None:
    assert (POLICY.name, POLICY.version) == ("retention-and-value", 1)
    assert watched_levels(POLICY) == (
        Level("score:churn", 0.4),
        Level("score:p_alive", below=0.3),
        Level("score:clv_bgnbd", below=20.0),
        Level("score:clv_bgnbd", 400.0),
    )
    assert watched_moves(POLICY) == (Moves("score:clv_bgnbd", float("inf"), 0.3),)
    assert [each.when for each in POLICY.triggers if isinstance(each.when, Fall)] == [Fall("score:clv_bgnbd", 0.3, 30 * DAY)]
    assert POLICY.caps == (Cap(1, DAY), Cap(2, 7 * DAY), Cap(1, 30 * DAY, "CALL"))
    assert "  30  falling     the clv_bgnbd score falls by 30% within 30d\n" in show(POLICY)


def test_it_needs_a_job_that_computes_its_scores() -> None:
    with pytest.raises(PolicyError) as error:
        load(FILE, names_of_all([CHURN_NAMES], CHURN.names))
    lines = FILE.read_text().splitlines()
    wrong = [lines[problem.line - 1][problem.column - 1 :].split(",")[0] for problem in error.value.problems]
    assert sorted({each.rstrip("}") for each in wrong}) == ["clv_bgnbd", "p_alive"]
    assert all("expected the only score that is computed: churn" in problem.message for problem in error.value.problems)


def test_editors_take_it_and_slips_in_it_are_underlined() -> None:
    schema = jsonschema.Draft202012Validator(json.loads(DEFAULT.with_name("policy.schema.json").read_text()))
    text = FILE.read_text()

    def sound(text: str) -> bool:
        return bool(schema.is_valid(json.loads(json.dumps(YAML(typ="safe", pure=True).load(text)))))

    assert f"$schema={DEFAULT.with_name('policy.schema.json').name}" in text.splitlines()[0]
    assert sound(text)
    for old, new in (
        ("below: 0.3", "below: D3"),
        ("below: 0.3", "at_least: 0.1, below: HIGH"),
        ("score: clv_bgnbd, at_least: HIGH, priority", "score: clv_formula, at_least: D8, priority"),
        ("below: MEDIUM", "below: 5, at_least: 1"),
        ("falls_by: 30%", "falls_by: 0.3"),
        ("{score: p_alive, below: 0.3", "{score: p_alive, rises_by: 0.3, within: 7d"),
        ("{score: p_alive, below: 0.3", "{feature: orders_90d, below: 1"),
    ):
        assert old in text
        assert sound(text.replace(old, new)), new
    for old, new in (
        ("below: 0.3", "below: threshold"),
        ("below: 0.3", "below: D10"),
        ("below: 0.3, ", ""),
        ("at_least: threshold", "at_least: D8"),
        ("falls_by: 30%", "falls_by: 30%, below: 5"),
        ("falls_by: 30%", "rises_by: 30"),
        ("falls_by: 30%", "falls_by: 130"),
        (", within: 30d", ""),
        ("{score: clv_bgnbd, at_least: HIGH}", "{score: clv_bgnbd, falls_by: 30%, within: 30d}"),
        ("{score: clv_bgnbd, at_least: HIGH}", "{score: clv_bgnbd}"),
        ("score: p_alive", "score: alive"),
    ):
        changed = text.replace(old, new)
        assert changed != text
        assert not sound(changed), new
        with pytest.raises(PolicyError):
            load(changed, NAMES)
