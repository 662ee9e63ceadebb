"""`keepline features churn` against the naive oracle, through the real command and real files."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from keepline.features.churn import CHURN
from keepline.features.oracle import accept, training_row
from keepline.schemas.times import to_rfc3339
from tests.cli.conftest import Command
from tests.jobs import cli_files as files

EVENTS = files.months()
AT = files.START + 120 * files.DAY + 12_345


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def expected(events: list[dict[str, Any]], customer: str, at: int) -> dict[str, float]:
    return training_row([made for made in events if made["customer_id"] == customer], at)


def check(rows: list[Any], events: list[dict[str, Any]], asked: list[tuple[str, int]]) -> None:
    assert [row["customer_id"] for row in rows] == [customer for customer, _ in asked]
    for row, (customer, at) in zip(rows, asked, strict=True):
        want = expected(events, customer, at)
        assert list(row)[2:] == list(CHURN.names)
        for name, value in want.items():
            assert float(row[name]) == pytest.approx(value, rel=1e-6, abs=1e-6), (customer, name)


def test_rows_of_questions_in_the_order_asked(keepline: Command, tmp_path: Path) -> None:
    source = files.write(tmp_path / "e.jsonl", files.lines(EVENTS))
    asked = [(f"c{i % 13}", files.START + (i * 37 % 160) * files.DAY + i * 1000) for i in range(60)]
    asked += [asked[0], ("stranger", AT), ("c1", files.START - 400 * files.DAY)]
    texts = [to_rfc3339(at) if i % 2 else str(at) for i, (_, at) in enumerate(asked)]
    questions = tmp_path / "q.csv"
    questions.write_text(
        "note,at,customer_id\n" + "".join(f"x,{text},{c}\n" for (c, _), text in zip(asked, texts, strict=True)), encoding="utf-8"
    )
    result = keepline("features", "churn", "--events", source, "--at", questions, "--out", "deep/o.csv", "--json")
    assert result.code == 0
    rows = rows_of(tmp_path / "deep" / "o.csv")
    assert list(rows[0])[:2] == ["customer_id", "at"]
    assert [row["at"] for row in rows] == texts
    check(rows, EVENTS, asked)

    histories = [accept([made for made in EVENTS if made["customer_id"] == f"c{i}"]) for i in range(12)]
    summary = result.json
    assert summary["rows"] == len(asked)
    assert summary["rejected"] == 2 * len(files.BAD)
    assert summary["duplicate"] == sum(len(history.duplicates) for history in histories) > 10
    assert summary["late"] == sum(len(history.late) for history in histories) > 0
    told = keepline("features", "churn", "--events", source, "--at", questions, "--out", "o.csv")
    for text in (f"{summary['rejected']} rejected", f"{summary['duplicate']} duplicate", f"{summary['late']} late"):
        assert text in told.out
    assert "o.csv.rejected.jsonl" in told.err


def test_one_time_for_every_customer_sorted_by_id(keepline: Command, tmp_path: Path) -> None:
    source = files.write(tmp_path / "e.jsonl", files.lines(EVENTS, bad=False))
    for at in (to_rfc3339(AT), str(AT)):
        assert keepline("features", "churn", "--events", source, "--at", at, "--out", "o.csv").code == 0
        rows = rows_of(tmp_path / "o.csv")
        assert {row["at"] for row in rows} == {at}
        check(rows, EVENTS, [(customer, AT) for customer in sorted({made["customer_id"] for made in EVENTS})])
    assert not (tmp_path / "o.csv.rejected.jsonl").exists()


def test_rejected_lines_say_line_reason_and_message(keepline: Command, tmp_path: Path) -> None:
    texts = files.lines(EVENTS)
    source = files.write(tmp_path / "e.jsonl", texts)
    args = ["features", "churn", "--events", source, "--at", AT, "--out", "o.csv"]
    assert keepline(*args).code == 0
    assert keepline(*args, "--strict").code == 1
    rejected = [json.loads(line) for line in (tmp_path / "o.csv.rejected.jsonl").read_text().splitlines()]
    reasons = dict(files.BAD)
    wanted = [(number, reasons[text]) for number, text in enumerate(texts, 1) if text in reasons]
    assert [(entry["line"], entry["reason"]) for entry in rejected] == wanted
    assert all(list(entry) == ["line", "reason", "message"] and len(entry["message"]) > 20 for entry in rejected)
    clean = files.write(tmp_path / "e.jsonl", files.lines(EVENTS, bad=False))
    assert keepline("features", "churn", "--events", clean, "--at", AT, "--out", "o.csv", "--strict").code == 0
    assert not (tmp_path / "o.csv.rejected.jsonl").exists(), "of an earlier run"


def test_a_folder_of_csv_files_is_one_merged_history(keepline: Command, tmp_path: Path) -> None:
    names = sorted({made["type"] for made in EVENTS})
    order = files.merged([(f"{name}.csv", [made for made in EVENTS if made["type"] == name]) for name in names])
    folder = files.by_type(tmp_path / "events", EVENTS)
    with (folder / "Call.csv").open("a") as file:
        file.write("c1,e,not a time,3.0,COMPLETED\n")
    one = folder / "Message.csv"
    (folder / "Message.csv.gz").write_bytes(gzip.compress(one.read_bytes()))
    one.unlink()
    result = keepline("features", "churn", "--events", folder, "--at", AT, "--out", "o.csv", "--json")
    assert result.code == 0
    asked = [(customer, AT) for customer in sorted({made["customer_id"] for made in EVENTS})]
    check(rows_of(tmp_path / "o.csv"), order, asked)
    (entry,) = [json.loads(line) for line in (tmp_path / "o.csv.rejected.jsonl").read_text().splitlines()]
    assert (entry["file"], entry["reason"]) == ("Call.csv", "INVALID_FIELD")
    assert entry["line"] == 2 + sum(made["type"] == "Call" for made in EVENTS)


def test_csv_with_a_type_and_several_files(keepline: Command, tmp_path: Path) -> None:
    calls = [made for made in EVENTS if made["type"] == "Call"]
    path = tmp_path / "log.csv"
    path.write_text(
        "customer_id,event_id,event_time,duration_s,outcome\n"
        + "".join(f"{c['customer_id']},{c['event_id']},{to_rfc3339(c['event_time'])},{c['duration_s']},{c['outcome']}\n" for c in calls)
    )
    args = ["features", "churn", "--at", AT, "--out", "o.csv", "--events", path]
    assert "give --type" in keepline(*args).err
    assert "unknown event type 'Cal'" in keepline(*args, "--type", "Cal").err
    assert keepline(*args, "--type", "Call").code == 0
    check(rows_of(tmp_path / "o.csv"), calls, [(c, AT) for c in sorted({made["customer_id"] for made in calls})])
    rest = [made for made in EVENTS if made["type"] != "Call"]
    other = tmp_path / "rest.jsonl.gz"
    other.write_bytes(gzip.compress("\n".join(files.lines(rest, bad=False)).encode()))
    assert keepline(*args, "--type", "Call", "--events", other).code == 0
    order = files.merged([("log.csv", calls), ("rest.jsonl.gz", rest)])
    check(rows_of(tmp_path / "o.csv"), order, [(c, AT) for c in sorted({made["customer_id"] for made in EVENTS})])


def test_parquet(keepline: Command, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    source = files.write(tmp_path / "e.jsonl", files.lines(EVENTS))
    assert keepline("features", "churn", "--events", source, "--at", AT, "--out", "o.parquet").code == 0
    check(pq.read_table(tmp_path / "o.parquet").to_pylist(), EVENTS, [(c, AT) for c in sorted({made["customer_id"] for made in EVENTS})])
    assert (tmp_path / "o.parquet.rejected.jsonl").exists()


def test_nothing_to_read_and_nothing_asked(keepline: Command, tmp_path: Path) -> None:
    empty = files.write(tmp_path / "e.jsonl", [])
    assert keepline("features", "churn", "--events", empty, "--at", AT, "--out", "o.csv", "--json").json["rows"] == 0
    assert (tmp_path / "o.csv").read_text().startswith("customer_id,at,calls_24h,")
    questions = files.write(tmp_path / "q.csv", ["customer_id,at"])
    source = files.write(tmp_path / "e.jsonl", files.lines(EVENTS))
    assert keepline("features", "churn", "--events", source, "--at", questions, "--out", "o.csv", "--json").json["rows"] == 0
    broken = files.write(tmp_path / "q.csv", ["customer_id,at", "c1,soon"])
    result = keepline("features", "churn", "--events", source, "--at", broken, "--out", "o.csv")
    assert (result.code, "q.csv, line 2: at is no time" in result.err) == (2, True)
