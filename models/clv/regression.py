"""Train a regression of customer lifetime value from two files: rows of features, and what customers spent afterwards.

    rows.csv, labels.csv → join by customer_id → 5 folds of customers (predictions out of fold) → fit on all rows
      → DIR/model.joblib, manifest.json → `regression_report.write`

What it predicts is compared, on the same customers, with what costs nothing: the rate so far, and a BG/NBD with Gamma-Gamma where one is
given. The same input, options and library versions give the same bytes: no clock, no path and no host name is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.model_selection import StratifiedKFold

from keepline.models import manifest as mf
from keepline.models import pipeline as pl
from keepline.models import table
from keepline.models.clv import evaluation, targets
from keepline.models.clv.families import GAMMA, POWER, Family, fit
from keepline.models.errors import ModelError, TrainingDataError
from keepline.models.train import feature_set_of, notes_on, versions
from keepline.schemas.durations import UNITS

Amounts = npt.NDArray[np.float64]
Rival = Callable[[pd.DataFrame, float], Amounts]
"""Another method: from the rows (a column each feature, and `at` as text where the file has it) and the horizon in days to amounts."""
FOLDS = targets.FOLDS
NAIVE = "naive rate"
FEATURE_SET = "clv"
"""The job reads a regression's amount off this set alone; on another it would take the model for one of churn."""
DECILES = np.arange(1, mf.DECILES + 1) / (mf.DECILES + 1)
MEDIUM, HIGH = 2, 7
"""Places of the default bands in the deciles: the 30th and the 80th percentile."""


@dataclass(frozen=True)
class Options:
    """What can be chosen about a training run."""

    family: str = "gamma"
    """ridge or gamma; gamma becomes tweedie where some targets are 0."""
    power: float | None = None
    """Of the variance, 1 < power ≤ 2; None: 2 where all targets are above 0, else 1.5."""
    alpha: float = 0.01
    """L2 penalty for each customer, on standardised columns."""
    medium: float | None = None
    """Scores from here to `high` are MEDIUM; None: the 30th percentile of the training predictions."""
    high: float | None = None
    """Scores from here are HIGH; None: the 80th percentile."""
    horizon_ms: int | None = None
    """What the labels cover, where their file does not say."""
    seed: int = 42
    model_id: str = "clv-regression"
    version: int = 1
    only: tuple[str, ...] = ()
    """Columns that may carry weight; empty: all."""


@dataclass(frozen=True, eq=False)
class Regression:
    """The result of a training run."""

    manifest: mf.RegressionManifest
    actual: Amounts
    """Target by row."""
    predictions: Mapping[str, Amounts]
    """By method, the regression's first: amount by row, the regression's from the fold's model that had not seen the row."""
    figures: Mapping[str, evaluation.Figures]
    """By method, over all rows."""
    notes: tuple[str, ...]


def train(rows: Path, labels: Path, out: Path, options: Options | None = None, others: Mapping[str, Rival] | None = None) -> Regression:
    """Train on the two files and write model.joblib and manifest.json to `out`. Raises TrainingDataError or ModelError.

    `others`: methods to compare with, by name, each giving float64[rows]. They must not have seen what customers spent after the row.
    """
    options = options or Options()
    _check_options(options)
    cells = table.read(rows)
    days = None if options.horizon_ms is None else options.horizon_ms / UNITS["d"]
    target = targets.read(labels, cells, rows, days)
    y = target.revenue
    notes = _notes_on(target)
    family = choose(options, y)
    if family.name != options.family:
        share = f"{np.mean(y == 0):.1%} of the customers bought nothing, which a gamma distribution cannot"
        notes.append(f"{share}: the family is tweedie with power {family.power:g}.")
    moments = {table.AT: cells.pop(table.AT)} if table.AT in cells.columns else {}
    typed, columns = pl.examine(cells, rows, options.only)
    notes += notes_on(columns)

    outside, metrics = cross_validate(family, columns, typed, y, options.seed)
    fitted = fit(family, columns, typed, y)
    if not fitted.converged:
        notes.append("The fit did not converge; columns may be almost collinear. Leave one of each such pair out, or raise --alpha.")
    predictions: dict[str, Amounts] = {family.name: outside}
    if {"revenue", "t_days"} <= set(columns.numeric):
        past, age = (typed[name].fillna(0.0).to_numpy() for name in ("revenue", "t_days"))
        predictions[NAIVE] = evaluation.naive_rate(past, age, target.horizon_days)
    else:
        notes.append("Without columns revenue and t_days there is no naive rate to compare with.")
    predictions |= {name: rival(typed.assign(**moments), target.horizon_days) for name, rival in (others or {}).items()}
    figures = {name: evaluation.evaluate(y, values) for name, values in predictions.items()}

    deciles = [float(value) for value in np.quantile(fitted.pipeline.predict(typed), DECILES)]
    bands = _bands(options, deciles)
    terms, categories, intercept = pl.fold(fitted.pipeline, columns, typed)
    feature_set, note = feature_set_of(columns)
    if feature_set is not None and feature_set.name != FEATURE_SET:
        note = (
            f"The columns are those of feature set {feature_set.name}; the job scores amounts on {FEATURE_SET} and cannot load this model."
        )
        feature_set = None
    notes += [note] if note else []

    out.mkdir(parents=True, exist_ok=True)
    joblib.dump(fitted.pipeline, out / mf.JOBLIB_FILE)
    manifest = mf.RegressionManifest(
        model_id=options.model_id,
        version=options.version,
        family=family.name,
        link=family.link,
        power=family.power,
        alpha=family.alpha,
        horizon_days=target.horizon_days,
        feature_set=feature_set,
        note=note,
        columns=list(columns.order),
        terms=terms,
        categories=categories,
        intercept=intercept,
        mean_correction=fitted.correction,
        bands=bands,
        deciles=deciles,
        baseline=pl.baseline(typed, columns),
        metrics=metrics,
        data=mf.TargetData(
            features_sha256=table.file_sha256(rows),
            labels_sha256=table.file_sha256(labels),
            rows=len(typed),
            mean=float(y.mean()),
            share_zero=float(np.mean(y == 0)),
        ),
        created=mf.Created(command=_command(rows, labels, options), versions=versions()),
        joblib_sha256=table.file_sha256(out / mf.JOBLIB_FILE),
    )
    (out / mf.MANIFEST_FILE).write_bytes(mf.dump(manifest))
    return Regression(manifest, y, predictions, figures, tuple(notes))


def choose(options: Options, y: Amounts) -> Family:
    """The family that the options ask for and the targets allow; TrainingDataError where they do not."""
    if options.family == "ridge":
        return Family("ridge", None, options.alpha)
    zeros = int(np.count_nonzero(y == 0))
    power = (POWER if zeros else GAMMA) if options.power is None else options.power
    if power == GAMMA and zeros:
        msg = f"{zeros} of {len(y)} revenues are 0, which a gamma distribution (--power 2) cannot have. Leave --power out, or lower it."
        raise TrainingDataError(msg)
    return Family("gamma" if power == GAMMA else "tweedie", power, options.alpha)


def cross_validate(family: Family, columns: pl.Columns, rows: pd.DataFrame, y: Amounts, seed: int) -> tuple[Amounts, dict[str, mf.Spread]]:
    """Each row's amount by the model that had not seen it, and the metrics over the folds.

    Folds have equal shares of customers who bought nothing, where there are enough of them.
    """
    outside = np.empty(len(y))
    bought = y > 0
    strata = bought if np.count_nonzero(~bought) >= FOLDS else np.ones(len(y), bool)
    found: dict[str, list[float]] = {name: [] for name in mf.REGRESSION_METRICS}
    for train_rows, test_rows in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(rows, strata):
        fitted = fit(family, columns, rows.iloc[train_rows], y[train_rows])
        outside[test_rows] = fitted.pipeline.predict(rows.iloc[test_rows])
        figures = evaluation.evaluate(y[test_rows], outside[test_rows])
        for name, values in found.items():
            # A fold without spread orders nothing: it counts as chance.
            values.append(getattr(figures, name) or 0.0)
    return outside, {name: mf.Spread(mean=float(np.mean(values)), std=float(np.std(values))) for name, values in found.items()}


def _bands(options: Options, deciles: list[float]) -> tuple[float, float]:
    medium = deciles[MEDIUM] if options.medium is None else options.medium
    high = deciles[HIGH] if options.high is None else options.high
    if medium > high:
        msg = f"The bands are {medium:g} and {high:g}, expected the first at most the second. Give --medium and --high to suit."
        raise ModelError(msg)
    return medium, high


def _check_options(options: Options) -> None:
    if options.family not in ("ridge", "gamma"):
        msg = f"--family is {options.family!r}, expected ridge or gamma."
        raise ModelError(msg)
    if options.power is not None and (options.family == "ridge" or not 1 < options.power <= GAMMA):
        msg = f"--power is {options.power:g}, expected above 1 and at most 2, and only with --family gamma."
        raise ModelError(msg)
    if not 0 <= options.alpha < np.inf:
        msg = f"--alpha is {options.alpha}, expected 0 or more."
        raise ModelError(msg)
    for name, limit in (("--medium", options.medium), ("--high", options.high)):
        if limit is not None and not 0 <= limit < np.inf:
            msg = f"{name} is {limit}, expected an amount of 0 or more."
            raise ModelError(msg)
    if not options.model_id or options.version < 1:
        msg = "--model-id must not be empty and --version must be at least 1."
        raise ModelError(msg)


def _notes_on(target: targets.Targets) -> list[str]:
    if not target.below_zero:
        return []
    return [f"{target.below_zero} customers had refunds above their orders in the horizon; their revenue counts as 0."]


def _command(rows: Path, labels: Path, options: Options) -> str:
    parts = [f"keepline train clv --rows {rows.name} --labels {labels.name} --family {options.family} --alpha {options.alpha:g}"]
    for name, value in (("power", options.power), ("medium", options.medium), ("high", options.high)):
        if value is not None:
            parts.append(f"--{name} {value:g}")
    if options.horizon_ms is not None:
        parts.append(f"--horizon {options.horizon_ms}ms")
    if options.only:
        parts.append(f"--only {','.join(options.only)}")
    return " ".join([*parts, f"--seed {options.seed} --model-id {options.model_id} --version {options.version}"])
