"""`keepline train churn`: a logistic churn model from a file of features and a file of labels."""

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
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Train and validate a churn model; write it and its report.

    Example: keepline train churn --features rows.csv --labels labels.csv --out model/
    """
    from keepline.models import report
    from keepline.models.train import Options
    from keepline.models.train import train as run

    names = tuple(name.strip() for name in only.split(",") if name.strip())
    found = run(features, labels, out, Options(threshold, medium, seed, model_id, version, names))
    if as_json:
        import json

        typer.echo(json.dumps(found.as_json()))
    else:
        report.show(found, out)
