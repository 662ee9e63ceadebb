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
    framing: Annotated[str, typer.Option(help="How a value names its schema: single-object or confluent.")] = "single-object",
    registry_url: Annotated[str | None, typer.Option(help="Schema registry, for --framing confluent.")] = None,
    registry: Annotated[list[str] | None, typer.Option(help="A registry client property, name=value; may be repeated.")] = None,
    register: Annotated[bool, typer.Option(help="Register schemas that the registry does not have.")] = True,
    config: Annotated[Path | None, typer.Option(help="Settings file. [default: keepline.toml, where there is one]")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 if any line was rejected.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
    mapping: Annotated[Path | None, typer.Option(help="Mapping file (YAML): the files are foreign records.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="With --mapping: show what samples become, and send nothing.")] = False,
    samples: Annotated[int, typer.Option(min=1, help="With --dry-run: records of each file.")] = 20,
    pseudonymise: Annotated[bool, typer.Option("--pseudonymise", help="Send pseudonyms in the place of customers' ids.")] = False,
) -> None:
    """Send the events of files to a topic: key customer_id, Avro, Kafka timestamp = event_time.

    Lines that are no events are not sent; they are listed on standard error. With --mapping the files hold foreign records.
    With --framing confluent the values carry the schema registry's ids, under the subjects keepline.events.Call and so on.
    With --pseudonymise customer, event, bill and order ids are replaced by keyed hashes, and a plain city by its city_hash; the key
    stands in the variable KEEPLINE_PSEUDONYM_KEY (see keepline pseudonym).

    Example: keepline produce --events events.jsonl --bootstrap-servers localhost:9092 --topic telemetry
    """
    from keepline.jobs import produce as work
    from keepline.jobs import settings
    from keepline.jobs.cli.progress import bar
    from keepline.jobs.kafka_client import of_job

    pseudonyms = None
    if pseudonymise:
        from keepline.jobs.pseudonyms import load as load_pseudonyms

        pseudonyms = load_pseudonyms()
    mapped = None
    if mapping is not None:
        from keepline.jobs.mapping.load import load

        mapped = load(mapping)
    if dry_run:
        if mapped is None:
            msg = "--dry-run shows what a mapping does: give --mapping"
            raise typer.BadParameter(msg)
        from keepline.jobs.cli.mapped import print_reports
        from keepline.jobs.mapping.samples import of_files

        print_reports(of_files(events, mapped, samples, pseudonyms), as_json=as_json)
        return

    def rejected(where: str) -> None:
        typer.echo(where, err=True)

    if framing not in {"single-object", "confluent"}:
        msg = f"--framing {framing!r}: expected single-object or confluent"
        raise settings.SettingsError(msg)
    flags = {"bootstrap_servers": bootstrap_servers, "registry_url": registry_url, "registry": registry}
    job = settings.load(flags, config=config)
    reframe = None
    if framing == "confluent":
        if not job.registry_url:
            msg = "--framing confluent: name the schema registry with --registry-url, such as http://localhost:8081"
            raise settings.SettingsError(msg)
        from keepline.jobs.confluent import confluent_framing
        from keepline.schemas.registry import Registry

        reframe = confluent_framing(Registry(job.registry_url, job.registry), register=register)
    with bar(f"sending to {topic}", events, quiet=as_json) as progress:
        given = of_job(job.kafka, kafka)
        summary = work.produce(
            events, job.bootstrap_servers, topic, rate, type_name, given, rejected, progress, mapped, reframe, pseudonyms
        )
    if as_json:
        import json

        typer.echo(json.dumps(summary))
    else:
        skipped = f", {summary['skipped']} records skipped" if mapped is not None else ""
        typer.echo(f"{topic}: {summary['sent']} events sent, {summary['rejected']} lines rejected{skipped}")
    if strict and summary["rejected"]:
        raise typer.Exit(1)
