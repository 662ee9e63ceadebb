"""How a dry run looks: foreign record and canonical events side by side, and the sums of each topic or file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from keepline.jobs.mapping.samples import Report


def print_reports(reports: Sequence[Report], *, as_json: bool) -> None:
    """Prints the reports."""
    if as_json:
        typer.echo(json.dumps([each.as_dict() for each in reports], indent=2, ensure_ascii=False, default=str))
        return
    from rich.console import Console

    console = Console()
    for each in reports:
        _table(console, each)


def _table(console: Any, found: Report) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=f"{found.name} by {found.place}", title_justify="left", show_lines=True, expand=True)
    table.add_column("at")
    table.add_column("foreign record", ratio=1, overflow="fold")
    table.add_column("canonical events", ratio=1, overflow="fold")
    for one in found.samples:
        if one.rejected:
            right = Text(f"{one.rejected['reason']}: {one.rejected['message']}", style="red")
        elif one.events:
            right = Text("\n".join(_text(_readable(event)) for event in one.events))
        else:
            right = Text("skipped: no event's filter takes it", style="dim")
        table.add_row(f"{one.partition}:{one.offset}", Text(_text(one.record)), right)
    if found.samples:
        console.print(table)
    events = ", ".join(f"{count} {name}" for name, count in found.events.items()) or "none"
    rejected = ", ".join(f"{count} {name}" for name, count in found.rejected.items()) or "0"
    console.print(
        Text(f"{found.name}: {len(found.samples)} records read; events: {events}; skipped: {found.skipped}; rejected: {rejected}"),
        soft_wrap=True,
    )
    for path in found.never:
        console.print(Text(f"  none of the records has {path}", style="yellow"), soft_wrap=True)


def _readable(event: dict[str, Any]) -> dict[str, Any]:
    """The event with its times as people read them; JSON output keeps the milliseconds."""
    from keepline.schemas.catalog import event_type
    from keepline.schemas.times import to_rfc3339

    times = [each.name for each in event_type(event["type"]).fields if each.time]
    return event | {name: to_rfc3339(event[name]) for name in times if abs(event[name]) < 2**47}


def _text(record: Any) -> str:
    return record if isinstance(record, str) else json.dumps(record, ensure_ascii=False, default=str)
