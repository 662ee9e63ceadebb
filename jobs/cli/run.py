"""`keepline run retention`: the streaming job, on a Flink inside this process. On a cluster: `flink run -py jobs/retention.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

Flag = typer.Option


def retention(  # noqa: PLR0913 — one parameter a setting, by the setting's name
    bootstrap_servers: Annotated[Optional[str], Flag(help="Kafka brokers. [default: localhost:9092]")] = None,
    topics: Annotated[Optional[str], Flag(help="Input topics, comma-separated. [default: telemetry]")] = None,
    output_prefix: Annotated[Optional[str], Flag(help="Output topics are PREFIX.scores, … [default: retention]")] = None,
    redis_url: Annotated[Optional[str], Flag(help='The live view; "" for none. [default: redis://localhost:6379/0]')] = None,
    redis_ttl: Annotated[Optional[str], Flag(help="Time to live of the view's keys; 0s for ever. [default: 0s]")] = None,
    model: Annotated[Optional[Path], Flag(help="Folder or manifest of a trained model. [default: the committed one]")] = None,
    job_name: Annotated[Optional[str], Flag(help="Names job, consumer group, transactions. [default: keepline-retention]")] = None,
    emit: Annotated[Optional[str], Flag(help="When a score is put out: band, delta or every. [default: delta]")] = None,
    delta: Annotated[Optional[float], Flag(help="With --emit delta: the least change. [default: 0.01]")] = None,
    cooldown: Annotated[Optional[str], Flag(help="Least time between interventions for a customer. [default: 30d]")] = None,
    disorder: Annotated[Optional[str], Flag(help="How far a customer's events may be out of order. [default: 1h]")] = None,
    idle_after: Annotated[Optional[str], Flag(help="A partition silent this long follows the wall clock. [default: 60s]")] = None,
    currency: Annotated[Optional[str], Flag(help="The currency that amounts are in.")] = None,
    parallelism: Annotated[Optional[int], Flag(help="Subtasks. [default: 1]")] = None,
    checkpoint_interval: Annotated[Optional[str], Flag(help="How often output is committed. [default: 1s]")] = None,
    checkpoint_dir: Annotated[Optional[str], Flag(help="Where checkpoints go, a URL. [default: the cluster's own]")] = None,
    state_backend: Annotated[Optional[str], Flag(help="hashmap or rocksdb. [default: hashmap]")] = None,
    restore: Annotated[Optional[str], Flag(help="Savepoint or checkpoint to start from.")] = None,
    bounded: Annotated[Optional[bool], Flag("--bounded", help="Stop at the end of what is in the topics now.")] = None,
    rest_port: Annotated[Optional[int], Flag(help="Flink's page in a local run. [default: 8081]")] = None,
    kafka: Annotated[Optional[list[str]], Flag(help="A Kafka client property, name=value; may be repeated.")] = None,
    config: Annotated[Optional[Path], Flag(help="Settings file. [default: keepline.toml, where there is one]")] = None,
    show: Annotated[bool, Flag("--show", help="Print the settings as JSON, secrets masked, and stop.")] = False,
) -> None:
    """Score every customer as their events arrive, and put out interventions.

    Every flag is also a key of keepline.toml (redis_url) and an environment variable (KEEPLINE_REDIS_URL).

    Example: keepline run retention --bootstrap-servers localhost:9092 --redis-url redis://localhost:6379/0
    """
    flags: dict[str, Any] = dict(locals())
    config, show = flags.pop("config"), flags.pop("show")
    from keepline.jobs import settings  # noqa: PLC0415

    wanted = settings.load(flags, config=config)
    if show:
        import json  # noqa: PLC0415

        typer.echo(json.dumps(wanted.shown(), indent=2))
        return
    from keepline.jobs.retention import RetentionJob  # noqa: PLC0415

    RetentionJob.from_settings(wanted).execute()
