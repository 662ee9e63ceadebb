"""The targets of a regression: what each customer spent in the horizon after the row's time, from a file, joined to the rows.

The file has the columns customer_id and revenue, and, where `keepline clv labels` wrote it, at and horizon_days: they are held against the
rows, so that a label never begins at another moment than its row ends.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from keepline.features.query import QueryError, parse_time
from keepline.models import table
from keepline.models.errors import TrainingDataError

REVENUE = "revenue"
HORIZON = "horizon_days"
FOLDS = 5


class Targets(NamedTuple):
    """Targets in the order of the rows."""

    revenue: npt.NDArray[np.float64]
    """At least 0: what was below is 0."""
    horizon_days: float
    below_zero: int
    """Customers whose refunds were larger than their orders."""


def read(path: Path, cells: pd.DataFrame, rows_path: Path, horizon_days: float | None) -> Targets:
    """Targets of the rows in `cells` (index = customer_id, maybe a column at); TrainingDataError with the line and what to do.

    `horizon_days`: what the user says; None where the file has the column.
    """
    frame = table.read(path)
    revenue = _revenue(frame, path)
    horizon = _horizon(frame, path, horizon_days)
    lacking = cells.index.difference(frame.index)
    if len(lacking):
        msg = (
            f"{len(lacking)} of {len(cells)} customers of {rows_path} have no revenue in {path} "
            f"(such as {', '.join(map(repr, lacking[:3]))}). "
            f"Make rows of the customers that have one: `keepline features clv` with --at {path.name}."
        )
        raise TrainingDataError(msg)
    _check_moments(frame, cells, path, rows_path)
    y = revenue.reindex(cells.index).to_numpy(np.float64)
    positive = int(np.count_nonzero(y > 0))
    if positive < FOLDS:
        msg = f"{path} has only {positive} customers with a revenue above 0; {FOLDS}-fold validation needs at least {FOLDS}. Add rows."
        raise TrainingDataError(msg)
    return Targets(np.maximum(y, 0.0), horizon, int(np.count_nonzero(y < 0)))


def _revenue(frame: pd.DataFrame, path: Path) -> pd.Series:
    if REVENUE not in frame.columns:
        msg = (
            f"{path} has no column {REVENUE}. Give columns customer_id,{REVENUE} with what each customer spent in the horizon after the "
            "row, as `keepline clv labels` writes them."
        )
        raise TrainingDataError(msg)
    values = table.numeric(frame[REVENUE])
    if values is None:
        line, found = table.not_a_number(frame[REVENUE])
        msg = f"{path}, line {line}: {REVENUE} is {found!r}, expected an amount. Correct the cell."
        raise TrainingDataError(msg)
    table.check_finite(values, path)
    missing = np.flatnonzero(values.isna())
    if missing.size:
        line = int(missing[0]) + table.HEADER_LINES
        msg = f"{path}, line {line}: {REVENUE} is missing, expected an amount, 0 where nothing was bought ({missing.size} such rows)."
        raise TrainingDataError(msg)
    return values


def _horizon(frame: pd.DataFrame, path: Path, asked: float | None) -> float:
    found = None
    if HORIZON in frame.columns:
        values = table.numeric(frame[HORIZON])
        if values is None or values.isna().any() or values.nunique() != 1 or not 0 < values.iloc[0] < np.inf:
            msg = f"{path}: {HORIZON} must be one number of days above 0, the same in every row. Make the labels of one horizon."
            raise TrainingDataError(msg)
        found = float(values.iloc[0])
    if found is None and asked is None:
        msg = f"{path} has no column {HORIZON}, so the time that its {REVENUE} covers is not known. Give --horizon, such as 360d."
        raise TrainingDataError(msg)
    if found is not None and asked is not None and found != asked:
        msg = f"{path} has {HORIZON} {found:g}, but --horizon is {asked:g} days. Leave --horizon out, or make the labels again."
        raise TrainingDataError(msg)
    return float(found if found is not None else asked)  # type: ignore[arg-type]


def _check_moments(frame: pd.DataFrame, cells: pd.DataFrame, path: Path, rows_path: Path) -> None:
    """A row made after its label begins would know a part of what it is to predict."""
    if table.AT not in frame.columns or table.AT not in cells.columns:
        return
    for customer, row, label in zip(cells.index, cells[table.AT], frame[table.AT].reindex(cells.index), strict=True):
        try:
            same = row == label or parse_time(row) == parse_time(label)
        except QueryError as error:
            msg = f"{rows_path} or {path}: {table.AT} of customer {customer!r} is no time: {error}"
            raise TrainingDataError(msg) from None
        if not same:
            msg = (
                f"Customer {customer!r} has a row at {row} in {rows_path}, but a label from {label} on in {path}. "
                "Make both at the same moment, or the row knows what it is to predict."
            )
            raise TrainingDataError(msg)
