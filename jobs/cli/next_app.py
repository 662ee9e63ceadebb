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
    families: Annotated[
        str, typer.Option(help="Models to learn and compare: logistic, trees, ensemble, with commas; or none.")
    ] = "logistic",
    model: Annotated[Path | None, typer.Option(help="Also judge a model that `keepline train next-app` wrote.")] = None,
    type_name: Annotated[str | None, typer.Option("--type", help="Event type of files that do not say theirs (CSV, Parquet).")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the confidence intervals.", min=0)] = 42,
    plot: Annotated[Path | None, typer.Option(help="Also draw the figures: .svg, .png or .pdf.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Compare rankers on the last 30 % of each user's opens, with counts that go on from open to open.

    Models are learnt here, on the first 70 % alone. One that comes with --model may have seen the opens it is judged by.

    Example: keepline next-app evaluate --events opens.jsonl --collapse --exclude-current --plot next-app.svg
    """
    from keepline.jobs.cli.progress import bar, counted
    from keepline.jobs.next_app_files import read_log
    from keepline.models.next_app import report
    from keepline.models.next_app.baselines import baselines
    from keepline.models.next_app.evaluation import Options, prepared, ranked
    from keepline.models.next_app.manifest import load
    from keepline.models.next_app.model_ranker import ModelRanker, families_of

    if plot is not None:
        report.check_plot(plot)
    wanted = families_of(families)
    trained = None if model is None else load(model)
    options = Options(collapse, exclude_current, seed)
    with bar("reading events", [events], quiet=as_json) as progress:
        read = read_log(events, type_name, progress)
    with counted("ranking", quiet=as_json) as done:
        parts = prepared(read.log, options)
        rankers = [*baselines(), *(ModelRanker(family, parts.log.apps, seed) for family in wanted)]
        if trained is not None:
            name = f"{trained.model_id} {trained.version}"
            rankers.append(ModelRanker(trained.manifest.family, parts.log.apps, seed, trained=trained, name=name))
        found = ranked(parts, rankers, options, done)
    if plot is not None:
        report.plot(found, plot)
    if as_json:
        import json

        typer.echo(json.dumps({"read": read.as_json()} | found.as_json(), allow_nan=False))
        return
    for note in read.notes():
        typer.echo(note)
    report.show(found)
    if trained is not None:
        typer.echo(f"note: {trained.model_id} {trained.version} was trained elsewhere, and may have seen the opens that it is judged by")
    if plot is not None:
        typer.echo(f"wrote {plot}")
