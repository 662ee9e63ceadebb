"""The scikit-learn pipeline of a linear model, and its folding to raw features.

    text cells → `Columns` (which are numeric, text, constant) → ColumnTransformer → LogisticRegression, or a regression of models/clv
                                                                          └─ `fold` ─► terms, categories, intercept

Numeric: the median for missing cells (and a 0/1 column that says so), log1p where the values are non-negative and strongly
skewed, then standard scale. Text: one-hot; an unknown level counts for nothing. Which columns are skewed or constant is
looked up once on all rows, without labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from keepline.models import table
from keepline.models.errors import TrainingDataError
from keepline.models.manifest import QUANTILES, Baseline, Category, Term

SKEWED = 2.0
"""Skewness above which a non-negative column is put on a log scale: that of an exponential distribution."""
FEW_VALUES = 2
"""A column with two values is a flag: its scale does not matter."""
SAME = 1e-9
"""A spread this small against the values is rounding: the column is constant."""
IDENTIFIER_LEVELS = 50
"""A text column with more levels than this, and more than half as many as rows, identifies customers."""


@dataclass(frozen=True)
class Columns:
    """The columns of the training data, in their order, by how they enter the model."""

    order: tuple[str, ...]
    logarithmic: tuple[str, ...]
    linear: tuple[str, ...]
    text: tuple[str, ...]
    constant: tuple[str, ...]
    unused: tuple[str, ...]
    """Numeric columns that were asked to carry no weight."""
    with_missing: tuple[str, ...]

    @property
    def numeric(self) -> tuple[str, ...]:
        """All columns of numbers, constant ones included."""
        return tuple(name for name in self.order if name not in self.text)


def log1p_floor(values: Any) -> Any:
    """Compute log(1 + max(x, 0)), as the stream does."""
    return np.log1p(np.maximum(values, 0.0))


def examine(cells: pd.DataFrame, path: Path, only: tuple[str, ...] = ()) -> tuple[pd.DataFrame, Columns]:
    """Turn text cells into typed columns and decide how each enters the model.

    `only`: the columns that may carry weight (empty: all). Other numeric columns stay, without weight; other texts are left out.
    """
    unknown = [name for name in only if name not in cells.columns]
    if unknown:
        msg = f"{path} has no column {', '.join(unknown)}, which --only names. Name columns of the file, separated by commas."
        raise TrainingDataError(msg)
    typed: dict[str, pd.Series] = {}
    kinds: dict[str, list[str]] = {"log": [], "lin": [], "text": [], "constant": [], "unused": [], "missing": []}
    for name in map(str, cells.columns):
        values = table.numeric(cells[name])
        weighed = not only or name in only
        if values is None and not weighed:
            continue
        if values is None:
            typed[name] = table.categorical(cells[name])
            _check_levels(typed[name], cells[name], path)
            kinds["text"].append(name)
            continue
        table.check_finite(values, path)
        typed[name] = values
        known = values.dropna()
        if known.empty or float(np.ptp(known)) <= SAME * max(1.0, float(known.abs().max())):
            kinds["constant"].append(name)
            continue
        if not weighed:
            kinds["unused"].append(name)
            continue
        if len(known) < len(values):
            kinds["missing"].append(name)
        skewed = known.min() >= 0 and known.nunique() > FEW_VALUES and known.skew() > SKEWED
        kinds["log" if skewed else "lin"].append(name)
    if not (kinds["log"] or kinds["lin"] or any(typed[name].nunique() > 1 for name in kinds["text"])):
        shown = ", ".join(map(str, cells.columns[:8])) or "no columns"
        msg = f"{path}: no column differs between customers ({shown}). Give at least one that does."
        raise TrainingDataError(msg)
    names = (tuple(typed), *(tuple(kinds[kind]) for kind in ("log", "lin", "text", "constant", "unused", "missing")))
    return pd.DataFrame(typed, index=cells.index), Columns(*names)


def _check_levels(texts: pd.Series, cells: pd.Series, path: Path) -> None:
    levels = texts.nunique()
    if levels > IDENTIFIER_LEVELS and 2 * levels > len(texts):
        line, found = table.not_a_number(cells)
        msg = (
            f"{path}: column {texts.name} has {levels} different texts in {len(texts)} rows, so it identifies customers. "
            f"Leave it out; if it is meant to be a number, correct line {line} ({found!r})."
        )
        raise TrainingDataError(msg)


def build(columns: Columns, seed: int) -> Pipeline:
    """Build the unfitted pipeline of a churn model."""
    return with_model(columns, LogisticRegression(max_iter=10_000, random_state=seed))


def with_model(columns: Columns, model: Any) -> Pipeline:
    """Build an unfitted pipeline that ends in a linear model (or in a TransformedTargetRegressor around one)."""

    def numbers(*steps: tuple[str, Any]) -> Pipeline:
        return Pipeline([("missing", SimpleImputer(strategy="median")), *steps, ("scale", StandardScaler())])

    logarithm = FunctionTransformer(log1p_floor, feature_names_out="one-to-one")
    parts = [
        ("log", numbers(("log1p", logarithm)), list(columns.logarithmic)),
        ("linear", numbers(), list(columns.linear)),
        ("was_missing", MissingIndicator(features="all"), list(columns.with_missing)),
        ("text", OneHotEncoder(handle_unknown="ignore"), list(columns.text)),
    ]
    transform = ColumnTransformer([part for part in parts if part[2]])
    return Pipeline([("columns", transform), ("model", model)])


def fold(pipeline: Pipeline, columns: Columns, rows: pd.DataFrame) -> tuple[list[Term], list[Category], float]:
    """Terms and categories on raw values, and the intercept: the same linear predictor without the scaling steps.

    `rows` are the training rows, for the centers.
    """
    transform, model = pipeline["columns"], getattr(pipeline["model"], "regressor_", pipeline["model"])
    weights = dict(zip(transform.get_feature_names_out(), np.ravel(model.coef_).tolist(), strict=True))
    intercept = float(np.ravel(model.intercept_)[0])
    terms: dict[str, Term] = {}
    for part, names in (("log", columns.logarithmic), ("linear", columns.linear)):
        for i, name in enumerate(names):
            steps = transform.named_transformers_[part]
            scale, mean, median = steps["scale"].scale_[i], steps["scale"].mean_[i], steps["missing"].statistics_[i]
            coefficient = weights[f"{part}__{name}"] / scale
            intercept -= coefficient * mean
            has_missing = name in columns.with_missing
            terms[name] = Term(
                name=name,
                transform="log1p" if part == "log" else "identity",
                coefficient=float(coefficient),
                center=float(mean),
                missing_value=float(median) if has_missing else None,
                missing_coefficient=weights[f"was_missing__missingindicator_{name}"] if has_missing else 0.0,
            )
    for name in (*columns.constant, *columns.unused):
        known = rows[name].dropna()
        center = 0.0 if known.empty else float(known.mean())
        terms[name] = Term(name=name, transform="identity", coefficient=0.0, center=center)
    categories = []
    for i, name in enumerate(columns.text):
        levels = transform.named_transformers_["text"].categories_[i]
        categories.append(Category(name=name, coefficients={str(level): weights[f"text__{name}_{level}"] for level in levels}))
    return [terms[name] for name in columns.numeric], categories, float(intercept)


def baseline(rows: pd.DataFrame, columns: Columns) -> dict[str, Baseline]:
    """Distribution of every column in the training rows."""
    return {name: _distribution(rows[name], name in columns.text) for name in columns.order}


def _distribution(values: pd.Series, text: bool) -> Baseline:
    if text:
        shares = values.value_counts(normalize=True).sort_index()
        return Baseline(missing=float((values == "").mean()), levels={str(level): float(share) for level, share in shares.items()})
    known: npt.NDArray[np.float64] = values.dropna().to_numpy()
    missing = 1.0 - len(known) / len(values)
    if not len(known):
        return Baseline(missing=missing)
    quantiles = np.quantile(known, QUANTILES)
    return Baseline(
        missing=missing,
        mean=float(known.mean()),
        std=float(known.std()),
        min=float(known.min()),
        max=float(known.max()),
        quantiles={f"{q:g}": float(value) for q, value in zip(QUANTILES, quantiles, strict=True)},
    )
