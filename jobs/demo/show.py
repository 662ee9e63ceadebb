"""How the demo looks: a progress bar and a live table of interventions while it runs, then what came of it."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Table

from keepline.jobs.demo import dataset
from keepline.jobs.demo.drive import Drive, Progress
from keepline.jobs.demo.judge import Verdict, judge

ROWS = 12
COMPARED = 8
EXACT = 1e-9
REFRESH = 5  # a second


def run(*, keep: bool, customers: int, seconds: float, out: Path | None) -> int:
    """The demo from start to end; returns the exit code: 0, or 1 if the scores were not scikit-learn's."""
    console = Console()
    began = time.monotonic()
    with Drive(customers, seconds) as drive:
        _watch(console, drive)
        console.print("[bold]Reading the scores back and judging them …[/]")
        latency = drive.latency()
        verdict = judge(drive.events, drive.last_scores(), dataset.labels("held-back"))
        figures = _figures(drive.progress, latency, verdict, time.monotonic() - began)
        _report(console, figures, verdict)
        if out is not None:
            out.write_text(json.dumps(figures, indent=2) + "\n")
        if keep:
            console.print(
                f"Flink's page: {drive.flink.url}   Redis: {drive.redis.url}   Kafka: {drive.kafka.bootstrap_servers}\n"
                f"try: keepline tail retention.interventions --no-follow --bootstrap-servers {drive.kafka.bootstrap_servers}\n"
                "Ctrl-C ends everything."
            )
            threading.Event().wait()
    return 0 if figures["scores_equal_scikit_learn"] else 1


def _watch(console: Console, drive: Drive) -> None:
    """Runs the drive in a thread of its own and shows it; its error is raised here."""
    failed: list[BaseException] = []

    def work() -> None:
        try:
            drive.start()
            drive.make_events()
            drive.send()
        except BaseException as error:  # noqa: BLE001 — raised again below, in the thread that shows it
            failed.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    bars = Bars(TextColumn("{task.description:>10}"), BarColumn(40), MofNCompleteColumn(), TimeElapsedColumn())
    sent, scored = bars.add_task("sent", total=None), bars.add_task("scored", total=None)
    shown = ""
    with Live(console=console, refresh_per_second=REFRESH, transient=True) as live:
        while thread.is_alive():
            state = drive.progress
            bars.update(sent, total=state.total or None, completed=state.sent)
            bars.update(scored, total=state.total or None, completed=state.scored)
            live.update(Group(Panel(Group(f"[bold]{state.stage}[/]", bars), title="Keepline demo"), _table(state)))
            if not console.is_terminal and state.stage != shown:
                shown = state.stage
                console.print(f"… {shown}")
            thread.join(1 / REFRESH)
    if failed:
        raise failed[0]
    console.print(_table(drive.progress))


def _table(state: Progress) -> Table:
    made = list(state.interventions)
    table = Table(title=f"Interventions, read committed: {len(made)} (the newest {min(ROWS, len(made))})", title_justify="left")
    for column in ("customer", "decided (event time)", "risk", "offer", "because"):
        table.add_column(column)
    for record in made[-ROWS:]:
        when = datetime.fromtimestamp(record["decided_at"] / 1000, UTC).strftime("%Y-%m-%d %H:%M")
        because = ", ".join(f"{r['feature']} = {r['value']:.4g} ({r['contribution']:+.2f})" for r in record["reasons"][:2])
        table.add_row(record["customer_id"], when, f"{record['value']:.3f}", record["kind"], because)
    return table


def _figures(state: Progress, latency: dict[str, float], verdict: Verdict, seconds: float) -> dict[str, Any]:
    return {
        "customers": len(verdict.customers),
        "events": state.total,
        "scores_committed": state.scored,
        "interventions": len(state.interventions),
        "catch_up_events_per_s": round(state.catch_up_events / state.catch_up_seconds) if state.catch_up_seconds else None,
        "live_events_measured": int(latency.get("count", 0)),
        "created_to_redis_ms": {name: latency.get(f"{name}_ms") for name in ("p50", "p99", "max")},
        "largest_difference_to_scikit_learn": verdict.difference,
        "scores_equal_scikit_learn": verdict.difference <= EXACT,
        "threshold": verdict.threshold,
        "precision": verdict.precision,
        "recall": verdict.recall,
        "roc_auc": verdict.roc_auc,
        "base_rate": float(verdict.labels.mean()),
        "seconds": round(seconds, 1),
    }


def _report(console: Console, figures: dict[str, Any], verdict: Verdict) -> None:
    compared = Table(title="Last score of a customer, beside scikit-learn's on the same features", title_justify="left")
    for column in ("customer", "Keepline (Redis)", "scikit-learn", "difference", "left?"):
        compared.add_column(column, justify="left" if column == "customer" else "right")
    for i in range(min(COMPARED, len(verdict.customers))):
        left = "yes" if verdict.labels[i] else "no"
        ours, theirs = verdict.ours[i], verdict.sklearn[i]
        compared.add_row(verdict.customers[i], f"{ours:.12f}", f"{theirs:.12f}", f"{abs(ours - theirs):.1e}", left)
    console.print(compared)
    ms = figures["created_to_redis_ms"]
    equal = "equal" if figures["scores_equal_scikit_learn"] else "NOT EQUAL"
    lines = [
        f"events            {figures['events']:,} of {figures['customers']:,} customers, every one scored and committed exactly once",
        f"throughput        {figures['catch_up_events_per_s']:,} events/s while catching up with the history, from a cold start",
        "latency           "
        f"created → Redis p50 {ms['p50']:.0f} ms, p99 {ms['p99']:.0f} ms (live part, {figures['live_events_measured']:,} writes)",
        "scores            "
        f"{equal} to scikit-learn's for all customers: difference at most {figures['largest_difference_to_scikit_learn']:.1e}",
        f"against labels    precision {figures['precision']:.3f}, recall {figures['recall']:.3f} at {figures['threshold']:.2f}; "
        f"ROC AUC {figures['roc_auc']:.3f} ({figures['base_rate']:.1%} left)",
        f"interventions     {figures['interventions']:,}",
        f"this took         {figures['seconds']:.0f} s",
    ]
    console.print(Panel("\n".join(lines), title="What came of it", title_align="left"))
