"""`keepline features churn` and `clv`: training rows from event files, by the kernels that run in the stream."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Events = Annotated[list[Path], typer.Option(help="Event file or folder (JSON Lines, CSV, each also .gz, Avro, Parquet); may be repeated.")]
At = Annotated[str, typer.Option(help="QUERIES.csv (customer_id,at), or one time for every customer (RFC 3339).")]
Out = Annotated[Path, typer.Option(help="Rows: .csv or .parquet.")]
TypeName = Annotated[str | None, typer.Option("--type", help="Event type of files that do not say theirs (CSV, Parquet).")]
Currency = Annotated[str, typer.Option(help="The currency that amounts are in; events that name another are rejected.")]
Strict = Annotated[bool, typer.Option("--strict", help="Exit 1 if any line was rejected.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")]


def churn(
    events: Events, at: At, out: Out, type_name: TypeName = None, currency: Currency = "", strict: Strict = False, as_json: AsJson = False
) -> None:
    """Compute the churn features of customers at given moments.

    A row at T is what the records with event_time ≤ T make. Bad lines go to OUT.rejected.jsonl.

    Example: keepline features churn --events events/ --at queries.csv --out rows.csv
    """
    _rows("churn", events, at, out, type_name, strict, as_json, currency=currency)


def clv(
    events: Events,
    at: At,
    out: Out,
    margin: Annotated[float, typer.Option(help="Gross margin, a share of the amount, of customers whose orders say no cost.")] = 0.3,
    type_name: TypeName = None,
    currency: Currency = "",
    strict: Strict = False,
    as_json: AsJson = False,
) -> None:
    """Compute the customer lifetime value features of customers at given moments: orders, visits, promotions.

    A row at T is what the records with event_time ≤ T make. Bad lines go to OUT.rejected.jsonl.

    Example: keepline features clv --events purchases.jsonl --at 2026-01-01T00:00:00Z --out rows.csv
    """
    _rows("clv", events, at, out, type_name, strict, as_json, currency=currency, margin=margin)


def _rows(
    set_name: str,
    events: list[Path],
    at: str,
    out: Path,
    type_name: str | None,
    strict: bool,
    as_json: bool,
    *,
    currency: str,
    margin: float | None = None,
) -> None:
    from keepline.jobs.cli.progress import bar
    from keepline.jobs.features import compute

    with bar("reading events", events, quiet=as_json) as progress:
        summary = compute(set_name, events, at, out, type_name, progress, currency=currency, margin=margin)
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
