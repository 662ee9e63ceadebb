"""`keepline demo`: the whole job on real components, on customers that the model has not seen."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Stay up at the end, until Ctrl-C.")] = False,
    customers: Annotated[int, typer.Option(help="How many of the held-back customers; 0 for all.")] = 0,
    seconds: Annotated[float, typer.Option(help="How long the production of events is spread over.")] = 30.0,
    out: Annotated[Path | None, typer.Option(help="Also write the final figures to this file, as JSON.")] = None,
) -> None:
    """Start Kafka, Redis and Flink, stream a held-back part of a public churn data set, and judge the scores.

    Ends by itself within about two minutes; Ctrl-C at any time leaves no process behind.

    Example: keepline demo --keep
    """
    from keepline.jobs.demo.show import run

    raise typer.Exit(run(keep=keep, customers=customers, seconds=seconds, out=out))
