"""Labels against a loop over the raw events: duplicates, late events, refunds, disorder, and horizons that are not over."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from keepline.features.clv import CLV
from keepline.features.plan import compile as compile_plan
from keepline.features.rows import EventBatch, compute_rows
from keepline.models.clv.labels import labels
from keepline.models.errors import TrainingDataError
from keepline.schemas.encode import Ok, encode
from keepline.schemas.programs import compile_programs

DAY = 86_400_000
T = 1_735_689_600_000  # 2025-01-01
HORIZON = 100 * DAY


def purchase(customer: str, event_id: str, t: int, amount: float = 10.0, **fields: Any) -> dict[str, Any]:
    own = {"order_id": event_id, "amount": amount}
    return {"type": "Purchase", "customer_id": customer, "event_id": event_id, "event_time": t} | own | fields


def view(customer: str, event_id: str, t: int) -> dict[str, Any]:
    return {"type": "PageView", "customer_id": customer, "event_id": event_id, "event_time": t, "page": "/"}


def consent(customer: str, t: int) -> dict[str, Any]:
    own = {"purpose": "MARKETING", "status": "GRANTED"}
    return {"type": "Consent", "customer_id": customer, "event_id": "1", "event_time": t} | own


END = view("clock", "end", T + HORIZON)


def batch(events: list[dict[str, Any]]) -> EventBatch:
    framed = [encode(event) for event in events]
    assert all(isinstance(event, Ok) for event in framed)
    return EventBatch.of([event.value for event in framed if isinstance(event, Ok)])


def found(events: list[dict[str, Any]], **options: Any) -> dict[str, tuple[float, int]]:
    result = labels(batch(events), T, HORIZON, **options)
    return dict(zip(result.customer_ids, zip(result.revenue.tolist(), result.orders.tolist(), strict=True), strict=True))


def naive(events: list[dict[str, Any]]) -> dict[str, tuple[float, int]]:
    """In order of arrival, up to the horizon's end: the last 32 ids are remembered, 90 days behind is late."""
    seen: dict[str, list[str]] = {}
    newest: dict[str, int] = {}
    known, revenue, orders = set(), {}, {}
    for event in events:
        customer, t = event["customer_id"], event["event_time"]
        if event["type"] == "Consent" or t > T + HORIZON:
            continue
        if t <= T:
            known.add(customer)
        if event["event_id"] in seen.get(customer, [])[-32:] or newest.get(customer, t) - t > 90 * DAY:
            continue
        seen.setdefault(customer, []).append(event["event_id"])
        newest[customer] = max(newest.get(customer, t), t)
        if t > T and event["type"] == "Purchase":
            revenue[customer] = revenue.get(customer, 0.0) + event["amount"]
            orders[customer] = orders.get(customer, 0) + (event["amount"] >= 0)
    return {customer: (revenue.get(customer, 0.0), orders.get(customer, 0)) for customer in sorted(known)}


@st.composite
def events(draw: st.DrawFn) -> list[dict[str, Any]]:
    out = []
    for _ in range(draw(st.integers(1, 40))):
        customer, event_id = draw(st.sampled_from("abc")), draw(st.sampled_from([f"e{i}" for i in range(45)]))
        t = T + draw(st.sampled_from([-200, -91, -90, -1, 0, 1, 50, 99, 100, 101, 150])) * DAY + draw(st.sampled_from([-1, 0, 0, 1]))
        match draw(st.integers(0, 5)):
            case 0:
                out.append(view(customer, event_id, t))
            case 1:
                out.append(consent(customer, t))
            case _:
                out.append(purchase(customer, event_id, t, draw(st.sampled_from([-5.0, 0.0, 1.0, 20.5]))))
    return out


@settings(max_examples=300, deadline=None)
@given(events())
def test_labels_are_what_the_loop_says(events: list[dict[str, Any]]) -> None:
    events = [view("clock", "begin", T), *events, END]
    got, expected = found(events), naive(events)
    assert list(got) == list(expected)
    for customer, (revenue, orders) in expected.items():
        assert got[customer] == (pytest.approx(revenue), orders)


@settings(max_examples=100, deadline=None)
@given(events())
def test_in_order_a_label_is_what_the_feature_revenue_grows_by(events: list[dict[str, Any]]) -> None:
    """In order of time nothing is late, and the rows at both ends take the same events."""
    events = sorted([view("clock", "begin", T), *events, END], key=lambda event: event["event_time"])
    got = labels(batch(events), T, HORIZON)
    plan, names = compile_plan(CLV), list(CLV.names)
    n = len(got.customer_ids)
    at = np.repeat([T, T + HORIZON], n)
    x = compute_rows(plan, batch(events), got.customer_ids * 2, at).x[:, names.index("revenue")]
    np.testing.assert_allclose(got.revenue, x[n:] - x[:n], atol=1e-9)


def test_nothing_of_the_future_is_in_the_past_and_nobody_from_the_future() -> None:
    start = [purchase("a", "1", T, 7.0), purchase("a", "2", T + 1, 11.0), purchase("late", "1", T + 1, 99.0)]
    end = [purchase("a", "3", T + HORIZON, 13.0), purchase("a", "4", T + HORIZON + 1, 1000.0)]
    assert found([*start, *end]) == {"a": (24.0, 2)}
    assert labels(batch([*start, *end]), T, HORIZON).unknown == 1


def test_a_customer_who_only_looked_has_a_label_and_one_of_whom_only_a_consent_is_known_has_none() -> None:
    assert found([view("a", "1", T), consent("b", T - DAY), END]) == {"a": (0.0, 0)}


def test_refunds_may_outweigh_the_orders() -> None:
    assert found([purchase("a", "1", T), purchase("a", "2", T + DAY, 5.0), purchase("a", "3", T + 2 * DAY, -30.0), END]) == {
        "a": (-25.0, 1)
    }


def test_sums_are_finite() -> None:
    big = [purchase("a", f"{i}", T + i, 1.7e308) for i in range(3)]
    assert found([*big, END])["a"][0] == np.finfo(np.float64).max


def test_other_currencies_are_rejected_as_in_the_job() -> None:
    events = [purchase("a", "1", T), purchase("a", "2", T + 1, 5.0, currency="EUR"), purchase("a", "3", T + 2, 6.0, currency="USD"), END]
    assert found(events) == {"a": (0.0, 0)}
    assert found(events, programs=compile_programs(currency="EUR")) == {"a": (5.0, 1)}
    assert labels(batch(events), T, HORIZON, programs=compile_programs(currency="EUR")).rejected == 1


@pytest.mark.parametrize(
    ("last", "message"),
    [
        (HORIZON - 1, r"The events end at 2025-04-10T23:59:59.999Z, but .* \+ 100d is 2025-04-11T00:00:00Z. Give --horizon 99d or less"),
        (3 * DAY, "Give --horizon 3d or less, or an earlier --at"),
        (0, "Give an earlier --at"),
    ],
)
def test_a_horizon_that_is_not_over_is_refused(last: int, message: str) -> None:
    with pytest.raises(TrainingDataError, match=message):
        found([purchase("a", "1", T - DAY), view("b", "1", T + last)])


def test_the_last_day_is_enough() -> None:
    late_in_the_day = labels(batch([purchase("a", "1", T), view("b", "1", T + HORIZON)]), T + DAY - 1, HORIZON)
    assert late_in_the_day.customer_ids == ["a"]


def test_no_events_and_nobody_known() -> None:
    with pytest.raises(TrainingDataError, match="There are no events"):
        labels(EventBatch.of([]), T, HORIZON)
    with pytest.raises(TrainingDataError, match="No customer has an event at or before 2025-01-01T00:00:00Z"):
        found([END])
