"""`keepline run ingest`: foreign topics to canonical events, by a mapping. On a cluster: `flink run -py jobs/ingest.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

Flag = typer.Option


def ingest(
    mapping: Annotated[Path | None, Flag(help="The mapping file (YAML).")] = None,
    bootstrap_servers: Annotated[str | None, Flag(help="Kafka brokers. [default: localhost:9092]")] = None,
    topic: Annotated[str | None, Flag(help="Where canonical events go. [default: telemetry]")] = None,
    dead_letters: Annotated[str | None, Flag(help="Where records go that cannot be mapped. [default: retention.dead-letters]")] = None,
    start: Annotated[str | None, Flag(help="Without --restore: committed, earliest or latest. [default: committed]")] = None,
    job_name: Annotated[str | None, Flag(help="Names job, consumer group, transactions. [default: keepline-ingest]")] = None,
    parallelism: Annotated[int | None, Flag(help="Subtasks. [default: 1]")] = None,
    checkpoint_interval: Annotated[str | None, Flag(help="How often output is committed. [default: 1s]")] = None,
    checkpoint_dir: Annotated[str | None, Flag(help="Where checkpoints go, a URL. [default: the cluster's own]")] = None,
    restore: Annotated[str | None, Flag(help="Savepoint or checkpoint to start from.")] = None,
    bounded: Annotated[bool | None, Flag("--bounded", help="Stop at the end of what is in the topics now.")] = None,
    rest_port: Annotated[int | None, Flag(help="Flink's page in a local run. [default: 8082]")] = None,
    kafka: Annotated[list[str] | None, Flag(help="A Kafka client property, name=value; may be repeated.")] = None,
    registry_url: Annotated[str | None, Flag(help="Schema registry, for format avro-confluent.")] = None,
    registry: Annotated[list[str] | None, Flag(help="A schema registry client property, name=value; may be repeated.")] = None,
    config: Annotated[Path | None, Flag(help="Settings file. [default: keepline.toml, where there is one]")] = None,
    show: Annotated[bool, Flag("--show", help="Print the settings as JSON, secrets masked, and stop.")] = False,
    dry_run: Annotated[bool, Flag("--dry-run", help="Show what samples of the topics become, and stop; nothing is written.")] = False,
    samples: Annotated[int, Flag(min=1, max=10_000, help="With --dry-run: records of each topic.")] = 20,
    oldest: Annotated[bool, Flag("--oldest", help="With --dry-run: the oldest records, not the newest.")] = False,
    as_json: Annotated[bool, Flag("--json", help="With --dry-run: the report as JSON.")] = False,
) -> None:
    """Map the records of foreign topics to canonical events, exactly once; those that cannot be mapped become dead letters.

    Every flag of the job is also a key of the table [ingest] of keepline.toml, and a variable (KEEPLINE_INGEST_TOPIC).

    Example: keepline run ingest --mapping cdr.yaml --bootstrap-servers localhost:9092 --dry-run
    """
    flags: dict[str, Any] = dict(locals())
    config, show, dry_run, samples, oldest, as_json = map(flags.pop, ("config", "show", "dry_run", "samples", "oldest", "as_json"))
    from keepline.jobs.ingest_settings import IngestSettings
    from keepline.jobs.settings import load_as

    wanted = load_as(IngestSettings, flags, config=config)
    if show:
        import json

        typer.echo(json.dumps(wanted.shown(), indent=2))
    elif dry_run:
        from keepline.jobs.cli.mapped import print_reports
        from keepline.jobs.mapping.samples import of_topics

        print_reports(of_topics(wanted, samples, oldest=oldest), as_json=as_json)
    else:
        from keepline.jobs.ingest import execute

        execute(wanted)
