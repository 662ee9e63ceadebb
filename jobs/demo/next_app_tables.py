"""The screen of the demo of the next app: some users' last unlocks, what was predicted and opened, and hit rates. 100 columns wide."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from keepline.jobs.demo.next_app_asked import PREDICTED, Asked
from keepline.jobs.demo.next_app_board import Apps, rank
from keepline.jobs.demo.next_app_drive import NextAppDrive
from keepline.jobs.demo.tables import WIDTH, Columns, day, framed

UNLOCKS: Columns = (("user", 9), ("unlocked (UTC)", 14), ("predicted, in percent", 57), ("opened", 10), ("place", 6))
RATES: Columns = (("order", 50), ("HR@1", 8), ("HR@3", 8), ("HR@5", 8), ("MRR@5", 8))
SAID: Mapping[str, str] = {
    PREDICTED: "Keepline, as committed by the stream",
    "MRU": "MRU: the user's most recently used apps",
    "MFU": "MFU: the user's most frequently used apps",
}


def screen(drive: NextAppDrive, bars: RenderableType) -> Group:
    """All of it, as it is now."""
    state, board = drive.progress, drive.board
    clock = f"stream time {day(state.clock)} UTC" if state.clock else None
    where = Text(state.stage, "bold", overflow="ellipsis", no_wrap=True)
    return Group(
        Panel(Group(where, bars), title="Keepline demo: the next app, of made-up people", subtitle=clock, width=WIDTH),
        unlocks("Last unlocks of some users", [board.last(user) for user in drive.shown], state.clock),
        rates("What was opened next, among the five predicted at the unlock", board.figures(), len(board.ranks[PREDICTED])),
    )


def unlocks(title: str, found: list[tuple[Asked, Apps] | None], clock: int) -> Table:
    """Unlocks with their predictions; what was opened once the stream's `clock` has come there."""
    table = framed(title, UNLOCKS)
    for each in found:
        if each is None:
            continue
        asked, apps = each
        opened = asked.opened if asked.opened_at <= clock else ""
        place = rank(apps, opened)
        told = "" if not opened else Text(f"{place}", "green") if place else Text("none", "red")
        table.add_row(asked.user, day(asked.time), listed(apps, opened), opened, told)
    return table


def listed(apps: Apps, opened: str = "") -> Text:
    """Names and percents, the one that was opened marked."""
    found = Text(no_wrap=True, overflow="ellipsis")
    for place, (app, probability) in enumerate(apps):
        found.append("  " if place else "")
        found.append(f"{app} {100 * probability:.0f}", "bold green" if app == opened else "")
    return found


def rates(title: str, figures: Mapping[str, Mapping[str, float]], count: int) -> Table:
    """Hit rates and MRR of each order."""
    table = framed(f"{title}: {count:,} unlocks", RATES)
    for name, found in figures.items():
        table.add_row(SAID[name], *(f"{value:.3f}" for value in found.values()), style="bold" if name == PREDICTED else "")
    return table
