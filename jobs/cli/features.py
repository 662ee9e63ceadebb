"""`keepline features churn`: training rows from event files, by the kernels that run in the stream."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def churn(
    events: Annotated[
        list[Path], typer.Option(help="Event file or folder (JSON Lines, CSV, each also .gz, Avro, Parquet); may be repeated.")
    ],
    at: Annotated[str, typer.Option(help="QUERIES.csv (customer_id,at), or one time for every customer (RFC 3339).")],
    out: Annotated[Path, typer.Option(help="Rows: .csv or .parquet.")],
    type_name: Annotated[str | None, typer.Option("--type", help="Event type of files that do not say theirs (CSV, Parquet).")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 if any line was rejected.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Compute the churn features of customers at given moments.

    A row at T is what the records with event_time ≤ T make. Bad lines go to OUT.rejected.jsonl.

    Example: keepline features churn --events events/ --at queries.csv --out rows.csv
    """
    from keepline.jobs.cli.progress import bar
    from keepline.jobs.features import compute

    with bar("reading events", events, quiet=as_json) as progress:
        summary = compute("churn", events, at, out, type_name, progress)
    if as_json:
        import json

        typer.echo(json.dumps(summary))
    else:
        typer.echo(
            f"{out}: {summary['rows']} rows from {summary['events']} events; {summary['rejected']} rejected, "
            f"{summary['duplicate']} duplicate, {summary['late']} late"
        )
        if summary["rejected"]:
            typer.echo(f"rejected lines and why: {summary['rejected_file']}", err=True)
    if strict and summary["rejected"]:
        raise typer.Exit(1)
