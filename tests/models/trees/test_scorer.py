"""The compiled forest against scikit-learn's `predict_proba` and against a walk in plain Python."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

from keepline.features.churn import CHURN
from keepline.models import manifest
from keepline.models.predict import load_pipeline
from keepline.models.scorer import top3
from keepline.models.trees.batch import score_rows
from keepline.models.trees.forest import Forest, Input, flaw
from keepline.models.trees.table import LINE, W_FIRST_NODE, Linear, build
from tests.models.trees.fitted import Fitted, walked

SAME = 1e-9
FORESTS = range(7)


def limits(forest: Forest, place: int) -> list[float]:
    """Thresholds on an input with their neighbours, and values that are no ordinary number."""
    found = [limit for feature, limit in zip(forest.feature, forest.threshold, strict=True) if feature == place and limit < 1e300]
    near = [value for limit in found for value in (limit, math.nextafter(limit, math.inf), math.nextafter(limit, -math.inf))]
    return [*near, math.nan, math.inf, -math.inf, 0.0, -0.0, sys.float_info.max, -sys.float_info.max, 5e-324]


@settings(max_examples=300, deadline=None)
@given(data=st.data(), which=st.sampled_from(FORESTS))
def test_any_row_scores_as_scikit_learn_says(forests: list[Fitted], data: st.DataObject, which: int) -> None:
    rows, model, forest = forests[which]
    cells = [st.sampled_from(limits(forest, place)) | st.floats(-20, 60) for place in range(rows.shape[1])]
    row = np.array([data.draw(st.tuples(*cells))])
    found = score_rows(row, build(forest, range(rows.shape[1]), rows.shape[1]))
    assert found.probability[0] == pytest.approx(model.predict_proba(row)[0, 1], rel=0, abs=SAME)
    raw, contributions = walked(forest, row[0])
    assert found.raw[0] == pytest.approx(raw, rel=0, abs=SAME)
    np.testing.assert_allclose(found.contributions[0], contributions, rtol=0, atol=SAME)


@pytest.mark.parametrize("which", FORESTS)
def test_every_threshold_of_every_input(forests: list[Fitted], which: int) -> None:
    """Training rows with one cell at a time put to each threshold and next to it."""
    rows, model, forest = forests[which]
    table = build(forest, range(rows.shape[1]), rows.shape[1])
    for place in range(rows.shape[1]):
        special = limits(forest, place)
        changed = rows[np.arange(len(special)) % len(rows)].copy()
        changed[:, place] = special
        np.testing.assert_allclose(score_rows(changed, table).probability, model.predict_proba(changed)[:, 1], rtol=0, atol=SAME)


def test_the_forests_meet_every_kind_of_node(forests: list[Fitted]) -> None:
    assert any(sys.float_info.max in one.forest.threshold for one in forests), "missing values against all others"
    assert any(set(one.forest.feature) == {-1} for one in forests), "trees without a split"
    assert {flag for one in forests for flag in one.forest.missing_left} == {0, 1}
    assert {one.forest.trees % 4 for one in forests} >= {0, 1, 2, 3}, "groups that are full and not"
    assert any(len(set(one.forest.depths())) > 1 for one in forests), "trees of different depth side by side"


@pytest.mark.parametrize("which", FORESTS)
def test_contributions_sum_to_the_raw_value_less_its_mean_in_training(forests: list[Fitted], which: int) -> None:
    rows, model, forest = forests[which]
    found = score_rows(rows, build(forest, range(rows.shape[1]), rows.shape[1]))
    mean = model.decision_function(rows).mean()
    np.testing.assert_allclose(found.contributions.sum(axis=1), found.raw - mean, rtol=0, atol=SAME)
    assert forest.mean == pytest.approx(mean, abs=SAME)


@st.composite
def random_forests(draw: st.DrawFn) -> Forest:
    """Any forest that passes the check: trees of any shape."""
    inputs = draw(st.integers(1, 5))
    arrays: dict[str, list] = {name: [] for name in ("feature", "threshold", "left", "right", "missing_left", "value")}
    offsets = [0]
    number = st.floats(-9, 9)

    def grow(nodes: list[list], depth: int) -> int:
        place = len(nodes)
        nodes.append([-1, 0.0, -1, -1, 0, draw(number)])
        if depth < 5 and draw(st.booleans()):
            left = grow(nodes, depth + 1)
            right = grow(nodes, depth + 1)
            share = draw(st.floats(0, 1))
            value = share * nodes[left][5] + (1 - share) * nodes[right][5]
            threshold = draw(st.integers(-2, 2)) if draw(st.booleans()) else sys.float_info.max
            nodes[place] = [draw(st.integers(0, inputs - 1)), float(threshold), left, right, draw(st.integers(0, 1)), value]
        return place

    for _ in range(draw(st.integers(1, 6))):
        nodes: list[list] = []
        grow(nodes, 0)
        for name, column in zip(arrays, zip(*nodes, strict=True), strict=True):
            arrays[name] += column
        offsets.append(len(arrays["feature"]))
    return Forest(inputs=[Input(name=f"c{i}") for i in range(inputs)], baseline=draw(number), offsets=offsets, **arrays)


@settings(max_examples=200, deadline=None)
@given(random_forests(), st.data())
def test_any_forest_on_any_columns_is_walked_as_defined(forest: Forest, data: st.DataObject) -> None:
    """The row has more columns than the forest has inputs, in another order; with a weight, and with a linear part beside it."""
    assert flaw(forest, [each.name for each in forest.inputs]) is None
    n = len(forest.inputs) + data.draw(st.integers(0, 2))
    places = data.draw(st.permutations(range(n)))[: len(forest.inputs)]
    row = np.array(data.draw(st.lists(st.sampled_from([-2.0, -1.0, 0.0, 1.0, 2.0, 2.5, math.nan]), min_size=n, max_size=n)))
    weight = data.draw(st.floats(0, 1))
    raw, parts = walked(forest, row[places])
    wanted = np.zeros(n)
    wanted[places] = weight * np.array(parts)

    found = score_rows(row[None], build(forest, places, n, weight))
    assert found.raw[0] == pytest.approx(weight * raw, abs=SAME)
    np.testing.assert_allclose(found.contributions[0], wanted, rtol=0, atol=SAME)

    dice = np.random.default_rng(n)
    kind, (coef, center, missing) = dice.integers(0, 2, n), dice.normal(size=(3, n))
    found = score_rows(row[None], build(forest, places, n, weight, Linear(kind, coef, center, missing, 0.7)))
    with np.errstate(invalid="ignore"):
        moved = np.where(kind == 1, np.log1p(np.maximum(row, 0.0)), row)
    linear = np.where(np.isnan(row), missing, coef * (moved - center))
    np.testing.assert_allclose(found.contributions[0], wanted + linear, rtol=0, atol=SAME)
    assert found.raw[0] == pytest.approx(weight * raw + 0.7 + linear.sum(), abs=SAME)
    assert found.probability[0] == pytest.approx(1 / (1 + math.exp(-found.raw[0])))


@pytest.mark.parametrize("family", ["trees", "ensemble"])
def test_a_loaded_model_scores_rows_of_its_feature_set_as_its_pipeline(models: dict[str, Path], family: str) -> None:
    model = manifest.load(models[family], CHURN)
    rows = pd.read_csv(models[family].parent / "plain" / "F.csv", float_precision="round_trip")[list(CHURN.names)].to_numpy()
    dice = np.random.default_rng(3)
    anything = np.vstack([rows, rows * dice.uniform(0, 2, rows.shape), dice.normal(0, 50, (200, len(CHURN.names)))])
    anything[::5][dice.random(anything[::5].shape) < 0.2] = np.nan
    found = score_rows(anything, model.forest())
    pipeline = load_pipeline(models[family], model.manifest)
    expected = pipeline.predict_proba(pd.DataFrame(anything, columns=list(CHURN.names)))[:, 1]
    np.testing.assert_allclose(found.probability, expected, rtol=0, atol=SAME)
    base = found.raw - found.contributions.sum(axis=1)
    np.testing.assert_allclose(base, base[0], rtol=0, atol=SAME)
    assert base[0] == pytest.approx(score_rows(rows, model.forest()).raw.mean(), abs=SAME), "reasons are counted from the mean customer"


def test_reasons_are_the_largest_contributions(models: dict[str, Path]) -> None:
    table = manifest.load(models["trees"], CHURN).forest()
    row = pd.read_csv(models["trees"].parent / "plain" / "F.csv")[list(CHURN.names)].to_numpy()[:1]
    contributions = score_rows(row, table).contributions[0]
    places = np.zeros(3, np.int32)
    top3(contributions, places)
    assert sorted(np.abs(contributions))[-3:][::-1] == np.abs(contributions[places]).tolist()
    assert np.abs(contributions[places]).min() > 0


def test_the_nodes_lie_on_cache_lines(forests: list[Fitted]) -> None:
    for rows, _, forest in forests:
        table = build(forest, range(rows.shape[1]), rows.shape[1])
        assert (table.ctypes.data + 8 * int(table.view(np.int64)[W_FIRST_NODE])) % LINE == 0
        inner = sum(feature >= 0 for feature in forest.feature)
        assert len(table) - int(table.view(np.int64)[W_FIRST_NODE]) == 4 * (inner + 1)


def test_rows_of_another_width_are_refused(forests: list[Fitted]) -> None:
    rows, _, forest = forests[0]
    table = build(forest, range(4), 4)
    for wrong in (rows[:, :3], rows[0]):
        with pytest.raises(ValueError, match=r"expected \(any, 4\)"):
            score_rows(wrong, table)
