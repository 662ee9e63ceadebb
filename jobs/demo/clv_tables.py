"""The screen of the demo of lifetime value: segments and who moved, the newest interventions and decisions. 100 columns wide."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from keepline.jobs.demo import tables
from keepline.jobs.demo.clv_drive import ClvDrive
from keepline.jobs.demo.clv_scores import BANDS, Board, Move
from keepline.jobs.demo.dataset import DAY_MS
from keepline.jobs.demo.tables import WIDTH, Columns, because, day, framed
from keepline.models.contact.records import EMITTED

Record = Mapping[str, Any]
ROWS = 4
LATELY_DAYS = 14
BAR = 14
"""Characters of a bar of all customers."""
NOT_MADE: Columns = tuple((name, 10 if name == "customer" else width) for name, width in tables.NOT_MADE)
SHOWN = ("clv_bgnbd", "p_alive")
SEGMENTS: Columns = (("score", 9), ("LOW", 21), ("MEDIUM", 21), ("HIGH", 21), (f"moved within {LATELY_DAYS} days", 22))
MOVES: Columns = (("as of (UTC)", 13), ("customer", 10), ("score", 9), ("from", 6), ("to", 6), ("value", 8), ("at", 10))
MADE: Columns = (("decided (UTC)", 13), ("customer", 10), ("score", 9), ("value", 7), ("offer", 14), ("by", 5), ("because", 36))


def screen(drive: ClvDrive, bars: RenderableType) -> Group:
    """All of it, as it is now."""
    state, board = drive.progress, drive.board
    clock = f"stream time {day(state.clock)} 1997 UTC" if state.clock else None
    where = Text(state.stage, "bold", overflow="ellipsis", no_wrap=True)
    parts: list[RenderableType] = [Panel(Group(where, bars), title="Keepline demo: customer lifetime value", subtitle=clock, width=WIDTH)]
    parts += [segments(board), moves(f"Who moved: {_count(board):,}, the newest", newest_moves(board, ROWS))]
    if hasattr(drive, "outputs"):
        outputs = drive.outputs
        not_made = [each for each in reversed(outputs.decisions) if each["result"] != EMITTED]
        parts += [
            interventions(f"Interventions, read committed: {len(outputs.interventions):,}, the newest", outputs.interventions[-ROWS:]),
            not_sent(f"Held, suppressed, cancelled, control: {len(not_made):,}, the newest", not_made[ROWS - 1 :: -1]),
        ]
    return Group(*parts)


def segments(board: Board) -> Table:
    """How many customers are in which band of each score, and how many moved up and down lately."""
    table = framed("Segments: customers by band", SEGMENTS)
    for score in SHOWN:
        counted = board.segments(score)
        lately = board.moved(score, board.clock - LATELY_DAYS * DAY_MS)
        up, down = (sum(count for (before, after), count in lately.items() if (after > before) is rose) for rose in (True, False))
        table.add_row(score, *(_bar(count, sum(counted)) for count in counted), f"{up:,} up, {down:,} down")
    return table


def newest_moves(board: Board, count: int) -> list[Move]:
    """The newest moves of the scores that are shown, in the order in which they came."""
    found = (each for each in reversed(list(board.moves)) if each.head.score in SHOWN)
    return list(islice(found, count))[::-1]


def moves(title: str, moved: Iterable[Move]) -> Table:
    """Customers who came into another band: by a purchase, or by a day of silence."""
    table = framed(title, MOVES)
    for each in moved:
        now = each.head
        table.add_row(
            day(now.as_of), now.customer_id, now.score, BANDS[each.before], BANDS[now.band], amount(now.value, now.score),
            "a purchase" if now.event_id else "silence",
        )  # fmt: skip
    return table


def interventions(title: str, made: Iterable[Record]) -> Table:
    """Interventions, each with the score that it rests on."""
    table = framed(title, MADE)
    for each in made:
        shown = amount(each["value"], each["score"])
        table.add_row(day(each["decided_at"]), each["customer_id"], each["score"], shown, each["kind"], each["channel"], because(each))
    return table


def not_sent(title: str, decisions: Iterable[Record]) -> Table:
    """Decisions that sent nothing, or not yet."""
    return tables.held_back(title, decisions, NOT_MADE)


def amount(value: float, score: str) -> str:
    """A probability with three decimals, money with two."""
    return f"{value:.3f}" if score == "p_alive" else f"{value:,.2f}"


def _count(board: Board) -> int:
    return sum(each.head.score in SHOWN for each in list(board.moves))


def _bar(count: int, of_all: int) -> str:
    return f"{count:>5,} {'█' * round(BAR * count / max(of_all, 1))}"
