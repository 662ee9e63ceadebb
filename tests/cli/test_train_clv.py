"""`keepline clv labels`, `features clv`, `train clv` and `predict`, one after the other, as a user runs them."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path

import pytest

from keepline.schemas.times import to_rfc3339
from tests.cli.conftest import Command, write_lines

START, DAY = 1_735_689_600_000, 86_400_000
AT = to_rfc3339(START + 100 * DAY)
CUSTOMERS = 150


@pytest.fixture
def events(tmp_path: Path) -> Path:
    """Customers who buy at rates of their own for 200 days; one who comes only later; one who only looks."""
    dice = random.Random(11)
    made = []
    for c in range(CUSTOMERS):
        rate, size = dice.expovariate(30), dice.lognormvariate(3, 0.5)
        t, number = dice.uniform(0, 60), 0
        while t < 200:
            amount = round(size * dice.gammavariate(4, 0.25), 2)
            time = START + int(t * DAY)
            made.append(
                {"type": "Purchase", "customer_id": f"c{c:03}", "event_id": f"{c}-{number}", "event_time": time}
                | {"order_id": f"{c}-{number}", "amount": amount}
            )
            t, number = t + dice.expovariate(rate), number + 1
    late = {"type": "Purchase", "customer_id": "later", "event_id": "1", "event_time": START + 150 * DAY, "order_id": "1", "amount": 5.0}
    looks = {"type": "PageView", "customer_id": "looks", "event_id": "1", "event_time": START + 3 * DAY, "page": "/"}
    end = {"type": "PageView", "customer_id": "c000", "event_id": "end", "event_time": START + 200 * DAY, "page": "/"}
    return write_lines(tmp_path / "e.jsonl", sorted([*made, late, looks, end], key=lambda event: event["event_time"]))


@pytest.fixture
def files(keepline: Command, events: Path) -> None:
    """l.csv and r.csv, made by the commands."""
    labelled = keepline("clv", "labels", "--events", events, "--at", AT, "--horizon", "100d", "--out", "l.csv", "--json")
    assert labelled.code == 0, labelled.err
    assert (labelled.json["customers"], labelled.json["unknown"], labelled.json["rejected"]) == (CUSTOMERS + 1, 1, 0)
    assert keepline("features", "clv", "--events", events, "--at", "l.csv", "--out", "r.csv").code == 0


@pytest.mark.usefixtures("files")
def test_from_events_to_amounts(keepline: Command, tmp_path: Path, events: Path) -> None:
    trained = keepline("train", "clv", "--rows", "r.csv", "--labels", "l.csv", "--out", "m", "--json")
    assert trained.code == 0, trained.err
    assert (trained.json["family"], trained.json["horizon_days"], trained.json["rows"]) == ("tweedie", 100, CUSTOMERS + 1)
    assert list(trained.json["methods"]) == ["tweedie", "naive rate"]
    assert trained.json["feature_set"] == {"name": "clv", "version": 1}
    for name in ("manifest.json", "model.joblib", "report.md", "report.json", "lift.svg", "gains.svg", "expected.svg"):
        assert (tmp_path / "m" / name).stat().st_size > 0
    shown = keepline("train", "clv", "--features", "r.csv", "--labels", "l.csv", "--out", "n", "--family", "ridge")
    assert (shown.code, "naive rate" in shown.out, "ridge" in shown.out) == (0, True, True)
    assert json.loads((tmp_path / "n" / "manifest.json").read_text())["link"] == "log1p"

    assert keepline("clv", "fit", "--events", events, "--until", AT, "--out", "fit").code == 0
    beside = keepline("train", "clv", "--rows", "r.csv", "--labels", "l.csv", "--out", "b", "--bgnbd", "fit", "--json")
    assert beside.code == 0, beside.err
    assert list(beside.json["methods"]) == ["tweedie", "naive rate", "BG/NBD × Gamma-Gamma"]
    assert beside.json["methods"]["tweedie"] == trained.json["methods"]["tweedie"]

    predicted = keepline("predict", "--model", "m", "--features", "r.csv", "--out", "p.csv")
    assert predicted.code == 0, predicted.err
    with (tmp_path / "p.csv").open(newline="") as file:
        amounts = {row["customer_id"]: float(row["amount"]) for row in csv.DictReader(file)}
    with (tmp_path / "l.csv").open(newline="") as file:
        revenue = {row["customer_id"]: float(row["revenue"]) for row in csv.DictReader(file)}
    assert amounts.keys() == revenue.keys()
    assert sum(amounts.values()) == pytest.approx(sum(revenue.values()), rel=1e-9)


@pytest.mark.usefixtures("files")
def test_slips_get_one_line(keepline: Command, tmp_path: Path, events: Path) -> None:
    def refused(*args: object) -> str:
        result = keepline(*args)
        assert (result.code, result.err.count("\n")) == (2, 1), result.err
        return result.err

    train = ("train", "clv", "--rows", "r.csv", "--labels", "l.csv", "--out", "m")
    assert "--family is 'tree', expected ridge or gamma" in refused(*train, "--family", "tree")
    assert "which a gamma distribution" in refused(*train, "--power", 2)
    assert "horizon_days 100, but --horizon is 50 days" in refused(*train, "--horizon", "50d")
    assert "is not a duration" in refused(*train, "--horizon", "soon")
    labels = ("clv", "labels", "--events", events, "--out", "x.csv")
    assert "Give --horizon 100d or less" in refused(*labels, "--at", AT, "--horizon", "101d")
    assert "--horizon is 0d, expected a time above 0" in refused(*labels, "--at", AT, "--horizon", "0d")
    assert "is not a time" in refused(*labels, "--at", "soon", "--horizon", "10d")
    assert "ends in .txt" in refused("clv", "labels", "--events", events, "--at", AT, "--horizon", "9d", "--out", "x.txt")
    assert not (tmp_path / "x.csv").exists()
    # A row made later than its label begins would know what it is to predict.
    later = to_rfc3339(START + 101 * DAY)
    assert keepline("features", "clv", "--events", events, "--at", later, "--out", "late.csv").code == 0
    wrong = ("train", "clv", "--rows", "late.csv", "--labels", "l.csv", "--out", "m")
    assert "have no revenue in l.csv" in refused(*wrong)


def test_help_has_an_example(keepline: Command) -> None:
    for command in (("train", "clv"), ("clv", "labels")):
        result = keepline(*command, "--help")
        assert (result.code, "Example:\n    keepline " in result.out) == (0, True)
