"""`keepline clv fit` as users run it, on a small file and on real purchases."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from keepline.features.clv import CLV
from keepline.models.clv.manifest import load
from tests.cli.conftest import Command, write_lines
from tests.models.clv.clv_files import cdnow

START, DAY = 1_767_225_600_000, 86_400_000
UNTIL = "2026-06-30T23:59:59Z"


def purchase(customer: str, number: int, time: int, amount: float) -> dict[str, Any]:
    fields = {"customer_id": customer, "event_id": f"{customer}-{number}", "event_time": time, "order_id": f"o{number}", "amount": amount}
    return {"type": "Purchase"} | fields


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """80 customers who buy and leave."""
    dice = random.Random(3)
    events = []
    for c in range(80):
        time, mean, rate = START + dice.randrange(90 * DAY), dice.uniform(5, 50), dice.uniform(3, 40)
        for i in range(12):
            events.append(purchase(f"c{c}", i, time, round(dice.gammavariate(4, mean / 4), 2)))
            time += int(dice.expovariate(1 / rate) * DAY)
            if dice.random() < 0.25:
                break
    return write_lines(tmp_path / "e.jsonl", sorted(events, key=lambda event: event["event_time"]))


def test_writes_a_manifest_and_says_what_it_found(keepline: Command, shop: Path, tmp_path: Path) -> None:
    done = keepline("clv", "fit", "--events", shop, "--until", UNTIL, "--out", "model", "--discount", 0.01, "--margin", 0.4, "--json")
    assert done.code == 0, done.err
    model = load(tmp_path / "model", CLV)
    assert model.manifest.horizon.discount == 0.01
    assert model.default_margin == 0.4
    assert done.json["bgnbd"] == model.manifest.bgnbd.model_dump()
    assert (done.json["rejected"], done.json["data"]["customers"]) == (0, 80)
    first = (tmp_path / "model" / "manifest.json").read_bytes()
    shown = keepline("clv", "fit", "--events", shop, "--until", UNTIL, "--out", "again", "--discount", 0.01, "--margin", 0.4)
    assert shown.code == 0
    for text in ("BG/NBD", "Gamma-Gamma", "alpha", "log-likelihood", "clv_formula", model.manifest.bgnbd.verdict):
        assert text in shown.out
    assert (tmp_path / "again" / "manifest.json").read_bytes() == first


def test_what_came_after_until_changes_nothing(keepline: Command, shop: Path, tmp_path: Path) -> None:
    until = "2026-03-31T12:00:00Z"
    lines = shop.read_text().splitlines()
    early = write_lines(
        tmp_path / "early.jsonl", [line for line in lines if int(line.split('"event_time": ')[1].split(",")[0]) <= 1_774_958_400_000]
    )
    found = [keepline("clv", "fit", "--events", file, "--until", until, "--out", "model", "--json").json for file in (shop, early)]
    assert len(early.read_text().splitlines()) < len(lines)
    assert found[0]["bgnbd"] == found[1]["bgnbd"]
    assert found[0]["data"] == found[1]["data"]


def test_degenerate_data_end_with_a_plain_warning(keepline: Command, tmp_path: Path) -> None:
    """Customers who all buy every week and go on doing so: nobody leaves."""
    events = [purchase(f"c{c}", i, START + (7 * i + c % 7) * DAY, 10.0 + c) for i in range(20) for c in range(40)]
    source = write_lines(tmp_path / "e.jsonl", sorted(events, key=lambda event: event["event_time"]))
    done = keepline("clv", "fit", "--events", source, "--until", "2026-05-20T23:00:00Z", "--out", "model")
    assert done.code == 0, done.err
    assert "BG/NBD: degenerate" in done.out
    assert "warning: Dropout goes to zero" in done.out
    assert "nan" not in (tmp_path / "model" / "manifest.json").read_text().lower()
    load(tmp_path / "model", CLV)


def test_errors_say_what_to_do(keepline: Command, shop: Path, tmp_path: Path) -> None:
    def error(*args: object) -> str:
        done = keepline("clv", "fit", "--out", "model", *args)
        assert done.code == 2
        assert done.err.startswith("error: ")
        assert not (tmp_path / "model").exists()
        return done.err

    assert "no order (Purchase with amount ≥ 0) at or before" in error("--events", shop, "--until", "2020-01-01T00:00:00Z")
    once = write_lines(tmp_path / "once.jsonl", [purchase("a", 1, START, 5.0), purchase("b", 1, START, -5.0)])
    assert "No customer has a repeat purchase" in error("--events", once, "--until", UNTIL)
    assert "--horizon is 0" in error("--events", shop, "--until", UNTIL, "--horizon", 0)
    assert "Correct the time" in error("--events", shop, "--until", "yesterday")
    assert "no such file" in error("--events", "none.jsonl", "--until", UNTIL)


def test_currency_of_events(keepline: Command, shop: Path, tmp_path: Path) -> None:
    lines = [line.replace('"amount"', '"currency": "EUR", "amount"') for line in shop.read_text().splitlines()]
    source = write_lines(tmp_path / "eur.jsonl", lines)
    refused = keepline("clv", "fit", "--events", source, "--until", UNTIL, "--out", "none")
    assert (refused.code, f"{len(lines)} were refused" in refused.err) == (2, True)
    taken = keepline("clv", "fit", "--events", source, "--until", UNTIL, "--currency", "EUR", "--out", "model", "--json")
    assert (taken.json["rejected"], taken.json["currency"]) == (0, "EUR")


def test_cdnow_gives_the_published_parameters(keepline: Command, shared_data: Path, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "cdnow.jsonl", cdnow(shared_data))
    found = keepline("clv", "fit", "--events", source, "--until", "1997-09-30T23:59:59Z", "--out", "model", "--json").json
    assert found["bgnbd"]["log_likelihood"] == pytest.approx(-9582.43, abs=0.005)
    parameters = {name: each["value"] for part in ("bgnbd", "gamma_gamma") for name, each in found[part]["parameters"].items()}
    published = {"r": 0.2426, "alpha": 4.4135, "a": 0.7929, "b": 2.4258, "p": 6.2496, "q": 3.7442, "gamma": 15.4435}
    assert parameters == pytest.approx(published, abs=1.5e-4)
    assert (found["bgnbd"]["verdict"], found["gamma_gamma"]["verdict"], found["gamma_gamma"]["customers"]) == (
        "converged",
        "converged",
        946,
    )


def test_amounts_beyond_all_measure_are_refused_in_words(keepline: Command, tmp_path: Path) -> None:
    events = [purchase(f"c{c}", i, START + (c + 7 * i) * DAY, 1e300 * (1 + i)) for c in range(20) for i in range(3)]
    found = keepline("clv", "fit", "--events", write_lines(tmp_path / "e.jsonl", events), "--until", UNTIL, "--out", "model")
    assert (found.code, found.out) == (2, "")
    assert "expected at most 1e+100" in found.err.splitlines()[-1]
    assert not (tmp_path / "model").exists()
