"""`keepline conf`: a config.yaml for Flink."""

from __future__ import annotations

from typing import Annotated

import typer


def conf(
    profile: Annotated[
        list[str],
        typer.Argument(help="low-latency, throughput, backfill, or config for none of them; beside any of them high-availability."),
    ],
    job: Annotated[bool, typer.Option("--job", help="The settings of the job that go with it instead: a keepline.toml.")] = False,
) -> None:
    """Print Flink's config.yaml for a purpose: flink-conf/config.yaml with a profile's changes, each with its reason in flink-conf/.

    Example: keepline conf throughput high-availability > /opt/flink/conf/config.yaml
    """
    from keepline.jobs.cluster import profiles

    settings = profiles.whole(*profile)
    if job:
        typer.echo("".join(map(profiles.job_settings, profile)), nl=False)
        return
    typer.echo(f"# Keepline's settings for Flink, profile {' '.join(profile)}; the reasons stand in flink-conf/")
    for name, value in settings.items():
        typer.echo(f"{name}: {value}")
