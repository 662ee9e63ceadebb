"""`keepline produce`: event files to Kafka, as canonical records."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def produce(
    events: Annotated[
        list[Path], typer.Option(help="Event file or folder (JSON Lines, CSV, each also .gz, Avro, Parquet); may be repeated.")
    ],
    bootstrap_servers: Annotated[str | None, typer.Option(help="Kafka brokers. [default: localhost:9092]")] = None,
    topic: Annotated[str, typer.Option(help="Topic.")] = "telemetry",
    rate: Annotated[float, typer.Option(min=0, help="Events a second; 0 as fast as possible.")] = 0.0,
    type_name: Annotated[str | None, typer.Option("--type", help="Event type of files that do not say theirs (CSV, Parquet).")] = None,
    kafka: Annotated[
        list[str] | None, typer.Option(help="A Kafka client property, name=value; may be repeated. Adds to [kafka]'s security.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="Settings file. [default: keepline.toml, where there is one]")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 if any line was rejected.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Send the events of files to a topic: key customer_id, single-object Avro, Kafka timestamp = event_time.

    Lines that are no events are not sent; they are listed on standard error.

    Example: keepline produce --events events.jsonl --bootstrap-servers localhost:9092 --topic telemetry
    """
    from keepline.jobs import produce as work
    from keepline.jobs import settings
    from keepline.jobs.cli.progress import bar
    from keepline.jobs.kafka_client import of_job

    def rejected(where: str) -> None:
        typer.echo(where, err=True)

    job = settings.load({"bootstrap_servers": bootstrap_servers}, config=config)
    with bar(f"sending to {topic}", events, quiet=as_json) as progress:
        summary = work.produce(events, job.bootstrap_servers, topic, rate, type_name, of_job(job.kafka, kafka), rejected, progress)
    if as_json:
        import json

        typer.echo(json.dumps(summary))
    else:
        typer.echo(f"{topic}: {summary['sent']} events sent, {summary['rejected']} lines rejected")
    if strict and summary["rejected"]:
        raise typer.Exit(1)
