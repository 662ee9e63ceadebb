"""`keepline tail`: a topic as JSON Lines, read committed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def tail(
    topic: Annotated[str, typer.Argument(help="Topic, such as retention.interventions.")],
    bootstrap_servers: Annotated[str | None, typer.Option(help="Kafka brokers. [default: localhost:9092]")] = None,
    follow: Annotated[bool, typer.Option("--follow/--no-follow", "-f/-F", help="Wait for more, or stop at the present end.")] = True,
    latest: Annotated[bool, typer.Option("--latest", help="Begin with what arrives from now on.")] = False,
    limit: Annotated[int, typer.Option(min=0, help="Stop after this many records; 0 for no limit.")] = 0,
    kafka: Annotated[
        list[str] | None, typer.Option(help="A Kafka client property, name=value; may be repeated. Adds to [kafka]'s security.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="Settings file. [default: keepline.toml, where there is one]")] = None,
) -> None:
    """Print the committed records of a topic, one JSON object a line.

    A tombstone, a key without a value, is printed as {"key": …, "tombstone": true}: what the key stood for was erased.

    Example: keepline tail retention.interventions --no-follow
    """
    from keepline.jobs import settings
    from keepline.jobs.kafka_client import of_job
    from keepline.jobs.tail import records
    from keepline.schemas.records import to_json

    job = settings.load({"bootstrap_servers": bootstrap_servers}, config=config)
    for record in records(topic, job.bootstrap_servers, of_job(job.kafka, kafka), follow=follow, latest=latest, limit=limit):
        typer.echo(to_json(record))
