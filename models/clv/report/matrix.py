"""P(alive) and expected purchases of customers of one age, by how often and how lately they bought: the frequency/recency matrices.

    parameters, summary, horizon ──► matrix ──► Matrix (figures.py draws it)

All are as old as the oldest customer, so that every time of a last purchase is possible. Customers without a repeat purchase have no
recency and stand beside the matrices: BG/NBD lets nobody leave before a repeat purchase, so their P(alive) is 1. Lines of equal values over
frequency and recency come from P. S. Fader, B. G. S. Hardie and K. L. Lee (2005), RFM and CLV: using iso-value curves for customer base
analysis, Journal of Marketing Research 42:415-430, who draw them for Pareto/NBD.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from keepline.models.clv.bgnbd import Bgnbd, all_expected_purchases, all_p_alive
from keepline.models.clv.summary import Summary
from keepline.models.clv.value import DAYS_A_WEEK

Float64 = npt.NDArray[np.float64]
MOST_COLUMNS = 20
ROWS = 24
FEWEST = 5
USUAL = 0.99
"""Frequencies up to this quantile of the customers with a repeat purchase are shown."""


@dataclass(frozen=True, eq=False)
class Matrix:
    """Rows: when the last purchase was. Columns: repeat purchases."""

    age: float
    """T of everyone in the matrix, weeks."""
    frequency: Float64
    """Of each column."""
    weeks: Float64
    """Of each row's middle: from the first to the last purchase."""
    alive: Float64
    """P(alive), rows × columns; NaN where so many days with an order do not fit in the time."""
    expected: Float64
    """Purchases over the horizon, of the same shape."""
    beyond: int
    """Customers with more repeat purchases than the last column."""
    once: float
    """Expected of a customer of this age without a repeat purchase."""


def matrix(parameters: Bgnbd, summary: Summary, horizon: float) -> Matrix | None:
    """The matrices over `horizon` weeks; None where nobody is a day old, or nobody bought again."""
    age = float(summary.t.max())
    again = summary.x[summary.x > 0]
    if age <= 0 or not again.size:
        return None
    most = min(max(FEWEST, int(np.ceil(np.quantile(again, USUAL)))), int(age * DAYS_A_WEEK))
    frequency = np.unique(np.round(np.linspace(1, most, min(most, MOST_COLUMNS))))
    weeks = (np.arange(ROWS) + 0.5) * age / ROWS
    x, t_x = (grid.ravel() for grid in np.meshgrid(frequency, weeks))
    t = np.full(len(x), age)
    possible = x <= np.ceil(t_x * DAYS_A_WEEK)

    def shaped(values: Float64) -> Float64:
        return np.where(possible, values, np.nan).reshape(len(weeks), len(frequency))

    none = np.zeros(1)
    return Matrix(
        age=age,
        frequency=frequency,
        weeks=weeks,
        alive=shaped(all_p_alive(*parameters, x, t_x, t)),
        expected=shaped(all_expected_purchases(*parameters, x, t_x, t, horizon)),
        beyond=int((summary.x > most).sum()),
        once=float(all_expected_purchases(*parameters, none, none, np.full(1, age), horizon)[0]),
    )
