"""`outcomes`, `uplift`, `schemas`: from committed records to Parquet, training and report, as a user chains them."""

from __future__ import annotations

import json
import random
import uuid
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from confluent_kafka import Producer

from keepline.jobs.stack.kafka import EmbeddedKafka
from keepline.schemas.asyncapi import documents
from keepline.schemas.records import from_record, to_json
from tests.cli.conftest import Command
from tests.jobs.labelled import DAY, NOON, labelled, late, unknown

COMMANDS = [("outcomes", "export"), ("outcomes", "erase"), ("uplift",), ("schemas", "export")]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_has_an_example(keepline: Command, command: tuple[str, ...]) -> None:
    result = keepline(*command, "--help")
    assert (result.code, result.err) == (0, "")
    assert f"Example:\n    keepline {' '.join(command)} " in result.out


def test_help_says_why_control_rows(keepline: Command) -> None:
    told = " ".join(keepline("outcomes", "export", "--help").out.split())
    assert "control arm are the default, as only they show what happens to a customer whom nobody contacts" in told


def test_exported_from_kafka(keepline: Command, kafka: EmbeddedKafka, tmp_path: Path) -> None:
    prefix = f"outcomes-{uuid.uuid4().hex}"
    topic = f"{prefix}.labelled-outcomes"
    words = ["outcomes", "export", "--bootstrap-servers", kafka.bootstrap_servers, "--output-prefix", prefix, "--out", "o"]
    absent = keepline(*words)
    assert (absent.code, absent.err.count("\n")) == (2, 1)
    assert topic in absent.err
    kafka.create_topics([topic], partitions=3)
    producer = Producer({**kafka.admin, "transactional.id": prefix})
    producer.init_transactions(30)
    row = labelled("c-1", "d-1", outcomes=["DELIVERED"])
    for records, end in (
        ([row, labelled("c-2", "d-2", decided_at=NOON + DAY), unknown("c-3", "i-x", "FAILED", NOON)], producer.commit_transaction),
        ([labelled("c-4", "aborted")], producer.abort_transaction),
        ([row, late(row, "ACCEPTED")], producer.commit_transaction),
    ):
        producer.begin_transaction()
        for record in records:
            producer.produce(topic, from_record("LabelledOutcome", record), record["customer_id"])
        if end == producer.commit_transaction:
            producer.produce(topic, None, "c-9")
            producer.produce(topic, b"\xc3\x01 another version", "c-9")
        assert producer.flush(30) == 0
        end(30)
    result = keepline(*words, "--json")
    assert (result.code, result.err) == (0, "")
    assert result.json == {"read": 7, "rows": 2, "files": 2, "late": 1, "unreadable": 2, "unknown": 1}
    day = pq.read_table(tmp_path / "o" / "outcomes-2026-03-01.parquet").to_pylist()
    assert [(each["outcome"], each["late"]) for each in day[0]["outcomes"]] == [("DELIVERED", False), ("ACCEPTED", True)]
    plain = keepline(*words, "--unknown")
    assert plain.out.splitlines() == [
        to_json({"customer_id": "c-3", "intervention_id": "i-x", "status": "UNKNOWN", "outcome": "FAILED", "event_time": NOON}),
        "o: 2 decisions in 2 files, from 7 records; 1 late outcomes, 1 of no known decision",
    ]
    assert plain.err == "2 records could not be read: another version of Keepline wrote them\n"
    assert keepline(*words, "--unknown", "--json").json["unknown_outcomes"][0]["customer_id"] == "c-3"


def simulated(path: Path) -> Path:
    """Decisions whose outcome depends on a feature, and on the offer: a quarter held out."""
    dice, lines = random.Random(2), []
    for i in range(600):
        complaints, control = dice.randrange(4), dice.random() < 0.25
        left = dice.random() < (0.1 + 0.2 * complaints) * (1 if control else 0.5)
        features = {"complaints_30d": float(complaints), "calls_30d": dice.random()}
        fields = {"arm": "CONTROL" if control else "TREATMENT", "label": "CHURNED" if left else "RETAINED", "features": features}
        lines.append(to_json(labelled(f"c-{i}", f"d-{i}", decided_at=NOON + i * 600_000, **fields)))
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_from_replayed_rows_to_a_model_and_a_report(keepline: Command, tmp_path: Path) -> None:
    source = simulated(tmp_path / "labelled-outcomes.jsonl")
    assert keepline("outcomes", "export", "--from", source, "--out", "o").out.startswith(
        "o: 600 decisions in 5 files, from 600 records; 0 "
    )
    told = keepline("outcomes", "export", "--from", "o", "--training", "--out", "t")
    control = pq.read_table(tmp_path / "t" / "labels.parquet").num_rows
    assert told.out.startswith(f"t: {control} customers of --arm control, ")
    trained = keepline("train", "churn", "--features", "t/features.parquet", "--labels", "t/labels.parquet", "--out", "m", "--json")
    assert trained.code == 0, trained.err
    assert trained.json["rows"] == control
    assert trained.json["metrics"]["roc_auc"]["mean"] > 0.6
    assert keepline("outcomes", "export", "--from", "o", "--training", "--arm", "all", "--out", "a", "--json").json["rows"] == 600

    shown = keepline("uplift", "--outcomes", "o", "--out", "r")
    assert (shown.code, shown.err) == (0, "")
    assert "600 landed decisions" in shown.out
    figures = keepline("uplift", "--outcomes", "o", "--out", "r", "--json").json
    assert figures == json.loads((tmp_path / "r" / "report.json").read_text())
    (group,) = figures["groups"]
    assert (group["programme"], group["kind"], group["trigger"]) == ("p", "sms_discount", "AT_RISK")
    assert group["interval"][0] > 0

    erased = keepline("outcomes", "erase", "c-7", "--dir", "o")
    assert erased.out == "o: 1 rows of the customer removed, 1 of 5 Parquet files rewritten\n"
    assert keepline("outcomes", "erase", "c-7", "--dir", "o", "--json").json["rows"] == 0
    assert keepline("outcomes", "export", "--from", source, "--out", "o", "--json").json["rows"] == 599


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["outcomes", "export"], "error: Missing option '--out'"),
        (["outcomes", "export", "--from", "x.jsonl", "--out", "o"], "error: x.jsonl: cannot be read: No such file or directory"),
        (
            ["outcomes", "export", "--from", "x", "--out", "o", "--arm", "both"],
            "error: Invalid value: --arm 'both': expected control, trea",
        ),
        (["outcomes", "erase", "c", "--dir", "absent"], "error: absent: no such folder or file; check --dir"),
        (["uplift", "--outcomes", "absent", "--out", "r"], "error: absent: no file outcomes-*.parquet in it"),
    ],
)
def test_mistakes_get_one_line(keepline: Command, args: list[str], message: str) -> None:
    result = keepline(*args)
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert result.err.startswith(message)


def test_schemas_are_written(keepline: Command, tmp_path: Path) -> None:
    told = keepline("schemas", "export", "--out", "api")
    assert (told.code, told.out) == (0, f"api: asyncapi.yaml and {len(documents()) - 1} JSON Schemas\n")
    files = [path for path in (tmp_path / "api").rglob("*") if path.is_file()]
    assert {path.relative_to(tmp_path / "api").as_posix(): path.read_text(encoding="utf-8") for path in files} == documents()
