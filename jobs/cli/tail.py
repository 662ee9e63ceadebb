"""`keepline tail`: a topic as JSON Lines, read committed."""

from __future__ import annotations

from typing import Annotated, Optional

import typer


def tail(
    topic: Annotated[str, typer.Argument(help="Topic, such as retention.interventions.")],
    bootstrap_servers: Annotated[str, typer.Option(help="Kafka brokers.")] = "localhost:9092",
    follow: Annotated[bool, typer.Option("--follow/--no-follow", "-f/-F", help="Wait for more, or stop at the present end.")] = True,
    latest: Annotated[bool, typer.Option("--latest", help="Begin with what arrives from now on.")] = False,
    limit: Annotated[int, typer.Option(help="Stop after this many records; 0 for no limit.")] = 0,
    kafka: Annotated[Optional[list[str]], typer.Option(help="A Kafka client property, name=value; may be repeated.")] = None,
) -> None:
    """Print the committed records of a topic, one JSON object a line.

    Example: keepline tail retention.interventions --no-follow
    """
    from keepline.jobs.tail import records  # noqa: PLC0415
    from keepline.schemas.records import to_json  # noqa: PLC0415

    for record in records(topic, bootstrap_servers, kafka or [], follow=follow, latest=latest, limit=limit):
        typer.echo(to_json(record))
