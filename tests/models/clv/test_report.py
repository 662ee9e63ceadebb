"""What the report is made of, against loops over single customers and days."""

from __future__ import annotations

import math
from itertools import pairwise

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from keepline.models.clv.bgnbd import Bgnbd, all_expected_purchases, expected_of_new, p_alive
from keepline.models.clv.purchases import Purchases
from keepline.models.clv.report.matrix import matrix
from keepline.models.clv.report.segments import segments
from keepline.models.clv.report.tracking import LAST_GROUP, MOST_POINTS, by_count, days_after, expected_purchases, track
from keepline.models.clv.summary import DAY_MS, Summary, holdout, summarise

START = 9131 * DAY_MS
CDNOW = Bgnbd(0.2426, 4.4135, 0.7929, 2.4258)
LINES = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 60 * DAY_MS), st.sampled_from([0.0, -0.0, -5.0, 1.0, 12.5])), min_size=1, max_size=50
)


def purchases_of(lines: list[tuple[int, int, float]]) -> Purchases:
    who, time, amount = (list(column) for column in zip(*lines, strict=True))
    n = len(lines)
    return Purchases(list("ebadc"), np.array(who, np.int64), START + np.array(time, np.int64), np.array(amount), np.full(n, np.nan))


@settings(max_examples=200, deadline=None)
@given(lines=LINES, until=st.integers(0, 60 * DAY_MS) | st.integers(0, 60).map(lambda day: day * DAY_MS), more=st.integers(1, 60 * DAY_MS))
def test_tracking_is_a_naive_count(lines: list[tuple[int, int, float]], until: int, more: int) -> None:
    purchases, now, end = purchases_of(lines), START + until, START + until + more
    summary = summarise(purchases, now)
    if not summary.customers or not days_after(summary, end):
        return
    found = track(purchases, summary, CDNOW, end)
    orders = {name: sorted(START + t for who, t, a in lines if purchases.customers[who] == name and a >= 0) for name in summary.customers}
    begun = {name: times[0] // DAY_MS for name, times in orders.items()}
    first = min(begun.values()) * DAY_MS
    moments = [first + round(week * 7 * DAY_MS) for week in found.weeks]
    assert moments[found.until] == now
    assert moments[-1] == end
    assert all(0 < later - earlier <= 7 * DAY_MS for earlier, later in pairwise(moments))
    for place, moment in enumerate(moments):
        known = {name: {t // DAY_MS for t in times if t <= moment} for name, times in orders.items()}
        assert found.actual[place] == sum(max(len(days) - 1, 0) for days in known.values())
        ages = [max(moment // DAY_MS - day, 0) / 7 for day in begun.values()]
        assert found.cohort[place] == pytest.approx(sum(expected_of_new(*CDNOW, age) for age in ages), rel=1e-9, abs=1e-12)
    assert found.actual[found.until] == summary.frequency.sum()
    assert found.actual[-1] - found.actual[found.until] == holdout(purchases, summary, end).sum()
    for moment, history in zip(moments[found.until :], found.history, strict=True):
        weeks = (moment // DAY_MS - now // DAY_MS) / 7
        ahead = all_expected_purchases(*CDNOW, summary.x, summary.t_x, summary.t, weeks).sum() if weeks else 0.0
        assert history == pytest.approx(found.actual[found.until] + ahead, rel=1e-9, abs=1e-9)
    total = expected_purchases(CDNOW, summary, days_after(summary, end) / 7).sum()
    assert found.history[-1] == pytest.approx(summary.frequency.sum() + total, rel=1e-9)


def test_a_long_time_has_few_points() -> None:
    lines = [(0, 0, 1.0), (0, 9000 * DAY_MS, 1.0), (1, 3, 1.0), (1, 20_000 * DAY_MS, 1.0)]
    purchases = purchases_of(lines)
    found = track(purchases, summarise(purchases, START + 10_000 * DAY_MS), CDNOW, START + 20_000 * DAY_MS)
    assert MOST_POINTS / 2 < len(found.weeks) <= MOST_POINTS + 2
    assert (found.actual[found.until], found.actual[-1]) == (1, 2)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 30), st.floats(0, 30)), min_size=1, max_size=60))
def test_groups_are_everyone_once(customers: list[tuple[int, int, float]]) -> None:
    x, actual, expected = (np.array(column, float) for column in zip(*customers, strict=True))
    found = by_count(x, actual, expected)
    assert sum(group.customers for group in found) == len(customers)
    for group in found:
        own = [c for c in customers if (c[0] >= LAST_GROUP if group.more else c[0] == group.repeats)]
        assert group.more == (group.repeats == LAST_GROUP)
        assert group.customers == len(own)
        assert group.actual == pytest.approx(sum(c[1] for c in own) / len(own))
        assert group.expected == pytest.approx(sum(c[2] for c in own) / len(own), abs=1e-12)


SCORES = st.lists(
    st.tuples(st.sampled_from([0.0, 0.3, 0.7]) | st.floats(0, 1), st.floats(0, 1e3), st.floats(-9, 1e3)), min_size=1, max_size=40
)


@settings(max_examples=100, deadline=None)
@given(SCORES, st.booleans())
def test_segments_are_everyone_once(rows: list[tuple[float, float, float]], ahead: bool) -> None:
    values = np.array(rows)
    bands = {"p_alive": (0.3, 0.7), "clv_bgnbd": (10.0, 500.0), "clv_formula": (5.0, 5.0)}
    spent = np.arange(len(rows), dtype=float) if ahead else None
    found = segments(values, bands, spent)
    assert [segment.band for segment in found] == ["LOW", "MEDIUM", "HIGH"] * 3
    for place, score in enumerate(bands):
        own = [segment for segment in found if segment.score == score]
        assert sum(segment.customers for segment in own) == len(rows)
        for segment in own:
            low, high = -math.inf if segment.at_least is None else segment.at_least, math.inf if segment.below is None else segment.below
            members = [i for i, row in enumerate(rows) if low <= row[place] < high]
            assert segment.customers == len(members)
            assert segment.share == len(members) / len(rows)
            assert segment.value == pytest.approx(sum(rows[i][1] for i in members), abs=1e-9)
            total = sum(row[1] for row in rows)
            assert segment.value_share == (pytest.approx(segment.value / total, abs=1e-9) if total else None)
            if spent is not None and spent.sum():
                assert segment.spent_share == pytest.approx(sum(members) / spent.sum(), abs=1e-12)
            else:
                assert segment.spent_share is None


def summary_of(frequency: list[float], recency: list[float], age: float) -> Summary:
    n = len(frequency)
    known = {
        "frequency": np.array(frequency),
        "recency_days": np.array(recency),
        "t_days": np.full(n, age),
        "orders": np.array(frequency) + 1,
    }
    rest = ("monetary_value", "average_purchase_value", "purchase_frequency", "gross_margin")
    return Summary(customers=[f"c{i}" for i in range(n)], until=START, **known, **dict.fromkeys(rest, np.ones(n)))


def test_a_matrix_is_the_closed_forms_of_its_cells() -> None:
    summary = summary_of([0.0, 1, 2, 9, 60], [0.0, 7, 70, 100, 250], 273.0)
    found = matrix(CDNOW, summary, 51.0)
    assert found is not None
    assert found.age == 39
    assert found.frequency[0] == 1
    assert (np.diff(found.frequency) >= 1).all()
    assert found.beyond == sum(x > found.frequency[-1] for x in summary.x)
    impossible = 0
    for i, t_x in enumerate(found.weeks):
        for j, x in enumerate(found.frequency):
            if x > math.ceil(7 * t_x):
                assert math.isnan(found.alive[i, j])
                assert math.isnan(found.expected[i, j])
                impossible += 1
                continue
            one = tuple(np.array([value]) for value in (x, t_x, 39.0))
            assert found.alive[i, j] == p_alive(*CDNOW, x, t_x, 39.0)
            assert found.expected[i, j] == all_expected_purchases(*CDNOW, *one, 51.0)[0]
    assert 0 < impossible < found.alive.size / 4
    assert found.once == all_expected_purchases(*CDNOW, np.zeros(1), np.zeros(1), np.full(1, 39.0), 51.0)[0]


@pytest.mark.parametrize(("frequency", "recency", "age"), [([0.0, 0.0], [0.0, 0.0], 90.0), ([0.0], [0.0], 0.0)])
def test_no_matrix_where_nobody_bought_again(frequency: list[float], recency: list[float], age: float) -> None:
    assert matrix(CDNOW, summary_of(frequency, recency, age), 51.0) is None


def test_a_young_shop_has_a_small_matrix() -> None:
    found = matrix(CDNOW, summary_of([1.0, 0.0], [1.0, 0.0], 2.0), 51.0)
    assert found is not None
    assert found.frequency.tolist() == [1, 2]
    assert np.isfinite(found.alive).any()
