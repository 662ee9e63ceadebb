"""How the demo of the next app looks: a live screen while it runs (next_app_tables.py), then what came of it (next_app_report.py)."""

from __future__ import annotations

import json
import time
from pathlib import Path

from rich.console import Console

from keepline.jobs.demo import next_app_report, next_app_tables
from keepline.jobs.demo.next_app_drive import NextAppDrive
from keepline.jobs.demo.show import held_up, screen_console, watch


def run(*, keep: bool, customers: int, seconds: float, out: Path | None, as_json: bool = False) -> int:
    """The demo from start to end; returns the exit code: 0 if all comparisons hold, else 1."""
    console = screen_console(as_json)
    began = time.monotonic()
    with NextAppDrive(customers, seconds) as drive:
        watch(console, drive, next_app_tables.screen, lambda: len(drive.board.made), ("unlocks", "predicted"))
        _last(console, drive)
        figures = next_app_report.figures(drive, time.monotonic() - began)
        next_app_report.show(console, figures)
        if out is not None:
            out.write_text(json.dumps(figures, indent=2) + "\n")
        if as_json:
            print(json.dumps(figures))
        if keep:
            held_up(console, drive)
    return 0 if figures["all_comparisons_hold"] else 1


def _last(console: Console, drive: NextAppDrive) -> None:
    """The last screen."""
    found = [drive.board.last(user) for user in drive.shown]
    console.print(next_app_tables.unlocks("Last unlocks of some users", found, drive.progress.clock))
    console.print()
