"""What a training run found: a rich table, report.md, report.json, and the ROC curve as roc.svg.

Takes the manifest and the predictions out of fold, and decides nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table
from sklearn import metrics as skm

from keepline.models.manifest import (
    JOBLIB_FILE,
    MANIFEST_FILE,
    METRICS,
    Baseline,
    ChurnManifest,
    ForestManifest,
    LinearPart,
    Manifest,
    RegressionManifest,
    Spread,
)

HALF = 0.5
STRONGEST = 12
FAMILIES = {"logistic": "Logistic regression", "trees": "Boosted trees", "ensemble": "Ensemble of logistic regression and boosted trees"}


@dataclass(frozen=True, eq=False)
class Validated:
    """What the five folds say of one family."""

    metrics: dict[str, Spread]
    metrics_at_threshold: dict[str, Spread]
    outside: npt.NDArray[np.float64]
    """Probability by row, from the fold's model that had not seen the row."""


@dataclass(frozen=True, eq=False)
class Report:
    """The result of a training run."""

    manifest: ChurnManifest
    labels: npt.NDArray[np.int64]
    """0 or 1 by row."""
    outside: npt.NDArray[np.float64]
    """Probability by row, from the fold's model that had not seen the row."""
    notes: tuple[str, ...]
    families: Mapping[str, Validated] = field(default_factory=dict)
    """All families on the same folds, this model's too; empty where they were not compared."""

    def confusion(self, threshold: float) -> dict[str, int]:
        """Counts of the predictions out of fold at p ≥ threshold."""
        tn, fp, fn, tp = skm.confusion_matrix(self.labels, self.outside >= threshold, labels=[0, 1]).ravel().tolist()
        return {"true_negative": tn, "false_positive": fp, "false_negative": fn, "true_positive": tp}

    def as_json(self) -> dict[str, Any]:
        """All figures, for machines."""
        manifest = self.manifest

        def plain(spreads: dict[str, Spread]) -> dict[str, dict[str, float]]:
            return {name: spread.model_dump() for name, spread in spreads.items()}

        found: dict[str, Any] = {
            "model_id": manifest.model_id,
            "version": manifest.version,
            "rows": manifest.data.rows,
            "base_rate": manifest.data.base_rate,
            "metrics": plain(manifest.metrics),
            "threshold": manifest.threshold,
            "metrics_at_threshold": plain(manifest.metrics_at_threshold),
            "confusion": self.confusion(HALF),
            "confusion_at_threshold": self.confusion(manifest.threshold),
            "feature_set": manifest.feature_set.model_dump() if manifest.feature_set else None,
            "notes": list(self.notes),
        }
        if isinstance(manifest, ForestManifest):
            found |= {"family": manifest.family, "trees_weight": manifest.trees_weight, "importance": manifest.importance}
        if self.families:
            found["families"] = {
                family: {"metrics": plain(each.metrics), "metrics_at_threshold": plain(each.metrics_at_threshold)}
                for family, each in self.families.items()
            }
        return found


def strongest(manifest: Manifest | RegressionManifest) -> list[tuple[str, str, float]]:
    """(column, transform, effect): how much one standard deviation of the raw column moves z, largest first.

    Effects of a log1p column are those between the quartiles of its training values.
    """
    return _effects(manifest, manifest.baseline)


def _effects(linear: Manifest | RegressionManifest | LinearPart, baseline: Mapping[str, Baseline]) -> list[tuple[str, str, float]]:
    found: list[tuple[str, str, float]] = []
    for term in linear.terms:
        base = baseline[term.name]
        if base.quantiles is None or base.std is None or term.coefficient == 0:
            continue
        low, high = base.quantiles["0.25"], base.quantiles["0.75"]
        step = float(np.log1p(max(high, 0.0)) - np.log1p(max(low, 0.0))) if term.transform == "log1p" else base.std
        found.append((term.name, term.transform, term.coefficient * step))
    for category in linear.categories:
        values = category.coefficients.values()
        found.append((category.name, "one-hot", max(values) - min(values)))
    return sorted(found, key=lambda line: -abs(line[2]))


def write(report: Report, out: Path) -> None:
    """Write report.md, report.json and roc.svg into `out`."""
    (out / "report.json").write_text(json.dumps(report.as_json(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (out / "report.md").write_text("\n".join(_markdown(report)) + "\n", encoding="utf-8")
    _plot(report, out / "roc.svg")


def show(report: Report, out: Path, console: Console | None = None) -> None:
    """Print the figures as a table."""
    console = console or Console()
    manifest = report.manifest
    grid = Table(
        title=f"{manifest.model_id} {manifest.version}: {manifest.data.rows} customers, {manifest.data.base_rate:.1%} left; 5 folds"
    )
    for heading in ("metric", "at 0.5", f"at {manifest.threshold:g}"):
        grid.add_column(heading, justify="left" if heading == "metric" else "right")
    for name in METRICS:
        grid.add_row(name, _text(manifest.metrics[name]), _text(manifest.metrics_at_threshold[name]))
    console.print(grid)
    if report.families:
        console.print(_side_by_side(report))
    for threshold in (HALF, manifest.threshold):
        found = report.confusion(threshold)
        console.print(
            f"at {threshold:g}: {found['true_positive']} leavers found, {found['false_negative']} missed, "
            f"{found['false_positive']} stayers taken for leavers, {found['true_negative']} left in peace"
        )
    for note in report.notes:
        console.print(f"note: {note}", highlight=False)
    console.print(f"wrote {out / MANIFEST_FILE}, {JOBLIB_FILE}, report.md, report.json, roc.svg", highlight=False, soft_wrap=True)


def _side_by_side(report: Report) -> Table:
    grid = Table(title="All families on the same folds (accuracy to f1 at 0.5)")
    grid.add_column("metric")
    for family in report.families:
        grid.add_column(family, justify="right")
    for name in METRICS:
        grid.add_row(name, *(_text(each.metrics[name]) for each in report.families.values()))
    return grid


def _text(spread: Spread) -> str:
    return f"{spread.mean:.4f} ± {spread.std:.4f}"


def _markdown(report: Report) -> Iterator[str]:
    manifest = report.manifest
    low, high = manifest.bands
    yield f"# Model {manifest.model_id}, version {manifest.version}"
    yield ""
    yield f"{FAMILIES[manifest.family]} on {manifest.data.rows} customers, of whom {manifest.data.base_rate:.2%} left. Made by"
    yield ""
    yield f"    {manifest.created.command}"
    yield ""
    if manifest.feature_set:
        yield f"Feature set {manifest.feature_set.name}, version {manifest.feature_set.version}."
    yield f"Threshold {manifest.threshold:g}; bands LOW < {low:g} ≤ MEDIUM < {high:g} ≤ HIGH."
    yield ""
    if report.notes:
        yield from (f"- {note}" for note in report.notes)
        yield ""
    yield "## Metrics"
    yield ""
    yield "Stratified 5-fold: mean and standard deviation over the folds."
    yield f"Threshold for the first four: 0.5, and the model's {manifest.threshold:g}."
    yield ""
    yield f"| metric | at 0.5 | at {manifest.threshold:g} |"
    yield "|---|---|---|"
    for name in METRICS:
        yield f"| {name} | {_text(manifest.metrics[name])} | {_text(manifest.metrics_at_threshold[name])} |"
    yield ""
    yield from _families(report)
    yield "## Confusion matrix"
    yield ""
    yield "All customers, each by the model of the fold that had not seen them."
    yield ""
    yield "| | predicted to stay | predicted to leave |"
    yield "|---|---|---|"
    for threshold in (HALF, manifest.threshold):
        found = report.confusion(threshold)
        yield f"| stayed (at {threshold:g}) | {found['true_negative']} | {found['false_positive']} |"
        yield f"| left (at {threshold:g}) | {found['false_negative']} | {found['true_positive']} |"
    yield ""
    yield "![ROC curve](roc.svg)"
    yield ""
    yield "## What moves the score"
    yield ""
    if isinstance(manifest, ForestManifest):
        yield from _importance(manifest)
    linear = manifest.linear if isinstance(manifest, ForestManifest) else manifest
    if linear is None:
        return
    part = " of the logistic part" if isinstance(manifest, ForestManifest) else ""
    yield f"Change of the logit{part} for one standard deviation of the column"
    yield "(log1p: from the lower to the upper quartile; one-hot: between the extreme levels)."
    yield ""
    yield "| column | transform | change |"
    yield "|---|---|---|"
    for name, transform, effect in _effects(linear, manifest.baseline)[:STRONGEST]:
        yield f"| {name} | {transform} | {effect:+.3f} |"


def _families(report: Report) -> Iterator[str]:
    if not report.families:
        return
    yield "## Families side by side"
    yield ""
    yield "The same five folds; the first four metrics at 0.5."
    if isinstance(report.manifest, ForestManifest) and report.manifest.family == "ensemble":
        weight = report.manifest.trees_weight
        yield f"The ensemble's logit is {1 - weight:.4g} of the logistic one and {weight:.4g} of the trees'."
        yield "The weight has the smallest log loss out of fold; in the metrics each fold takes the weight that the other four choose."
    yield ""
    yield f"| metric | {' | '.join(report.families)} |"
    yield f"|---|{'---|' * len(report.families)}"
    for name in METRICS:
        yield f"| {name} | {' | '.join(_text(each.metrics[name]) for each in report.families.values())} |"
    yield ""


def _importance(manifest: ForestManifest) -> Iterator[str]:
    yield f"Mean absolute contribution of the column to the logit of the {manifest.forest.trees} trees, over the training rows."
    yield ""
    yield "| column | contribution |"
    yield "|---|---|"
    for name, size in list(manifest.importance.items())[:STRONGEST]:
        yield f"| {name} | {size:.3f} |"
    yield ""


def _plot(report: Report, file: Path) -> None:
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    false_rate, true_rate, thresholds = skm.roc_curve(report.labels, report.outside)
    area = report.manifest.metrics["roc_auc"]
    # A fixed salt and no date, so that the same result gives the same bytes.
    with mpl.rc_context({"svg.hashsalt": "keepline", "svg.fonttype": "none"}):
        figure = Figure(figsize=(5, 5), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.subplots()
        axes.plot(false_rate, true_rate, label=f"out of fold (AUC {area.mean:.3f} ± {area.std:.3f})")
        for family, each in report.families.items():
            if family != report.manifest.family:
                x, y, _ = skm.roc_curve(report.labels, each.outside)
                auc = each.metrics["roc_auc"]
                axes.plot(x, y, linewidth=0.8, label=f"{family} (AUC {auc.mean:.3f} ± {auc.std:.3f})")
        axes.plot([0, 1], [0, 1], linestyle=":", color="grey", label="chance")
        here = int(np.argmin(np.abs(thresholds - report.manifest.threshold)))
        axes.plot(false_rate[here], true_rate[here], "o", label=f"threshold {report.manifest.threshold:g}")
        axes.set(
            xlabel="stayers taken for leavers", ylabel="leavers found", title=f"ROC, {report.manifest.model_id} {report.manifest.version}"
        )
        axes.legend(loc="lower right")
        figure.savefig(file, format="svg", metadata={"Date": None})
