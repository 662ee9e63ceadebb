"""Puts the commands together, and turns errors that a user can put right into one clear line."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from keepline.jobs.cli import demo, doctor, features, predict, produce, replay, run, tail, train

app = typer.Typer(
    name="keepline",
    help="Real-time customer retention on Apache Flink: features, scores and interventions from the telemetry in Kafka.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _group(name: str, text: str) -> typer.Typer:
    group = typer.Typer(help=text, no_args_is_help=True)
    app.add_typer(group, name=name)
    return group


app.command("doctor")(doctor.doctor)
app.command("demo")(demo.demo)
_group("run", "Run a job.").command("retention")(run.retention)
_group("train", "Train a model from files.").command("churn")(train.train)
app.command("predict")(predict.predict)
app.command("produce")(produce.produce)
app.command("tail")(tail.tail)
_group("features", "Compute training rows from files, with the stream's kernels.").command("churn")(features.churn)
_group("replay", "Run a job over files, without Flink or Kafka.").command("retention")(replay.retention)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415

        typer.echo(version("keepline"))
        raise typer.Exit


@app.callback()
def options(
    _version_: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Real-time customer retention on Apache Flink."""


def main() -> None:
    """The console script."""
    try:
        app()
    except Exception as error:
        from keepline.schemas.errors import KeeplineError  # noqa: PLC0415

        if not isinstance(error, KeeplineError):
            raise
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
