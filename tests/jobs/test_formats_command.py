"""`features` and `replay` give the same from every format, through the real commands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Command
from tests.jobs import cli_files as files
from tests.schemas import event_files as make

EVENTS = files.months(seed=11)
AT = files.START + 120 * files.DAY
FORMATS = ("avro", "foreign.avro", "parquet", "csv", "mixed")


def write(folder: Path, name: str, number: int, own: list[dict[str, Any]], format_: str) -> None:
    if format_ == "mixed":
        format_ = FORMATS[number % 4]
    if format_ == "avro":
        make.write_avro(folder / f"{name}.avro", own, "snappy")
    elif format_ == "foreign.avro":
        make.write_foreign_avro(folder / f"{name}.avro", own)
    elif format_ == "parquet":
        make.write_parquet(folder / f"{name}.parquet", own, make.STYLES[number % len(make.STYLES)])
    elif format_ == "csv":
        make.write_csv(folder / f"{name}.csv.gz", own)
    else:
        make.write_json(folder / f"{name}.jsonl", own)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One folder a format, each with one file a type."""
    found = {}
    for format_ in ("jsonl", *FORMATS):
        found[format_] = tmp_path_factory.mktemp("events")
        for number, name in enumerate(sorted({event["type"] for event in EVENTS})):
            write(found[format_], name, number, [event for event in EVENTS if event["type"] == name], format_)
    return found


def test_rows_and_outputs_are_the_same_from_every_format(keepline: Command, tmp_path: Path, folders: dict[str, Path]) -> None:
    for format_, folder in folders.items():
        result = keepline("features", "churn", "--events", folder, "--at", AT, "--out", f"{format_}.csv", "--strict")
        assert (result.code, result.err) == (0, ""), format_
        result = keepline("replay", "retention", "--events", folder, "--out", format_, "--emit", "every", "--json")
        assert (result.code, result.json["events"]) == (0, len(EVENTS)), format_
    rows = (tmp_path / "jsonl.csv").read_bytes()
    assert rows.count(b"\n") == 1 + len({event["customer_id"] for event in EVENTS})
    for format_ in FORMATS:
        assert (tmp_path / f"{format_}.csv").read_bytes() == rows, format_
        for name in ("scores", "interventions", "decisions"):
            want = (tmp_path / "jsonl" / f"{name}.jsonl").read_bytes()
            assert want, name
            assert (tmp_path / format_ / f"{name}.jsonl").read_bytes() == want, (format_, name)
        for name in ("dead-letters", "late-events"):  # merged by time, nothing is late
            assert (tmp_path / format_ / f"{name}.jsonl").read_bytes() == b"", (format_, name)


def test_a_damaged_file_is_one_line_and_exit_code_2(keepline: Command, tmp_path: Path) -> None:
    whole = make.write_avro(tmp_path / "a.avro", [event for event in EVENTS if event["type"] == "Call"], sync_interval=500).read_bytes()
    (tmp_path / "a.avro").write_bytes(whole[:-100])
    for command in (["features", "churn", "--at", AT, "--out", "o.csv"], ["replay", "retention", "--out", "out"]):
        result = keepline(*command, "--events", tmp_path / "a.avro")
        assert (result.code, result.err.count("\n")) == (2, 1)
        assert "the block at byte" in result.err
        assert "is damaged or cut off" in result.err
