"""`keepline demo`: the whole job on real components, on customers that the model has not seen."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer


def demo(
    job: Annotated[
        Literal["churn", "clv", "next_app"], typer.Option(help="What is scored: churn, customer lifetime value, or the next app.")
    ] = "churn",
    keep: Annotated[bool, typer.Option("--keep", help="Stay up at the end, until Ctrl-C.")] = False,
    customers: Annotated[int, typer.Option(help="How many of the customers, or people; 0 for all.")] = 0,
    seconds: Annotated[
        float, typer.Option(help="How long the live part takes: half a month of churn, nine months of clv, a week of apps.")
    ] = 30.0,
    out: Annotated[Path | None, typer.Option(help="Also write the final figures to this file, as JSON.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the final figures as JSON, all else on standard error.")] = False,
) -> None:
    """Start Kafka, Redis and Flink, stream the customers of a public data set, decide, and judge the scores.

    Shows interventions and what was held, suppressed or kept back for control as it is committed; then what became of them. The answers
    to interventions come from a simulated CRM: nobody is contacted.

    --job clv plays nine months of purchases (CDNOW) instead: segments of lifetime value as customers move between them, and at the end
    the streamed frequency, recency and monetary value against the published summary, P(alive) against its closed form.

    --job next_app plays four weeks of made-up people who unlock their phones and open apps: what was predicted at each unlock, what was
    opened, hit rates beside use alone, and each prediction against Python's.

    Ends by itself within about two and a half minutes; Ctrl-C at any time leaves no process behind. Exit code 1 if a comparison fails.

    Example: keepline demo --job clv --keep
    """
    if job == "clv":
        from keepline.jobs.demo.clv_show import run
    elif job == "next_app":
        from keepline.jobs.demo.next_app_show import run
    else:
        from keepline.jobs.demo.show import run

    raise typer.Exit(run(keep=keep, customers=customers, seconds=seconds, out=out, as_json=as_json))
