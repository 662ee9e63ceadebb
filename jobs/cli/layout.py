"""`keepline features layout`: where a feature set's numbers lie in a customer's state, and which layouts are kept."""

from __future__ import annotations

from typing import Annotated

import typer


def layout(
    name: Annotated[str, typer.Argument(metavar="SET", help="Feature set.")] = "churn",
    write: Annotated[bool, typer.Option("--write", help="Keep the layout under the set's state version, if none is kept yet.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the layout as JSON.")] = False,
) -> None:
    """Show the layout of a feature set's state, and check it against the one kept for its state version.

    A table that lays out the state differently needs a new state_version; with the kept layout of the old one, stored
    states are migrated.

    Example: keepline features layout churn
    """
    from keepline.features import layouts
    from keepline.features.layout import ORDER_WORDS, SECTIONS, lay_out
    from keepline.features.sets import feature_set

    wanted = feature_set(name)
    if write:
        layouts.write(wanted)
    laid = lay_out(wanted)
    if as_json:
        typer.echo(layouts.layout_file(wanted).read_text(encoding="utf-8") if write else layouts.dumps(laid))
    else:
        from rich.console import Console
        from rich.table import Table

        table = Table(title=f"{name} version {wanted.version}, state version {wanted.state_version}: {laid.size} bytes a customer")
        for column in ("Section", "Bytes", "Holds"):
            table.add_column(column, justify="right" if column == "Bytes" else "left")
        table.add_row("header, duplicate memory", str(SECTIONS), "times, versions, emission; 32 event ids")
        for ring in laid.rings:
            measures = f"{len(ring.columns)} measures x {ring.buckets} buckets of {ring.hop // 60_000} min"
            table.add_row("ring", str(ring.buckets * ring.bucket_bytes), measures)
        for record in laid.records:
            table.add_row("newest event", str(8 + 8 * len(record.fields)), f"{record.event}: time {' '.join(record.fields)}".rstrip())
        if laid.orders:
            days = f"counts, sums, {64 * laid.orders.bits} days"
            table.add_row("orders", str(8 * (ORDER_WORDS + laid.orders.bits)), f"{laid.orders.event}: {days}")
        if laid.ledger:
            table.add_row("ledger", str(8 + 40 * laid.ledger.keep), f"{laid.ledger.keep} bills")
        Console().print(table)
    layouts.check(wanted)
