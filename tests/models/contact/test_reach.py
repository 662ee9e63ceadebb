"""An offer that is said to be out of reach is never the first that suits, whoever the customer is; and plain cases are found."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keepline.models.contact.reach import unreachable
from keepline.models.contact.rules import CHANNELS, Condition, Happens, Level, Offer, Trigger

RISK = Trigger("risk", Level("score:churn", 0.5))
BILLS = Trigger("bills", Level("feature:bills", 2.0))
MOVED = Trigger("moved", Happens("Subscription"))
SOME = Trigger("some", Level("feature:bills", 1.0, 3.0))
TRIGGERS = (RISK, BILLS, MOVED, SOME)
NAMES = [trigger.name for trigger in TRIGGERS]
FEATURES = ("bills", "charge")


def at_least(limit: float, name: str = "bills") -> Condition:
    return Condition(f"feature:{name}", limit)


def below(limit: float, name: str = "bills") -> Condition:
    return Condition(f"feature:{name}", below=limit)


def reason(*names: str) -> Condition:
    return Condition(reasons=names)


def offer(kind: str, triggers: str = "risk", channels: str = "SMS", *conditions: Condition, service: bool = False) -> Offer:
    return Offer(kind, "x", tuple(channels.split()), tuple(triggers.split()), conditions, service)


@pytest.mark.parametrize(
    ("offers", "found"),
    [
        ([offer("a"), offer("b")], {"b": "a"}),
        ([offer("a"), offer("b", "moved")], {}),
        ([offer("a"), offer("b", "risk moved")], {}),  # for moved it comes
        ([offer("a"), offer("c", "moved"), offer("b", "risk moved")], {"b": "a"}),
        ([offer("a", "risk", "SMS"), offer("b", "risk", "SMS EMAIL")], {}),  # who permits e-mail only
        ([offer("a", "risk", "SMS EMAIL"), offer("b", "risk", "EMAIL")], {"b": "a"}),
        ([offer("a", "moved", "SMS", service=True), offer("b", "moved", "EMAIL")], {"b": "a"}),  # a service message always goes
        ([offer("a", "risk", "SMS", service=True), offer("b", "risk", "EMAIL")], {}),  # who refuses profiling by SMS
        ([offer("a", "risk", "SMS", service=True), offer("b", "risk", "SMS")], {"b": "a"}),
        ([offer("a", "risk", "SMS", service=True), offer("b", "risk", "SMS", service=True)], {"b": "a"}),
        ([offer("a"), offer("c", "risk", "EMAIL"), offer("b", "risk", "SMS EMAIL")], {"b": "a and c"}),
        ([offer("a", "risk", "SMS"), offer("b", "risk", "SMS", service=True)], {}),  # who permits nothing
        ([offer("a", "risk", "SMS", at_least(1)), offer("b")], {}),
        ([offer("a"), offer("b", "risk", "SMS", at_least(1))], {"b": "a"}),
        ([offer("a", "risk", "SMS", at_least(1)), offer("b", "risk", "SMS", at_least(2), reason("charge"))], {"b": "a"}),
        ([offer("a", "risk", "SMS", at_least(2)), offer("b", "risk", "SMS", at_least(1))], {}),
        ([offer("a", "risk", "SMS", below(2)), offer("b", "risk", "SMS", below(1))], {"b": "a"}),
        ([offer("a", "bills", "SMS", at_least(2)), offer("b", "bills")], {"b": "a"}),  # the trigger itself says at least 2
        ([offer("a", "bills", "SMS", at_least(2.5)), offer("b", "bills")], {}),
        ([offer("a", "risk", "SMS", reason("bills", "charge")), offer("b", "risk", "SMS", reason("bills"))], {"b": "a"}),
        ([offer("a", "risk", "SMS", reason("bills")), offer("b", "risk", "SMS", reason("bills", "charge"))], {}),
        ([offer("a", "bills", "SMS", below(2))], {"a": "its conditions"}),
        ([offer("a", "bills moved", "SMS", below(2))], {}),
        ([offer("a", "some", "SMS", at_least(3))], {"a": "its conditions"}),  # the trigger itself says below 3
        ([offer("a", "some", "SMS", below(1))], {"a": "its conditions"}),
        ([offer("a", "some", "SMS", below(3)), offer("b", "some")], {"b": "a"}),
        ([offer("a", "some", "SMS", below(2.5)), offer("b", "some")], {}),
        ([offer("a", "moved", "SMS", at_least(2), below(2))], {"a": "its conditions"}),
        ([offer("a", "moved", "SMS", at_least(2), below(2.5))], {}),
    ],
)
def test_plain_cases(offers: list[Offer], found: dict[str, str]) -> None:
    told = {
        kind: why.removeprefix("all its customers are taken by ").split(" before it")[0].split(" never")[0]
        for kind, why in unreachable(offers, TRIGGERS).items()
    }
    assert told == found


def test_the_reason_names_what_to_change() -> None:
    assert unreachable([offer("a", "risk", "SMS"), offer("b", "risk", "EMAIL"), offer("c", "risk", "SMS EMAIL")], TRIGGERS) == {
        "c": "all its customers are taken by a and b before it: move it up, or put a condition there"
    }
    assert unreachable([offer("a", "bills", "SMS", below(2))], TRIGGERS) == {
        "a": "its conditions never hold together when bills fires: correct them"
    }


LIMITS = st.sampled_from([0.0, 1.0, 2.0, 3.0])
CONDITIONS = st.one_of(
    st.builds(at_least, LIMITS, st.sampled_from(FEATURES)),
    st.builds(below, LIMITS, st.sampled_from(FEATURES)),
    st.lists(st.sampled_from(FEATURES), min_size=1, max_size=2, unique=True).map(lambda names: reason(*names)),
)
OFFERS = st.lists(
    st.tuples(
        st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True),
        st.lists(st.sampled_from(CHANNELS[:3]), min_size=1, max_size=3, unique=True),
        st.lists(CONDITIONS, max_size=2),
        st.booleans(),
    ),
    min_size=1,
    max_size=4,
).map(
    lambda drawn: [
        offer(f"o{i}", " ".join(for_), " ".join(by), *asked, service=service) for i, (for_, by, asked, service) in enumerate(drawn)
    ]
)


def suits(one: Offer, trigger: str, features: Mapping[str, float], reasons: set[str], marketing: set[str], profiling: set[str]) -> bool:
    """The rule of the policy, as it is written."""
    holds = all(
        bool(set(asked.reasons) & reasons) if asked.reasons else asked.at_least <= features[asked.source.split(":")[1]] < asked.below
        for asked in one.conditions
    )
    return trigger in one.triggers and holds and any((one.service or by in marketing) and by in profiling for by in one.channels)


VALUES = (-1.0, 0.5, 1.5, 2.5, 4.0)


@settings(max_examples=100, deadline=None)
@given(OFFERS)
def test_no_customer_is_ever_made_an_offer_out_of_reach(offers: list[Offer]) -> None:
    found = set(unreachable(offers, TRIGGERS))
    taken = set()
    subsets = [set(), {"bills"}, {"charge"}, {"bills", "charge"}]
    channels = [{name for bit, name in enumerate(CHANNELS[:3]) if mask >> bit & 1} for mask in range(8)]
    for trigger in NAMES:
        for bills in VALUES:
            if (trigger == "bills" and bills < 2) or (trigger == "some" and not 1 <= bills < 3):
                continue  # it does not fire
            for charge in VALUES:
                for reasons in subsets:
                    for marketing, profiling in product(channels, channels if trigger == "risk" else channels[-1:]):
                        features = {"bills": bills, "charge": charge}
                        who = (trigger, features, reasons, marketing, profiling)
                        taken.add(next((one.kind for one in offers if suits(one, *who)), None))
    assert not found & taken
    if not any(one.conditions for one in offers):
        assert found == {one.kind for one in offers} - taken
