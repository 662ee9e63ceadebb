"""`keepline next-app sync`: what a phone did without a network, into the topics."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def sync(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Buffers of phones (JSON Lines of models/on_device.py).")],
    bootstrap_servers: Annotated[str | None, typer.Option(help="Kafka brokers. [default: localhost:9092]")] = None,
    topics: Annotated[
        str | None, typer.Option(help="The job's input topics: one for all, or each type's own among them. [default: telemetry]")
    ] = None,
    output_prefix: Annotated[str | None, typer.Option(help="What was synced is remembered in PREFIX.synced. [default: device]")] = None,
    over_gaps: Annotated[bool, typer.Option("--over-gaps", help="Give up numbers that are missing, and send what comes after.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be sent, and stop.")] = False,
    kafka: Annotated[
        list[str] | None, typer.Option(help="A Kafka client property, name=value; may be repeated. Adds to [kafka]'s security.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="Settings file. [default: keepline.toml, where there is one]")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 also if a line is wrong.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what came of each device as JSON.")] = False,
) -> None:
    """Send a phone's buffered events, each once: events and the last number are one transaction, and a second sync sends what is new.

    Numbers that are missing hold up what comes after, until the file that has them is synced (before or with this one) or --over-gaps
    gives them up. Tell the phone the acknowledged number, so that it forgets the events up to it. The topic PREFIX.synced must be
    compacted.

    Ends with 1 where events were held or a device was refused.

    Example: keepline next-app sync c-1001.jsonl --bootstrap-servers localhost:9092
    """
    import json

    from keepline.jobs import device_sync as work
    from keepline.jobs.cli.progress import counted
    from keepline.jobs.kafka_client import of_job, properties
    from keepline.jobs.next_app_settings import NextAppSettings
    from keepline.jobs.settings import load_as

    job = load_as(
        NextAppSettings, {"bootstrap_servers": bootstrap_servers, "topics": topics, "output_prefix": output_prefix}, config=config
    )
    wish = work.Wish(
        servers=job.bootstrap_servers, topics=job.topics, synced=f"{job.output_prefix}.synced", over_gaps=over_gaps, dry_run=dry_run,
        kafka=properties(of_job(job.kafka, kafka)),
    )  # fmt: skip
    with counted("sending events", quiet=as_json) as progress:
        found = work.sync(files, wish, progress)
    for line in found.bad:
        typer.echo(line, err=True)
    if as_json:
        typer.echo(json.dumps({"dry_run": dry_run, "devices": [each.as_json() for each in found.devices], "bad_lines": found.bad}))
    else:
        for each in found.devices:
            parts = [f"{each.sent} {'would be ' if dry_run else ''}sent", f"{each.before} sent before", f"acknowledged {each.acknowledged}"]
            typer.echo(f"{each.device}: {', '.join(parts)}")
            for first, last in each.gaps:
                what = (
                    f"{each.held} events after it are held: sync the file that has them, or give --over-gaps" if each.held else "given up"
                )
                typer.echo(f"{each.device}: {first} to {last} are missing; {what}", err=True)
            if each.refused:
                typer.echo(f"{each.device}: refused: {each.refused}", err=True)
    if any(each.held or each.refused for each in found.devices) or (strict and found.bad):
        raise typer.Exit(1)
