"""The state as bytes: its size, its header, what drops it, what migrates; and declarations that do not compile."""

import dataclasses
import struct
from typing import Any

import pytest

from keepline.features import plan
from keepline.features.churn import CALLS, CHURN, D7, D14, D30, H24
from keepline.features.layout import MAGIC, lay_out
from keepline.features.migration import migrate
from keepline.features.sets import feature_set
from keepline.features.single import Customer
from keepline.features.soundness import Rule, damage, state_rules
from keepline.features.spec import (
    DAY,
    HOUR,
    Age,
    Billing,
    Feature,
    FeatureError,
    Ledger,
    Measure,
    Newest,
    NewestIs,
    OneOf,
    Rise,
    Since,
    Window,
    Windowed,
)
from keepline.schemas.status import Reason

T = 20_000 * DAY


def call(event_id: str, t: int, **fields: Any) -> dict[str, Any]:
    """A call."""
    return {"type": "Call", "event_id": event_id, "event_time": t, "duration_s": 1.0} | fields


def test_the_row() -> None:
    assert len(CHURN.names) == 36
    assert CHURN.names[:4] == ("calls_24h", "calls_7d", "calls_30d", "call_seconds_24h")
    assert CHURN.names[15:23] == (
        *("support_contacts_7d", "support_contacts_30d", "complaints_7d", "complaints_30d"),
        *("support_contacts_rise_7d", "data_trend_7d", "call_trend_7d", "hours_since_last_call"),
    )
    assert feature_set("churn") is CHURN
    with pytest.raises(FeatureError, match="expected one of churn"):
        feature_set("chrun")


def test_size() -> None:
    layout = lay_out(CHURN)
    assert layout.size <= 3072
    assert layout.size % 64 == 0
    assert len(Customer(CHURN).state) == layout.size


def test_header() -> None:
    customer = Customer(CHURN)
    assert not any(customer.state)
    customer.apply(call("a", T))
    customer.apply(call("b", T - HOUR))
    magic, set_id, version, flags, wake, newest, now, timer, sequence = struct.unpack_from("<4H5q", customer.state)
    assert (magic, set_id, version, flags) == (MAGIC, CHURN.id, CHURN.state_version, 0)
    assert (wake, newest, now, timer, sequence) == (0, T, T, 0, 0)
    assert struct.unpack_from("<di", customer.state, 48) == (0.0, -1)


def test_ended_contract_is_a_flag() -> None:
    customer = Customer(CHURN)
    contract = {"type": "Subscription", "plan": "p", "started_time": T, "monthly_charge": 1.0}
    for event_id, t, ended, flags in (("1", T, True, 1), ("2", T - 1, False, 1), ("3", T, False, 0), ("4", T + 1, True, 1)):
        customer.apply(contract | {"event_id": event_id, "event_time": t, "ended": ended})
        assert struct.unpack_from("<H", customer.state, 6) == (flags,)


def test_duplicates_neither_take_nor_renew_a_place() -> None:
    customer = Customer(CHURN)
    for i in range(32):
        assert customer.apply(call(f"e{i}", T + i)) == Reason.OK
    before = customer.state
    assert customer.apply(call("e0", T + 99)) == Reason.DUPLICATE
    assert customer.apply(call("late", T - 91 * DAY)) == Reason.LATE
    assert customer.state == before
    assert customer.apply(call("new", T + 40)) == Reason.OK
    assert customer.apply(call("e0", T + 41)) == Reason.OK
    assert customer.apply(call("e2", T + 42)) == Reason.DUPLICATE
    assert customer.row()["calls_24h"] == 34


def test_a_type_without_features_still_counts_for_duplicates_and_now() -> None:
    customer = Customer(CHURN)
    customer.apply(call("a", T))
    assert customer.apply({"type": "PageView", "event_id": "p", "event_time": T + HOUR, "page": "/"}) == Reason.OK
    assert customer.now == T + HOUR
    assert customer.apply(call("p", T)) == Reason.DUPLICATE
    assert customer.row()["hours_since_last_call"] == 1


def test_late_at_ninety_days() -> None:
    customer = Customer(CHURN)
    customer.apply(call("a", T))
    assert customer.apply(call("b", T - 90 * DAY)) == Reason.OK
    assert customer.apply(call("c", T - 90 * DAY - 1)) == Reason.LATE
    # A duplicate is a duplicate however late.
    assert customer.apply(call("a", T - 99 * DAY)) == Reason.DUPLICATE


def test_silence_drops_the_state() -> None:
    customer = Customer(CHURN)
    contract = {"type": "Subscription", "event_id": "a", "event_time": T, "plan": "p", "started_time": T, "monthly_charge": 5.0}
    customer.apply(contract)
    assert customer.row(T + 400 * DAY - 1)["monthly_charge"] == 5
    assert customer.row(T + 400 * DAY)["monthly_charge"] == 0
    assert customer.apply(call("a", T + 400 * DAY)) == Reason.OK
    assert customer.row()["monthly_charge"] == 0
    fresh = Customer(CHURN)
    fresh.apply(call("a", T + 400 * DAY))
    assert customer.state == fresh.state


def test_migrate_keeps_what_it_knows() -> None:
    customer = Customer(CHURN)
    customer.apply(call("a", T))
    assert migrate(customer.state, CHURN) == customer.state
    assert migrate(bytes(10), CHURN) == bytes(lay_out(CHURN).size)


@pytest.mark.parametrize(
    ("offset", "value", "message"),
    [
        (0, 0x1234, r"does not begin with the mark 0x4c4b"),
        (2, 9, r"feature set id 9; expected 1 \('churn'\)"),
        (4, 2, r"state version 2; expected version 1 or older\. Run the release that wrote it"),
        (4, 0, r"state version 0; .* without one to build the state again"),
    ],
)
def test_migrate_refuses_with_advice(offset: int, value: int, message: str) -> None:
    customer = Customer(CHURN)
    customer.apply(call("a", T))
    state = bytearray(customer.state)
    struct.pack_into("<H", state, offset, value)
    with pytest.raises(FeatureError, match=message):
        migrate(bytes(state), CHURN)


def test_migrate_refuses_other_lengths() -> None:
    customer = Customer(CHURN)
    customer.apply(call("a", T))
    with pytest.raises(FeatureError, match="should have 3072 bytes"):
        migrate(customer.state[:-64], CHURN)


LEDGER = Ledger(keep=8, bill="Bill", payment="Payment", key="bill_id", due="due_time", amount="amount")


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ([], "has no features"),
        ([Windowed("a", CALLS, H24), Windowed("a", CALLS, D7)], "names a more than once"),
        ([Windowed("a", Measure("Cal"), D7)], "'Cal', which is unknown"),
        ([Windowed("a", Measure("Consent"), D7)], "a control type"),
        ([Windowed("a", Measure("Call", "duration"), D7)], "Call.duration, which is unknown"),
        ([Windowed("a", Measure("Call", "outcome"), D7)], "Call.outcome, which is enum"),
        ([Windowed("a", Measure("Purchase", "cost"), D7)], "double or null"),
        ([Windowed("a", Measure("Call", where=OneOf("outcome", ("LOST",))), D7)], "'LOST' of outcome, which is unknown"),
        ([Windowed("a", CALLS, Window("w", 10 * HOUR, 3 * HOUR))], "a hop that divides|hop that divides"),
        ([Windowed("a", CALLS, Window("w", 10, 0))], "hop that divides"),
        ([Rise("a", CALLS, D7, D14)], "two sums that are no features"),
        ([Age("a", "Subscription", "contract_months", DAY)], "contract_months, which is int"),
        ([Newest("a", "Subscription", "plan")], "Subscription.plan, which is string"),
        ([NewestIs("a", "Subscription", "internet", "CABLE")], "'CABLE' of internet"),
        ([Since("a", "Erasure", DAY, 1.0)], "a control type"),
        ([Billing("a", LEDGER, "delay"), Billing("b", LEDGER, "delay")], "repeats the ledger's figure 'delay'"),
        ([Billing("a", LEDGER, "delay"), Billing("b", dataclasses.replace(LEDGER, keep=4), "rise")], "2 different ledgers"),
        ([Billing("a", dataclasses.replace(LEDGER, keep=0), "delay")], "keeps 0 bills"),
    ],
)
def test_declarations_that_do_not_compile(features: list[Feature], message: str) -> None:
    with pytest.raises(FeatureError, match=message):
        plan.compile(dataclasses.replace(CHURN, features=tuple(features), contract=None))


def test_another_set_runs_on_the_same_kernel() -> None:
    """A set of other measures, windows and retention needs no code."""
    tiny = dataclasses.replace(
        CHURN,
        id=77,
        retention=None,
        contract=None,
        features=(
            Windowed("minutes", CALLS, Window("5min", 300_000, 60_000)),
            Windowed("spent", Measure("Purchase", "amount"), D30),
            Rise("more", CALLS, Window("5min", 300_000, 60_000), Window("10min", 600_000, 60_000)),
        ),
    )
    customer = Customer(tiny)
    customer.apply({"type": "Purchase", "event_id": "1", "event_time": T, "order_id": "o", "amount": -3.0})
    customer.apply(call("2", T + 60_000))
    assert customer.row() == {"minutes": 1, "spent": -3, "more": 1}
    assert customer.row(T + 8 * 60_000) == {"minutes": 0, "spent": -3, "more": -1}
    customer.apply(call("3", T + 5000 * DAY))
    assert customer.row() == {"minutes": 1, "spent": 0, "more": 1}
    assert struct.unpack_from("<H", customer.state, 2) == (77,)


RULES = state_rules(plan.compile(CHURN).meta, 631_152_000_000, 4_102_444_800_000)


def test_sound_states_keep_the_rules() -> None:
    customer = Customer(CHURN)
    for number in range(40):
        customer.apply(call(f"{number}", T + number * 3_700_000))
        bill = {"type": "Bill", "event_id": f"b{number}", "event_time": T + number * 3_700_000, "bill_id": f"{number}"}
        customer.apply(bill | {"amount": 1.0, "due_time": T})
        state = bytearray(customer.state)
        state[8:16] = (T + DAY).to_bytes(8, "little")  # the wake is the operator's
        damage(bytes(state), RULES, "churn")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"byte {rule.offset}")
def test_a_damaged_state_is_told(rule: Rule) -> None:
    customer = Customer(CHURN)
    customer.apply(call("a", T))
    state = bytearray(customer.state)
    state[8:16] = (T + DAY).to_bytes(8, "little")
    state[rule.offset + (6 if rule.offset else 4)] ^= 0x40  # of the first word, the version
    with pytest.raises(FeatureError, match=f"'churn' is damaged: byte {rule.offset} holds .* Start the job from an older"):
        damage(bytes(state), RULES, "churn")
