"""`keepline rebuild-view`: the Redis view from the committed topics."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def rebuild_view(
    bootstrap_servers: Annotated[str | None, typer.Option(help="Kafka brokers. [default: localhost:9092]")] = None,
    output_prefix: Annotated[str | None, typer.Option(help="Topics are PREFIX.scores, PREFIX.interventions. [default: retention]")] = None,
    redis_url: Annotated[str | None, typer.Option(help="The live view. [default: redis://localhost:6379/0]")] = None,
    redis_ttl: Annotated[str | None, typer.Option(help="Time to live of the keys; 0s for ever. [default: 0s]")] = None,
    kafka: Annotated[
        list[str] | None, typer.Option(help="A Kafka client property, name=value; may be repeated. Adds to [kafka]'s security.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="Settings file. [default: keepline.toml, where there is one]")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Write the newest score, intervention and so on of every customer to Redis, from what the topics hold.

    For a Redis that lost its data. The job may run meanwhile: nothing that Redis has is replaced by something older. Customers whose
    records the topics no longer hold come back with their next score. Erased customers do not come back, and keys that Redis still
    has of them are removed.

    Example: keepline rebuild-view --bootstrap-servers localhost:9092 --redis-url redis://localhost:6379/0
    """
    import json
    from dataclasses import asdict

    from keepline.jobs import settings
    from keepline.jobs.cli.progress import counted
    from keepline.jobs.kafka_client import of_job
    from keepline.jobs.rebuild_view import rebuild

    flags = {"bootstrap_servers": bootstrap_servers, "output_prefix": output_prefix, "redis_url": redis_url, "redis_ttl": redis_ttl}
    job = settings.load(flags, config=config)
    with counted("rebuilding the view", quiet=as_json) as progress:
        done = rebuild(job, of_job(job.kafka, kafka), progress)
    if as_json:
        typer.echo(json.dumps(asdict(done)))
        return
    counts = ", ".join(f"{count} {name}" for name, count in done.by_channel.items())
    typer.echo(f"{settings.mask_url(job.redis_url)}: {done.written} keys written ({counts} in the topics), {done.newer} were as new")
    if done.removed:
        typer.echo(f"{done.removed} keys of erased customers removed")
    if done.refused:
        typer.echo(f"{done.refused} keys are of another type, and were left as they are: delete them", err=True)
    if done.unreadable:
        typer.echo(f"{done.unreadable} records could not be read: another version of Keepline wrote them", err=True)
