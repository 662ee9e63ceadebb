"""How the demo looks: a live screen while it runs (tables.py), then what came of it (report.py)."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from keepline.jobs import explain
from keepline.jobs.demo import dataset, report, tables
from keepline.jobs.demo.drive import Drive, Erased
from keepline.jobs.demo.judge import judge
from keepline.jobs.demo.running import Running
from keepline.jobs.demo.summary import got_nothing
from keepline.models.contact.records import EMITTED

REFRESH = 4  # a second


R = TypeVar("R", bound=Running)


def run(*, keep: bool, customers: int, seconds: float, out: Path | None, as_json: bool = False) -> int:
    """The demo from start to end; returns the exit code: 0, or 1 if the scores were not scikit-learn's or not exactly one an event."""
    console = screen_console(as_json)
    began = time.monotonic()
    with Drive(customers, seconds) as drive:
        watch(console, drive, tables.screen, lambda: len(drive.outputs.scored) if hasattr(drive, "outputs") else 0)
        _last(console, drive)
        verdict = judge(drive.events, drive.month_scores, dataset.labels("held-back"))
        figures = report.figures(drive, verdict, explained(drive, drive.erased), time.monotonic() - began)
        report.show(console, figures, verdict)
        if out is not None:
            out.write_text(json.dumps(figures, indent=2) + "\n")
        if as_json:
            print(json.dumps(figures))
        if keep:
            held_up(console, drive)
    return 0 if figures["scores_equal_scikit_learn"] and figures["every_event_scored_once"] else 1


def screen_console(as_json: bool) -> Console:
    """A console of the demo's width; on standard error where standard output is for JSON."""
    console = Console(stderr=as_json)
    return Console(width=min(console.width, tables.WIDTH) if console.is_terminal else tables.WIDTH, stderr=as_json)


def held_up(console: Console, drive: Running) -> None:
    """Prints the servers' addresses and waits for Ctrl-C."""
    console.print(
        f"Flink's page: {drive.flink.url}   Redis: {drive.redis.url}   Kafka: {drive.kafka.bootstrap_servers}\n"
        f"try: keepline tail {drive.newest} --no-follow --bootstrap-servers {drive.kafka.bootstrap_servers}\n"
        "Ctrl-C ends everything.",
        soft_wrap=True,
    )
    threading.Event().wait()


def watch(
    console: Console,
    drive: R,
    screen: Callable[[R, RenderableType], RenderableType],
    scored: Callable[[], int],
    names: tuple[str, str] = ("sent", "scored"),
) -> None:
    """Runs the drive in a thread of its own and shows it; its error is raised here. `scored`: how many of the events have a score."""
    failed: list[BaseException] = []

    def work() -> None:
        try:
            drive.run()
        except BaseException as error:  # noqa: BLE001 — raised again below, in the thread that shows it
            failed.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    bars = Bars(TextColumn("{task.description:>9}"), BarColumn(40), MofNCompleteColumn(), TimeElapsedColumn())
    sent, done = (bars.add_task(name, total=None) for name in names)
    shown = ""
    with Live(console=console, refresh_per_second=REFRESH, transient=True) as live:
        while thread.is_alive():
            state = drive.progress
            bars.update(sent, total=state.total or None, completed=state.sent)
            bars.update(done, total=state.total or None, completed=scored())
            if console.is_terminal:
                live.update(screen(drive, bars))
            elif state.stage != shown:
                shown = state.stage
                console.print(f"… {shown}")
            thread.join(1 / REFRESH)
    if failed:
        raise failed[0]


def _last(console: Console, drive: Drive) -> None:
    """The last screen, of each kind the newest."""
    made = tables.one_of_each(drive.outputs.interventions, "kind", "channel")
    console.print(tables.interventions("Interventions: the last of each kind and channel", made, drive.crm))
    others = [each for each in drive.outputs.decisions if each["result"] != EMITTED]
    not_made = tables.one_of_each(others, "result", "reason")
    console.print(tables.held_back("Held, suppressed, cancelled, control: the last of each reason", not_made))
    console.print()


def explained(drive: Running, erased: Erased | None = None) -> str:
    """What `keepline explain` says of a customer who got nothing."""
    customer = got_nothing(drive.outputs.interventions, drive.outputs.decisions, erased.customer_id if erased else "")
    return explain.as_text(explain.from_redis(drive.redis.url, customer), drive.policy) if customer else ""
