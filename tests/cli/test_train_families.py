"""`train churn --family`: trees and ensembles through the commands, from events to scores of files and of the job."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path

import numpy as np
import pytest

from keepline.features.churn import CHURN
from keepline.models.manifest import load
from keepline.models.trees.batch import score_rows
from keepline.schemas.times import to_rfc3339
from tests.cli.conftest import Command, call, write_lines

START, DAY = 1_767_225_600_000, 86_400_000
CUSTOMERS = 150


@pytest.fixture
def rows(keepline: Command, tmp_path: Path) -> list[dict[str, str]]:
    """f.csv, l.csv and e.jsonl in the folder of the command; the features by customer."""
    dice = random.Random(8)
    events, labels = [], ["customer_id,label"]
    for c in range(CUSTOMERS):
        left = dice.random() < 0.4
        count = dice.randrange(1, 6) if left else dice.randrange(4, 20)
        events += [call(f"c{c:03}", i, START + dice.randrange(30 * DAY), dice.expovariate(1 / 90)) for i in range(count)]
        labels.append(f"c{c:03},{int(left)}")
    write_lines(tmp_path / "e.jsonl", sorted(events, key=lambda event: event["event_time"]))
    write_lines(tmp_path / "l.csv", labels)
    assert keepline("features", "churn", "--events", "e.jsonl", "--at", to_rfc3339(START + 30 * DAY), "--out", "f.csv").code == 0
    with (tmp_path / "f.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("family", ["trees", "ensemble"])
def test_from_events_to_scores(keepline: Command, tmp_path: Path, rows: list[dict[str, str]], family: str) -> None:
    trained = keepline("train", "churn", "--features", "f.csv", "--labels", "l.csv", "--out", "m", "--family", family, "--json")
    assert trained.code == 0, trained.err
    assert list(trained.json["families"]) == ["logistic", "trees", "ensemble"]
    shown = keepline("train", "churn", "--features", "f.csv", "--labels", "l.csv", "--out", "again", "--family", family)
    assert (shown.code, "All families on the same folds" in shown.out) == (0, True)

    assert keepline("predict", "--model", "m", "--features", "f.csv", "--out", "p.csv").code == 0
    with (tmp_path / "p.csv").open(newline="") as file:
        predicted = [float(row["probability"]) for row in csv.DictReader(file)]
    table = load(tmp_path / "m", CHURN).forest()
    ours = score_rows(np.array([[float(row[name]) for name in CHURN.names] for row in rows]), table)
    np.testing.assert_allclose(ours.probability, predicted, rtol=0, atol=1e-9)

    replayed = keepline("replay", "retention", "--events", "e.jsonl", "--model", "m", "--out", "out", "--policy", "none", "--json")
    assert replayed.code == 0, replayed.err
    assert replayed.json["customers"] == CUSTOMERS
    assert replayed.json["written"]["scores"] >= CUSTOMERS


def test_a_logistic_model_is_compared_on_request(keepline: Command, tmp_path: Path, rows: list[dict[str, str]]) -> None:
    arguments = ("train", "churn", "--features", "f.csv", "--labels", "l.csv", "--out")
    plain = keepline(*arguments, "a", "--json")
    compared = keepline(*arguments, "b", "--compare", "--json")
    assert list(compared.json["families"]) == ["logistic", "trees", "ensemble"]
    assert {key: value for key, value in compared.json.items() if key != "families"} == plain.json
    assert (tmp_path / "a" / "manifest.json").read_bytes() == (tmp_path / "b" / "manifest.json").read_bytes()
    assert json.loads((tmp_path / "b" / "report.json").read_text()) == compared.json


def test_an_unknown_family_is_refused(keepline: Command, rows: list[dict[str, str]]) -> None:
    refused = keepline("train", "churn", "--features", "f.csv", "--labels", "l.csv", "--out", "m", "--family", "forest")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "--family is 'forest', expected logistic, trees or ensemble." in refused.err
