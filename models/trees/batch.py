"""The score of many rows at once, by the very kernel that the stream calls."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from keepline.models.scorer import sigmoid
from keepline.models.trees.scorer import raw
from keepline.models.trees.table import W_COLUMNS, Float64
from keepline.schemas.jit import njit
from keepline.schemas.mem import address


class Scores(NamedTuple):
    """Of m rows of n columns."""

    raw: Float64  # m logits
    probability: Float64  # m
    contributions: Float64  # m × n, parts of the logit


@njit
def _all(rows: Any, table: Any, z: Any, probability: Any, contributions: Any) -> None:
    for i in range(rows.shape[0]):
        z[i] = raw(address(rows[i]), address(table), address(contributions[i]))
        probability[i] = sigmoid(z[i])


def score_rows(rows: Float64, table: Float64) -> Scores:
    """Score rows, float64[m, n], with a table of table.py; NaN is a missing value. ValueError if n is not the table's."""
    wanted = int(table.view(np.int64)[W_COLUMNS])
    if rows.ndim != 2 or rows.shape[1] != wanted:
        msg = f"rows have the shape {rows.shape}, expected (any, {wanted}): one column for each of the model's."
        raise ValueError(msg)
    m = len(rows)
    found = Scores(np.zeros(m), np.zeros(m), np.zeros((m, wanted)))
    _all(np.ascontiguousarray(rows, np.float64), table, *found)
    return found
