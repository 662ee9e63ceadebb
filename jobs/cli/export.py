"""`keepline export`: everything that is held of a customer, in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(
    customer: Annotated[str, typer.Argument(help="The customer_id.")],
    out: Annotated[Path, typer.Option(help="The file (JSON), readable by you alone; one that is there is replaced.")],
    outcomes: Annotated[Path | None, typer.Option(help="Folder or file of `keepline outcomes export`, to be looked through too.")] = None,
    bootstrap_servers: Annotated[str | None, typer.Option(help="Kafka brokers. [default: localhost:9092]")] = None,
    output_prefix: Annotated[
        str | None, typer.Option(help="Topics are PREFIX.scores, PREFIX.interventions, … [default: retention]")
    ] = None,
    next_app_prefix: Annotated[str, typer.Option(help="Output prefix of a next-app job, whose topics are read too, such as device.")] = "",
    redis_url: Annotated[str | None, typer.Option(help="The live view. [default: redis://localhost:6379/0]")] = None,
    kafka: Annotated[
        list[str] | None, typer.Option(help="A Kafka client property, name=value; may be repeated. Adds to [kafka]'s security.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="Settings file. [default: keepline.toml, where there is one]")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Write all that the job's outputs hold of a customer to a file: the view in Redis, the output topics, exported outcomes.

    Each section says where it was found and how long it is kept there; the end says what is not in the file, such as Flink's own state,
    and where that is. Where a store cannot be read nothing is written. The topics are read from beginning to end, once each.

    Ends with 0 where something was found, with 1 where nothing was (the file says so).

    Example: keepline export c-1001 --out c-1001.json --outcomes outcomes/
    """
    import json
    import time

    from keepline.jobs import export as work
    from keepline.jobs import settings
    from keepline.jobs.cli.progress import counted
    from keepline.jobs.kafka_client import of_job

    job = settings.load({"bootstrap_servers": bootstrap_servers, "output_prefix": output_prefix, "redis_url": redis_url}, config=config)
    with counted("reading topics", quiet=as_json) as progress:
        found = work.export(job, customer, time.time_ns() // 1_000_000, outcomes, of_job(job.kafka, kafka), progress, next_app_prefix)
    work.write(out, found)
    counts = {each["store"]: len(each["records"]) for each in found["stores"]}
    if as_json:
        typer.echo(json.dumps({"customer_id": customer, "out": str(out), "found": found["found"], "stores": counts}))
    else:
        told = ", ".join(f"{count} in {store}" for store, count in counts.items() if count)
        typer.echo(f"{out}: {found['found']} records of {customer}{': ' if told else ''}{told}")
        typer.echo(f"not in it: {'; '.join(each['store'] for each in found['not_in_this_file'])}", err=True)
    if not found["found"]:
        raise typer.Exit(1)
