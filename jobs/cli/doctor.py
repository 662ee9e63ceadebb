"""`keepline doctor`: is all here that the jobs need?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def doctor(
    bootstrap_servers: Annotated[str | None, typer.Option(help="Also check that these Kafka brokers answer.")] = None,
    redis_url: Annotated[str | None, typer.Option(help="Also check that this Redis answers.")] = None,
    registry_url: Annotated[str | None, typer.Option(help="Also check that this schema registry answers.")] = None,
    registry: Annotated[list[str] | None, typer.Option(help="A registry client property, name=value; may be repeated.")] = None,
    model: Annotated[Path | None, typer.Option(help="Model to check. [default: the committed one]")] = None,
    kafka: Annotated[
        list[str] | None, typer.Option(help="A Kafka client property, name=value; may be repeated. Adds to [kafka]'s security.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Settings file: its Kafka, Redis and schema registry are checked too. [default: none of them]")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the checks as JSON.")] = False,
) -> None:
    """Check Java, the jars, the model, Kafka, Redis and the schema registry; say how to fix what is missing. Exits 1 if anything is.

    Example: keepline doctor --bootstrap-servers localhost:9092 --redis-url redis://localhost:6379/0
    """
    from keepline.jobs import settings
    from keepline.jobs.kafka_client import of_job, properties
    from keepline.jobs.stack.doctor import checks

    job = settings.load({"registry_url": registry_url, "registry": registry}, config=config)
    if config:
        bootstrap_servers, redis_url = bootstrap_servers or job.bootstrap_servers, redis_url or job.redis_url
        registry_url = registry_url or job.registry_url
    results = checks(
        bootstrap_servers=bootstrap_servers, redis_url=redis_url, registry_url=registry_url, model=model,
        properties=properties(of_job(job.kafka, kafka)), registry_properties=job.registry,
    )  # fmt: skip
    if as_json:
        import json

        typer.echo(json.dumps([result._asdict() for result in results]))
    else:
        for result in results:
            typer.echo(f"{'ok  ' if result.ok else 'FAIL'} {result.name}: {result.detail}")
            if not result.ok:
                typer.echo(f"     fix: {result.fix}")
    if not all(result.ok for result in results):
        raise typer.Exit(1)
