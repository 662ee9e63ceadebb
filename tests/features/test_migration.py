"""A stored state under another table: what both tables have goes on exactly, what is new starts empty."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from feature_histories import histories
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keepline.features import layouts, oracle
from keepline.features.churn import CALLS, CHURN, D7, D14, H24
from keepline.features.migration import migrate
from keepline.features.single import Customer
from keepline.features.spec import DAY, Billing, FeatureError, FeatureSet, Ledger, Measure, Newest, OneOf, Since, Window, Windowed

FAILED = Measure("Call", where=OneOf("outcome", ("FAILED",)))
MORE = (
    Windowed("failed_calls_7d", FAILED, D7),  # a new measure in a ring that is there
    Windowed("calls_14d", CALLS, D14),  # a longer window of one that is there: a new cached sum
    Windowed("calls_45d", CALLS, Window("45d", 45 * DAY, DAY)),  # a longer ring
    Windowed("calls_3h", CALLS, Window("3h", 3 * 3_600_000, 600_000)),  # a new ring
    Since("days_since_last_page", "PageView", DAY, 365),  # a new record
    Newest("last_call_seconds", "Call", "duration_s"),  # a new field of a record that is there
)
MONTHLY = Ledger(keep=3, bill="Bill", payment="Payment", key="bill_id", due="due_time", amount="amount")


def edited(features: tuple[Any, ...]) -> FeatureSet:
    return dataclasses.replace(CHURN, features=features, state_version=2)


LONGER = edited((*CHURN.features, *MORE))
SHUFFLED = edited((*MORE[:1], *reversed(CHURN.features)))
SHORTER = edited(tuple(feature for feature in CHURN.features if getattr(feature, "window", None) != H24))
FEWER_BILLS = edited(tuple(dataclasses.replace(f, ledger=MONTHLY) if isinstance(f, Billing) else f for f in CHURN.features))
TABLES = {"longer": LONGER, "shuffled": SHUFFLED, "shorter": SHORTER}
fuzz = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


class Stored(Customer):
    """A customer that goes on from stored bytes."""

    def __init__(self, feature_set: FeatureSet, state: bytes) -> None:
        super().__init__(feature_set)
        self._bytes[:] = np.frombuffer(state, np.uint8)


@pytest.fixture(scope="module", params=sorted(TABLES))
def table(request: pytest.FixtureRequest) -> FeatureSet:
    return TABLES[request.param]


@fuzz
@given(history=histories(), later=histories(most=20), cut=st.integers(0, 40))
def test_what_both_tables_have_goes_on_exactly(
    table: FeatureSet, history: list[dict[str, Any]], later: list[dict[str, Any]], cut: int
) -> None:
    """Migrated in the middle of a history, the common features stay bit-equal to a customer who was never migrated."""
    never = Customer(CHURN)
    for record in history[:cut]:
        never.apply(record)
    migrated = Stored(table, migrate(never.state, table))
    common = [name for name in CHURN.names if name in table.names]
    assert len(common) >= 30
    follow = history[cut:] + [record | {"event_id": f"later-{i}"} for i, record in enumerate(later)]
    for record in [None, *follow]:
        if record is not None:
            assert migrated.apply(record) == never.apply(record)
        now = max(never.now, 0)
        for at in (now, now + 3_600_000, now + 9 * DAY):
            ours, theirs = migrated.row(at), never.row(at)
            assert {name: ours[name] for name in common} == {name: theirs[name] for name in common}


@fuzz
@given(history=histories(), cut=st.integers(0, 40))
def test_what_is_new_counts_from_the_migration(history: list[dict[str, Any]], cut: int) -> None:
    old = Customer(CHURN)
    for record in history[:cut]:
        old.apply(record)
    migrated = Stored(LONGER, migrate(old.state, LONGER))
    for record in history[cut:]:
        migrated.apply(record)
    after = {id(record) for record in history[cut:]}
    accepted = [record for record in oracle.accept(history).accepted if id(record) in after]
    if not accepted:
        return
    begin = (migrated.now - 7 * DAY) // DAY * DAY
    failed = [r for r in accepted if r["type"] == "Call" and r["outcome"] == "FAILED" and begin <= r["event_time"] <= migrated.now]
    assert migrated.row()["failed_calls_7d"] == len(failed)


@fuzz
@given(history=histories())
def test_a_longer_window_of_a_kept_measure_is_right_at_once(history: list[dict[str, Any]]) -> None:
    """Fourteen days lie in the ring of thirty, so nothing has to fill."""
    old = Customer(CHURN)
    for record in history:
        old.apply(record)
    always = Customer(LONGER)
    for record in history:
        always.apply(record)
    migrated = Stored(LONGER, migrate(old.state, LONGER))
    assert migrated.row()["calls_14d"] == always.row()["calls_14d"]


def test_fewer_kept_bills() -> None:
    old, new = Customer(CHURN), Customer(FEWER_BILLS)
    for number in range(6):
        bill = {"type": "Bill", "event_id": f"b{number}", "event_time": number * DAY, "bill_id": f"b{number}"}
        for customer in (old, new):
            customer.apply(bill | {"amount": 10.0 + number, "due_time": (number + 1) * DAY})
    assert old.row(20 * DAY)["overdue_bills"] == 6
    migrated = Stored(FEWER_BILLS, migrate(old.state, FEWER_BILLS))
    assert migrated.row(20 * DAY) == new.row(20 * DAY)
    assert migrated.row(20 * DAY)["overdue_bills"] == 3


@pytest.fixture(autouse=True, scope="module")
def _kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The layouts of the tests' tables are nobody else's."""
    with pytest.MonkeyPatch.context() as patch:
        folder: Path = tmp_path_factory.mktemp("layouts")
        (folder / "churn-1.json").write_bytes((layouts.FOLDER / "churn-1.json").read_bytes())
        patch.setattr(layouts, "FOLDER", folder)
        yield


def test_header_and_memory_stay() -> None:
    old = Customer(CHURN)
    contract = {"type": "Subscription", "event_id": "a", "event_time": 5, "plan": "p", "started_time": 0, "monthly_charge": 5.0}
    old.apply(contract | {"ended": True})
    state = migrate(old.state, LONGER)
    assert state[:4] == old.state[:4]
    assert int.from_bytes(state[4:6], "little") == 2
    assert state[6:352] == old.state[6:352]
    assert Stored(LONGER, state).apply(contract).name == "DUPLICATE"


def test_there_and_back() -> None:
    """A state of a removed feature's table is migrated too: the sections that are gone are dropped, the rest is equal."""
    old = Customer(CHURN)
    for number in range(50):
        old.apply({"type": "Call", "event_id": str(number), "event_time": number * 7_200_000, "duration_s": 0.1 * number})
    layouts.write(LONGER)
    back = dataclasses.replace(CHURN, state_version=3)
    state = migrate(migrate(old.state, LONGER), back)
    assert Stored(back, state).row() == old.row()


@pytest.mark.parametrize(("word", "value"), [(45, 25), (45, -1), (47, 31)])
def test_a_damaged_state_is_told(word: int, value: int) -> None:
    """The slots of the two rings' heads."""
    old = Customer(CHURN)
    old.apply({"type": "Call", "event_id": "a", "event_time": 5, "duration_s": 1.0})
    state = np.frombuffer(old.state, np.int64).copy()
    state[word] = value
    with pytest.raises(FeatureError, match=f"is damaged: byte {8 * word} holds {value}"):
        migrate(state.tobytes(), LONGER)
