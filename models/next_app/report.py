"""What an evaluation found, as a rich table and as a plot. Decides nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from keepline.models.errors import TrainingDataError
from keepline.models.next_app.evaluation import Evaluation
from keepline.models.next_app.metrics import LEVEL, METRICS

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
"""Of the palette of Okabe and Ito (2008), by metric."""
KINDS = (".svg", ".png", ".pdf")


def check_plot(file: Path) -> None:
    """TrainingDataError where no plot can be written by this name."""
    if file.suffix.lower() not in KINDS:
        msg = f"--plot is {file}, expected a name that ends in {', '.join(KINDS)}."
        raise TrainingDataError(msg)


def show(found: Evaluation, console: Console | None = None) -> None:
    """Print a row a ranker: each metric with its interval."""
    console = console or Console()
    options = found.options
    how = [text for text, on in (("collapsed", options.collapse), ("app on screen excluded", options.exclude_current)) if on]
    grid = Table(
        title=f"{found.scored} opens scored of {found.opens} ({found.warm} before them), {found.users} users, {found.apps} apps; "
        f"{', '.join(how) or 'every open counts'}; {LEVEL:.0%} intervals"
    )
    grid.add_column("ranker")
    for name in METRICS:
        grid.add_column(name, justify="right")
    for ranker, metrics in found.metrics.items():
        grid.add_row(ranker, *(f"{m.value:.3f} ({m.low:.3f}–{m.high:.3f})" for m in (metrics[name] for name in METRICS)))
    console.print(grid)


def plot(found: Evaluation, file: Path) -> None:
    """Draw the metrics of each ranker with their intervals; the format is by the name's end (KINDS)."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    check_plot(file)
    kind = file.suffix.lower().removeprefix(".")
    at = np.arange(len(found.metrics))
    width = 0.8 / len(METRICS)
    # A fixed salt and no date, so that the same result gives the same bytes.
    with mpl.rc_context({"svg.hashsalt": "keepline", "svg.fonttype": "none"}):
        figure = Figure(figsize=(2.5 + 1.4 * len(at), 4.5), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        for i, (name, colour) in enumerate(zip(METRICS, COLOURS, strict=True)):
            estimates = [metrics[name] for metrics in found.metrics.values()]
            value, low, high = np.array(estimates).T
            # A percentile interval may leave out the value itself by rounding.
            errors = np.maximum([value - low, high - value], 0)
            axes.bar(at + (i - (len(METRICS) - 1) / 2) * width, value, width, yerr=errors, capsize=2, color=colour, label=name)
        axes.set_xticks(at, list(found.metrics))
        axes.set(ylim=(0, 1), ylabel=f"metric, with {LEVEL:.0%} interval", title=f"Next app: {found.scored} opens scored")
        axes.legend(ncols=len(METRICS), loc="upper center", fontsize="small")
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file, format=kind, metadata=None if kind == "png" else {"Date" if kind == "svg" else "CreationDate": None})
