"""What a training run of a regression found: a rich table, report.md, report.json, and three plots as SVG. Decides nothing.

lift.svg       what each tenth of the customers spent over the mean, by method
gains.svg      how much of the revenue the best share of the customers holds, by method
expected.svg   expected and actual revenue of each tenth, the regression's
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from keepline.models.clv.evaluation import TENTHS, Figures, gains
from keepline.models.clv.regression import Regression
from keepline.models.manifest import JOBLIB_FILE, MANIFEST_FILE
from keepline.models.report import STRONGEST, strongest

PLOTS = ("lift.svg", "gains.svg", "expected.svg")
FILES = ("report.md", "report.json", *PLOTS)
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
"""Of the palette of Okabe and Ito (2008); markers say the same as colours."""
MARKERS = "os^D"
GREY = "#595959"
NONE = "–"
HEADINGS = ("method", "MAE", "RMSE", "Spearman", "Gini", "total", "top tenth")
MEANING = (
    "MAE and RMSE are in the currency. Spearman is the rank correlation. Gini is normalised: 1 orders the customers as their actual "
    "revenue does, 0 as chance does. Total is predicted over actual revenue. Top tenth is the lift: what the tenth with the highest "
    "predictions spent, over the mean. The regression has seen what other customers spent in the same horizon, the other methods nothing "
    "of it; on a later horizon its total may be further from 1."
)


def as_json(found: Regression) -> dict[str, Any]:
    """All figures, for machines."""
    manifest = found.manifest
    return {
        "model_id": manifest.model_id,
        "version": manifest.version,
        "family": manifest.family,
        "link": manifest.link,
        "power": manifest.power,
        "alpha": manifest.alpha,
        "rows": manifest.data.rows,
        "horizon_days": manifest.horizon_days,
        "mean": manifest.data.mean,
        "share_zero": manifest.data.share_zero,
        "mean_correction": manifest.mean_correction,
        "bands": list(manifest.bands),
        "deciles": manifest.deciles,
        "metrics": {name: spread.model_dump() for name, spread in manifest.metrics.items()},
        "methods": {name: figures.as_json() for name, figures in found.figures.items()},
        "feature_set": manifest.feature_set.model_dump() if manifest.feature_set else None,
        "notes": list(found.notes),
    }


def write(found: Regression, out: Path) -> None:
    """Write report.md, report.json and the plots into `out`."""
    text = json.dumps(as_json(found), indent=1, ensure_ascii=False, allow_nan=False)
    (out / "report.json").write_text(text + "\n", encoding="utf-8")
    (out / "report.md").write_text("\n".join(_markdown(found)) + "\n", encoding="utf-8")
    for file, draw in zip(PLOTS, (_lift, _gains, _expected), strict=True):
        _plot(out / file, found, draw)


def show(found: Regression, out: Path, console: Console | None = None) -> None:
    """Print the figures as a table."""
    console = console or Console()
    manifest = found.manifest
    grid = Table(
        title=f"{manifest.model_id} {manifest.version}: {manifest.data.rows} customers, {manifest.data.share_zero:.1%} bought nothing in "
        f"{manifest.horizon_days:g} days; 5 folds"
    )
    for heading in HEADINGS:
        grid.add_column(heading, justify="left" if heading == HEADINGS[0] else "right")
    for name, figures in found.figures.items():
        grid.add_row(*_cells(name, figures))
    console.print(grid)
    for note in found.notes:
        console.print(f"note: {note}", highlight=False, markup=False)
    files = ", ".join((JOBLIB_FILE, *FILES))
    console.print(f"wrote {out / MANIFEST_FILE}, {files}", highlight=False, markup=False, soft_wrap=True)


def _number(value: float | None, form: str) -> str:
    return NONE if value is None else format(value, form)


def _cells(name: str, figures: Figures) -> list[str]:
    """One row of the table, screen and page alike."""
    return [
        name,
        f"{figures.mae:,.2f}",
        f"{figures.rmse:,.2f}",
        _number(figures.spearman, ".3f"),
        _number(figures.gini, ".3f"),
        f"{figures.total:.3f}",
        _number(figures.lift[0], ".2f"),
    ]


def _row(cells: list[str] | tuple[str, ...]) -> str:
    return "| " + " | ".join(cells) + " |"


def _markdown(found: Regression) -> Iterator[str]:
    manifest = found.manifest
    low, high = manifest.bands
    power = "" if manifest.power is None else f", power {manifest.power:g}"
    yield f"# Model {manifest.model_id}, version {manifest.version}"
    yield ""
    yield f"Regression ({manifest.family}{power}, link {manifest.link}, alpha {manifest.alpha:g}) of the revenue in the"
    yield f"{manifest.horizon_days:g} days after each row, on {manifest.data.rows} customers: mean {manifest.data.mean:,.2f};"
    yield f"{manifest.data.share_zero:.1%} bought nothing. Made by"
    yield ""
    yield f"    {manifest.created.command}"
    yield ""
    if manifest.feature_set:
        yield f"Feature set {manifest.feature_set.name}, version {manifest.feature_set.version}."
    yield f"Bands LOW < {low:,.2f} ≤ MEDIUM < {high:,.2f} ≤ HIGH. Mean correction {manifest.mean_correction:.4f}, part of the intercept."
    yield ""
    if found.notes:
        yield from (f"- {note}" for note in found.notes)
        yield ""
    yield "## Side by side"
    yield ""
    yield f"All customers; {manifest.family}: each by the model of the fold that had not seen them. {MEANING}"
    yield ""
    yield _row(HEADINGS)
    yield "|---|" + "---:|" * (len(HEADINGS) - 1)
    yield from (_row(_cells(name, figures)) for name, figures in found.figures.items())
    yield ""
    spread = ", ".join(f"{name} {value.mean:.3f} ± {value.std:.3f}" for name, value in manifest.metrics.items())
    yield f"{manifest.family} over the 5 folds, mean and standard deviation: {spread}."
    yield ""
    yield "## Tenths"
    yield ""
    yield "Actual revenue of each tenth of the customers, the highest predictions first."
    yield f"Last column: what {manifest.family} expected of its tenths."
    yield ""
    first = next(iter(found.figures.values()))
    yield _row(("tenth", *found.figures, "expected"))
    yield "|---|" + "---:|" * (len(found.figures) + 1)
    for tenth in range(TENTHS):
        sums = [f"{figures.deciles[tenth]:,.2f}" for figures in found.figures.values()]
        yield _row((str(tenth + 1), *sums, f"{first.expected[tenth]:,.2f}"))
    totals = [f"{sum(figures.deciles):,.2f}" for figures in found.figures.values()]
    yield _row(("all", *totals, f"{sum(first.expected):,.2f}"))
    yield ""
    yield "![Lift by tenth](lift.svg)"
    yield "![Gains](gains.svg)"
    yield "![Expected and actual revenue by tenth](expected.svg)"
    yield ""
    yield "## What moves the score"
    yield ""
    yield "Change of z, the log of the amount, for one standard deviation of the column"
    yield "(log1p: from the lower to the upper quartile; one-hot: between the extreme levels)."
    yield ""
    yield "| column | transform | change |"
    yield "|---|---|---|"
    for name, transform, effect in strongest(manifest)[:STRONGEST]:
        yield f"| {name} | {transform} | {effect:+.3f} |"


def _lift(axes: Any, found: Regression) -> None:
    axes.axhline(1, color=GREY, linestyle=":", linewidth=1)
    for place, (name, figures) in enumerate(found.figures.items()):
        values = [np.nan if value is None else value for value in figures.lift]
        style = place % len(COLOURS)
        axes.plot(range(1, TENTHS + 1), values, marker=MARKERS[style], color=COLOURS[style], label=name)
    axes.set_xticks(range(1, TENTHS + 1))
    axes.set(xlabel="tenth of the customers, highest predictions first", ylabel="actual revenue over the mean", title="Lift by tenth")
    axes.legend()


def _gains(axes: Any, found: Regression) -> None:
    axes.plot(*gains(found.actual, found.actual), color=GREY, linestyle="--", label="actual order")
    for place, (name, values) in enumerate(found.predictions.items()):
        axes.plot(*gains(found.actual, values), color=COLOURS[place % len(COLOURS)], label=name)
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", label="chance")
    axes.set(xlabel="share of the customers, highest predictions first", ylabel="share of the actual revenue", title="Gains")
    axes.legend(loc="lower right")


def _expected(axes: Any, found: Regression) -> None:
    name, figures = next(iter(found.figures.items()))
    places = np.arange(1, TENTHS + 1)
    axes.bar(places - 0.2, figures.deciles, width=0.4, color=COLOURS[0], label="actual")
    axes.bar(places + 0.2, figures.expected, width=0.4, color="white", edgecolor=COLOURS[1], hatch="//", label="expected")
    axes.set_xticks(places)
    axes.set(xlabel="tenth of the customers, highest predictions first", ylabel="revenue", title=f"Expected and actual revenue, {name}")
    axes.legend()


def _plot(file: Path, found: Regression, draw: Callable[[Any, Regression], None]) -> None:
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    # A fixed salt and no date, so that the same result gives the same bytes.
    with mpl.rc_context({"svg.hashsalt": "keepline", "svg.fonttype": "none"}):
        figure = Figure(figsize=(7, 4.5), layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure.subplots(), found)
        figure.savefig(file, format="svg", metadata={"Date": None})
