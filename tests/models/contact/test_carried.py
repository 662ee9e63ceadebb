"""A policy that the job carries in its spec comes back exactly, through JSON."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keepline.models.contact.carried import from_json, to_json
from keepline.models.contact.rules import (
    CHANNELS,
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
from keepline.models.contact.values import PolicyError
from tests.models.contact.policy_files import BASE, read

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
WHOLE = st.integers(0, 2**53)
TEXTS = st.lists(TEXT, max_size=3).map(tuple)
BY = st.lists(st.sampled_from(CHANNELS), max_size=4, unique=True).map(tuple)
LOW, HIGH = st.one_of(NUMBER, st.just(float("-inf"))), st.one_of(NUMBER, st.just(float("inf")))
WHEN = st.one_of(
    st.builds(Level, TEXT, LOW, HIGH),
    st.builds(Rise, TEXT, NUMBER, WHOLE),
    st.builds(Fall, TEXT, NUMBER, WHOLE),
    st.builds(Happens, TEXT, TEXT, TEXTS),
)
CONDITION = st.builds(Condition, TEXT, LOW, HIGH, TEXTS)
OFFER = st.builds(Offer, TEXT, TEXT, BY, TEXTS, st.lists(CONDITION, max_size=3).map(tuple), st.booleans(), WHOLE, WHOLE, TEXT)


def several(one: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(one, max_size=3).map(tuple)


POLICIES = st.builds(
    Policy,
    TEXT,
    WHOLE,
    several(st.builds(Trigger, TEXT, WHEN, st.integers(-5, 100))),
    several(OFFER),
    TEXT,
    st.booleans(),
    st.booleans(),
    several(st.builds(Cap, WHOLE, WHOLE, TEXT)),
    several(st.builds(QuietHours, WHOLE, WHOLE, BY)),
    st.none() | st.builds(Holdout, TEXT, NUMBER),
    st.none() | st.builds(Escalation, WHOLE, TEXT, TEXT, TEXT, WHOLE),
    several(st.builds(Budget, TEXT, WHOLE, WHOLE)),
    WHOLE,
    TEXT,
)


def typed(value: Any) -> Any:
    """The value with the types of all its parts: 1 and 1.0 are equal, and () and [] would not show in a repr of the whole."""
    if dataclasses.is_dataclass(value):
        return type(value), tuple(typed(getattr(value, field.name)) for field in dataclasses.fields(value))
    return (type(value), tuple(map(typed, value))) if isinstance(value, tuple) else (type(value), value)


@settings(deadline=None)
@given(POLICIES)
def test_round_trip(policy: Policy) -> None:
    for through in (
        lambda plain: plain,
        lambda plain: json.loads(json.dumps(plain, allow_nan=False)),
        lambda plain: orjson.loads(orjson.dumps(plain)),
    ):
        found = from_json(through(to_json(policy)))
        assert found == policy
        assert typed(found) == typed(policy)  # the source too, which == passes over


def test_the_file_of_the_tests() -> None:
    policy = read(BASE)
    plain = to_json(policy)
    assert from_json(plain) == policy
    assert plain["triggers"][1] == {
        "name": "rising",
        "when": {"is": "rise", "source": "score:churn", "by": 0.2, "within_ms": 604_800_000},
        "priority": 0,
    }
    assert plain["triggers"][0]["when"] == {"is": "level", "source": "score:churn", "at_least": 0.25, "below": None}
    assert plain["offers"][0]["conditions"][0] == {"source": "", "at_least": None, "below": None, "reasons": ["bill_rise"]}


@pytest.mark.parametrize(
    "change",
    [
        {"triggers": None},
        {"surprise": 1},
        {"triggers": [{"name": "x", "when": {"is": "often"}, "priority": 1}]},
        {"triggers": [{"name": "x", "when": {"is": "level"}, "priority": 1}]},
        {"offers": [{}]},
        {"caps": [{"most": 1}]},
        {"holdout": 5},
    ],
)
def test_what_to_json_did_not_make(change: dict[str, Any]) -> None:
    with pytest.raises(PolicyError, match=r"the policy that the job carries cannot be read: .*; submit the job anew"):
        from_json({**to_json(read(BASE)), **change})
    with pytest.raises(PolicyError, match="cannot be read"):
        from_json({})
