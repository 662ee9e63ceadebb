"""The compiled score against scikit-learn and NumPy."""

import json
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp

from keepline.features.churn import CHURN
from keepline.models import manifest
from keepline.models.predict import load_pipeline
from keepline.models.scorer import log1p, score, sigmoid, top3
from keepline.schemas.jit import njit

PRETRAINED = Path(__file__).parents[2] / "models" / "pretrained" / "churn" / "1"
N = len(CHURN.names)
SAME = 1e-9


@njit
def log1p_all(values, out):
    """A loop that the compiler vectorises."""
    for i in range(values.shape[0]):
        out[i] = log1p(values[i])


def both(folder: Path, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(kernel, scikit-learn) probabilities of the same rows."""
    model = manifest.load(folder, CHURN)
    tables = model.tables()
    contrib = np.zeros(N)
    ours = [score(np.ascontiguousarray(row), *tables, contrib) for row in rows]
    theirs = load_pipeline(folder, model.manifest).predict_proba(pd.DataFrame(rows, columns=list(CHURN.names)))[:, 1]
    return np.array(ours), theirs


def test_log1p_is_numpys() -> None:
    edges = [0.0, -0.0, 5e-324, 1e-16, 1e-8, 1.0, 1e12, 1e300]
    powers = 2.0 ** np.arange(-60, 60)
    values = np.concatenate([edges, powers, powers * np.sqrt(2) - 1, np.exp(np.linspace(-60, np.log(1e12), 200_000))])
    values = np.maximum(values, 0.0)
    out = np.empty_like(values)
    log1p_all(values, out)
    np.testing.assert_allclose(out, np.log1p(values), rtol=1e-15, atol=0)
    assert [log1p(value) for value in values[:400]] == out[:400].tolist()


@pytest.mark.parametrize(("value", "expected"), [(-1.0, 0.0), (-np.inf, 0.0), (np.nan, 0.0), (np.inf, np.log(1e300))])
def test_log1p_outside_its_domain(value: float, expected: float) -> None:
    assert log1p(value) == pytest.approx(expected)


@pytest.mark.parametrize(("z", "p"), [(0.0, 0.5), (800.0, 1.0), (-800.0, 0.0), (-np.inf, 0.0), (np.inf, 1.0), (1.0, 1 / (1 + np.exp(-1)))])
def test_sigmoid_never_overflows(z: float, p: float) -> None:
    assert sigmoid(z) == pytest.approx(p, abs=1e-15)


@settings(max_examples=200, deadline=None)
@given(hnp.arrays(np.float64, (3, N), elements=st.floats(-1e6, 1e9, allow_nan=False)))
def test_any_row_scores_as_scikit_learn_says(churn_model: Path, rows: np.ndarray) -> None:
    ours, theirs = both(churn_model, rows)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=SAME)


def test_training_rows_score_as_scikit_learn_says(churn_model: Path) -> None:
    rows = pd.read_csv(churn_model / "F.csv")[list(CHURN.names)].to_numpy()
    ours, theirs = both(churn_model, rows)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


def test_the_committed_model_loads_and_equals_its_pipeline() -> None:
    model = manifest.load(PRETRAINED, CHURN)
    base = model.manifest.baseline
    rng = np.random.default_rng(5)
    low, high = (np.array([getattr(base[name], end) for name in CHURN.names]) for end in ("min", "max"))
    rows = np.vstack([low + (high - low) * rng.random((500, N)) * 1.5, np.exp(rng.normal(0, 6, (500, N)))])
    ours, theirs = both(PRETRAINED, rows)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=SAME)
    assert model.threshold == json.loads((PRETRAINED / "manifest.json").read_bytes())["threshold"]


def test_contributions_add_up_to_the_logit(churn_model: Path) -> None:
    tables = manifest.load(churn_model, CHURN).tables()
    row = pd.read_csv(churn_model / "F.csv")[list(CHURN.names)].to_numpy()[7].copy()
    contrib = np.zeros(N)
    p = score(row, *tables, contrib)
    assert tables.intercept + contrib.sum() == pytest.approx(np.log(p / (1 - p)), abs=1e-9)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.5, -2.5, 1e-300, -7e9, 3e4]) | st.floats(-1e3, 1e3), min_size=3, max_size=60))
def test_reasons_are_the_three_largest(values: list[float]) -> None:
    contrib = np.array(values)
    places = np.zeros(3, np.int32)
    top3(contrib, places)
    ordered = np.argsort(-np.abs(contrib), kind="stable")[:3]
    assert len(set(places.tolist())) == len(places)
    # Only magnitudes within 6e-14 of each other may change places.
    np.testing.assert_allclose(np.abs(contrib[places]), np.abs(contrib[ordered]), rtol=1e-13, atol=1e-300)


def test_ties_go_to_the_earlier_feature() -> None:
    places = np.zeros(3, np.int32)
    top3(np.zeros(6), places)
    assert places.tolist() == [0, 1, 2]
    top3(np.array([1.0, -2.0, 2.0, 0.5, -2.0]), places)
    assert places.tolist() == [1, 2, 4]
