"""The stream's scores against the definitions in plain Python, their reasons against rows put to the baseline, and any row at all."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keepline.models.clv.batch import score_rows
from keepline.models.clv.scorer import FEATURES, USED, W_BASELINE, W_DISCOUNT, W_LIFESPAN, W_PERIODS, WORDS
from tests.models.clv.test_hyp2f1 import published

CDNOW = (0.2426, 4.4136, 0.7930, 2.4259, 6.2496, 3.7442, 15.4435)
BASELINE = {
    "orders": 2.1, "frequency": 1.04, "recency_days": 47.0, "t_days": 229.0, "monetary_value": 14.0, "average_purchase_value": 33.0,
    "purchase_frequency": 0.25, "gross_margin": 0.31,
}  # fmt: skip


@dataclass(frozen=True)
class Settings:
    periods: int = 12
    discount: float = 0.0
    lifespan: float = 0.0

    def table(self) -> np.ndarray:
        table = np.zeros(WORDS)
        table[:W_PERIODS] = CDNOW
        table[W_PERIODS], table[W_DISCOUNT], table[W_LIFESPAN] = self.periods, self.discount, self.lifespan
        for name, place in USED.items():
            table[W_BASELINE + place] = BASELINE[name]
        return table


@dataclass(frozen=True)
class Row:
    orders: float
    frequency: float
    recency_days: float
    t_days: float
    monetary_value: float
    average_purchase_value: float
    purchase_frequency: float
    gross_margin: float

    def array(self) -> np.ndarray:
        row = np.full((1, FEATURES), 7.0)  # features that no score reads
        for name, place in USED.items():
            row[0, place] = getattr(self, name)
        return row


def values(row: Row, chosen: Settings) -> list[float]:
    """By the definitions, with mpmath's 2F1."""
    r, alpha, a, b, p, q, gamma = CDNOW
    x, t = row.frequency, row.t_days / 7
    last = min(row.recency_days / 7, t)
    alive = 1.0
    if x:
        alive = 1 / (1 + a / (b + max(x, 1) - 1) * ((alpha + t) / (alpha + last)) ** (r + x))
    sums = [published(r + x, a, b + x, k * 30 / 7 / (alpha + t)) for k in range(1, chosen.periods + 1)] if chosen.discount else []
    if chosen.discount:
        each = np.diff([0.0, *sums])
        if_alive = sum(value / (1 + chosen.discount) ** k for k, value in enumerate(each, 1))
    else:
        if_alive = published(r + x, a, b + x, chosen.periods * 30 / 7 / (alpha + t))
    mean = p * (gamma + x * row.monetary_value) / (p * x + q - 1)
    lifespan = chosen.lifespan or alive * if_alive * row.orders / (x + 1) / row.purchase_frequency
    plain = row.average_purchase_value * row.purchase_frequency * lifespan * row.gross_margin
    return [alive, alive * if_alive * mean, plain]


@st.composite
def customers(draw: st.DrawFn) -> Row:
    t_days = draw(st.integers(0, 1500))
    frequency = draw(st.integers(0, min(t_days, 200)))
    recency = draw(st.integers(frequency, t_days)) if frequency else 0
    orders = frequency + 1 + draw(st.integers(0, 20))
    amount = st.floats(0.01, 1e5)
    monetary = draw(amount) if frequency else 0.0
    return Row(orders, frequency, recency, t_days, monetary, draw(amount), orders * 30 / max(t_days, 30), draw(st.floats(-1, 1)))


SETTINGS = st.sampled_from([Settings(), Settings(1), Settings(6, 0.02), Settings(24, lifespan=10.0)])


@settings(max_examples=40, deadline=None)
@given(row=customers(), chosen=SETTINGS)
def test_values_and_contributions_by_definition(row: Row, chosen: Settings) -> None:
    found = score_rows(row.array(), chosen.table())
    expected = values(row, chosen)
    assert found.known[0]
    assert found.values[0] == pytest.approx(expected, rel=1e-9)
    for name, place in USED.items():
        other = values(replace(row, **{name: BASELINE[name]}), chosen)
        for score in range(3):
            scale = max(abs(expected[score]), abs(other[score]), 1e-9)
            assert found.contributions[0, score, place] == pytest.approx(expected[score] - other[score], abs=1e-8 * scale), (score, name)
    unread = [place for place in range(FEATURES) if place not in USED.values()]
    assert not found.contributions[0][:, unread].any()


@settings(max_examples=100, deadline=None)
@given(row=customers(), chosen=SETTINGS)
def test_reasons_are_the_three_largest(row: Row, chosen: Settings) -> None:
    found = score_rows(row.array(), chosen.table())
    for score in range(3):
        sizes = np.abs(found.contributions[0, score])
        ranked = [int(place) for place in np.argsort(-sizes, kind="stable")[:3] if sizes[place] > 0]
        assert found.places[0, score].tolist() == ranked + [-1] * (3 - len(ranked))


@settings(max_examples=1000, deadline=None)
@given(
    row=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=FEATURES, max_size=FEATURES),
    chosen=st.sampled_from([Settings(), Settings(3, 0.5), Settings(lifespan=1e6)]),
)
def test_any_finite_row_gives_finite_numbers(row: list[float], chosen: Settings) -> None:
    found = score_rows(np.array([row]), chosen.table())
    assert np.isfinite(found.values).all()
    assert np.isfinite(found.contributions).all()
    assert 0 <= found.values[0, 0] <= 1


def test_who_has_not_ordered_is_not_scored() -> None:
    found = score_rows(np.zeros((1, FEATURES)), Settings().table())
    assert not found.known[0]
    assert not found.values.any()
    assert not found.contributions.any()
    assert (found.places == -1).all()


def test_a_lifespan_in_periods_makes_the_formula_the_expected_revenue() -> None:
    """APV · PF · CL is the revenue per day with an order times the days with an order that BG/NBD expects."""
    row = Row(9.0, 5.0, 200.0, 260.0, 30.0, 20.0, 9 * 30 / 260, 1.0)
    alive, _, plain = values(row, Settings())
    r, alpha, a, b, *_ = CDNOW
    days = alive * published(r + 5, a, b + 5, 360 / 7 / (alpha + 260 / 7))
    assert plain == pytest.approx(days * 9 * 20 / 6)
    assert score_rows(row.array(), Settings().table()).values[0, 2] == pytest.approx(plain, rel=1e-9)
    assert math.isclose(score_rows(row.array(), Settings(lifespan=12).table()).values[0, 2], 20 * 9 * 30 / 260 * 12)
