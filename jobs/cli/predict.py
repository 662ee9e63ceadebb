"""`keepline predict`: score a file of features with a trained model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def predict(
    model: Annotated[Path, typer.Option(help="Folder that `keepline train` wrote.")],
    features: Annotated[Path, typer.Option(help="customer_id and the model's columns (.csv, .csv.gz, .parquet).")],
    out: Annotated[Path, typer.Option(help="customer_id and probability, or amount of a regression: .csv or .parquet.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Score every row of a file; the model's columns are needed, others are ignored.

    Example: keepline predict --model model/ --features rows.csv --out scores.csv
    """
    from keepline.models.predict import predict as run

    done = run(model, features, out)
    if as_json:
        import json

        typer.echo(json.dumps({"rows": done.rows, "notes": done.notes, "out": str(out)}))
        return
    for note in done.notes:
        typer.echo(f"note: {note}", err=True)
    typer.echo(f"{out}: {done.rows} customers scored")
