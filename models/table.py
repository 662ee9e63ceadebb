"""Tables of customers from CSV or Parquet: features (customer_id and columns) and labels (customer_id, label).

Cells are read as text, so that identifiers keep their zeros; a column is numeric when every cell that is not missing is a number.
Missing: an empty cell, NA, N/A, NaN, null. Lines in messages count the header as line 1.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import numpy as np
import pandas as pd

from keepline.models.errors import TrainingDataError

ID = "customer_id"
AT = "at"
"""The moment of a row, which `keepline features` writes: not a feature."""
MISSING = frozenset({"", "na", "n/a", "nan", "null"})
HEADER_LINES = 2
"""The first row of data stands on line 2."""


def file_sha256(path: Path) -> str:
    """Hash of the file's bytes, hex."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from None


def read(path: Path) -> pd.DataFrame:
    """Read a table as text cells, index = customer_id; raises TrainingDataError on what cannot be a table of customers."""
    try:
        if path.suffix == ".parquet":
            frame = _as_text(pd.read_parquet(path))
        else:
            frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, ValueError, pd.errors.ParserError) as error:
        raise _unreadable(path, str(error) or type(error).__name__) from None
    if ID not in frame.columns:
        msg = f"{path} has no column {ID} (it has {', '.join(map(str, frame.columns[:8]))}). Name the column of customers {ID}."
        raise TrainingDataError(msg)
    if frame.empty:
        msg = f"{path} has no rows. Give a table with one row a customer."
        raise TrainingDataError(msg)
    empty = np.flatnonzero(frame[ID].str.strip() == "")
    if empty.size:
        msg = f"{path}, line {empty[0] + HEADER_LINES}: {ID} is empty. Give every row its customer."
        raise TrainingDataError(msg)
    twice = np.flatnonzero(frame[ID].duplicated())
    if twice.size:
        name = frame[ID].iloc[twice[0]]
        msg = f"{path}, line {twice[0] + HEADER_LINES}: customer {name!r} appears again ({twice.size} such rows). Keep one row a customer."
        raise TrainingDataError(msg)
    return frame.set_index(ID)


def read_labels(path: Path) -> pd.Series:
    """Read labels as int, index = customer_id."""
    frame = read(path)
    if "label" not in frame.columns:
        msg = f"{path} has no column label. Give columns {ID},label with label 1 for a customer who left, else 0."
        raise TrainingDataError(msg)
    label = frame["label"].str.strip()
    wrong = np.flatnonzero(~label.isin(["0", "1"]))
    if wrong.size:
        msg = (
            f"{path}, line {wrong[0] + HEADER_LINES}: label is {label.iloc[wrong[0]]!r}, expected 0 or 1 "
            f"({wrong.size} such rows). Write 1 for a customer who left, else 0."
        )
        raise TrainingDataError(msg)
    return label.astype(int)


def numeric(column: pd.Series) -> pd.Series | None:
    """Return the column as float64 with NaN where missing; None if any cell is neither a number nor missing.

    Cells are read by `float`, which is exact (pandas' own parser is not, in the last place).
    """
    values = np.empty(len(column))
    for i, text in enumerate(column):
        value = _number(text)
        if value is None:
            return None
        values[i] = value
    return pd.Series(values, index=column.index, name=column.name)


def not_a_number(column: pd.Series) -> tuple[int, str]:
    """Line and text of the first cell that is neither a number nor missing."""
    return next((line, text) for line, text in enumerate(column, HEADER_LINES) if _number(text) is None)


def _number(text: str) -> float | None:
    """The number in a cell, NaN where it is missing, None where it is a text."""
    if text.strip().lower() in MISSING:
        return math.nan
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None


def categorical(column: pd.Series) -> pd.Series:
    """Return the column's texts, stripped, with "" where missing (a level of its own)."""
    text = column.str.strip()
    return text.where(~text.str.lower().isin(MISSING), "").astype(object)


def check_finite(values: pd.Series, path: Path) -> None:
    """Refuse infinities."""
    infinite = np.flatnonzero(np.isinf(values.to_numpy()))
    if infinite.size:
        msg = f"{path}, line {infinite[0] + HEADER_LINES}: {values.name} is infinite, expected a finite number or an empty cell."
        raise TrainingDataError(msg)


def _as_text(frame: pd.DataFrame) -> pd.DataFrame:
    def cell(value: object) -> str:
        if value is None or value is pd.NaT or (isinstance(value, float) and np.isnan(value)):
            return ""
        return repr(value) if isinstance(value, float) else str(int(value) if isinstance(value, bool) else value)

    return pd.DataFrame({name: [cell(value) for value in frame[name].tolist()] for name in frame.columns})


def _unreadable(path: Path, why: str) -> TrainingDataError:
    return TrainingDataError(f"{path} cannot be read as a table: {why}. Give a UTF-8 CSV (or .csv.gz, .parquet) with a header line.")
