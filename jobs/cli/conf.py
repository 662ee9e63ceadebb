"""`keepline conf`: a config.yaml for Flink."""

from __future__ import annotations

from typing import Annotated

import typer


def conf(
    profile: Annotated[str, typer.Argument(help="low-latency, throughput, backfill, or config for none of them.")],
    job: Annotated[bool, typer.Option("--job", help="The settings of the job that go with it instead: a keepline.toml.")] = False,
) -> None:
    """Print Flink's config.yaml for a purpose: flink-conf/config.yaml with a profile's changes, each with its reason in flink-conf/.

    Example: keepline conf throughput > /opt/flink/conf/config.yaml
    """
    from keepline.jobs.cluster import profiles

    settings = profiles.whole(profile)
    if job:
        typer.echo(profiles.job_settings(profile), nl=False)
        return
    typer.echo(f"# Keepline's settings for Flink, profile {profile}; the reasons stand in flink-conf/")
    for name, value in settings.items():
        typer.echo(f"{name}: {value}")
