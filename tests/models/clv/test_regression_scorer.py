"""The compiled amount of a log-link model against scikit-learn's `predict`."""

from __future__ import annotations

import math
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp

from keepline.features.clv import CLV
from keepline.models import manifest
from keepline.models.predict import load_pipeline
from keepline.models.scorer import MAX_Z, amount, exponential, linear, sigmoid
from keepline.models.scorer import score as logistic
from keepline.schemas.jit import njit

N = len(CLV.names)
SAME = 1e-9


@njit
def z_of(x, kind, coef, center, intercept, contrib):
    return linear(x, kind, coef, center, intercept, contrib)


def kernel(model: manifest.Model, rows: np.ndarray) -> np.ndarray:
    contrib = np.zeros(N)
    return np.array([amount(np.ascontiguousarray(row), *model.tables(), model.less, contrib) for row in rows])


def theirs(folder: Path, model: manifest.Model, rows: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return load_pipeline(folder, model.manifest).predict(pd.DataFrame(rows, columns=list(CLV.names)))


def check(folder: Path, rows: np.ndarray) -> None:
    """Equal to 1e-9 relative wherever |z| is within its bound; finite everywhere."""
    model = manifest.load(folder, CLV)
    tables = model.tables()
    z = np.array([z_of(np.ascontiguousarray(row), *tables, np.zeros(N)) for row in rows])
    ours = kernel(model, rows)
    assert np.isfinite(ours).all()
    assert (ours >= 0).all()
    inside = np.abs(z) < MAX_Z
    # A difference of z is one of log(amount + less): z is a sum whose terms may be far larger than it is.
    terms = np.abs(tables.coef) @ np.abs(rows).T
    slack = SAME * np.maximum(1.0, np.exp(np.minimum(z, MAX_Z))) * np.maximum(1.0, 1e-6 * terms)
    wanted = theirs(folder, model, rows)
    assert (np.abs(ours - wanted)[inside] <= np.maximum(slack, SAME * wanted)[inside]).all()


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.float64, (3, N), elements=st.floats(-1e4, 1e6, allow_nan=False)))
def test_any_row_is_worth_what_scikit_learn_says(regression_model: Path, rows: np.ndarray) -> None:
    check(regression_model, rows)


def test_likely_rows_agree_to_1e_9(regression_model: Path) -> None:
    model = manifest.load(regression_model, CLV)
    base = model.manifest.baseline
    low, high = (np.array([getattr(base[name], end) for name in CLV.names]) for end in ("min", "max"))
    rows = low + (high - low) * np.random.default_rng(4).random((1000, N)) * 1.5
    np.testing.assert_allclose(kernel(model, rows), theirs(regression_model, model, rows), rtol=SAME)


def test_training_rows_agree_to_1e_9(regression_model: Path) -> None:
    model = manifest.load(regression_model, CLV)
    rows = pd.read_csv(regression_model / "R.csv")[list(CLV.names)].to_numpy()
    np.testing.assert_allclose(kernel(model, rows), theirs(regression_model, model, rows), rtol=SAME)


def test_contributions_add_up_to_z(regression_model: Path) -> None:
    model = manifest.load(regression_model, CLV)
    tables = model.tables()
    row = pd.read_csv(regression_model / "R.csv")[list(CLV.names)].to_numpy()[11].copy()
    contrib = np.zeros(N)
    found = amount(row, *tables, model.less, contrib)
    assert tables.intercept + contrib.sum() == pytest.approx(math.log(found + model.less), abs=1e-9)
    average = np.array([term.center for term in model.manifest.terms])
    assert tables.intercept == pytest.approx(model.manifest.intercept + sum(t.coefficient * t.center for t in model.manifest.terms))
    assert average.shape == contrib.shape


@settings(max_examples=300, deadline=None)
@given(st.floats(allow_nan=True, allow_infinity=True), st.sampled_from([0.0, 1.0]))
def test_never_infinite_and_never_nan(z: float, less: float) -> None:
    found = exponential(z, less)
    assert 0 <= found < math.inf
    if abs(z) < MAX_Z:
        exact = math.expm1(z) if less else math.exp(z)
        assert found == pytest.approx(max(exact, 0.0), rel=1e-14)
    elif math.isnan(z) or z < 0:
        assert found < 1e-299
    else:
        assert found > 1e299


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e308, -1e308])
def test_extreme_features_are_finite(regression_model: Path, value: float) -> None:
    model = manifest.load(regression_model, CLV)
    assert np.isfinite(kernel(model, np.full((1, N), value))).all()


def test_the_logistic_score_is_that_of_the_same_z() -> None:
    dice = np.random.default_rng(2)
    for n in (3, 4, 7, 36):
        x, coef, center = dice.normal(size=(3, n)) * 3
        kind = dice.integers(0, 2, n).astype(np.int32)
        contrib = np.zeros(n)
        assert logistic(x, kind, coef, center, 0.3, contrib) == sigmoid(z_of(x, kind, coef, center, 0.3, contrib))
