"""`keepline run next-app`: the next app at each unlock, on a Flink inside this process. On a cluster: `flink run -py jobs/next_app.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

Flag = typer.Option


def next_app(
    bootstrap_servers: Annotated[str | None, Flag(help="Kafka brokers. [default: localhost:9092]")] = None,
    topics: Annotated[str | None, Flag(help="Input topics, comma-separated. [default: telemetry]")] = None,
    output_prefix: Annotated[str | None, Flag(help="Output topics are PREFIX.app-predictions, … [default: device]")] = None,
    redis_url: Annotated[str | None, Flag(help='The live view; "" for none. [default: redis://localhost:6379/0]')] = None,
    redis_ttl: Annotated[str | None, Flag(help="Time to live of the view's keys; 0s for ever. [default: 0s]")] = None,
    model: Annotated[Path | None, Flag(help="Folder or manifest of `keepline train next-app`. [default: the committed one]")] = None,
    apps: Annotated[int | None, Flag(help="How many apps a prediction has, 3 to 5. [default: 5]")] = None,
    answer_within: Annotated[str | None, Flag(help="An unlock further behind the newest event gets no prediction. [default: 60s]")] = None,
    job_name: Annotated[str | None, Flag(help="Names job, consumer group, transactions. [default: keepline-next-app]")] = None,
    disorder: Annotated[str | None, Flag(help="How far a user's events may be out of order. [default: 1h]")] = None,
    idle_after: Annotated[str | None, Flag(help="A partition silent this long follows the wall clock. [default: 60s]")] = None,
    resident_states: Annotated[int | None, Flag(help="States in memory, a subtask; 0: what has room. [default: 0]")] = None,
    parallelism: Annotated[int | None, Flag(help="Subtasks. [default: 1]")] = None,
    checkpoint_interval: Annotated[str | None, Flag(help="How often output is committed. [default: 5s]")] = None,
    checkpoint_dir: Annotated[str | None, Flag(help="Where checkpoints go, a URL. [default: the cluster's own]")] = None,
    state_backend: Annotated[str | None, Flag(help="hashmap or rocksdb. [default: hashmap]")] = None,
    restore: Annotated[str | None, Flag(help="Savepoint or checkpoint to start from.")] = None,
    bounded: Annotated[bool | None, Flag("--bounded", help="Stop at the end of what is in the topics now.")] = None,
    rest_port: Annotated[int | None, Flag(help="Flink's page in a local run. [default: 8083]")] = None,
    metrics_port: Annotated[int | None, Flag(help="Prometheus metrics of a local run; 0 for none. [default: 0]")] = None,
    kafka: Annotated[list[str] | None, Flag(help="A Kafka client property, name=value; may be repeated.")] = None,
    flink: Annotated[list[str] | None, Flag(help="A Flink setting of the job, name=value; may be repeated.")] = None,
    registry_url: Annotated[str | None, Flag(help="Schema registry, for values with a schema id.")] = None,
    registry: Annotated[list[str] | None, Flag(help="A schema registry client property, name=value; may be repeated.")] = None,
    unknown_id_ttl: Annotated[str | None, Flag(help="An id unknown to the registry is asked again after this. [default: 30s]")] = None,
    writer_schemas: Annotated[str | None, Flag(help="Avro schemas (.avsc, folders) of other producers, comma-separated.")] = None,
    config: Annotated[Path | None, Flag(help="Settings file. [default: keepline.toml, where there is one]")] = None,
    show: Annotated[bool, Flag("--show", help="Print the settings as JSON, secrets masked, and stop.")] = False,
) -> None:
    """Put out the three to five likeliest next apps of a user at each unlock.

    Every flag is also a key of the table [next_app] of keepline.toml, and a variable (KEEPLINE_NEXT_APP_MODEL).

    Example: keepline run next-app --bootstrap-servers localhost:9092 --redis-url redis://localhost:6379/0
    """
    flags: dict[str, Any] = dict(locals())
    config, show = flags.pop("config"), flags.pop("show")
    from keepline.jobs.next_app_settings import NextAppSettings
    from keepline.jobs.settings import load_as

    wanted = load_as(NextAppSettings, flags, config=config)
    if show:
        import json

        typer.echo(json.dumps(wanted.shown(), indent=2))
        return
    from keepline.jobs.next_app import NextAppJob

    NextAppJob.from_settings(wanted).execute()
