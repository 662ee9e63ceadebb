"""Metrics equal their definitions; intervals are those of resampling, and repeat by their seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from keepline.models.next_app.evaluation import place
from keepline.models.next_app.metrics import METRICS, metrics

RANKS = st.lists(st.integers(0, 12), min_size=1, max_size=50)


@given(RANKS)
def test_values_are_the_definitions(ranks: list[int]) -> None:
    found = metrics(np.array(ranks), draws=20)
    assert tuple(found) == METRICS
    for k in (1, 3, 5):
        assert found[f"HR@{k}"].value == pytest.approx(sum(1 <= rank <= k for rank in ranks) / len(ranks), abs=1e-12)
    assert found["MRR"].value == pytest.approx(sum(1 / rank for rank in ranks if rank) / len(ranks), abs=1e-12)
    assert all(0 <= one.low <= one.high <= 1 + 1e-12 for one in found.values())


def test_the_interval_of_a_hit_rate_is_that_of_a_binomial_share() -> None:
    ranks = np.array([1] * 90 + [2] * 60 + [0] * 150)
    found = metrics(ranks, draws=40_000)["HR@1"]
    assert (found.low, found.high) == pytest.approx(tuple(binom.ppf([0.025, 0.975], 300, 0.3) / 300), abs=2 / 300)


def test_the_interval_of_mrr_is_that_of_drawing_targets() -> None:
    dice = np.random.default_rng(3)
    ranks = dice.integers(0, 9, 200)
    worth = np.where(ranks > 0, 1 / np.maximum(ranks, 1), 0.0)
    drawn = worth[dice.integers(0, 200, (20_000, 200))].mean(axis=1)
    found = metrics(ranks, draws=20_000)["MRR"]
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])), abs=0.003)


def test_the_seed_decides_the_intervals_and_nothing_else() -> None:
    ranks = np.array([1, 2, 3, 0, 1, 7, 1, 4] * 9)
    assert metrics(ranks, 1) == metrics(ranks, 1)
    assert metrics(ranks, 1) != metrics(ranks, 2)
    assert [one.value for one in metrics(ranks, 1).values()] == [one.value for one in metrics(ranks, 2).values()]


@given(st.permutations(range(8)), st.integers(0, 9), st.integers(-1, 9))
def test_a_place_counts_without_the_excluded_app(ranking: list[int], app: int, excluded: int) -> None:
    left = [candidate for candidate in ranking if candidate != excluded]
    assert place(ranking, app, excluded) == (left.index(app) + 1 if app in left else 0)
