"""`keepline redrive`: repaired dead letters back to the topic they were meant for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from keepline.jobs.redrive import Outcome, Wish


def redrive(
    bootstrap_servers: Annotated[str | None, typer.Option(help="Kafka brokers. [default: localhost:9092]")] = None,
    dead_letters: Annotated[str | None, typer.Option(help="The job's dead-letter topic. [default: PREFIX.dead-letters]")] = None,
    topic: Annotated[str, typer.Option(help="Where to send. [default: the topic that each record came from]")] = "",
    reason: Annotated[list[str] | None, typer.Option(help="Only letters of this reason; may be repeated.")] = None,
    since: Annotated[str | None, typer.Option(help="Only letters written at this time or later.")] = None,
    until: Annotated[str | None, typer.Option(help="Only letters written before this time.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be sent, and stop.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Send also what the job would refuse again.")] = False,
    settle: Annotated[bool, typer.Option("--settle", help="Send nothing; give the letters up.")] = False,
    export: Annotated[Path | None, typer.Option(help="Write the letters to this file, to be repaired by hand.")] = None,
    repaired: Annotated[Path | None, typer.Option(help="Send the events of this repaired file.")] = None,
    batch: Annotated[int, typer.Option(min=1, help="Events a transaction.")] = 500,
    kafka: Annotated[
        list[str] | None, typer.Option(help="A Kafka client property, name=value; may be repeated. Adds to [kafka]'s security.")
    ] = None,
    registry_url: Annotated[str | None, typer.Option(help="Schema registry, for values with a schema id.")] = None,
    registry: Annotated[list[str] | None, typer.Option(help="A registry client property, name=value; may be repeated.")] = None,
    writer_schemas: Annotated[str | None, typer.Option(help="Avro schemas (.avsc, folders) of other producers, comma-separated.")] = None,
    config: Annotated[Path | None, typer.Option(help="Settings file. [default: keepline.toml, where there is one]")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 if a letter was left or a line is wrong.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Send dead letters back, each once: those that the job would take now, or that a person has repaired.

    What was sent is remembered in Kafka; a second run sends the rest. Look first with --dry-run. Repair by hand: --export letters.jsonl,
    put right each line's "event", then --repaired letters.jsonl. What the job would take depends on its currency, writer_schemas and
    registry_url: give its settings file with --config.

    Example: keepline redrive --bootstrap-servers localhost:9092 --dead-letters retention.dead-letters --reason UNKNOWN_SCHEMA --dry-run
    """
    from keepline.jobs import redrive as work
    from keepline.jobs import settings
    from keepline.jobs.cli.progress import counted
    from keepline.jobs.kafka_client import of_job
    from keepline.schemas.status import Reason

    reasons = [each.name for each in Reason if 0 < each < Reason.DUPLICATE]
    for each in reason or []:
        if each not in reasons:
            message = f"--reason {each!r}: expected one of {', '.join(reasons)}"
            raise typer.BadParameter(message)
    if sum(map(bool, (export, repaired, settle, force))) > 1:
        message = "--export, --repaired, --settle and --force exclude each other"
        raise typer.BadParameter(message)
    if repaired and (reason or since or until):
        message = "--repaired sends what its lines name: leave out --reason, --since and --until"
        raise typer.BadParameter(message)
    flags = {"bootstrap_servers": bootstrap_servers, "registry_url": registry_url, "registry": registry, "writer_schemas": writer_schemas}
    place = settings.load(flags, config=config)
    wish = work.Wish(
        servers=place.bootstrap_servers, dead_letters=dead_letters or f"{place.output_prefix}.dead-letters", topic=topic,
        reasons=frozenset(reason or []), since=_time(since), until=_time(until), dry_run=dry_run, force=force, settle=settle, export=export,
        repaired=repaired, batch=batch, currency=place.currency, kafka=work.properties(of_job(place.kafka, kafka)),
        writer_schemas=place.writer_schemas, registry_url=place.registry_url, registry=place.registry,
    )  # fmt: skip
    with counted(f"reading {wish.dead_letters}", quiet=as_json) as progress:
        outcome = work.redrive(wish, progress)
    for line in outcome.bad_lines:
        typer.echo(line, err=True)
    if as_json:
        import json

        typer.echo(json.dumps(work.summary(wish, outcome)))
    else:
        _tell(wish, outcome)
    if strict and (outcome.left or outcome.bad_lines):
        raise typer.Exit(1)


def _time(text: str | None) -> int:
    from keepline.features.query import parse_time

    return parse_time(text) if text else 0


def _tell(wish: Wish, outcome: Outcome) -> None:
    done = f"{outcome.letters} exported to {wish.export}" if wish.export else f"{outcome.sent} {'would be ' if wish.dry_run else ''}sent"
    left = sum(outcome.left.values()) - outcome.settled
    parts = [f"{outcome.letters} open letters", done, f"{left} left"]
    more = ((outcome.settled, "given up"), (outcome.before, "sent before"), (outcome.others, "not asked for"))
    typer.echo(f"{wish.dead_letters}: " + ", ".join([*parts, *(f"{count} {what}" for count, what in more if count)]))
    for name, count in outcome.left.most_common():
        typer.echo(f"  {name}: {count}")
    for example in outcome.examples:
        typer.echo(f"  {example}")
