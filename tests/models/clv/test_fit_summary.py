"""Summary and holdout against a naive count over random purchases, and against the stream's kernel on real events."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keepline.features.clv import CLV
from keepline.features.plan import compile as compile_plan
from keepline.features.rows import EventBatch, compute_rows
from keepline.models.clv.batch import rows_of
from keepline.models.clv.purchases import Purchases, admit
from keepline.models.clv.scorer import FEATURES, SCORES, USED
from keepline.models.clv.summary import DAY_MS, holdout, summarise
from keepline.schemas.encode import Ok, encode
from keepline.schemas.times import from_rfc3339
from tests.models.clv.clv_files import cdnow

PLAN = compile_plan(CLV)
START = 9131 * DAY_MS
AMOUNTS = st.sampled_from([0.0, -0.0, -5.0, 1.0, 12.5]) | st.floats(-100, 1000)
COSTS = st.just(math.nan) | st.floats(0, 500)
LINES = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40 * DAY_MS), AMOUNTS, COSTS), max_size=40)


def purchases_of(lines: list[tuple[int, int, float, float]]) -> Purchases:
    who, time, amount, cost = (list(column) for column in zip(*lines, strict=True)) if lines else ([], [], [], [])
    return Purchases(
        list("badc"), np.array(who, np.int64), START + np.array(time, np.int64), np.array(amount, float), np.array(cost, float)
    )


@settings(max_examples=300, deadline=None)
@given(lines=LINES, until=st.integers(0, 40 * DAY_MS), more=st.integers(0, 20 * DAY_MS))
def test_equals_a_naive_count(lines: list[tuple[int, int, float, float]], until: int, more: int) -> None:
    purchases = purchases_of(lines)
    now = START + until
    found = summarise(purchases, now, 0.25)
    after = holdout(purchases, found, now + more)
    known = []
    for name in sorted(purchases.customers):
        own = [(START + t, a, c) for who, t, a, c in lines if purchases.customers[who] == name and a >= 0]
        past = [line for line in own if line[0] <= now]
        if not past:
            continue
        i = len(known)
        known.append(name)
        days = sorted({t // DAY_MS for t, _, _ in past})
        totals = [sum(a for t, a, _ in past if t // DAY_MS == day) for day in days[1:]]
        priced = [(a, c) for _, a, c in past if not math.isnan(c)]
        volume = sum(a for a, _ in priced)
        t_days = now // DAY_MS - days[0]
        expected = {
            "orders": len(past),
            "frequency": len(days) - 1,
            "recency_days": days[-1] - days[0],
            "t_days": t_days,
            "monetary_value": sum(totals) / len(totals) if totals else 0.0,
            "average_purchase_value": sum(a for _, a, _ in past) / len(past),
            "purchase_frequency": len(past) * 30 / max(t_days, 30),
            "gross_margin": max((volume - sum(c for _, c in priced)) / volume, -sys.float_info.max) if volume else 0.25,
        }
        for feature, value in expected.items():
            assert getattr(found, feature)[i] == pytest.approx(value, rel=1e-9, abs=1e-9), feature
        assert after[i] == len({t // DAY_MS for t, _, _ in own if t <= now + more} - set(days))
    assert found.customers == known


def test_places_are_those_of_the_feature_set() -> None:
    assert len(CLV.names) == FEATURES
    assert {name: CLV.names.index(name) for name in USED} == USED
    assert SCORES == ("p_alive", "clv_bgnbd", "clv_formula")


def test_events_give_what_the_kernel_gives(shared_data: Path) -> None:
    """CDNOW with refunds, duplicates, late events and refused ones between: the summary is the kernel's row, customer by customer."""
    dice = np.random.default_rng(4)
    events: list[dict[str, object]] = []
    for i, event in enumerate(cdnow(shared_data)):
        extra = dict(event)
        if i % 3 == 0:
            extra["cost"] = round(float(dice.uniform(0, 20)), 2)
        events.append(extra)
        if i % 50 == 0:
            events.append(dict(extra))
            events.append(extra | {"event_id": f"r{i}", "amount": -1.5})
            events.append(extra | {"event_id": f"b{i}", "currency": "XXX"})
            events.append(extra | {"event_id": f"l{i}", "event_time": "1990-06-01T00:00:00Z"})
    framed = [encode(event) for event in events]
    batch = EventBatch.of([each.value for each in framed if isinstance(each, Ok)])
    until = from_rfc3339("1997-09-30T20:00:00Z")
    found = admit(PLAN, batch, until)
    assert found.rejected > 50
    assert found.duplicate > 50
    assert found.late > 0
    summary = summarise(found.purchases, until)
    assert len(summary.customers) == 2357
    rows = compute_rows(PLAN, batch, summary.customers, np.full(2357, until))
    for name, place in USED.items():
        np.testing.assert_allclose(rows_of(summary)[:, place], rows.x[:, place], rtol=1e-9, atol=1e-12, err_msg=name)
