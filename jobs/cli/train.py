"""`keepline train`: churn and customer lifetime value from features and labels, the next app from a log of opens."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def train(
    features: Annotated[Path, typer.Option(help="customer_id and any numeric or text columns (.csv, .csv.gz, .parquet).")],
    labels: Annotated[Path, typer.Option(help="customer_id,label with 1 for a customer who left, else 0.")],
    out: Annotated[Path, typer.Option(help="Folder for model.joblib, manifest.json and the report.")],
    threshold: Annotated[float, typer.Option(help="A score at or above it makes an intervention.")] = 0.80,
    medium: Annotated[float | None, typer.Option(help="Scores from here to the threshold are MEDIUM. Default: half the threshold.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the five folds.")] = 42,
    model_id: Annotated[str, typer.Option(help="Name of the model in scores.")] = "churn",
    version: Annotated[int, typer.Option(help="Version of the model in scores.")] = 1,
    only: Annotated[str, typer.Option(help="Columns that may carry weight, separated by commas. Default: all.")] = "",
    family: Annotated[str, typer.Option(help="logistic, trees (boosted), or ensemble (both, weighted).")] = "logistic",
    compare: Annotated[bool, typer.Option("--compare", help="Show all families side by side; trees and ensemble always do.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Train and validate a churn model; write it and its report.

    Example: keepline train churn --features rows.csv --labels labels.csv --out model/
    """
    from keepline.models import report
    from keepline.models.train import Options
    from keepline.models.train import train as run

    names = tuple(name.strip() for name in only.split(",") if name.strip())
    found = run(features, labels, out, Options(threshold, medium, seed, model_id, version, names, family, compare))
    if as_json:
        import json

        typer.echo(json.dumps(found.as_json()))
    else:
        report.show(found, out)


def clv(
    rows: Annotated[
        Path, typer.Option("--rows", "--features", help="customer_id and any numeric or text columns (.csv, .csv.gz, .parquet).")
    ],
    labels: Annotated[Path, typer.Option(help="customer_id,revenue: what each customer spent after the row, as `clv labels` writes it.")],
    out: Annotated[Path, typer.Option(help="Folder for model.joblib, manifest.json and the report.")],
    family: Annotated[str, typer.Option(help="ridge (of log1p), or gamma (with zeros: tweedie); both with log link.")] = "gamma",
    power: Annotated[float | None, typer.Option(help="Power of gamma's variance, above 1 to 2. Default: 2, with zeros 1.5.")] = None,
    alpha: Annotated[float, typer.Option(help="L2 penalty for each customer, on standardised columns.")] = 0.01,
    horizon: Annotated[str | None, typer.Option(help="What the labels cover, such as 360d, where their file does not say.")] = None,
    medium: Annotated[float | None, typer.Option(help="Amounts from here are MEDIUM. Default: the 30th percentile.")] = None,
    high: Annotated[float | None, typer.Option(help="Amounts from here are HIGH. Default: the 80th percentile.")] = None,
    bgnbd: Annotated[Path | None, typer.Option(help="Folder that `keepline clv fit` wrote: a model to compare with.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the five folds.")] = 42,
    model_id: Annotated[str, typer.Option(help="Name of the model in scores.")] = "clv-regression",
    version: Annotated[int, typer.Option(help="Version of the model in scores.")] = 1,
    only: Annotated[str, typer.Option(help="Columns that may carry weight, separated by commas. Default: all.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Train and validate a regression of what customers will spend; write it and its report.

    The report holds it against the naive rate, and with --bgnbd against BG/NBD with Gamma-Gamma, on the same customers.

    Example: keepline train clv --rows rows.csv --labels labels.csv --out model/
    """
    from keepline.models.clv import regression_report as report
    from keepline.models.clv.regression import Options
    from keepline.models.clv.regression import train as run

    names = tuple(name.strip() for name in only.split(",") if name.strip())
    length = None
    if horizon is not None:
        from keepline.jobs.clv_labels import horizon_ms

        length = horizon_ms(horizon)
    others = {}
    if bgnbd is not None:
        from keepline.models.clv.compared import NAME, load

        others[NAME] = load(bgnbd)
    options = Options(family, power, alpha, medium, high, length, seed, model_id, version, names)
    found = run(rows, labels, out, options, others)
    report.write(found, out)
    if as_json:
        import json

        typer.echo(json.dumps(report.as_json(found), allow_nan=False))
    else:
        report.show(found, out)


def next_app(
    events: Annotated[
        Path, typer.Option(help="AppOpen and Unlock events (file or folder, any format), or a CSV that App Usage (PRO) exported.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for manifest.json and the report.")],
    family: Annotated[str, typer.Option(help="logistic, trees (boosted), or ensemble (both, weighted).")] = "logistic",
    at: Annotated[str, typer.Option(help="Learn from all opens, or from those that came first after an unlock: opens, unlocks.")] = "opens",
    seed: Annotated[int, typer.Option(help="Seed of the trees and of the confidence intervals.", min=0)] = 42,
    model_id: Annotated[str, typer.Option(help="Name of the model in predictions.")] = "next-app",
    version: Annotated[int, typer.Option(help="Version of the model in predictions.")] = 1,
    type_name: Annotated[str | None, typer.Option("--type", help="Event type of files that do not say theirs (CSV, Parquet).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Train a model of the next app on the first 85 % of each user's opens, and judge it on the last 15 %; write it and its report.

    Example: keepline train next-app --events opens.jsonl --out model/
    """
    from keepline.jobs.cli.progress import bar, counted
    from keepline.jobs.next_app_files import read_log
    from keepline.models.next_app import train_report as report
    from keepline.models.next_app.train import TrainOptions, write
    from keepline.models.next_app.train import train as run

    options = TrainOptions(family, at, seed, model_id, version)
    options.check()
    with bar("reading events", [events], quiet=as_json) as progress:
        read = read_log(events, type_name, progress)
    command = f"keepline train next-app --events {events.name} --family {family} --at {at} --seed {seed}"
    with counted("ranking", quiet=as_json) as done:
        found = run(read.log, options, f"{command} --model-id {model_id} --version {version}", done)
    write(found, out)
    if as_json:
        import json

        typer.echo(json.dumps({"read": read.as_json()} | report.as_json(found.manifest), allow_nan=False))
        return
    for note in read.notes():
        typer.echo(note)
    report.show(found.manifest, out)
