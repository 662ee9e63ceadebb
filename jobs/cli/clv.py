"""`keepline clv`: customer lifetime value from purchases."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from keepline.jobs.clv import FitDone
    from keepline.models.clv.report.found import Report


def fit(
    events: Annotated[
        list[Path], typer.Option(help="Event file or folder (JSON Lines, CSV, each also .gz, Avro, Parquet); may be repeated.")
    ],
    until: Annotated[str, typer.Option(help="Fit on events up to this time (RFC 3339), and look ahead from it.")],
    out: Annotated[Path, typer.Option(help="Folder for manifest.json.")],
    horizon: Annotated[int, typer.Option(help="How far values look ahead, in periods of 30 days.")] = 12,
    discount: Annotated[float, typer.Option(help="Rate per period at which later amounts count less.")] = 0.0,
    margin: Annotated[float, typer.Option(help="Gross margin of customers whose orders carry no cost.")] = 0.3,
    lifespan: Annotated[float | None, typer.Option(help="CL of the formula, in periods. Default: from BG/NBD.")] = None,
    currency: Annotated[str, typer.Option(help='The currency that events may carry besides "".')] = "",
    model_id: Annotated[str, typer.Option(help="Name of the model in scores.")] = "clv",
    version: Annotated[int, typer.Option(help="Version of the model in scores.")] = 1,
    type_name: Annotated[str | None, typer.Option("--type", help="Event type of files that do not say theirs (CSV, Parquet).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest and the counts as JSON.")] = False,
) -> None:
    """Fit BG/NBD and Gamma-Gamma to the purchases in event files, by maximum likelihood, and write their manifest.

    A verdict says whether each fit can be trusted: converged, degenerate (a parameter runs away; the numbers are finite, and a warning
    says what it means) or failed.

    Example: keepline clv fit --events events/ --until 2026-06-30T23:59:59Z --out model/
    """
    from keepline.jobs.cli.progress import bar
    from keepline.jobs.clv import fit as run
    from keepline.models.clv.train import Options

    options = Options(horizon, discount, margin, lifespan, currency, model_id, version)
    with bar("reading events", events, quiet=as_json) as progress:
        done = run(events, until, out, options, type_name, progress)
    if as_json:
        import json

        typer.echo(json.dumps({**done.manifest.model_dump(mode="json", exclude={"sha256"}), **_counts(done)}, allow_nan=False))
    else:
        _show(done, out)


def _counts(done: FitDone) -> dict[str, int]:
    return {"events": done.events, "rejected": done.rejected, "duplicate": done.duplicate, "late": done.late}


def _show(done: FitDone, out: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    from keepline.models.clv.scorer import SCORES

    manifest = done.manifest
    console = Console()
    title = f"{manifest.model_id} {manifest.version}: {manifest.data.customers} customers until {manifest.data.until}"
    grid = Table("model", "parameter (weeks)", "value", "standard error", title=title)
    for column in grid.columns[2:]:
        column.justify = "right"
    for name, part in (("BG/NBD", manifest.bgnbd), ("Gamma-Gamma", manifest.gamma_gamma)):
        for parameter, estimate in part.parameters.items():
            error = "-" if estimate.standard_error is None else f"{estimate.standard_error:.4g}"
            grid.add_row(name, parameter, f"{estimate.value:.4f}" if estimate.value >= 1e-3 else f"{estimate.value:.3g}", error)
            name = ""  # noqa: PLW2901 - said once
        grid.add_section()
    console.print(grid)
    for name, part in (("BG/NBD", manifest.bgnbd), ("Gamma-Gamma", manifest.gamma_gamma)):
        said = "" if part.correlation is None else f", correlation of frequency and value {part.correlation:.2f}"
        text = f"{name}: {part.verdict}, log-likelihood {part.log_likelihood:.2f} over {part.customers} customers{said}"
        console.print(text, highlight=False, soft_wrap=True)
        for warning in part.warnings:
            console.print(f"warning: {warning}", highlight=False, soft_wrap=True)
    scores = Table("score", "10 %", "50 %", "90 %", "LOW below", "HIGH from", title=f"over {manifest.horizon.periods} periods of 30 days")
    for column in scores.columns[1:]:
        column.justify = "right"
    for score in SCORES:
        deciles, (low, high) = manifest.deciles[score], manifest.bands[score]
        figures: list[Any] = [deciles[0], deciles[4], deciles[8], low, high]
        scores.add_row(score, *(f"{figure:.4g}" for figure in figures))
    console.print(scores)
    counts = ", ".join(f"{count} {name}" for name, count in _counts(done).items())
    console.print(f"wrote {out / 'manifest.json'} ({counts})", highlight=False, soft_wrap=True)


def report(
    events: Annotated[
        list[Path], typer.Option(help="Event file or folder (JSON Lines, CSV, each also .gz, Avro, Parquet); may be repeated.")
    ],
    out: Annotated[Path, typer.Option(help="The page, such as report.html.")],
    until: Annotated[
        str | None, typer.Option(help="What comes after this time (RFC 3339) checks the model. Default: the model's, else 60% of the time.")
    ] = None,
    model: Annotated[Path | None, typer.Option(help="Folder that `keepline clv fit` wrote. Default: fit now.")] = None,
    regression: Annotated[Path | None, typer.Option(help="Folder that `keepline train clv` wrote: a regression to compare with.")] = None,
    horizon: Annotated[int | None, typer.Option(help="Without --model: how far values look ahead, in periods of 30 days. [12]")] = None,
    discount: Annotated[float | None, typer.Option(help="Without --model: rate per period at which later amounts count less. [0]")] = None,
    margin: Annotated[float | None, typer.Option(help="Without --model: margin of customers whose orders carry no cost. [0.3]")] = None,
    currency: Annotated[str | None, typer.Option(help='Without --model: the currency that events may carry besides "".')] = None,
    type_name: Annotated[str | None, typer.Option("--type", help="Event type of files that do not say theirs (CSV, Parquet).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Write one HTML page on a model: what was fitted, expected against actual purchases after it, lift by tenth, segments.

    The page holds its plots and loads nothing; it is made for phones too.

    Example: keepline clv report --events events/ --until 2026-03-31T23:59:59Z --out report.html
    """
    from keepline.jobs.cli.progress import bar
    from keepline.jobs.clv_report import Asked
    from keepline.jobs.clv_report import report as run
    from keepline.models.clv.train import Options

    chosen: dict[str, Any] = {"horizon": horizon, "discount": discount, "margin": margin, "currency": currency}
    told = {name: value for name, value in chosen.items() if value is not None}
    if model is not None and told:
        msg = f"--{next(iter(told))} is for a fit, but --model has its own. Leave one of them out."
        raise typer.BadParameter(msg)
    asked = Asked(events, until, model, regression, Options(**told), type_name)
    with bar("reading events", events, quiet=as_json) as progress:
        found = run(asked, out, progress)
    if as_json:
        import json

        typer.echo(json.dumps(found.as_json(), allow_nan=False))
    else:
        _show_report(found, out)


def _show_report(found: Report, out: Path) -> None:
    from rich.console import Console

    from keepline.models.clv.report.page import number

    console = Console()

    def line(text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    for name, part in (("BG/NBD", found.manifest.bgnbd), ("Gamma-Gamma", found.manifest.gamma_gamma)):
        line(f"{name}: {part.verdict}")
    for warning in found.warnings:
        line(f"warning: {warning}")
    ahead = found.holdout
    if ahead is None:
        line("no holdout: no day lies after the fit")
    else:
        came = f"{ahead.expected:,.0f} repeat purchases expected, {ahead.actual:,.0f} came"
        line(f"{ahead.days} days after the fit: {came}, MAE {ahead.mae:.3f}")
        for method, figures in ahead.figures.items():
            line(f"{method}: Gini {number(figures.gini, '.3f')}, MAE of the spend {number(figures.mae, ',.2f')}")
    line(f"wrote {out}")
