"""How the demo of lifetime value looks: a live screen while it runs (clv_tables.py), then what came of it (clv_report.py)."""

from __future__ import annotations

import json
import time
from pathlib import Path

from rich.console import Console

from keepline.jobs.demo import clv_report, clv_tables, tables
from keepline.jobs.demo.clv_drive import ClvDrive
from keepline.jobs.demo.clv_judge import judge
from keepline.jobs.demo.show import explained, held_up, screen_console, watch
from keepline.models.clv.scorer import SCORES
from keepline.models.contact.records import EMITTED


def run(*, keep: bool, customers: int, seconds: float, out: Path | None, as_json: bool = False) -> int:
    """The demo from start to end; returns the exit code: 0 if all comparisons hold, else 1."""
    console = screen_console(as_json)
    began = time.monotonic()
    with ClvDrive(customers, seconds) as drive:
        watch(console, drive, clv_tables.screen, lambda: len(drive.board.of_events) // len(SCORES))
        _last(console, drive)
        verdict = judge(drive.day, drive.published, drive.model)
        figures = clv_report.figures(drive, verdict, explained(drive), time.monotonic() - began)
        clv_report.show(console, figures, verdict)
        if out is not None:
            out.write_text(json.dumps(figures, indent=2) + "\n")
        if as_json:
            print(json.dumps(figures))
        if keep:
            held_up(console, drive)
    return 0 if figures["all_comparisons_hold"] else 1


def _last(console: Console, drive: ClvDrive) -> None:
    """The last screen, of each kind the newest."""
    console.print(clv_tables.segments(drive.board))
    console.print(clv_tables.moves("Who moved: the newest", clv_tables.newest_moves(drive.board, clv_tables.ROWS)))
    made = tables.one_of_each(drive.outputs.interventions, "kind", "channel")
    console.print(clv_tables.interventions("Interventions: the last of each kind and channel", made))
    others = [each for each in drive.outputs.decisions if each["result"] != EMITTED]
    console.print(
        clv_tables.not_sent("Held, suppressed, cancelled, control: the last of each reason", tables.one_of_each(others, "result", "reason"))
    )
    console.print()
