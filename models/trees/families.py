"""The families of a churn model beside the logistic one, for training: boosted trees, and the two together.

    rows → `build_trees` → HistGradientBoostingClassifier on raw numbers (missing cells as they are) and 0/1 columns of texts
    logits of both, out of fold → `best_weight` → `Ensemble`: z = (1 - w) · z(logistic) + w · z(trees)

The mean is one of logits, not of probabilities: contributions of both parts then add up, column by column, to the ensemble's logit. One
weight between 0 and 1 is all that is fitted, so that the ensemble cannot overfit much; the log loss is convex in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import expit
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder
from threadpoolctl import threadpool_limits

from keepline.models.pipeline import Columns
from keepline.models.trees.batch import score_rows
from keepline.models.trees.export import forest_of
from keepline.models.trees.forest import Forest, Input
from keepline.models.trees.table import build

Float64 = npt.NDArray[np.float64]

FAMILIES = ("logistic", "trees", "ensemble")
TREES, DEPTH, LEAVES, RATE, SMALLEST_LEAF = 100, 6, 31, 0.05, 20
"""The shape of a forest, the same for all data: nothing is searched, so the metrics out of fold are of exactly this."""
WEIGHT_STEP = 1e-4
"""The ensemble's weight is rounded to this; more digits would be noise."""


class Ensemble:
    """A fitted logistic pipeline and a fitted pipeline of trees, with the weight of the trees."""

    def __init__(self, linear: Pipeline, trees: Pipeline, weight: float) -> None:
        """Put the two together; `weight` is that of the trees' logit, between 0 and 1."""
        self.linear = linear
        self.trees = trees
        self.weight = weight

    def decision_function(self, rows: pd.DataFrame) -> Float64:
        """Logits of the rows."""
        return mixed(self.linear.decision_function(rows), self.trees.decision_function(rows), self.weight)

    def predict_proba(self, rows: pd.DataFrame) -> Float64:
        """Probabilities of 0 and 1, float64[rows, 2], as scikit-learn's classifiers give them."""
        z = self.decision_function(rows)
        return np.column_stack([expit(-z), expit(z)])


def mixed(linear: Float64, trees: Float64, weight: float) -> Float64:
    """The ensemble's logits from those of its parts."""
    return (1.0 - weight) * linear + weight * trees


def build_trees(columns: Columns, seed: int) -> Pipeline:
    """Build the unfitted pipeline of boosted trees."""
    parts = [
        ("numbers", "passthrough", [*columns.logarithmic, *columns.linear]),
        ("text", OneHotEncoder(handle_unknown="ignore", sparse_output=False), list(columns.text)),
    ]
    model = HistGradientBoostingClassifier(
        max_iter=TREES,
        max_depth=DEPTH,
        max_leaf_nodes=LEAVES,
        learning_rate=RATE,
        min_samples_leaf=SMALLEST_LEAF,
        early_stopping=False,
        random_state=seed,
    )
    return Pipeline([("columns", ColumnTransformer([part for part in parts if part[2]])), ("model", model)])


@contextmanager
def one_thread() -> Iterator[None]:
    """Fit trees in here: sums over several threads have no fixed order, so other machines would give other bytes."""
    with threadpool_limits(limits=1, user_api="openmp"):
        yield


def best_weight(linear: Float64, trees: Float64, y: npt.NDArray[np.int64]) -> float:
    """The weight of the trees with the smallest log loss; logits must be out of fold."""

    def loss(weight: float) -> float:
        z = mixed(linear, trees, weight)
        return float(np.mean(np.logaddexp(0.0, z) - y * z))

    inside = float(minimize_scalar(loss, bounds=(0.0, 1.0), method="bounded", options={"xatol": WEIGHT_STEP / 4}).x)
    best = min((0.0, inside, 1.0), key=loss)
    return round(round(best / WEIGHT_STEP) * WEIGHT_STEP, 4)


def exported(trees: Pipeline, columns: Columns) -> Forest:
    """Turn the fitted pipeline into the forest of a manifest."""
    inputs = [Input(name=name) for name in (*columns.logarithmic, *columns.linear)]
    if columns.text:
        levels = trees["columns"].named_transformers_["text"].categories_
        inputs += [Input(name=name, level=str(level)) for name, found in zip(columns.text, levels, strict=True) for level in found]
    return forest_of(trees["model"], inputs)


def importance(forest: Forest, trees: Any, rows: pd.DataFrame) -> dict[str, float]:
    """Mean |contribution| of each column to the forest's logit over the rows, largest first."""
    inputs = np.asarray(trees["columns"].transform(rows), np.float64)
    found = score_rows(inputs, build(forest, range(len(forest.inputs)), len(forest.inputs))).contributions
    by_column: dict[str, Float64] = {}
    for i, each in enumerate(forest.inputs):
        by_column[each.name] = by_column.get(each.name, np.zeros(len(rows))) + found[:, i]
    means = {name: float(np.abs(values).mean()) for name, values in by_column.items()}
    return dict(sorted(means.items(), key=lambda item: -item[1]))
