"""The layouts that were ever in use, kept as `layouts/SET-STATE_VERSION.json`: what tells a stored state's numbers apart later.

`check` refuses a table whose layout is not the one kept for its state version, before a job writes states that nobody can read.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from keepline.features.layout import Column, Layout, OrderBook, Record, Ring, lay_out
from keepline.features.spec import FeatureError, FeatureSet, Ledger, Measure, OneOf, Sign

FOLDER = Path(__file__).parent / "layouts"


def layout_file(feature_set: FeatureSet, state_version: int | None = None) -> Path:
    """Where the layout of a state version is kept (default: the set's own)."""
    version = feature_set.state_version if state_version is None else state_version
    return FOLDER / f"{feature_set.name}-{version}.json"


def write(feature_set: FeatureSet) -> Path:
    """Keep the layout of the set's state version; `FeatureError` where another one is kept under it."""
    path = layout_file(feature_set)
    if path.exists():
        check(feature_set)
    else:
        path.write_text(dumps(lay_out(feature_set)) + "\n", encoding="utf-8")
    return path


def check(feature_set: FeatureSet) -> None:
    """`FeatureError` unless the set's layout is the one kept for its state version."""
    path = layout_file(feature_set)
    command = f"keepline features layout {feature_set.name} --write"
    if not path.exists():
        msg = (
            f"No layout is kept for feature set {feature_set.name!r}, state version {feature_set.state_version} ({path}): states written "
            f"now could not be migrated later. Run `{command}` and commit the file."
        )
        raise FeatureError(msg)
    if load(path) != lay_out(feature_set):
        msg = (
            f"The table of feature set {feature_set.name!r} lays out the state differently from state version {feature_set.state_version} "
            f"({path}). Raise state_version in the table, run `{command}` and commit the file; older states are then migrated."
        )
        raise FeatureError(msg)


def dumps(layout: Layout) -> str:
    """A layout as it is kept."""
    return json.dumps(_to_json(layout), indent=1)


def _to_json(layout: Layout) -> dict[str, Any]:
    return {
        "size": layout.size,
        "hot": layout.hot,
        "rings": [
            {
                "hop": ring.hop, "buckets": ring.buckets, "bucket_bytes": ring.bucket_bytes, "head": ring.head, "base": ring.base,
                "columns": [
                    {"measure": _measure_json(column.measure), "offset": column.offset, "caches": list(column.caches.items())}
                    for column in ring.columns
                ],
            }
            for ring in layout.rings
        ],
        "records": [{"event": record.event, "fields": record.fields, "word": record.word} for record in layout.records],
        "ledger": None if layout.ledger is None else {name: getattr(layout.ledger, name) for name in Ledger.__slots__},
        "summary": layout.summary,
        "bills": layout.bills,
        **({} if layout.orders is None else {"orders": asdict(layout.orders)}),
    }  # fmt: skip


def _measure_json(measure: Measure) -> dict[str, Any]:
    where: list[str] | dict[str, Any] | None = None
    match measure.where:
        case OneOf(name, symbols):
            where = [name, *symbols]
        case Sign():
            where = asdict(measure.where)
    return {"event": measure.event, "value": measure.value, "where": where}


def _measure(raw: dict[str, Any]) -> Measure:
    where: OneOf | Sign | None = None
    match raw["where"]:
        case [name, *symbols]:
            where = OneOf(name, tuple(symbols))
        case dict() as sign:
            where = Sign(**sign)
    return Measure(raw["event"], raw["value"], where)


def _column(raw: dict[str, Any]) -> Column:
    return Column(_measure(raw["measure"]), raw["offset"], dict(raw["caches"]))


def load(path: Path) -> Layout:
    """A kept layout."""
    raw = json.loads(path.read_bytes())
    rings = [
        Ring(
            ring["hop"], ring["buckets"], [_column(column) for column in ring["columns"]], ring["bucket_bytes"], ring["head"], ring["base"],
        )
        for ring in raw["rings"]
    ]  # fmt: skip
    return Layout(
        rings=rings,
        records=[Record(**record) for record in raw["records"]],
        ledger=None if raw["ledger"] is None else Ledger(**raw["ledger"]),
        hot=raw["hot"],
        summary=raw["summary"],
        bills=raw["bills"],
        size=raw["size"],
        orders=OrderBook(**raw["orders"]) if "orders" in raw else None,
    )
