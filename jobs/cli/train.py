"""`keepline train`: a churn model, or a regression of customer lifetime value, from a file of features and a file of labels."""

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
