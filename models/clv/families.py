"""The regressions of customer lifetime value on scikit-learn: which there are, and how one is fitted.

    rows, y ≥ 0 → columns transformed and standardised (models/pipeline.py) → ridge on log1p(y), or a GLM with log link
      → intercept moved so that the predictions sum to the targets → fitted Pipeline, whose `predict` gives amounts

- ridge: least squares of log1p(y) with an L2 penalty; the amount is exp(z) - 1, at least 0. Robust against a few huge customers, but it
  sees a revenue of 0 as one more value far from the others.
- gamma: a generalised linear model with variance mean^2, for targets that are all above 0.
- tweedie: variance mean^power with power between 1 and 2: the sum of a Poisson number of gamma amounts (Jørgensen 1987), which is what
  revenue in a horizon is: so many orders, 0 included, each of some size. It has an atom at 0, which the gamma distribution lacks.

**Mean correction.** Neither exp of a mean of logs nor a GLM with a link that is not its own gives totals that agree with the data. One
factor on exp(z) does, so that Σ predictions = Σ targets on the training rows (Duan 1983 for the first, with the mean in place of the
residuals' mean, which heavy tails upset; Wüthrich 2020, the balance property, for the second). It is part of the intercept.

Sources: B. Jørgensen (1987), Exponential dispersion models, JRSS B 49:127-162. N. Duan (1983), Smearing estimate: a nonparametric
retransformation method, JASA 78:605-610. M. V. Wüthrich (2020), Bias regularization in neural network models for general insurance
pricing, European Actuarial Journal 10:179-202.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import brentq
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import Ridge, TweedieRegressor
from sklearn.pipeline import Pipeline

from keepline.models import pipeline as pl
from keepline.models.scorer import MAX_Z

Amounts = npt.NDArray[np.float64]
POWER = 1.5
"""Of the variance where some targets are 0 and none is given: half-way between Poisson and gamma."""
GAMMA = 2.0
MAX_ITER = 1000


@dataclass(frozen=True, slots=True)
class Family:
    """A regression that can be fitted: `power` is None for ridge; `alpha` the L2 penalty for each customer, on standardised columns."""

    name: Literal["ridge", "gamma", "tweedie"]
    power: float | None
    alpha: float

    @property
    def link(self) -> Literal["log", "log1p"]:
        """From the target's mean to z."""
        return "log1p" if self.name == "ridge" else "log"


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fitted pipeline, the mean correction in its intercept, and whether the optimiser came to an end."""

    pipeline: Pipeline
    correction: float
    converged: bool


def expm1_floor(z: Any) -> Any:
    """Compute max(exp(z) - 1, 0) with z held to ±`MAX_Z`, as `scorer.exponential` does."""
    return np.maximum(np.expm1(np.clip(z, -MAX_Z, MAX_Z)), 0.0)


def fit(family: Family, columns: pl.Columns, rows: pd.DataFrame, y: Amounts) -> Fitted:
    """Fit on rows and targets y (float64[n], at least 0, some above it; all above it for gamma)."""
    if family.name == "ridge":
        return _ridge(family, columns, rows, y)
    # On targets with mean 1 the deviance, and with it the weight of the penalty, does not depend on the currency.
    mean = float(y.mean())
    model = TweedieRegressor(power=family.power, alpha=family.alpha, link="log", solver="newton-cholesky", max_iter=MAX_ITER, tol=1e-8)
    pipeline = pl.with_model(columns, model).fit(rows, y / mean)
    correction = 1.0 / float(pipeline.predict(rows).mean())
    model.intercept_ += math.log(mean * correction)
    return Fitted(pipeline, correction, int(model.n_iter_) < MAX_ITER)


def _ridge(family: Family, columns: pl.Columns, rows: pd.DataFrame, y: Amounts) -> Fitted:
    # Ridge adds its penalty to a sum of squares, the GLMs to a mean.
    model = TransformedTargetRegressor(Ridge(alpha=family.alpha * len(y)), func=np.log1p, inverse_func=expm1_floor, check_inverse=False)
    pipeline = pl.with_model(columns, model).fit(rows, y)
    z = model.regressor_.predict(pipeline["columns"].transform(rows))
    shift = _shift(z, float(y.mean()))
    model.regressor_.intercept_ += shift
    return Fitted(pipeline, math.exp(shift), converged=True)


def _shift(z: Amounts, mean: float) -> float:
    """What must be added to z so that the mean of max(exp(z) - 1, 0) is `mean`, which is above 0. The mean rises with the shift."""
    high = math.log1p(mean) - float(z.min())
    low = math.log1p(mean) - float(z.max())
    if high - low < 1e-12:
        return low
    return float(brentq(lambda shift: float(expm1_floor(z + shift).mean()) - mean, low, high, xtol=1e-12))
