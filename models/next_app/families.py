"""The families of a model of the next app: what each learns from the rows of candidates (pointwise: was this candidate opened?).

    rows, opened or not ──► logistic: scikit-learn's LogisticRegression on standardised columns, scaling folded in ─┐
                        └─► trees: HistGradientBoostingClassifier, exported to flat arrays ─────────────────────────┴► z of a candidate

Not every column serves every population. Those of the logistic model are left out one by one, the least significant first, while the
Bayesian information criterion falls: by Wald's test, a column stays if (coefficient / standard error)² is above ln(targets)
(G. Schwarz 1978, Estimating the Dimension of a Model). Without that, columns of noise cost what a simpler ranker does not pay. A column
that is the logarithm of a share counts for an app or not at all: one with a weight below 0, which would only take back what another one
smooths into its share, is left out too.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from keepline.features.next_app.layout import F_BATTERY, F_CITY, F_FREQUENCY, F_HOUR, F_NETWORK, F_TRANSITION, F_WEEKEND, FEATURES
from keepline.models.next_app.moments import Float64, Mask, Moments
from keepline.models.trees.batch import score_rows
from keepline.models.trees.export import forest_of
from keepline.models.trees.families import RATE, SMALLEST_LEAF, TREES, one_thread
from keepline.models.trees.forest import Forest, Input
from keepline.models.trees.table import build

SHAPES = ((2, 4), (3, 8), (6, 31))
"""Depth and leaves of the trees that validation chooses among."""
PENALTY = 1e-3
"""1/C of the logistic regression: enough for an optimum where classes can be told apart perfectly."""
SHARES = (F_TRANSITION, F_HOUR, F_FREQUENCY, F_WEEKEND, F_BATTERY, F_NETWORK, F_CITY)
_CONSTANT = 1e-9


class Fitted(NamedTuple):
    """One family's z = Σ coef · (x − center), or a forest's logit."""

    coef: Float64 | None
    center: Float64 | None
    forest: Forest | None
    importance: dict[str, float]
    """By column, largest first; see the manifest."""

    def z(self, rows: Float64) -> Float64:
        """Of rows, float64[R, 10]."""
        if self.forest is not None:
            n = len(FEATURES)
            return score_rows(rows, build(self.forest, range(n), n)).raw if len(rows) else np.zeros(0)
        assert self.coef is not None  # noqa: S101  one of the two is there
        assert self.center is not None  # noqa: S101
        z: Float64 = (rows - self.center) @ self.coef
        return z


class Examples(NamedTuple):
    """What a family is fitted on: the rows of the targets whose app was a candidate."""

    rows: Float64
    opened: npt.NDArray[np.int64]  # 1 for the row that was opened, else 0
    targets: int

    @property
    def both(self) -> bool:
        """Whether there is anything to tell apart."""
        return 0 < int(self.opened.sum()) < len(self.opened)


def examples(moments: Moments, which: Mask) -> Examples:
    """The examples of some targets."""
    used = which & (moments.chosen >= 0)
    opened = np.zeros(len(moments.rows), np.int64)
    opened[moments.chosen[used]] = 1
    rows = np.repeat(used, np.diff(moments.first))
    return Examples(moments.rows[rows], opened[rows], int(used.sum()))


def fit_logistic(made: Examples) -> Fitted:
    """Fit; where there is nothing to tell apart, z is the log frequency alone, so that P_u is the user's decayed shares."""
    n = len(FEATURES)
    coef, center = np.zeros(n), np.zeros(n)
    if not made.both:
        coef[F_FREQUENCY] = 1.0
        return Fitted(coef, center, None, {})
    center, scale = made.rows.mean(axis=0), made.rows.std(axis=0)
    live = np.flatnonzero(scale > _CONSTANT)
    scaled = (made.rows - center) / np.where(scale > _CONSTANT, scale, 1.0)
    while True:
        weights, significance = _fitted(scaled[:, live], made.opened)
        against = np.isin(live, SHARES) & (weights < 0)
        weakest = int(np.argmin(np.where(against, -1 / (1 + significance), significance)))
        if len(live) == 1 or not (against.any() or significance[weakest] <= math.log(made.targets)):
            break
        live = np.delete(live, weakest)
    coef[live] = weights / scale[live]
    effects = sorted(zip(live.tolist(), np.abs(weights).tolist(), strict=True), key=lambda pair: -pair[1])
    return Fitted(coef, center, None, {FEATURES[j]: effect for j, effect in effects})


def _fitted(columns: Float64, opened: npt.NDArray[np.int64]) -> tuple[Float64, Float64]:
    """Weights, and their squared Wald statistics from the Hessian at the optimum."""
    model = LogisticRegression(C=1 / PENALTY, max_iter=1000).fit(columns, opened)
    weights = model.coef_[0]
    p = model.predict_proba(columns)[:, 1]
    design = np.column_stack([np.ones(len(columns)), columns])
    hessian = (design * (p * (1 - p))[:, None]).T @ design + np.diag([PENALTY, *[PENALTY] * len(weights)])
    return weights, weights**2 / np.diag(np.linalg.inv(hessian))[1:]


def fit_trees(made: Examples, shape: tuple[int, int], seed: int) -> Fitted:
    """Fit trees of some depth and number of leaves."""
    depth, leaves = shape
    model: Any = HistGradientBoostingClassifier(
        max_iter=TREES,
        max_depth=depth,
        max_leaf_nodes=leaves,
        learning_rate=RATE,
        min_samples_leaf=SMALLEST_LEAF,
        early_stopping=False,
        random_state=seed,
    )
    with one_thread():
        model.fit(made.rows, made.opened)
    forest = forest_of(model, [Input(name=name) for name in FEATURES])
    n = len(FEATURES)
    sizes = np.abs(score_rows(made.rows, build(forest, range(n), n)).contributions).mean(axis=0)
    order = sorted(zip(FEATURES, sizes.tolist(), strict=True), key=lambda pair: -pair[1])
    return Fitted(None, None, forest, dict(order))
