"""How the demo looks: a live screen while it runs (tables.py), then what came of it (report.py)."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from keepline.jobs import explain
from keepline.jobs.demo import dataset, report, tables
from keepline.jobs.demo.drive import Drive
from keepline.jobs.demo.judge import judge
from keepline.jobs.demo.summary import got_nothing
from keepline.models.contact.records import EMITTED

REFRESH = 4  # a second


def run(*, keep: bool, customers: int, seconds: float, out: Path | None) -> int:
    """The demo from start to end; returns the exit code: 0, or 1 if the scores were not scikit-learn's or not exactly one an event."""
    console = Console()
    console = Console(width=min(console.width, tables.WIDTH) if console.is_terminal else tables.WIDTH)
    began = time.monotonic()
    with Drive(customers, seconds) as drive:
        _watch(console, drive)
        verdict = judge(drive.events, drive.month_scores, dataset.labels("held-back"))
        explained = _explained(drive)
        figures = report.figures(drive, verdict, explained, time.monotonic() - began)
        report.show(console, figures, verdict)
        if out is not None:
            out.write_text(json.dumps(figures, indent=2) + "\n")
        if keep:
            console.print(
                f"Flink's page: {drive.flink.url}   Redis: {drive.redis.url}   Kafka: {drive.kafka.bootstrap_servers}\n"
                f"try: keepline tail retention.decisions --no-follow --bootstrap-servers {drive.kafka.bootstrap_servers}\n"
                "Ctrl-C ends everything.",
                soft_wrap=True,
            )
            threading.Event().wait()
    return 0 if figures["scores_equal_scikit_learn"] and figures["every_event_scored_once"] else 1


def _watch(console: Console, drive: Drive) -> None:
    """Runs the drive in a thread of its own and shows it; its error is raised here."""
    failed: list[BaseException] = []

    def work() -> None:
        try:
            drive.run()
        except BaseException as error:  # noqa: BLE001 — raised again below, in the thread that shows it
            failed.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    bars = Bars(TextColumn("{task.description:>7}"), BarColumn(40), MofNCompleteColumn(), TimeElapsedColumn())
    sent, scored = bars.add_task("sent", total=None), bars.add_task("scored", total=None)
    shown = ""
    with Live(console=console, refresh_per_second=REFRESH, transient=True) as live:
        while thread.is_alive():
            state = drive.progress
            bars.update(sent, total=state.total or None, completed=state.sent)
            bars.update(scored, total=state.total or None, completed=len(drive.outputs.scored) if hasattr(drive, "outputs") else 0)
            if console.is_terminal:
                live.update(tables.screen(drive, bars))
            elif state.stage != shown:
                shown = state.stage
                console.print(f"… {shown}")
            thread.join(1 / REFRESH)
    if failed:
        raise failed[0]
    made = tables.one_of_each(drive.outputs.interventions, "kind", "channel")
    console.print(tables.interventions("Interventions: the last of each kind and channel", made, drive.crm))
    others = [each for each in drive.outputs.decisions if each["result"] != EMITTED]
    not_made = tables.one_of_each(others, "result", "reason")
    console.print(tables.held_back("Held, suppressed, cancelled, control: the last of each reason", not_made))
    console.print()


def _explained(drive: Drive) -> str:
    """What `keepline explain` says of a customer who got nothing."""
    customer = got_nothing(drive.outputs.interventions, drive.outputs.decisions, drive.erased.customer_id if drive.erased else "")
    return explain.as_text(explain.from_redis(drive.redis.url, customer), drive.policy) if customer else ""
