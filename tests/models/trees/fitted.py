"""Classifiers fitted to made-up rows that meet every kind of node, and a forest walked in plain Python."""

from __future__ import annotations

import math
import sys
from typing import NamedTuple

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from keepline.models.trees.export import forest_of
from keepline.models.trees.forest import Forest, Input


class Fitted(NamedTuple):
    rows: np.ndarray
    model: HistGradientBoostingClassifier
    forest: Forest

    def __repr__(self) -> str:
        return f"{self.forest.trees} trees over {len(self.forest.inputs)} inputs"


def _rows(seed: int, missing: float) -> tuple[np.ndarray, np.ndarray]:
    dice = np.random.default_rng(seed)
    columns = (dice.integers(0, 6, 600), np.round(dice.normal(size=600), 1), dice.integers(0, 2, 600), dice.exponential(9, 600))
    rows = np.column_stack(columns)
    y = (rows[:, 0] + 2 * rows[:, 1] * rows[:, 2] + 0.1 * rows[:, 3] + dice.normal(size=600) > 3).astype(int)
    rows[dice.random(rows.shape) < missing] = np.nan
    return rows, y


def _fitted(rows: np.ndarray, y: np.ndarray, trees: int, depth: int | None, smallest_leaf: int = 5) -> Fitted:
    model = HistGradientBoostingClassifier(
        max_iter=trees, max_depth=depth, min_samples_leaf=smallest_leaf, early_stopping=False, random_state=0
    ).fit(rows, y)
    return Fitted(rows, model, forest_of(model, [Input(name=f"c{i}") for i in range(rows.shape[1])]))


def fitted_forests() -> list[Fitted]:
    """Few and many trees, stumps, trees without a split, with and without missing values, and values that are missing by their label."""
    shapes = [(1, 6, 0.0), (7, 3, 0.2), (100, 6, 0.1), (3, None, 0.3), (30, 1, 0.1)]
    found = [_fitted(*_rows(seed, missing), trees, depth) for seed, (trees, depth, missing) in enumerate(shapes)]
    rows, y = _rows(9, 0.0)
    alone = _fitted(rows, y, 3, None, smallest_leaf=400)
    telling = _fitted(np.where(y == 1, np.nan, 1.0)[:, None], y, 5, None)
    return [*found, alone, telling]


def walked(forest: Forest, row: np.ndarray) -> tuple[float, list[float]]:
    """(raw value, contribution of each input) by the definition: from root to leaf, tree by tree."""
    raw, contributions = forest.baseline, [0.0] * len(forest.inputs)
    for start in forest.offsets[:-1]:
        node = start
        while forest.feature[node] >= 0:
            feature = forest.feature[node]
            value = float(row[feature])
            limit = forest.threshold[node]
            small = value <= limit or limit == sys.float_info.max  # the largest double stands for infinity
            left = bool(forest.missing_left[node]) if math.isnan(value) else small
            child = start + (forest.left if left else forest.right)[node]
            contributions[feature] += forest.value[child] - forest.value[node]
            node = child
        raw += forest.value[node]
    return raw, contributions
