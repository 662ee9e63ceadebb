"""The demo's live screen: where it is, the newest interventions, the newest decisions that sent nothing, and counts. 100 columns wide."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from keepline.jobs.demo.crm import SimulatedCrm
from keepline.jobs.demo.drive import Drive
from keepline.jobs.demo.outputs import Outputs
from keepline.jobs.demo.summary import counted
from keepline.models.contact.records import CANCELLED, EMITTED, HELD, SUPPRESSED
from keepline.schemas.durations import shown

Record = Mapping[str, Any]
WIDTH = 100
ROWS = 6
MOST_REASONS = 5
Columns = tuple[tuple[str, int], ...]
MADE: Columns = (("decided (UTC)", 13), ("customer", 9), ("risk", 5), ("offer", 14), ("by", 5), ("because", 32), ("simulated CRM", 13))
NOT_MADE: Columns = (("decided (UTC)", 13), ("customer", 9), ("result", 10), ("reason", 20), ("offer", 14), ("that is", 26))
"""Columns and their widths."""
SAID: dict[str, Callable[[Record], str]] = {
    "CONTROL": lambda _made: "in the control group",
    "COOLDOWN": lambda made: f"not before {day(made['cooldown_until'])}",
    "OUTRANKED": lambda _made: "another trigger is first",
    "NO_MARKETING_CONSENT": lambda _made: "no consent to marketing",
    "NO_PROFILING_CONSENT": lambda _made: "no consent to profiling",
    "CAP": lambda made: f"already {made['cap']['most']} within {shown(made['cap']['per_ms'])}",
    "BUDGET": lambda made: f"{made['budget']['campaign']}: the day is spent",
    "ALREADY_HELD": lambda _made: "one is held already",
    "ENDED": lambda _made: "the contract is over",
    "REASON_GONE": lambda _made: "the risk is gone",
    "NO_OFFER": lambda _made: "no offer suits",
}
"""What a reason means, from the decision's `made_from`."""


def day(time_ms: int, zone: str = "UTC") -> str:
    """A time as day and minute in a zone."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).astimezone(ZoneInfo(zone)).strftime("%d %b %H:%M")


def screen(drive: Drive, bars: RenderableType) -> Group:
    """All of it, as it is now."""
    state = drive.progress
    clock = f"stream time {day(state.clock)} UTC" if state.clock else None
    where = Text(state.stage, "bold", overflow="ellipsis", no_wrap=True)
    parts: list[RenderableType] = [Panel(Group(where, bars), title="Keepline demo", subtitle=clock, width=WIDTH)]
    if hasattr(drive, "outputs"):
        outputs = drive.outputs
        made = len(outputs.interventions)
        not_made = [each for each in reversed(outputs.decisions) if each["result"] != EMITTED]
        parts += [
            interventions(f"Interventions, read committed: {made:,}, the newest", outputs.interventions[-ROWS:], drive.crm),
            held_back(f"Held, suppressed, cancelled, control: {len(not_made):,}, the newest", not_made[ROWS - 1 :: -1]),
            counts(outputs, drive.crm),
        ]
    return Group(*parts)


def interventions(title: str, made: Iterable[Record], crm: SimulatedCrm) -> Table:
    """Interventions, each with what the simulated CRM answered last."""
    table = framed(title, MADE)
    for each in made:
        answer = crm.seen.get(each["intervention_id"], ())
        table.add_row(
            day(each["decided_at"]), each["customer_id"], f"{each['value']:.3f}", each["kind"], each["channel"], because(each),
            answer[-1].lower() if answer else "",
        )  # fmt: skip
    return table


def held_back(title: str, decisions: Iterable[Record], columns: Columns = NOT_MADE) -> Table:
    """Decisions that sent nothing, or not yet."""
    table = framed(title, columns)
    for each in decisions:
        table.add_row(day(each["decided_at"]), each["customer_id"], each["result"], each["reason"], each["kind"], meaning(each))
    return table


def one_of_each(records: Iterable[Record], *fields: str) -> list[Record]:
    """The newest record for each combination of these fields, by time."""
    found = {tuple(each[field] for field in fields): each for each in sorted(records, key=lambda each: each["decided_at"])}
    return sorted(found.values(), key=lambda each: each["decided_at"])


def meaning(decision: Record) -> str:
    """A decision that sent nothing, in a few words."""
    made = json.loads(decision["made_from"])
    if decision["result"] == HELD:
        return f"until {day(decision['hold_until'], made['time_zone'])} there"
    said = SAID.get(decision["reason"])
    return said(made) if said else ""


def counts(outputs: Outputs, crm: SimulatedCrm) -> Text:
    """How many of what, in three lines."""
    decisions = list(outputs.decisions)
    result = counted(each["result"] for each in decisions)
    suppressed = counted(each["reason"] for each in decisions if each["result"] == SUPPRESSED)
    labelled = counted(row["label"] or row["status"] for row in list(outputs.labelled))
    lines = (
        f"decisions      {_listed({name.lower(): result.get(name, 0) for name in (EMITTED, HELD, CANCELLED, SUPPRESSED)})}",
        f"suppressed     {_listed(suppressed, MOST_REASONS)}",
        f"simulated CRM  {_listed({name.lower(): count for name, count in crm.counts.most_common()})}"
        f"   labelled rows: {_listed({name.lower(): count for name, count in labelled.items()})}",
    )
    return Text("\n".join(lines), no_wrap=True, overflow="ellipsis")


def _listed(numbers: Mapping[str, int], most: int = 99) -> str:
    first = [f"{count:,} {name}" for name, count in islice(numbers.items(), most)]
    left = sum(islice(numbers.values(), most, None))
    return ", ".join([*first, *([f"{left:,} other"] if left else [])]) or "none"


def because(made: Record) -> str:
    """The first reason of an intervention and its trigger."""
    if made["escalation_of"]:
        return "the offer did not help"
    return ", ".join(f"{each['feature']} {each['value']:.4g}" for each in made["reasons"][:1]) + f" ({made['trigger']})"


def framed(title: str, columns: Columns) -> Table:
    """An empty table of these columns under a title."""
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, padding=0, show_edge=False)
    for column, width in columns:
        table.add_column(column, width=width, no_wrap=True, overflow="ellipsis")
    return table
