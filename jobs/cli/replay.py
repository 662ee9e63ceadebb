"""`keepline replay`: a job's outputs from files, without Flink or Kafka."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def retention(
    events: Annotated[
        list[Path], typer.Option(help="Event file or folder (JSON Lines, CSV, each also .gz, Avro, Parquet); may be repeated.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for scores.jsonl, interventions.jsonl, …")],
    scores: Annotated[str | None, typer.Option(help="What is scored: churn, clv, or churn,clv. [default: churn]")] = None,
    model: Annotated[Path | None, typer.Option(help="Folder or manifest of a churn model. [default: the committed one]")] = None,
    clv_model: Annotated[Path | None, typer.Option(help="Folder or manifest of `keepline clv fit`. [default: the committed one]")] = None,
    clv_regression: Annotated[str | None, typer.Option(help="Folder or manifest of `keepline train clv`, or none. [default: none]")] = None,
    emit: Annotated[str | None, typer.Option(help="When a score is put out: band, delta or every. [default: delta]")] = None,
    delta: Annotated[float | None, typer.Option(help="With --emit delta: the least change. [default: 0.01]")] = None,
    policy: Annotated[str | None, typer.Option(help="Contact policy, a YAML file; none: scores only. [default: the committed one]")] = None,
    disorder: Annotated[str | None, typer.Option(help="How far events may be out of order. [default: 1h]")] = None,
    currency: Annotated[str | None, typer.Option(help="The currency that amounts are in.")] = None,
    wall_clock: Annotated[str, typer.Option(help="The time that FUTURE_TIME is judged by (RFC 3339), or none.")] = "none",
    type_name: Annotated[str | None, typer.Option("--type", help="Event type of files that do not say theirs (CSV, Parquet).")] = None,
    config: Annotated[Path | None, typer.Option(help="Settings file. [default: keepline.toml, where there is one]")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Run the retention job over files; the same kernels and policy, so the same records as the live job's topics.

    Example: keepline replay retention --events events.jsonl --out replayed/
    """
    from keepline.jobs import replay, settings
    from keepline.jobs.cli.progress import bar

    models = {"scores": scores, "model": model, "clv_model": clv_model, "clv_regression": clv_regression}
    flags = {**models, "emit": emit, "delta": delta, "policy": policy, "disorder": disorder, "currency": currency}
    wanted = settings.load(flags, config=config)
    with bar("replaying", events, quiet=as_json) as progress:
        summary = replay.retention(wanted, events, out, wall_clock, type_name, progress)
    _show(out, summary, "customers", as_json=as_json)


def next_app(
    events: Annotated[
        list[Path], typer.Option(help="Event file or folder (JSON Lines, CSV, each also .gz, Avro, Parquet); may be repeated.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for app-predictions.jsonl, dead-letters.jsonl, …")],
    model: Annotated[
        Path | None, typer.Option(help="Folder or manifest of `keepline train next-app`. [default: the committed one]")
    ] = None,
    apps: Annotated[int | None, typer.Option(help="How many apps a prediction has, 3 to 5. [default: 5]")] = None,
    answer_within: Annotated[
        str | None, typer.Option(help="An unlock further behind the newest event gets no prediction. [default: 60s]")
    ] = None,
    disorder: Annotated[str | None, typer.Option(help="How far events may be out of order. [default: 1h]")] = None,
    wall_clock: Annotated[str, typer.Option(help="The time that FUTURE_TIME is judged by (RFC 3339), or none.")] = "none",
    type_name: Annotated[str | None, typer.Option("--type", help="Event type of files that do not say theirs (CSV, Parquet).")] = None,
    config: Annotated[Path | None, typer.Option(help="Settings file. [default: keepline.toml, where there is one]")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Run the next-app job over files; the same kernel, so the same records as the live job's topics.

    Example: keepline replay next-app --events events.jsonl --out replayed/
    """
    from keepline.jobs import replay
    from keepline.jobs.cli.progress import bar
    from keepline.jobs.next_app_settings import NextAppSettings
    from keepline.jobs.settings import load_as

    flags = {"model": model, "apps": apps, "answer_within": answer_within, "disorder": disorder}
    wanted = load_as(NextAppSettings, flags, config=config)
    with bar("replaying", events, quiet=as_json) as progress:
        summary = replay.next_app(wanted, events, out, wall_clock, type_name, progress)
    _show(out, summary, "users", as_json=as_json)


def _show(out: Path, summary: dict[str, Any], who: str, *, as_json: bool) -> None:
    if as_json:
        import json

        typer.echo(json.dumps(summary))
        return
    counts = ", ".join(f"{count} {name}" for name, count in summary["written"].items())
    typer.echo(f"{out}: {summary['events']} events of {summary['customers']} {who} → {counts}; {summary['duplicate']} duplicate")
