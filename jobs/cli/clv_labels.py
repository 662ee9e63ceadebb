"""`keepline clv labels`: what customers spent in a horizon, from event files: the labels of `keepline train clv`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def labels(
    events: Annotated[
        list[Path], typer.Option(help="Event file or folder (JSON Lines, CSV, each also .gz, Avro, Parquet); may be repeated.")
    ],
    at: Annotated[str, typer.Option(help="The moment of the rows (RFC 3339): labels are of what comes after.")],
    horizon: Annotated[str, typer.Option(help="How long after it, such as 360d.")],
    out: Annotated[Path, typer.Option(help="Labels: .csv or .parquet.")],
    type_name: Annotated[str | None, typer.Option("--type", help="Event type of files that do not say theirs (CSV, Parquet).")] = None,
    currency: Annotated[str, typer.Option(help="Currency of the amounts, such as EUR; events that name another are rejected.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Sum what each customer spent in (AT, AT + HORIZON]: orders less refunds; customers first seen later have no label.

    The events must reach the day in which the horizon ends. The file also says which rows to make: `features clv` takes it as --at.

    Example: keepline clv labels --events events/ --at 2025-01-01T00:00:00Z --horizon 360d --out labels.csv
    """
    from keepline.jobs.cli.progress import bar
    from keepline.jobs.clv_labels import write

    with bar("reading events", events, quiet=as_json) as progress:
        found = write(events, at, horizon, out, type_name, progress, currency=currency)
    if as_json:
        import json

        typer.echo(json.dumps(found))
        return
    typer.echo(
        f"{out}: {found['customers']} customers, {found['buyers']} of them bought, revenue {found['revenue']:,.2f}; "
        f"{found['unknown']} customers first seen later, {found['rejected']} events rejected"
    )
