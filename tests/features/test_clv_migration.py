"""A stored state of `clv` under another table: what both tables have goes on exactly, days of orders included."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from feature_histories import histories, order_days, shopping
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keepline.features import layouts, migration
from keepline.features.clv import CLV, D7, D30, D90, ORDERS
from keepline.features.migration import migrate
from keepline.features.single import Customer
from keepline.features.spec import DAY, Buying, FeatureError, FeatureSet, Measure, Newest, Sign, Windowed

MORE = (
    Windowed("orders_7d", ORDERS, D7),  # a shorter window of a ring that is there
    Windowed("refunded_30d", Measure("Purchase", "amount", Sign("amount", negative=True)), D30),  # a new measure
    Windowed("page_views_90d", Measure("PageView"), D90),  # moves the page views to another ring
    Newest("last_quantity", "Purchase", "quantity"),  # a new record
)


def edited(features: tuple[Any, ...], **changes: Any) -> FeatureSet:
    return dataclasses.replace(CLV, features=features, state_version=2, **changes)


TABLES = {
    "longer": edited((*CLV.features, *MORE)),
    "shuffled": edited(tuple(reversed(CLV.features))),
    "one ring": edited(CLV.features, split_rings=False),
    "a year of lateness": edited(CLV.features, lateness=365 * DAY),
    "fewer windows": edited(tuple(feature for feature in CLV.features if getattr(feature, "window", None) != D30)),
}
fuzz = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
shoppers = histories(own=shopping)


class Stored(Customer):
    """A customer that goes on from stored bytes."""

    def __init__(self, feature_set: FeatureSet, state: bytes) -> None:
        super().__init__(feature_set)
        self._bytes[:] = np.frombuffer(state, np.uint8)


@pytest.fixture(autouse=True, scope="module")
def _kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The layouts of the tests' tables are nobody else's."""
    with pytest.MonkeyPatch.context() as patch:
        folder: Path = tmp_path_factory.mktemp("layouts")
        (folder / "clv-1.json").write_bytes((layouts.FOLDER / "clv-1.json").read_bytes())
        patch.setattr(layouts, "FOLDER", folder)
        yield


@pytest.mark.parametrize("table", sorted(TABLES))
@fuzz
@given(history=st.one_of(shoppers, order_days()), cut=st.integers(0, 40))
def test_what_both_tables_have_goes_on_exactly(table: str, history: list[dict[str, Any]], cut: int) -> None:
    """Migrated in the middle of a history, the common features stay bit-equal to a customer who was never migrated."""
    never, target = Customer(CLV), TABLES[table]
    for record in history[:cut]:
        never.apply(record)
    migrated = Stored(target, migrate(never.state, target))
    common = [name for name in CLV.names if name in target.names]
    assert len(common) >= 17
    for record in [None, *history[cut:]]:
        if record is not None:
            if never.apply(record).name == "LATE" and table == "a year of lateness":
                return  # it counts there, and not here
            migrated.apply(record)
        for at in (never.now, never.now + 9 * DAY):
            ours, theirs = migrated.row(at), never.row(at)
            assert {name: ours[name] for name in common} == {name: theirs[name] for name in common}


@fuzz
@given(history=shoppers)
def test_a_window_that_a_kept_ring_covers_is_right_at_once(history: list[dict[str, Any]]) -> None:
    old, always = Customer(CLV), Customer(TABLES["longer"])
    for record in history:
        old.apply(record)
        always.apply(record)
    assert Stored(TABLES["longer"], migrate(old.state, TABLES["longer"])).row()["orders_7d"] == always.row()["orders_7d"]


def test_there_and_back() -> None:
    old = Customer(CLV)
    for number in range(60):
        day = {"event_id": str(number), "event_time": number * 3 * DAY, "type": "Purchase", "order_id": "o"}
        old.apply(day | {"amount": 0.1 * number, "cost": 0.03 * number})
    back = dataclasses.replace(CLV, state_version=3)
    for table in TABLES.values():
        path = layouts.FOLDER / "clv-2.json"
        path.unlink(missing_ok=True)
        layouts.write(table)
        migration._layout.cache_clear()
        state = Stored(back, migrate(migrate(old.state, table), back))
        assert state.row() == old.row()


def test_orders_of_another_field_start_empty() -> None:
    """What was summed of one field says nothing about another."""
    old = Customer(CLV)
    old.apply({"type": "Purchase", "event_id": "a", "event_time": 5, "order_id": "o", "amount": 3.0})
    other = edited(
        tuple(
            dataclasses.replace(f, orders=dataclasses.replace(f.orders, amount="quantity")) if isinstance(f, Buying) else f
            for f in CLV.features
        )
    )
    row = Stored(other, migrate(old.state, other)).row()
    assert (row["orders"], row["revenue"], row["revenue_30d"]) == (0, 0, 3)


def test_a_damaged_state_is_told() -> None:
    old = Customer(CLV)
    old.apply({"type": "Purchase", "event_id": "a", "event_time": 5, "order_id": "o", "amount": 3.0})
    book = old.plan.meta.layout.orders
    assert book is not None
    state = np.frombuffer(old.state, np.int64).copy()
    state[book.word] = -1
    with pytest.raises(FeatureError, match=f"'clv' is damaged: byte {8 * book.word} holds -1"):
        migrate(state.tobytes(), TABLES["longer"])
