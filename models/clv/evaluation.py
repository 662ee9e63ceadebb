"""How well predicted amounts agree with what customers then spent: errors, order, and the lift of each tenth.

    actual, predicted (float64[n], one entry a customer) → `evaluate` → `Figures`

Pure computation. Customers with the same prediction share their mean actual amount in everything that depends on order, so that the order
of the rows never shows.

Sources: R. Lerman and S. Yitzhaki (1984), A note on the calculation and interpretation of the Gini index, Economics Letters 15:363-368
(the covariance form); E. Frees, G. Meyers and A. D. Cummings (2011), Summarizing insurance scores using a Gini index, JASA 106:1085-1098.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

Amounts = npt.NDArray[np.float64]
TENTHS = 10


@dataclass(frozen=True, slots=True)
class Figures:
    """One method against the actual amounts. What cannot be told (no spread, nobody spent) is None, never NaN."""

    customers: int
    mae: float
    """Mean absolute error, in the currency."""
    rmse: float
    """Root of the mean squared error, in the currency."""
    spearman: float | None
    """Rank correlation, -1 to 1."""
    gini: float | None
    """Normalised Gini: 1 orders the customers as their actual amounts do, 0 as chance does."""
    total: float
    """Sum of the predictions over the sum of the actual amounts, where that is not 0; else the sum of the predictions."""
    deciles: tuple[float, ...]
    """Actual amount of each tenth of the customers, the tenth with the highest predictions first; they sum to the actual total."""
    expected: tuple[float, ...]
    """Predicted amount of the same tenths."""
    lift: tuple[float | None, ...]
    """Mean actual amount in each tenth over that of all customers."""

    def as_json(self) -> dict[str, Any]:
        """All figures, for machines."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


def evaluate(actual: Amounts, predicted: Amounts) -> Figures:
    """Compare predictions with actual amounts, both float64[n] of one currency, n ≥ 1. ValueError where lengths differ or n is 0."""
    if len(actual) != len(predicted) or not len(actual):
        msg = f"{len(actual)} actual amounts and {len(predicted)} predictions, expected as many of both and at least one."
        raise ValueError(msg)
    error = predicted - actual
    total = float(actual.sum())
    groups = tenths(predicted)
    shared = _mean_of_ties(actual, predicted)
    sums = tuple(float(shared[group].sum()) for group in groups)
    mean = total / len(actual)
    lift = tuple(_ratio(float(shared[group].mean()), mean) if len(group) else None for group in groups)
    return Figures(
        customers=len(actual),
        mae=float(np.abs(error).mean()),
        rmse=float(np.sqrt(np.mean(error**2))),
        spearman=spearman(actual, predicted),
        gini=normalised_gini(actual, predicted),
        total=float(predicted.sum()) / total if total else float(predicted.sum()),
        deciles=sums,
        expected=tuple(float(predicted[group].sum()) for group in groups),
        lift=lift,
    )


def tenths(predicted: Amounts) -> list[npt.NDArray[np.int64]]:
    """Places of the customers in ten groups, as equal in size as can be, the highest predictions first."""
    return np.array_split(np.argsort(-predicted, kind="stable"), TENTHS)


def spearman(actual: Amounts, predicted: Amounts) -> float | None:
    """Spearman's rank correlation, ties at their mean rank; None where one side is constant."""
    if np.ptp(actual) == 0 or np.ptp(predicted) == 0:
        return None
    return float(stats.spearmanr(actual, predicted).statistic)


def normalised_gini(actual: Amounts, predicted: Amounts) -> float | None:
    """Concentration of the actual amounts in the order of the predictions, over that in their own order; None where that is 0.

    The concentration is 2 · cov(amount, rank) / (n · mean), ties at their mean rank (Lerman and Yitzhaki 1984, equation 2); n and mean
    cancel in the ratio.
    """
    centred = actual - actual.mean()
    own = float(centred @ stats.rankdata(actual))
    return _ratio(float(centred @ stats.rankdata(predicted)), own) if np.ptp(actual) > 0 else None


def gains(actual: Amounts, predicted: Amounts) -> tuple[Amounts, Amounts]:
    """Share of the customers, highest predictions first, and share of the actual total that they hold; n + 1 points from (0, 0)."""
    order = np.argsort(-predicted, kind="stable")
    held = np.append(0.0, np.cumsum(_mean_of_ties(actual, predicted)[order]))
    return np.arange(len(actual) + 1) / len(actual), held / held[-1] if held[-1] else held


def naive_rate(revenue: Amounts, t_days: Amounts, horizon_days: float) -> Amounts:
    """A customer's revenue per day so far, kept up over the horizon: revenue / max(t_days, 1) · horizon_days, at least 0."""
    found: Amounts = np.maximum(revenue, 0.0) / np.maximum(t_days, 1.0) * horizon_days
    return found


def _mean_of_ties(actual: Amounts, predicted: Amounts) -> Amounts:
    """Each customer's actual amount, replaced by the mean of those with the same prediction."""
    _, group, counts = np.unique(predicted, return_inverse=True, return_counts=True)
    found: Amounts = (np.bincount(group, actual) / counts)[group]
    return found


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
