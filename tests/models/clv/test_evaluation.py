"""The figures of an evaluation against definitions written out in loops."""

from __future__ import annotations

import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from keepline.models.clv import evaluation
from keepline.models.clv.evaluation import evaluate, gains, naive_rate, normalised_gini, spearman, tenths

AMOUNTS = st.lists(
    st.tuples(st.sampled_from([0.0, 0.0, 1.0, 5.0, 40.0]) | st.floats(0, 1e4), st.sampled_from([0.0, 2.0, 7.0]) | st.floats(0, 1e4)),
    min_size=1,
    max_size=60,
)


def columns(pairs: list[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([pair[0] for pair in pairs]), np.array([pair[1] for pair in pairs])


def ranks(values: list[float]) -> list[float]:
    """1 for the least; equal values share the mean of their places."""
    return [(sum(other < value for other in values) + sum(other <= value for other in values) + 1) / 2 for value in values]


def pearson(a: list[float], b: list[float]) -> float:
    mean_a, mean_b = sum(a) / len(a), sum(b) / len(b)
    both = sum((x - mean_a) * (y - mean_b) for x, y in zip(a, b, strict=True))
    return both / math.sqrt(sum((x - mean_a) ** 2 for x in a) * sum((y - mean_b) ** 2 for y in b))


def in_order(actual: list[float], score: list[float]) -> float:
    """Σ over pairs of the difference of the amounts, positive where the score orders the pair rightly, 0 where it ties."""
    total = 0.0
    for y, s in zip(actual, score, strict=True):
        for other_y, other_s in zip(actual, score, strict=True):
            total += (y - other_y) * ((s > other_s) - (s < other_s))
    return total


@settings(max_examples=150, deadline=None)
@given(AMOUNTS)
def test_figures_are_their_definitions(pairs: list[tuple[float, float]]) -> None:
    actual, predicted = columns(pairs)
    found = evaluate(actual, predicted)
    y, p = actual.tolist(), predicted.tolist()
    assert found.mae == pytest.approx(sum(abs(a - b) for a, b in pairs) / len(pairs))
    assert found.rmse == pytest.approx(math.sqrt(sum((a - b) ** 2 for a, b in pairs) / len(pairs)))
    if len(set(y)) > 1:
        assert found.gini == pytest.approx(in_order(y, p) / in_order(y, y), abs=1e-9)
        assert -1 - 1e-9 <= found.gini <= 1 + 1e-9
    else:
        assert found.gini is None
    if len(set(y)) > 1 and len(set(p)) > 1:
        assert found.spearman == pytest.approx(pearson(ranks(y), ranks(p)), abs=1e-9)
    else:
        assert found.spearman is None
    assert sum(found.deciles) == pytest.approx(sum(y), abs=1e-6)
    assert sum(found.expected) == pytest.approx(sum(p), abs=1e-6)
    assert all(value is None or math.isfinite(value) for value in (*found.lift, found.total, found.gini, found.spearman))


@settings(max_examples=100, deadline=None)
@given(AMOUNTS, st.randoms())
def test_the_order_of_the_rows_does_not_show(pairs: list[tuple[float, float]], dice: object) -> None:
    turned = list(pairs)
    dice.shuffle(turned)  # type: ignore[attr-defined]
    first, second = evaluate(*columns(pairs)), evaluate(*columns(turned))
    assert first.deciles == pytest.approx(second.deciles, abs=1e-6)
    for name in ("mae", "rmse", "total"):
        assert getattr(first, name) == pytest.approx(getattr(second, name))
    np.testing.assert_allclose(gains(*columns(pairs))[1], gains(*columns(turned))[1], atol=1e-9)


def test_a_perfect_order_and_its_reverse() -> None:
    actual = np.arange(40.0) ** 2
    assert normalised_gini(actual, 3 * actual + 1) == pytest.approx(1)
    assert normalised_gini(actual, -actual) == pytest.approx(-1)
    assert spearman(actual, np.exp(actual / 1000)) == pytest.approx(1)
    found = evaluate(actual, actual)
    assert (found.mae, found.rmse, found.total) == (0, 0, 1)
    assert found.deciles == found.expected
    assert list(found.lift) == sorted(found.lift, reverse=True)
    # By hand: the highest tenth is 36² … 39², all together Σ k² for k < 40.
    assert found.deciles[0] == 36**2 + 37**2 + 38**2 + 39**2
    assert found.lift[0] == pytest.approx(found.deciles[0] / 4 / (sum(k * k for k in range(40)) / 40))


def test_a_constant_prediction_is_chance() -> None:
    actual = np.array([0.0, 0, 0, 10, 20, 30, 0, 0, 0, 0, 0, 40])
    found = evaluate(actual, np.full(12, 8.0))
    assert (found.gini, found.spearman) == (pytest.approx(0, abs=1e-12), None)
    assert found.lift == pytest.approx([1.0] * 10)
    shares, held = gains(actual, np.full(12, 8.0))
    np.testing.assert_allclose(held, shares, atol=1e-12)


def test_nobody_spent() -> None:
    found = evaluate(np.zeros(5), np.ones(5))
    assert (found.gini, found.spearman, found.total, found.lift[0]) == (None, None, 5.0, None)
    assert found.as_json()["deciles"] == [0.0] * 10
    assert not gains(np.zeros(5), np.ones(5))[1].any()


def test_fewer_customers_than_tenths() -> None:
    found = evaluate(np.array([3.0, 1.0]), np.array([1.0, 2.0]))
    assert found.deciles == (1.0, 3.0, *[0.0] * 8)
    assert found.lift == (0.5, 1.5, *[None] * 8)


@pytest.mark.parametrize("n", [1, 9, 10, 23, 100])
def test_tenths_are_everyone_once(n: int) -> None:
    predicted = np.random.default_rng(n).random(n)
    groups = tenths(predicted)
    assert sorted(np.concatenate(groups).tolist()) == list(range(n))
    assert max(map(len, groups)) - min(map(len, groups)) <= 1
    flat = predicted[np.concatenate(groups)]
    assert (np.diff(flat) <= 0).all()


def test_naive_rate() -> None:
    found = naive_rate(np.array([100.0, 30.0, -5.0, 0.0]), np.array([50.0, 0.0, 10.0, 9.0]), 25.0)
    assert found.tolist() == [50.0, 750.0, 0.0, 0.0]


@pytest.mark.parametrize(("actual", "predicted"), [([], []), ([1.0], [1.0, 2.0])])
def test_sizes_must_fit(actual: list[float], predicted: list[float]) -> None:
    with pytest.raises(ValueError, match="expected as many of both"):
        evaluation.evaluate(np.array(actual), np.array(predicted))
