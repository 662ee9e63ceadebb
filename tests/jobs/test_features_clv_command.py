"""`keepline features clv` against the naive twin, through the real command and real files."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from keepline.features.clv import CLV
from keepline.features.oracle_clv import training_row
from tests.cli.conftest import Command
from tests.jobs import cli_files as files


def shopping() -> list[dict[str, Any]]:
    """Five customers, five months: orders with and without a cost, refunds, visits, promotions, each tenth record two days late."""
    made: list[dict[str, Any]] = []
    for i in range(600):
        t = files.START + i * 6 * 3_600_000 - (2 * files.DAY if i % 10 == 0 else 0)
        common = {"customer_id": f"c{i % 5}", "event_id": f"e{i}", "event_time": t}
        match i % 7:
            case 0 | 1:
                made.append(common | {"type": "Purchase", "order_id": "o", "amount": 1.5 * (i % 31), "cost": 0.5 * i if i % 3 else None})
            case 2:
                made.append(common | {"type": "Purchase", "order_id": "o", "amount": -2.25, "currency": "EUR" if i % 2 else ""})
            case 3:
                made.append(common | {"type": "PromotionResponse", "promotion_id": "p", "response": "REDEEMED" if i % 2 else "SENT"})
            case _:
                made.append(common | {"type": "PageView", "page": "/"})
    return made


EVENTS = shopping()
AT = files.START + 140 * files.DAY + 12_345


def ask(keepline: Command, folder: Path, *options: str) -> tuple[dict[str, Any], dict[str, dict[str, float]]]:
    """The summary, and the row of every customer at AT."""
    source = files.write(folder / "e.jsonl", [json.dumps(made) for made in EVENTS])
    result = keepline("features", "clv", "--events", source, "--at", str(AT), "--out", "o.csv", "--json", *options)
    assert result.code == 0, result.err
    with (folder / "o.csv").open(newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    assert list(found[0]) == ["customer_id", "at", *CLV.names]
    return result.json, {row["customer_id"]: {name: float(row[name]) for name in CLV.names} for row in found}


def check(rows: dict[str, dict[str, float]], events: list[dict[str, Any]], margin: float) -> None:
    assert sorted(rows) == [f"c{i}" for i in range(5)]
    for customer, row in rows.items():
        want = training_row([made for made in events if made["customer_id"] == customer], AT, margin)
        assert row == pytest.approx(want, rel=1e-9, abs=1e-9), customer


def test_rows_are_the_twins(keepline: Command, tmp_path: Path) -> None:
    summary, rows = ask(keepline, tmp_path, "--currency", "EUR", "--margin", "0.45")
    assert (summary["rows"], summary["events"], summary["rejected"]) == (5, 600, 0)
    check(rows, EVENTS, 0.45)


def test_another_currency_is_rejected(keepline: Command, tmp_path: Path) -> None:
    foreign = [made for made in EVENTS if made.get("currency")]
    assert foreign
    summary, rows = ask(keepline, tmp_path, "--currency", "USD")
    assert summary["rejected"] == len(foreign)
    check(rows, [made for made in EVENTS if not made.get("currency")], 0.3)
    told = (tmp_path / "o.csv.rejected.jsonl").read_text(encoding="utf-8")
    assert told.count('"INVALID_FIELD"') == len(foreign)
    assert "the configured currency 'USD'" in told


def test_a_margin_that_is_none(keepline: Command, tmp_path: Path) -> None:
    source = files.write(tmp_path / "e.jsonl", [json.dumps(EVENTS[0])])
    result = keepline("features", "clv", "--events", source, "--at", str(AT), "--out", "o.csv", "--margin", "30")
    assert (result.code, result.err.startswith("error: The gross margin is 30.0. Give a share of the amount")) == (2, True)
