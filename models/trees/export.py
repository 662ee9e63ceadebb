"""A fitted HistGradientBoostingClassifier of two classes → `Forest`.

scikit-learn has no public way to a fitted tree's nodes, so this reads `_predictors` and `_baseline_prediction`; the tests hold the result
against `predict_proba`, so another layout in a later release is noticed.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier

from keepline.models.errors import ModelError
from keepline.models.trees.forest import LEAF, Forest, Input


def forest_of(model: HistGradientBoostingClassifier, inputs: list[Input]) -> Forest:
    """Take the trees out of a fitted model whose columns are `inputs`; ModelError for more than two classes or categorical splits."""
    trees = [predictor.nodes for one in model._predictors for predictor in one]
    if len(trees) != len(model._predictors) or any(nodes["is_categorical"].any() for nodes in trees):
        msg = "Only trees of two classes that compare numbers can be exported. Turn texts into columns of 0 and 1 first."
        raise ModelError(msg)
    nodes = np.concatenate(trees)
    leaf = nodes["is_leaf"].astype(bool)

    def inner(values: npt.NDArray[Any], otherwise: float) -> list[Any]:
        found: list[Any] = np.where(leaf, otherwise, values).tolist()
        return found

    return Forest(
        inputs=inputs,
        baseline=float(np.ravel(model._baseline_prediction)[0]),
        offsets=[0, *np.cumsum([len(tree) for tree in trees]).tolist()],
        feature=inner(nodes["feature_idx"], LEAF),
        threshold=inner(np.minimum(nodes["num_threshold"], sys.float_info.max), 0.0),
        left=inner(nodes["left"].astype(np.int64), LEAF),
        right=inner(nodes["right"].astype(np.int64), LEAF),
        missing_left=inner(nodes["missing_go_to_left"].astype(np.int64), 0),
        value=[value for tree in trees for value in _means(tree)],
    )


def _means(nodes: npt.NDArray[Any]) -> list[float]:
    """Of each node the mean of its leaves' values by training rows; children stand behind their parent."""
    value: list[float] = nodes["value"].tolist()
    count = nodes["count"].tolist()
    for i in range(len(nodes) - 1, -1, -1):
        if not nodes["is_leaf"][i]:
            left, right = int(nodes["left"][i]), int(nodes["right"][i])
            value[i] = (count[left] * value[left] + count[right] * value[right]) / (count[left] + count[right])
    return value
