"""`keepline next-app export`: what a phone needs to foretell the next app without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(
    user: Annotated[str, typer.Argument(help="The customer_id, as the topics or files have it.")],
    out: Annotated[Path, typer.Option(help="The file, readable by you alone; one that is there is replaced.")],
    model: Annotated[Path | None, typer.Option(help="Folder or manifest of a logistic model. [default: the committed one]")] = None,
    events: Annotated[list[Path] | None, typer.Option(help="Instead of topics: event file or folder, any format; may be repeated.")] = None,
    type_name: Annotated[str | None, typer.Option("--type", help="Event type of files that do not say theirs (CSV, Parquet).")] = None,
    bootstrap_servers: Annotated[str | None, typer.Option(help="Kafka brokers. [default: localhost:9092]")] = None,
    topics: Annotated[str | None, typer.Option(help="The job's input topics, comma-separated. [default: telemetry]")] = None,
    own_partition: Annotated[
        bool, typer.Option("--own-partition", help="Read the user's partition alone; only for topics whose keys are placed by murmur2.")
    ] = False,
    kafka: Annotated[
        list[str] | None, typer.Option(help="A Kafka client property, name=value; may be repeated. Adds to [kafka]'s security.")
    ] = None,
    registry_url: Annotated[str | None, typer.Option(help="Schema registry, for values with a schema id.")] = None,
    registry: Annotated[list[str] | None, typer.Option(help="A registry client property, name=value; may be repeated.")] = None,
    writer_schemas: Annotated[str | None, typer.Option(help="Avro schemas (.avsc, folders) of other producers, comma-separated.")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Also tell how far a phone would have agreed with the stream, on the last 30 % of the events.")
    ] = False,
    config: Annotated[Path | None, typer.Option(help="Settings file. [default: keepline.toml, where there is one]")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Write a user's profile and a model for a phone: at most 16 KiB, which models/on_device.py predicts from (docs/on-device.md).

    The profile is made of the user's AppOpen and Unlock events by the stream's own code, from the topics of the job or from files. Where
    ids are pseudonyms, give the pseudonym (keepline pseudonym).

    Ends with 0 where the user has events, with 1 where not: the file then holds the model's prior alone, as for any new user.

    Example: keepline next-app export c-1001 --out c-1001.klna --model models/next-app
    """
    import json
    import time

    from keepline.jobs import next_app_export as work
    from keepline.jobs.cli.progress import bar, counted
    from keepline.jobs.kafka_client import of_job
    from keepline.jobs.next_app_settings import NextAppSettings
    from keepline.jobs.settings import load_as
    from keepline.models.next_app.export import phone_of
    from keepline.models.next_app.manifest import load

    if events and (topics or bootstrap_servers or own_partition):
        message = "--events takes the place of the topics: leave out --topics, --bootstrap-servers and --own-partition"
        raise typer.BadParameter(message)
    work.check_user(user)
    flags = {
        "bootstrap_servers": bootstrap_servers, "topics": topics, "model": model, "registry_url": registry_url, "registry": registry,
        "writer_schemas": writer_schemas,
    }  # fmt: skip
    job = load_as(NextAppSettings, flags, config=config)
    loaded = load(job.model)
    phone_of(loaded, b"", user)  # a model that no phone can use is told before anything is read
    life = work.Life(user, loaded.constants, job, 0 if events else time.time_ns() // 1_000_000)
    if events:
        with bar("reading events", events, quiet=as_json) as progress:
            for value in work.from_files(events, user, life.refused, type_name, progress):
                life.take(value)
    else:
        with counted("reading topics", quiet=as_json) as told:
            for value in work.from_topics(job, user, of_job(job.kafka, kafka), own_partition=own_partition, progress=told):
                life.take(value)
    profile = life.profile
    phone = phone_of(loaded, profile.state, user)
    data = phone.to_bytes()
    work.write(out, data)
    found = work.agreement(loaded, profile.values, user) if check else None
    refused = dict(sorted(profile.refused.items()))
    if as_json:
        summary = {"out": str(out), "bytes": len(data), "events": len(profile.values), "apps": len(phone.apps), "refused": refused}
        summary |= {"model_id": loaded.model_id, "model_version": loaded.version}
        typer.echo(json.dumps(summary | ({"agreement": found._asdict()} if found else {})))
    else:
        typer.echo(f"{out}: {len(data)} bytes, {len(phone.apps)} apps, from {len(profile.values)} events")
        if found:
            typer.echo(f"of {found.unlocks} unlocks the same five apps in {found.same_apps}, in the same order in {found.same_order}")
        for reason, count in refused.items():
            typer.echo(f"refused {count}: {reason}", err=True)
    if not profile.values:
        typer.echo(f"no event of {user}: the file holds the prior of {loaded.model_id!r} version {loaded.version} alone", err=True)
        raise typer.Exit(1)
