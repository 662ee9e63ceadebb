"""`keepline produce`: event files to Kafka, as canonical records."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer


def produce(  # noqa: PLR0913 — one parameter an option
    events: Annotated[list[Path], typer.Option(help="Event file or folder (JSON Lines, CSV, .gz); may be repeated.")],
    bootstrap_servers: Annotated[str, typer.Option(help="Kafka brokers.")] = "localhost:9092",
    topic: Annotated[str, typer.Option(help="Topic.")] = "telemetry",
    rate: Annotated[float, typer.Option(help="Events a second; 0 as fast as possible.")] = 0.0,
    type_name: Annotated[Optional[str], typer.Option("--type", help="Event type of CSV files that do not say.")] = None,
    kafka: Annotated[Optional[list[str]], typer.Option(help="A Kafka client property, name=value; may be repeated.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 if any line was rejected.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Send the events of files to a topic: key customer_id, single-object Avro, Kafka timestamp = event_time.

    Lines that are no events are not sent; they are listed on standard error.

    Example: keepline produce --events events.jsonl --bootstrap-servers localhost:9092 --topic telemetry
    """
    from keepline.jobs import produce as work  # noqa: PLC0415

    def rejected(where: str) -> None:
        typer.echo(where, err=True)

    summary = work.produce(events, bootstrap_servers, topic, rate, type_name, kafka or [], rejected)
    if as_json:
        import json  # noqa: PLC0415

        typer.echo(json.dumps(summary))
    else:
        typer.echo(f"{topic}: {summary['sent']} events sent, {summary['rejected']} lines rejected")
    if strict and summary["rejected"]:
        raise typer.Exit(1)
