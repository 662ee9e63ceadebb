"""`keepline next-app evaluate`: how well rankers foretell the next app, on a log of opens."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def evaluate(
    events: Annotated[
        Path, typer.Option(help="AppOpen and Unlock events (file or folder, any format), or a CSV that App Usage (PRO) exported.")
    ],
    collapse: Annotated[bool, typer.Option("--collapse", help="Consecutive opens of one app count once.")] = False,
    exclude_current: Annotated[bool, typer.Option("--exclude-current", help="The app on screen is neither candidate nor target.")] = False,
    type_name: Annotated[str | None, typer.Option("--type", help="Event type of files that do not say theirs (CSV, Parquet).")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the confidence intervals.", min=0)] = 42,
    plot: Annotated[Path | None, typer.Option(help="Also draw the figures: .svg, .png or .pdf.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Compare rankers on the last 30 % of each user's opens, with counts that go on from open to open.

    Example: keepline next-app evaluate --events opens.jsonl --collapse --exclude-current --plot next-app.svg
    """
    from keepline.jobs.cli.progress import bar, counted
    from keepline.jobs.next_app_files import read_log
    from keepline.models.next_app import report
    from keepline.models.next_app.baselines import baselines
    from keepline.models.next_app.evaluation import Options
    from keepline.models.next_app.evaluation import evaluate as run

    if plot is not None:
        report.check_plot(plot)
    with bar("reading events", [events], quiet=as_json) as progress:
        read = read_log(events, type_name, progress)
    with counted("ranking", quiet=as_json) as done:
        found = run(read.log, baselines(), Options(collapse, exclude_current, seed), done)
    if plot is not None:
        report.plot(found, plot)
    if as_json:
        import json

        typer.echo(json.dumps({"read": read.as_json()} | found.as_json(), allow_nan=False))
        return
    for note in read.notes():
        typer.echo(note)
    report.show(found)
    if plot is not None:
        typer.echo(f"wrote {plot}")
