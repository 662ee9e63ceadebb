"""`keepline status`: the jobs of a cluster."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from keepline.jobs.cli.flags import FLINK_URL, AsJson, FlinkUrl


def status(
    job: Annotated[str | None, typer.Argument(metavar="[JOB]", help="A job's name, or the first characters of its id.")] = None,
    flink_url: FlinkUrl = FLINK_URL,
    ended: Annotated[bool, typer.Option("--all", help="Also jobs that have ended, as long as Flink remembers them.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the jobs of a Flink cluster: state, restarts, newest checkpoint, model and code, records waiting in Kafka.

    Exit code 1 if a live job does not run with all its tasks.

    Example: keepline status --flink-url http://localhost:8081
    """
    from keepline.jobs.cluster.named import find
    from keepline.jobs.cluster.rest import ENDED, FlinkRest
    from keepline.jobs.cluster.status import job_status

    rest = FlinkRest(flink_url)
    chosen = [find(rest, job, ended=True)] if job else [each for each in rest.overview() if ended or each["state"] not in ENDED]
    told = [job_status(rest, each) for each in chosen]
    if as_json:
        typer.echo(json.dumps([each.to_json() for each in told], indent=2))
    elif not told:
        typer.echo(f"no {'job' if ended else 'live job'} on {rest.url}")
    else:
        _table(told)
    if any(each.state not in ENDED and each.tasks_running < each.tasks for each in told):
        raise typer.Exit(1)


def _table(told: list[Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("job", "id", "state", "tasks", "p", "restarts", "checkpoint", "size", "took", "waiting", "model", "code"):
        table.add_column(name, justify="right" if name in ("p", "restarts", "size", "took", "waiting") else "left", no_wrap=True)
    for each in told:
        point = each.checkpoint
        table.add_row(
            each.name, each.id[:8], each.state, f"{each.tasks_running}/{each.tasks}", str(each.parallelism), str(each.restarts),
            f"{_span(point.age_ms)} ago" if point else "none",
            _bytes(point.size) if point else "", _span(point.duration_ms) if point else "",
            "" if each.lag is None else f"{each.lag:,}", each.model, each.code[:8],
        )  # fmt: skip
    console = Console()
    if not console.is_terminal:
        console = Console(width=200)
    console.print(table, soft_wrap=True)
    for each in told:
        if each.cause:
            console.print(f"{each.name}: newest failure: {each.cause}", markup=False, highlight=False)


def _span(milliseconds: int) -> str:
    """A time span in its largest fitting unit.

    >>> _span(90), _span(61_000)
    ('90 ms', '61 s')
    """
    for unit, size, limit in (("ms", 1, 1_000), ("s", 1_000, 120_000), ("min", 60_000, 7_200_000), ("h", 3_600_000, 172_800_000)):
        if milliseconds < limit:
            return f"{milliseconds // size} {unit}"
    return f"{milliseconds // 86_400_000} d"


def _bytes(size: int) -> str:
    """A size in its largest fitting unit.

    >>> _bytes(3_145_728)
    '3.0 MiB'
    """
    for unit, one in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= one:
            return f"{size / one:.1f} {unit}"
    return f"{size} B"
