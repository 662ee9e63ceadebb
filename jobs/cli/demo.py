"""`keepline demo`: the whole job on real components, on customers that the model has not seen."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Stay up at the end, until Ctrl-C.")] = False,
    customers: Annotated[int, typer.Option(help="How many of the held-back customers; 0 for all.")] = 0,
    seconds: Annotated[float, typer.Option(help="How long the live half of the month takes.")] = 30.0,
    out: Annotated[Path | None, typer.Option(help="Also write the final figures to this file, as JSON.")] = None,
) -> None:
    """Start Kafka, Redis and Flink, stream a held-back part of a public churn data set, decide, and judge the scores.

    Shows interventions and what was held, suppressed or kept back for control as it is committed; then what became of them. The answers
    to interventions come from a simulated CRM: nobody is contacted.

    Ends by itself within about two and a half minutes; Ctrl-C at any time leaves no process behind.

    Example: keepline demo --keep
    """
    from keepline.jobs.demo.show import run

    raise typer.Exit(run(keep=keep, customers=customers, seconds=seconds, out=out))
