"""Foreign files: every format, the order of several, what is skipped; and the committed example, run as it stands."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from keepline.jobs.mapping import editors
from keepline.jobs.mapping.files import read_mapped
from keepline.jobs.mapping.load import Mapping, load
from keepline.jobs.stack.java import ROOT
from keepline.schemas.encode import Ok
from keepline.schemas.errors import DamagedFileError, FileError
from keepline.schemas.files import Line, lines
from keepline.schemas.records import to_record
from tests.mapping.support import TIME, mapping

EXAMPLE = ROOT / "docs" / "examples" / "mapping"
TEXT = """
version: 1
sources:
  - files: ["*"]
    delimiter: ","
    events:
      - type: Message
        when: {k: A}
        customer_id: c
        event_id: {hash: [$topic, $offset, c]}
        event_time: %s
      - type: PageView
        when: {p: {exists: true}}
        customer_id: c
        event_id: {path: p, prefix: p-}
        event_time: %s
        page: p
"""
EPOCH = "{path: t, format: epoch_ms}"
ROWS = [{"k": "A", "c": f"c{i}", "t": TIME + i * 1000, "p": f"p{i}" if i % 3 == 0 else None} for i in range(10)] + [
    {"k": "B", "c": "x", "t": TIME, "p": None}
]


def of(text: str = EPOCH) -> Mapping:
    return mapping(TEXT % (text, text))


def read(paths: list[Path], found: Mapping, counts: Counter[str] | None = None) -> list[Line]:
    return list(lines(read_mapped(paths, found, None, counts)))


def shown(found: list[Line]) -> list[tuple[int, str, str, int]]:
    out = []
    for line in found:
        assert isinstance(line.event, Ok), line
        name, fields = to_record(line.event.value)
        out.append((line.number, name, fields["customer_id"], fields["event_time"]))
    return out


def write(folder: Path, name: str) -> Path:
    path = folder / name
    moments = [row | {"t": datetime.fromtimestamp(row["t"] / 1000, UTC)} for row in ROWS]
    if ".jsonl" in name or ".csv" in name:
        if ".jsonl" in name:
            text = "\n\n".join(json.dumps(row) for row in ROWS)
        else:
            text = "k,c,t,p\n" + "".join(",".join("" if value is None else str(value) for value in row.values()) + "\n" for row in ROWS)
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    elif name.endswith(".avro"):
        schema = {"type": "record", "name": "R", "fields": [
            {"name": "k", "type": "string"}, {"name": "c", "type": "string"}, {"name": "p", "type": ["null", "string"]},
            {"name": "t", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        ]}  # fmt: skip
        with path.open("wb") as file:
            fastavro.writer(file, schema, moments)
    else:
        pq.write_table(pa.Table.from_pylist(moments), path)
    return path


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.csv", "a.csv.gz", "a.avro", "a.parquet"])
def test_every_format_gives_the_same_events(tmp_path: Path, name: str) -> None:
    counts: Counter[str] = Counter()
    found = shown(read([write(tmp_path, name)], of("t" if name.endswith(("avro", "parquet")) else EPOCH), counts))
    step, start = (2, 1) if ".jsonl" in name else (1, 2) if ".csv" in name else (1, 1)
    wanted = []
    for i in range(10):
        wanted.append((start + step * i, "Message", f"c{i}", TIME + i * 1000))
        if i % 3 == 0:
            wanted.append((start + step * i, "PageView", f"c{i}", TIME + i * 1000))
    assert found == wanted
    assert counts == {"read": 11, "skipped": 1}


def test_several_files_are_merged_by_time(tmp_path: Path) -> None:
    for name in ("a.jsonl", "b.csv"):
        write(tmp_path, name)
    for paths in ([tmp_path], [tmp_path / "b.csv", tmp_path / "a.jsonl"]):
        found = shown(read(paths, of()))
        times = [time for _, _, _, time in found]
        assert times == sorted(times)
        assert len(found) == 28
        assert [number for number, _, _, _ in found[:4]] == [1, 1, 2, 2]


def test_progress_ends_at_the_files_size(tmp_path: Path) -> None:
    for name in ("a.jsonl", "a.csv.gz", "a.avro", "a.parquet"):
        told: list[int] = []
        path = write(tmp_path, name)
        found = read_mapped([path], of("t" if name.endswith(("avro", "parquet")) else EPOCH), told.append)
        assert sum(len(block) for block in found.blocks) == 14
        assert sum(told) == path.stat().st_size


def test_rejected_lines_keep_their_place_and_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b'k,c,t,p\nA,c1,%d,\nA,c2,never,\nA,"c,3",%d\nA,c4,%d,,extra\nA,\xff,%d,\n' % (TIME, TIME, TIME, TIME))
    found = read([path], of())
    assert [(line.number, getattr(line.event, "message", "ok").split(": expected")[0], line.raw) for line in found] == [
        (2, "ok", b""),
        (3, 'm.yaml:7: Message.event_time from t is "never"', b"A,c2,never,"),
        (4, "ok", b""),
        (5, "the row has 5 cells", b"A,c4,%d,,extra" % TIME),
        (6, 'm.yaml:7: Message.customer_id from c is "?"', b"A,\xff,%d," % TIME),
    ]


def test_files_that_no_source_takes(tmp_path: Path) -> None:
    strict = mapping((TEXT % (EPOCH, EPOCH)).replace('["*"]', '["x*.csv", "y*"]'))
    with pytest.raises(FileError, match=r"a.jsonl: no source of m.yaml takes this file: expected a name like x\*.csv, y\*"):
        read([write(tmp_path, "a.jsonl")], strict)
    with pytest.raises(FileError, match=r"no source of m\.yaml takes this file"):
        read([tmp_path], strict)
    write(tmp_path, "x.csv")
    assert len(read([tmp_path], strict)) == 14  # the other one is passed over
    none = mapping((TEXT % (EPOCH, EPOCH)).replace('files: ["*"]', "topics: [t]\n    format: json"))
    with pytest.raises(FileError, match="no source has files: add files"):
        read([tmp_path / "a.jsonl"], none)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b"a;b\n1;2\n", "see delimiter:"),
        ("a.csv", b"a,a\n", "expected different column names"),
        ("a.csv", b'"a\n', "the header is not CSV"),
        ("a.avro", b"Obj\x01nothing", "not a whole Avro container file"),
        ("a.parquet", b"PAR1", "not a whole Parquet file"),
        ("a.jsonl.gz", b"\x1f\x8bnothing", "damaged"),
    ],
)
def test_damaged_files(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DamagedFileError, match=words):
        read([tmp_path / name], of())


def test_the_example_does_what_the_page_says() -> None:
    counts: Counter[str] = Counter()
    found = read([EXAMPLE], load(EXAMPLE / "cdr.yaml"), counts)
    told: list[dict[str, Any]] = []
    for line in found:
        if isinstance(line.event, Ok):
            name, fields = to_record(line.event.value)
            told.append({"type": name} | fields)
    assert Counter(event["type"] for event in told) == {"Call": 2, "Message": 1, "DataSession": 2, "Bill": 2, "Payment": 1}
    assert counts == {"read": 10, "skipped": 2}
    (bad,) = [line for line in found if not isinstance(line.event, Ok)]
    assert (bad.file, bad.number) == ("voice.jsonl", 5)
    assert told[0] == {
        "type": "Bill", "customer_id": "4917012345", "event_id": "bill-R-2026-118", "event_time": 1_772_319_600_000,
        "bill_id": "R-2026-118", "amount": 45.99, "due_time": 1_773_529_200_000, "currency": "",
    }  # fmt: skip


def test_the_committed_schema_for_editors_is_what_the_checks_are() -> None:
    committed = ROOT / "jobs" / "mapping" / "mapping.schema.json"
    assert committed.read_text() == editors.text(), "run: keepline mapping schema > jobs/mapping/mapping.schema.json"
