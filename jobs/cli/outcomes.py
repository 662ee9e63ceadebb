"""`keepline outcomes`: what became of the decisions, as Parquet; and how a customer is removed from such files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from keepline.jobs.outcomes import Collected

Progress = Any


def export(
    out: Annotated[Path, typer.Option(help="A folder, for a file a day, or one file that ends in .parquet.")],
    source: Annotated[
        list[Path] | None,
        typer.Option("--from", help="Instead of Kafka: labelled-outcomes.jsonl of a replay, or an earlier export; may be repeated."),
    ] = None,
    training: Annotated[bool, typer.Option("--training", help="Write features.parquet and labels.parquet for `keepline train`.")] = False,
    arm: Annotated[str, typer.Option(help="With --training: control, treatment or all.")] = "control",
    unknown: Annotated[bool, typer.Option("--unknown", help="List the outcomes that belong to no decision.")] = False,
    bootstrap_servers: Annotated[str | None, typer.Option(help="Kafka brokers. [default: localhost:9092]")] = None,
    output_prefix: Annotated[str | None, typer.Option(help="The topic is PREFIX.labelled-outcomes. [default: retention]")] = None,
    kafka: Annotated[
        list[str] | None, typer.Option(help="A Kafka client property, name=value; may be repeated. Adds to [kafka]'s security.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="Settings file. [default: keepline.toml, where there is one]")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Write the labelled decisions to Parquet: one row a decision, with its features, its outcomes, and whether the customer left.

    Reads what the topic holds now, and adds to what the folder has: run it daily. Outcomes that came after a row's window are appended to
    the row; those of no known decision go to unknown-outcomes.parquet.

    With --training it writes a table for `keepline train churn`, one row a customer, the first decision. Rows of the control arm are the
    default, as only they show what happens to a customer whom nobody contacts. An offer that works makes a customer at risk stay, so a
    model that learns from contacted customers takes them for safe. --arm all has more rows, and this bias.

    Example: keepline outcomes export --bootstrap-servers localhost:9092 --out outcomes/
      keepline outcomes export --from outcomes/ --training --out training/
      keepline train churn --features training/features.parquet --labels training/labels.parquet --out model/
    """
    import json

    from keepline.jobs import outcomes as work
    from keepline.jobs import settings
    from keepline.jobs.cli.progress import counted

    if arm not in work.ARMS:
        message = f"--arm {arm!r}: expected {', '.join(work.ARMS)}"
        raise typer.BadParameter(message)
    job = settings.load({"bootstrap_servers": bootstrap_servers, "output_prefix": output_prefix}, config=config)
    with counted("reading outcomes", quiet=as_json) as progress:
        found = work.from_paths(source, progress) if source else _from_kafka(job, kafka, progress)
    if training:
        told = work.export_training(found, out, arm)
        text = f"{out}: {told['rows']} customers of --arm {arm}, {told['churned']} of them left"
        if told["without_features"]:
            text += f"; {told['without_features']} without features left out"
        typer.echo(json.dumps(told) if as_json else text)
    else:
        with counted("writing files", quiet=as_json) as progress:
            done = work.export(found, out, progress)
        summary = {name: getattr(done, name) for name in ("read", "rows", "files", "late", "unreadable")} | {"unknown": len(done.unknown)}
        if unknown:
            _list(done.unknown, summary, as_json=as_json)
        if as_json:
            typer.echo(json.dumps(summary))
        else:
            typer.echo(
                f"{out}: {done.rows} decisions in {done.files} files, from {done.read} records; "
                f"{done.late} late outcomes, {len(done.unknown)} of no known decision"
            )
    if found.unreadable and not as_json:
        typer.echo(f"{found.unreadable} records could not be read: another version of Keepline wrote them", err=True)


def _from_kafka(job: Any, kafka: list[str] | None, progress: Progress) -> Collected:
    from keepline.jobs.kafka_client import of_job
    from keepline.jobs.outcomes import collect, from_topic

    return collect(from_topic(job, of_job(job.kafka, kafka), progress))


def _list(unknown: list[dict[str, Any]], summary: dict[str, Any], *, as_json: bool) -> None:
    from keepline.schemas.records import to_json

    if as_json:
        summary["unknown_outcomes"] = unknown
    else:
        for each in unknown:
            typer.echo(to_json(each))


def erase(
    customer: Annotated[str, typer.Argument(help="The customer_id.")],
    folder: Annotated[Path, typer.Option("--dir", help="The folder (with those in it) or the file to remove the customer from.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON.")] = False,
) -> None:
    """Remove a customer from exported files: every Parquet file of the folder that has the customer is rewritten without.

    An Erasure event removes the customer from the job and its view, but not from files. A hash of the id is kept in erased.json, so that
    an export from a topic that still has the rows does not bring them back. Run it again after a failure.

    Example: keepline outcomes erase c-1001 --dir outcomes/
    """
    import json
    import time
    from dataclasses import asdict

    from keepline.jobs.outcome_files import erase as work

    done = work(customer, folder, time.time_ns() // 1_000_000)
    if as_json:
        typer.echo(json.dumps(asdict(done)))
        return
    typer.echo(f"{folder}: {done.rows} rows of the customer removed, {done.files} of {done.looked_into} Parquet files rewritten")
    if done.without_customers:
        typer.echo(f"{done.without_customers} Parquet files have no column customer_id, and were left as they are", err=True)
