"""The closed scores of many rows at once, by the very kernel that the stream calls."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from keepline.models.clv.scorer import FEATURES, REASONS, USED, score
from keepline.models.clv.summary import Summary
from keepline.schemas.jit import njit
from keepline.schemas.mem import address

Float64 = npt.NDArray[np.float64]


class Scores(NamedTuple):
    """Of n rows; columns and scores in the order of `scorer.SCORES`."""

    values: Float64  # n × 3
    contributions: Float64  # n × 3 × 20
    places: npt.NDArray[np.int32]  # n × 3 × 3, −1 where there are fewer reasons
    known: npt.NDArray[np.bool_]  # n; False: no order yet, nothing to put out


@njit
def _all(rows: Any, table: Any, values: Any, contributions: Any, places: Any, known: Any) -> None:
    for i in range(rows.shape[0]):
        known[i] = score(address(rows[i]), address(table), address(values[i]), address(contributions[i]), address(places[i]))


def score_rows(rows: Float64, table: Float64) -> Scores:
    """Score rows of the feature set `clv`, float64[n, 20], with the table of a `ClvModel`."""
    n = len(rows)
    found = Scores(np.zeros((n, 3)), np.zeros((n, 3, FEATURES)), np.full((n, 3, REASONS), -1, np.int32), np.zeros(n, np.bool_))
    _all(np.ascontiguousarray(rows), table, *found)
    return found


def rows_of(summary: Summary) -> Float64:
    """Rows of the feature set, float64[n, 20], with what a summary knows; the scores read no more."""
    rows = np.zeros((len(summary.customers), FEATURES))
    for name, place in USED.items():
        rows[:, place] = getattr(summary, name)
    return rows
