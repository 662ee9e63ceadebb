"""Train a churn model from two files: rows of features, and labels by customer.

    F.csv, L.csv → join by customer_id → stratified 5-fold (metrics, predictions out of fold) → fit on all rows (logistic, trees, ensemble)
      → DIR/model.joblib, manifest.json, report.json, report.md, roc.svg

The same input, options and library versions give the same bytes: no clock, no path and no host name is written.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy
import sklearn
from scipy.special import expit
from sklearn import metrics as skm
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import Pipeline

from keepline.models import manifest as mf
from keepline.models import pipeline as pl
from keepline.models import report, table
from keepline.models.errors import ModelError, TrainingDataError
from keepline.models.trees import families as fm

FOLDS = 5
HALF = 0.5
"""Decision threshold of the metrics that are reported first, as is usual for a classifier."""
CLASSES = 2


@dataclass(frozen=True)
class Options:
    """What can be chosen about a training run."""

    threshold: float = 0.80
    """A score at or above it makes a candidate."""
    medium: float | None = None
    """Scores from here to the threshold are MEDIUM; None: half the threshold."""
    seed: int = 42
    model_id: str = "churn"
    version: int = 1
    only: tuple[str, ...] = ()
    """Columns that may carry weight; empty: all."""
    family: str = "logistic"
    """logistic, trees or ensemble."""
    compare: bool = False
    """Whether the report of a logistic model shows the other families too; that of the others always does."""

    @property
    def bands(self) -> tuple[float, float]:
        """LOW < first ≤ MEDIUM < second ≤ HIGH: a HIGH score is one that reaches the threshold."""
        return (self.threshold / 2 if self.medium is None else self.medium, self.threshold)


def train(features: Path, labels: Path, out: Path, options: Options | None = None) -> report.Report:
    """Train on the two files and write the model to `out`; returns what was found. Raises TrainingDataError or ModelError."""
    options = options or Options()
    _check_options(options)
    cells = table.read(features)
    label = _join(cells, table.read_labels(labels), features, labels)
    notes: list[str] = []
    if table.AT in cells.columns:
        cells = cells.drop(columns=table.AT)
        notes.append(f"Column {table.AT} is the moment of the row, not a feature; it was left out.")
    rows, columns = pl.examine(cells, features, options.only)
    notes += notes_on(columns)
    y = label.to_numpy()
    wanted = fm.FAMILIES if options.compare or options.family != "logistic" else ("logistic",)
    validated, weight = cross_validate(rows, y, columns, options, wanted)
    fitted = fit(options.family, rows, y, columns, options.seed, weight)
    linear = _linear_of(fitted)
    if linear is not None and int(linear["model"].n_iter_[0]) >= linear["model"].max_iter:
        notes.append("The fit did not converge; columns may be almost collinear. Leave one of each such pair out.")
    if isinstance(fitted, fm.Ensemble) and weight in (0.0, 1.0):
        notes.append(f"The ensemble is its {'trees' if weight else 'logistic part'} alone: the other part would only raise the log loss.")
    feature_set, note = feature_set_of(columns)
    notes += [note] if note else []

    out.mkdir(parents=True, exist_ok=True)
    joblib.dump(fitted, out / mf.JOBLIB_FILE)
    own = validated[options.family]
    common: dict[str, Any] = {
        "model_id": options.model_id,
        "version": options.version,
        "feature_set": feature_set,
        "note": note,
        "columns": list(columns.order),
        "threshold": options.threshold,
        "bands": options.bands,
        "baseline": pl.baseline(rows, columns),
        "metrics": own.metrics,
        "metrics_at_threshold": own.metrics_at_threshold,
        "data": mf.TrainingData(
            features_sha256=table.file_sha256(features),
            labels_sha256=table.file_sha256(labels),
            rows=len(rows),
            base_rate=float(y.mean()),
        ),
        "created": mf.Created(command=_command(features, labels, options), versions=versions()),
        "joblib_sha256": table.file_sha256(out / mf.JOBLIB_FILE),
    }
    manifest = _manifest(fitted, columns, rows, common)
    (out / mf.MANIFEST_FILE).write_bytes(mf.dump(manifest))
    result = report.Report(manifest, y, own.outside, tuple(notes), validated if len(validated) > 1 else {})
    report.write(result, out)
    return result


def fit(
    family: str, rows: pd.DataFrame, y: npt.NDArray[np.int64], columns: pl.Columns, seed: int, weight: float = 1.0
) -> Pipeline | fm.Ensemble:
    """Fit a family on the rows; `weight` is that of the trees in an ensemble."""
    if family == "logistic":
        return pl.build(columns, seed).fit(rows, y)
    with fm.one_thread():
        trees = fm.build_trees(columns, seed).fit(rows, y)
    return trees if family == "trees" else fm.Ensemble(pl.build(columns, seed).fit(rows, y), trees, weight)


def _linear_of(fitted: Pipeline | fm.Ensemble) -> Pipeline | None:
    if isinstance(fitted, fm.Ensemble):
        return fitted.linear
    return fitted if hasattr(fitted["model"], "coef_") else None


def _manifest(fitted: Pipeline | fm.Ensemble, columns: pl.Columns, rows: pd.DataFrame, common: dict[str, Any]) -> mf.ChurnManifest:
    linear = _linear_of(fitted)
    folded = None if linear is None else pl.fold(linear, columns, rows)
    if folded is not None and fitted is linear:
        terms, categories, intercept = folded
        return mf.Manifest(**common, terms=terms, categories=categories, intercept=intercept)
    trees = fitted.trees if isinstance(fitted, fm.Ensemble) else fitted
    forest = fm.exported(trees, columns)
    return mf.ForestManifest(
        **common,
        family="trees" if folded is None else "ensemble",
        trees_weight=fitted.weight if isinstance(fitted, fm.Ensemble) else 1.0,
        linear=None if folded is None else mf.LinearPart(terms=folded[0], categories=folded[1], intercept=folded[2]),
        forest=forest,
        importance=fm.importance(forest, trees, rows),
    )


class _Outside(NamedTuple):
    """Of each row, by the fold's model that had not seen it."""

    raw: npt.NDArray[np.float64]
    probability: npt.NDArray[np.float64]


def cross_validate(
    rows: pd.DataFrame, y: npt.NDArray[np.int64], columns: pl.Columns, options: Options, families: tuple[str, ...]
) -> tuple[dict[str, report.Validated], float]:
    """Metrics over the folds of each family, on the same folds, and the weight of the trees in an ensemble (1 without one).

    An ensemble's weight is chosen by log loss out of fold. For its metrics each fold takes the weight that the other four choose, so a
    row's label has no part in the weight it is judged with; the weight returned is chosen on all rows.
    """
    folds = list(StratifiedKFold(FOLDS, shuffle=True, random_state=options.seed).split(rows, y))
    found: dict[str, _Outside] = {}
    for family in families:
        if family == "ensemble":
            continue
        found[family] = _Outside(np.empty(len(y)), np.empty(len(y)))
        for train_rows, test_rows in folds:
            fitted = fit(family, rows.iloc[train_rows], y[train_rows], columns, options.seed)
            with fm.one_thread():  # a few rows: threads that wait for each other take longer
                found[family].raw[test_rows] = fitted.decision_function(rows.iloc[test_rows])
                found[family].probability[test_rows] = fitted.predict_proba(rows.iloc[test_rows])[:, 1]
    weight = 1.0
    if "ensemble" in families:
        linear, trees = found["logistic"].raw, found["trees"].raw
        weight = fm.best_weight(linear, trees, y)
        z = np.empty(len(y))
        for others, own in folds:
            z[own] = fm.mixed(linear[own], trees[own], fm.best_weight(linear[others], trees[others], y[others]))
        found["ensemble"] = _Outside(z, expit(z))
    tests = [test_rows for _, test_rows in folds]
    return {family: _validated(y, found[family].probability, tests, options.threshold) for family in families}, weight


def _validated(
    y: npt.NDArray[np.int64], outside: npt.NDArray[np.float64], tests: list[npt.NDArray[np.int64]], threshold: float
) -> report.Validated:
    def spreads(limit: float) -> dict[str, mf.Spread]:
        lines = [measure(y[rows], outside[rows], limit) for rows in tests]
        values = {name: [line[name] for line in lines] for name in mf.METRICS}
        return {name: mf.Spread(mean=float(np.mean(each)), std=float(np.std(each))) for name, each in values.items()}

    return report.Validated(spreads(HALF), spreads(threshold), outside)


def measure(y: npt.NDArray[np.int64], probability: npt.NDArray[np.float64], threshold: float) -> dict[str, float]:
    """Compute all metrics of one set of predictions; a customer is predicted to leave at p ≥ threshold."""
    predicted = (probability >= threshold).astype(int)
    return {
        "accuracy": float(skm.accuracy_score(y, predicted)),
        "precision": float(skm.precision_score(y, predicted, zero_division=0.0)),
        "recall": float(skm.recall_score(y, predicted, zero_division=0.0)),
        "f1": float(skm.f1_score(y, predicted, zero_division=0.0)),
        "roc_auc": float(skm.roc_auc_score(y, probability)),
        "pr_auc": float(skm.average_precision_score(y, probability)),
        "log_loss": float(skm.log_loss(y, probability)),
    }


def _check_options(options: Options) -> None:
    low, high = options.bands
    if not 0 < high < 1:
        msg = f"--threshold is {options.threshold}, expected a probability between 0 and 1."
        raise ModelError(msg)
    if not 0 < low <= high:
        msg = f"--medium is {low}, expected above 0 and at most the threshold, {high}."
        raise ModelError(msg)
    if options.family not in fm.FAMILIES:
        msg = f"--family is {options.family!r}, expected {', '.join(fm.FAMILIES[:-1])} or {fm.FAMILIES[-1]}."
        raise ModelError(msg)
    if not options.model_id or options.version < 1:
        msg = "--model-id must not be empty and --version must be at least 1."
        raise ModelError(msg)


def _join(cells: pd.DataFrame, labels: pd.Series, features: Path, labels_path: Path) -> pd.Series:
    """Labels in the order of the rows; every row must have one, and every class enough of them."""
    lacking = cells.index.difference(labels.index)
    if len(lacking):
        msg = (
            f"{len(lacking)} of {len(cells)} customers of {features} have no label in {labels_path} "
            f"(such as {', '.join(map(repr, lacking[:3]))}). Add their labels, or leave their rows out."
        )
        raise TrainingDataError(msg)
    label = labels.reindex(cells.index)
    counts = label.value_counts()
    if len(counts) < CLASSES:
        msg = f"All {len(label)} labels in {labels_path} are {counts.index[0]}. Training needs customers who left (1) and who stayed (0)."
        raise TrainingDataError(msg)
    if counts.min() < FOLDS:
        msg = (
            f"{labels_path} has only {counts.min()} customers with label {counts.idxmin()}; "
            f"{FOLDS}-fold validation needs at least {FOLDS} of each. Add rows."
        )
        raise TrainingDataError(msg)
    return label


def notes_on(columns: pl.Columns) -> list[str]:
    """What is to be said about how the columns enter the model."""
    notes = []
    if columns.constant:
        notes.append(f"The same for every customer, so without weight: {', '.join(columns.constant)}.")
    if columns.unused:
        notes.append(f"Without weight, as --only asks: {', '.join(columns.unused)}.")
    if columns.with_missing:
        notes.append(f"With missing cells, filled with the median and marked by a column of their own: {', '.join(columns.with_missing)}.")
    return notes


def feature_set_of(columns: pl.Columns) -> tuple[mf.FeatureSetRef | None, str]:
    """Return the feature set whose features the columns are, or None and why the job cannot load the model."""
    from keepline.features.sets import FEATURE_SETS

    for known in FEATURE_SETS.values():
        if set(known.names) == set(columns.order) and not columns.text:
            return mf.FeatureSetRef(name=known.name, version=known.version), ""
    names = ", ".join(f"{known.name} {known.version}" for known in FEATURE_SETS.values())
    return None, (
        f"The columns are not those of a feature set ({names}), so the job cannot load this model; `keepline predict` scores files with it."
    )


def _command(features: Path, labels: Path, options: Options) -> str:
    family = "" if options.family == "logistic" else f" --family {options.family}"
    parts = [f"keepline train churn{family} --features {features.name} --labels {labels.name} --threshold {options.threshold}"]
    if options.medium is not None:
        parts.append(f"--medium {options.medium}")
    if options.only:
        parts.append(f"--only {','.join(options.only)}")
    return " ".join([*parts, f"--seed {options.seed} --model-id {options.model_id} --version {options.version}"])


def versions() -> dict[str, str]:
    """Python and the libraries that a fit depends on."""
    found: dict[str, Any] = {"numpy": np, "pandas": pd, "scipy": scipy, "scikit-learn": sklearn, "joblib": joblib}
    return {"python": platform.python_version()} | {name: module.__version__ for name, module in found.items()}
