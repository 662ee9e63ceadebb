"""Amounts of many rows by a regression, by the very kernel that the stream calls."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from keepline.models.manifest import Model
from keepline.models.scorer import amount
from keepline.schemas.jit import njit

Float64 = npt.NDArray[np.float64]


def amounts(model: Model, rows: Float64) -> Float64:
    """Amounts over the model's own horizon, float64[n], of rows of its feature set, float64[n, features]."""
    found = np.empty(len(rows))
    _all(np.ascontiguousarray(rows), *model.tables(), model.less, np.zeros(rows.shape[1]), found)
    return found


@njit
def _all(rows: Any, kind: Any, coef: Any, center: Any, intercept: float, less: float, contrib: Any, found: Any) -> None:
    for i in range(rows.shape[0]):
        found[i] = amount(rows[i], kind, coef, center, intercept, less, contrib)
