"""`features` → `train` → `predict` → `replay`, as a user chains them."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path

from keepline.schemas.times import to_rfc3339
from tests.cli.conftest import Command, call, write_lines

START, DAY = 1_767_225_600_000, 86_400_000
CUSTOMERS = 120


def test_from_events_to_scores(keepline: Command, tmp_path: Path) -> None:
    dice = random.Random(5)
    events, labels = [], ["customer_id,label"]
    for c in range(CUSTOMERS):
        left = dice.random() < 0.4
        count = dice.randrange(1, 6) if left else dice.randrange(4, 20)
        events += [call(f"c{c:03}", i, START + dice.randrange(30 * DAY), dice.expovariate(1 / 90)) for i in range(count)]
        labels.append(f"c{c:03},{int(left)}")
    source = write_lines(tmp_path / "e.jsonl", sorted(events, key=lambda event: event["event_time"]))
    (tmp_path / "l.csv").write_text("\n".join(labels) + "\n")
    at = to_rfc3339(START + 30 * DAY)
    assert keepline("features", "churn", "--events", source, "--at", at, "--out", "f.csv").code == 0

    trained = keepline("train", "churn", "--features", "f.csv", "--labels", "l.csv", "--out", "model", "--threshold", 0.6, "--json")
    assert trained.code == 0, trained.err
    assert "roc_auc" in json.dumps(trained.json)
    shown = keepline("train", "churn", "--features", "f.csv", "--labels", "l.csv", "--out", "again", "--threshold", 0.6)
    assert (shown.code, "roc_auc" in shown.out) == (0, True)
    assert json.loads((tmp_path / "model" / "manifest.json").read_text())["threshold"] == 0.6

    predicted = keepline("predict", "--model", "model", "--features", "f.csv", "--out", "p.csv", "--json")
    assert (predicted.code, predicted.json["rows"]) == (0, CUSTOMERS)
    assert f"p.csv: {CUSTOMERS} customers scored" in keepline("predict", "--model", "model", "--features", "f.csv", "--out", "p.csv").out
    with (tmp_path / "p.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [list(row) for row in rows[:1]] == [["customer_id", "probability"]]
    assert [row["customer_id"] for row in rows] == [f"c{c:03}" for c in range(CUSTOMERS)]

    # The stream's kernel says the same of each customer's row at the moment of its last event.
    newest = {event["customer_id"]: event["event_time"] for event in sorted(events, key=lambda event: event["event_time"])}
    write_lines(tmp_path / "q.csv", ["customer_id,at", *(f"{customer},{time}" for customer, time in newest.items())])
    assert keepline("features", "churn", "--events", source, "--at", "q.csv", "--out", "n.csv").code == 0
    assert keepline("predict", "--model", "model", "--features", "n.csv", "--out", "n-p.csv").code == 0
    with (tmp_path / "n-p.csv").open(newline="") as file:
        expected = {row["customer_id"]: float(row["probability"]) for row in csv.DictReader(file)}
    assert keepline("replay", "retention", "--events", source, "--model", "model", "--out", "out", "--emit", "every").code == 0
    last = {}
    for line in (tmp_path / "out" / "scores.jsonl").read_text().splitlines():
        score = json.loads(line)
        if score["event_id"]:
            last[score["customer_id"]] = score["value"]
    assert last.keys() == expected.keys()
    assert max(abs(last[customer] - value) for customer, value in expected.items()) < 1e-9


def test_a_model_of_other_columns_scores_files_and_not_the_stream(keepline: Command, tmp_path: Path) -> None:
    dice = random.Random(6)
    rows = [(f"c{i}", dice.random() * 100, dice.choice(["north", "south"])) for i in range(80)]
    write_lines(tmp_path / "f.csv", ["customer_id,spend,region", *(f"{c},{spend},{region}" for c, spend, region in rows)])
    write_lines(tmp_path / "l.csv", ["customer_id,label", *(f"{c},{int(spend + dice.gauss(0, 20) > 50)}" for c, spend, _ in rows)])
    assert keepline("train", "churn", "--features", "f.csv", "--labels", "l.csv", "--out", "m", "--json").code == 0
    assert keepline("predict", "--model", "m", "--features", "f.csv", "--out", "p.parquet").code == 0
    events = write_lines(tmp_path / "e.jsonl", [call("c", 1, START)])
    refused = keepline("replay", "retention", "--events", events, "--model", "m", "--out", "out")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "keepline predict" in refused.err or "feature set" in refused.err
    write_lines(tmp_path / "g.csv", ["customer_id,spend", "c1,3"])
    lacking = keepline("predict", "--model", "m", "--features", "g.csv", "--out", "p.csv")
    assert (lacking.code, "lacks 1 of the model's 2 columns: region" in lacking.err) == (2, True)
    bad = keepline("train", "churn", "--features", "f.csv", "--labels", "f.csv", "--out", "n")
    assert (bad.code, "no column label" in bad.err, bad.err.count("\n")) == (2, True, 1)
