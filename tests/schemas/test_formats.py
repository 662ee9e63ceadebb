"""The same events from every format: equal bytes, equal order; and what becomes of files that are damaged or odd."""

from __future__ import annotations

import copy
import dataclasses
import json
import random
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keepline.schemas.catalog import event_type
from keepline.schemas.encode import Ok, Rejected, encode
from keepline.schemas.errors import DamagedFileError, FileError
from keepline.schemas.files import _all, _read, find_files, read_blocks, read_events, total_bytes
from keepline.schemas.merge import merged
from keepline.schemas.records import to_record
from keepline.schemas.status import Reason
from tests.schemas import event_files as make

CODECS = ["null", "deflate", "snappy", "zstandard", "bzip2", "xz"]
CALL = event_type("Call")
few = settings(deadline=None, max_examples=25)


def expected(events: list[make.Event]) -> list[tuple[int, int, bytes]]:
    """(number, time, value) of each event as JSON Lines would give it."""
    found = []
    for number, event in enumerate(events, 1):
        made = encode(event)
        assert isinstance(made, Ok)
        found.append((number, made.event_time, made.value))
    return found


def read(path: Path, **options: Any) -> list[tuple[int, int, bytes]]:
    found = []
    for block in read_blocks(path, **options).blocks:
        assert not block.rejected, block.rejected
        found += [(int(block.numbers[i]), int(block.times[i]), block.value(i)) for i in range(len(block))]
    return found


def outcomes(path: Path, type_name: str | None = None) -> list[Any]:
    """Per line its number, or (number, reason, field, message)."""
    return [
        line.number if isinstance(line.event, Ok) else (line.number, line.event.reason, line.event.field, line.event.message)
        for line in read_events(path, type_name)
    ]


@pytest.mark.parametrize("kind", make.KINDS, ids=lambda kind: kind.name)
def test_every_format_gives_the_bytes_of_json_lines(kind: Any, tmp_path: Path) -> None:
    events = make.some(random.Random(kind.id), kind, 300)
    want = expected(events)
    assert read(make.write_json(tmp_path / "a.jsonl", events)) == want
    assert read(make.write_json(tmp_path / "a.jsonl.gz", events)) == want
    assert read(make.write_avro(tmp_path / "a.avro", events)) == want
    # An absent text is written as none; encode() takes null for absent only in files.
    plain = [{name: value for name, value in event.items() if value is not None} for event in events]
    for unit in ("micros", "nanos", "millis"):
        assert read(make.write_foreign_avro(tmp_path / "b.avro", plain, unit)) == want
    for style in make.STYLES:
        assert read(make.write_parquet(tmp_path / f"{kind.name}.{style}.parquet", plain, style, row_group_size=70)) == want
        assert read(make.write_parquet(tmp_path / "x.parquet", plain, style), type_name=kind.name) == want


@pytest.mark.parametrize("kind", make.KINDS, ids=lambda kind: kind.name)
def test_csv_gives_the_bytes_of_json_lines(kind: Any, tmp_path: Path) -> None:
    events = [
        {k: v for k, v in event.items() if v not in ("", None)} | {f.name: "p" for f in kind.fields[3:] if event.get(f.name) == ""}
        for event in make.some(random.Random(kind.id), kind, 100)
    ]
    for event in events:
        event.pop("currency", None)
    want = [value for _, _, value in expected(events)]
    assert [value for _, _, value in read(make.write_csv(tmp_path / f"{kind.name}.csv", events))] == want
    assert [value for _, _, value in read(make.write_csv(tmp_path / f"{kind.name}.csv.gz", events))] == want


@pytest.mark.parametrize("codec", CODECS)
def test_every_codec_of_avro(codec: str, tmp_path: Path) -> None:
    events = make.some(random.Random(1), CALL, 5000)
    path = make.write_avro(tmp_path / "a.avro", events, codec, sync_interval=1000)
    assert read(path) == expected(events)


@pytest.mark.parametrize("compression", ["none", "snappy", "gzip", "zstd", "brotli"])
def test_every_codec_of_parquet(compression: str, tmp_path: Path) -> None:
    events = make.some(random.Random(1), CALL, 2000)
    path = make.write_parquet(tmp_path / "Call.parquet", events, compression=compression)
    assert read(path) == expected(events)


def test_blocks_of_any_size_and_empty_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events = make.some(random.Random(2), CALL, 3000)
    for chunk in (1, 5000):
        monkeypatch.setattr("keepline.schemas.avrofiles.CHUNK", chunk)
        assert read(make.write_avro(tmp_path / "a.avro", events, sync_interval=300)) == expected(events)
    monkeypatch.setattr("keepline.schemas.parquetfiles.ROWS", 7)
    assert read(make.write_parquet(tmp_path / "Call.parquet", events[:100])) == expected(events[:100])
    with (tmp_path / "none.avro").open("wb") as file:
        fastavro.writer(file, CALL.schema, [])
    assert read(tmp_path / "none.avro") == []
    pq.write_table(pq.read_table(tmp_path / "Call.parquet").slice(0, 0), tmp_path / "Call.0.parquet")
    assert read(tmp_path / "Call.0.parquet") == []


WRITERS = {
    "jsonl": make.write_json,
    "jsonl.gz": make.write_json,
    "avro": make.write_avro,
    "parquet": make.write_parquet,
    "foreign.avro": make.write_foreign_avro,
}


@few
@given(seed=st.integers(0, 10**6), budget=st.sampled_from([0, 2000, 40_000, 1 << 28]), piece=st.sampled_from([1, 3, 50, 1 << 16]))
def test_a_folder_of_all_formats_is_one_order(seed: int, budget: int, piece: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Times meet within files and across them; some lines are no events and go with the line before them."""
    dice, folder = random.Random(seed), tmp_path_factory.mktemp("in")
    keyed = []
    for name in dice.sample(["a", "b", "c", "d", "e"], dice.randrange(2, 6)):
        kind, how = dice.choice(make.KINDS), dice.choice(list(WRITERS))
        events = make.some(dice, kind, dice.randrange(1, 60), times=dice.choice([1, 5, 10**6]))
        if dice.random() < 0.5:
            events.sort(key=lambda event: event["event_time"])
        events = [{k: v for k, v in event.items() if v is not None} for event in events]
        file = f"{kind.name}.{name}.{how}" if how == "parquet" else f"{name}.{how}"
        if how == "avro":
            WRITERS[how](folder / file, events, sync_interval=dice.choice([50, 16_000]))
        else:
            bad = {k for k in range(len(events)) if dice.random() < 0.2}
            # A customer_id of null is no event in any format.
            WRITERS[how](folder / file, [event | {"customer_id": None} if k in bad else event for k, event in enumerate(events)])
            time = -(2**63)
            for k, event in enumerate(events):
                time = time if k in bad else event["event_time"]
                keyed.append((time, file, k + 1, k in bad))
            continue
        keyed += [(event["event_time"], file, k + 1, False) for k, event in enumerate(events)]
    names = [source.name for source in find_files([folder])]
    got = []
    for block in merged(_all(find_files([folder]), lambda path, file: _read(path, file, None, None)), budget, piece):
        rejected = list(block.rejected)
        for i in range(len(block) + 1):
            while rejected and rejected[0].at == i:
                line = rejected.pop(0)
                got.append((names[line.file], line.number, True))
            if i < len(block):
                got.append((names[block.files[i]], int(block.numbers[i]), False))
        assert not rejected
    assert got == [(file, number, bad) for _, file, number, bad in sorted(keyed)]
    lines = [(line.file, line.number, isinstance(line.event, Rejected)) for line in read_events(folder, budget=budget)]
    assert lines == got


def test_progress_reaches_the_size_in_every_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keepline.schemas.avrofiles.CHUNK", 5000)
    monkeypatch.setattr("keepline.schemas.parquetfiles.ROWS", 300)
    events = make.some(random.Random(3), CALL, 3000)
    make.write_avro(tmp_path / "a.avro", events, "deflate", sync_interval=1000)
    make.write_foreign_avro(tmp_path / "b.avro", events)
    make.write_parquet(tmp_path / "Call.parquet", events)
    make.write_json(tmp_path / "a.jsonl.gz", events)
    steps: list[int] = []
    assert len(list(read_events(tmp_path, progress=steps.append))) == 12_000
    assert sum(steps) == total_bytes(find_files([tmp_path]))
    assert len(steps) > 15


def test_the_type_of_a_file(tmp_path: Path) -> None:
    events = make.some(random.Random(4), CALL, 3)
    schema = {**CALL.schema, "name": "Row", "namespace": "x"}

    def avro(name: str) -> Path:
        with (tmp_path / name).open("wb") as file:
            fastavro.writer(file, schema, map(make.whole, events))
        return tmp_path / name

    assert read(avro("Call.2026.avro")) == expected(events)
    assert read(avro("log.avro"), type_name="Call") == expected(events)
    assert read(make.write_avro(tmp_path / "Message.avro", events), type_name="Bill") == expected(events), "the file says its type"
    with pytest.raises(FileError, match=r"record is 'Row'.*give --type"):
        read(avro("log.avro"))
    with pytest.raises(FileError, match=r"Parquet has no name for its rows.*give --type"):
        read(make.write_parquet(tmp_path / "log.parquet", events))
    with (tmp_path / "u.avro").open("wb") as file:
        fastavro.writer(file, "string", ["x"])
    with pytest.raises(FileError, match="expected a record with fields, one event type a file"):
        read(tmp_path / "u.avro")


def test_records_that_are_no_events_say_where_and_why(tmp_path: Path) -> None:
    """The same words in CSV, Avro and Parquet."""
    rows = [
        {"customer_id": "c", "event_id": "1", "event_time": make.START, "duration_s": 1.0, "outcome": "COMPLETED"},
        {"customer_id": None, "event_id": "2", "event_time": make.START, "duration_s": 1.0},
        {"customer_id": "c", "event_id": "3", "event_time": make.START, "duration_s": 1.0, "outcome": "LOST"},
        {"customer_id": "c", "event_id": "4", "event_time": make.START, "duration_s": None},
        {"customer_id": "c", "event_id": "5", "event_time": make.START, "duration_s": 2.0, "roaming": True},
        {"customer_id": "c", "event_id": "6", "event_time": None, "duration_s": 2.0},
    ]
    events = [{"type": "Call", **row} for row in rows]
    found = [
        outcomes(make.write_foreign_avro(tmp_path / "a.avro", events)),
        outcomes(make.write_parquet(tmp_path / "Call.parquet", events)),
        outcomes(make.write_parquet(tmp_path / "Call.text.parquet", events, "text")),
        [(n - 1 if isinstance(n, int) else (n[0] - 1, *n[1:])) for n in outcomes(make.write_csv(tmp_path / "Call.csv", events))],
    ]
    assert found[0] == found[1] == found[2] == found[3]
    assert [entry if isinstance(entry, int) else entry[:3] for entry in found[0]] == [
        1,
        (2, Reason.INVALID_FIELD, "customer_id"),
        (3, Reason.INVALID_FIELD, "outcome"),
        (4, Reason.INVALID_FIELD, "duration_s"),
        5,
        (6, Reason.INVALID_FIELD, "event_time"),
    ]
    (bad,) = [line for line in read_events(tmp_path / "Call.parquet") if line.number == 3]
    assert json.loads(bad.raw)["outcome"] == "LOST"


def test_numbers_of_other_widths(tmp_path: Path) -> None:
    base = {"customer_id": "c", "event_id": "1", "order_id": "o"}
    cases: list[tuple[Any, Any, Any]] = [  # quantity's column, amount's column, what comes out
        (pa.array([7], pa.int8()), pa.array([3], pa.int64()), (7, 3.0)),
        (pa.array([7], pa.uint64()), pa.array([make.money(12.34)]), (7, 12.34)),
        (pa.array([2**31], pa.int64()), pa.array([1.5], pa.float32()), "quantity"),
        (pa.array([2**63], pa.uint64()), pa.array([1.5]), "quantity"),
        (pa.array([None], pa.int16()), pa.array([1.5]), (1, 1.5)),
        (pa.nulls(1), pa.array([1.5]), (1, 1.5)),
    ]
    for quantity, amount, want in cases:
        times = pa.array([make.START // 1000], pa.int64()).cast(pa.timestamp("s"))
        columns = {name: pa.array([value]) for name, value in base.items()}
        pq.write_table(pa.table({**columns, "event_time": times, "quantity": quantity, "amount": amount}), tmp_path / "Purchase.parquet")
        (line,) = read_events(tmp_path / "Purchase.parquet")
        if isinstance(want, str):
            assert isinstance(line.event, Rejected)
            assert line.event.field == want
        else:
            assert isinstance(line.event, Ok), line
            record = to_record(line.event.value)[1]
            assert (record["quantity"], record["amount"], record["event_time"]) == (*want, make.START)


def test_days_and_decimals_of_avro(tmp_path: Path) -> None:
    schema = {
        "type": "record",
        "name": "Bill",
        "fields": [
            {"name": "customer_id", "type": "string"},
            {"name": "event_id", "type": "string"},
            {"name": "event_time", "type": {"type": "long", "logicalType": "local-timestamp-micros"}},
            {"name": "bill_id", "type": "string"},
            {"name": "amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
            {"name": "due_time", "type": {"type": "int", "logicalType": "date"}},
        ],
    }
    from datetime import date

    row = {"customer_id": "c", "event_id": "e", "event_time": 1_767_225_600_000_999, "bill_id": "b", "amount": make.money(12.34)}
    with (tmp_path / "a.avro").open("wb") as file:
        fastavro.writer(file, schema, [row | {"due_time": date(2026, 1, 15)}])
    (line,) = read_events(tmp_path / "a.avro")
    assert isinstance(line.event, Ok), line
    record = to_record(line.event.value)[1]
    assert (record["event_time"], record["amount"], record["due_time"]) == (1_767_225_600_000, 12.34, 1_768_435_200_000)
    schema["fields"][2]["type"]["logicalType"] = "time-micros"  # type: ignore[index]
    with (tmp_path / "a.avro").open("wb") as file:
        fastavro.writer(file, schema, [])
    with pytest.raises(FileError, match=r"Bill\.event_time is a time-micros: expected a moment"):
        read(tmp_path / "a.avro")


@pytest.mark.parametrize(
    ("name", "column", "words"),
    [
        ("duration_s", pa.array(["1.5"]), "duration_s is string: expected numbers"),
        ("duration_s", pa.array([[1.5]]), "duration_s is list"),
        ("roaming", pa.array([1]), "roaming is int64: expected a boolean"),
        ("event_time", pa.array([1.5]), "event_time is double: expected a timestamp"),
        ("customer_id", pa.array([7]), "customer_id is int64: expected text"),
        ("outcome", pa.array([True]), "outcome is bool: expected text"),
    ],
)
def test_columns_that_cannot_be_the_field(name: str, column: Any, words: str, tmp_path: Path) -> None:
    event = {"type": "Call", "customer_id": "c", "event_id": "e", "event_time": make.START, "duration_s": 1.0}
    table = pq.read_table(make.write_parquet(tmp_path / "Call.parquet", [event]))
    kept = [column for column in table.column_names if column != name]
    pq.write_table(table.select(kept).append_column(name, column), tmp_path / "Call.parquet")
    with pytest.raises(FileError, match=words):
        read(tmp_path / "Call.parquet")


def test_older_and_newer_schemas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose writer had fewer fields, more fields, narrower types, an old name, and a symbol that we do not know."""
    ours = copy.deepcopy(CALL.schema)
    by_name = {field["name"]: field for field in ours["fields"]}
    by_name["duration_s"]["aliases"] = ["seconds", "length"]
    by_name["outcome"]["type"]["default"] = "FAILED"
    monkeypatch.setattr("keepline.schemas.avrofiles.event_type", lambda name: dataclasses.replace(CALL, schema=ours))
    outcome = {"type": "enum", "name": "CallOutcome", "symbols": ["LOST", "DROPPED"]}
    fields: list[tuple[str, Any]] = [
        ("customer_id", "string"), ("event_id", "string"), ("event_time", {"type": "long", "logicalType": "timestamp-millis"}),
        ("cell", {"type": "record", "name": "Cell", "fields": [{"name": "id", "type": "int"}]}), ("seconds", "int"), ("outcome", outcome),
    ]  # fmt: skip
    schema = {"type": "record", "name": "Call", "fields": [{"name": name, "type": kind} for name, kind in fields]}
    rows = [
        {"customer_id": "c", "event_id": f"e{i}", "event_time": make.START + i, "cell": {"id": 7}, "seconds": i, "outcome": symbol}
        for i, symbol in enumerate(["LOST", "DROPPED"])
    ]
    with (tmp_path / "a.avro").open("wb") as file:
        fastavro.writer(file, schema, rows)
    found = [to_record(value)[1] for _, _, value in read(tmp_path / "a.avro")]
    assert [(e["duration_s"], e["outcome"], e["roaming"]) for e in found] == [
        (0.0, "FAILED", False),
        (1.0, "DROPPED", False),
    ]


def test_missing_columns_and_fields(tmp_path: Path) -> None:
    events = make.some(random.Random(5), CALL, 3, whole=True)
    table = pq.read_table(make.write_parquet(tmp_path / "Call.parquet", events))
    pq.write_table(table.drop_columns(["duration_s", "event_id"]), tmp_path / "Call.parquet")
    with pytest.raises(DamagedFileError, match="lacks the columns event_id, duration_s: expected customer_id"):
        read(tmp_path / "Call.parquet")
    schema = {**CALL.schema, "fields": CALL.schema["fields"][:4]}
    with (tmp_path / "a.avro").open("wb") as file:
        fastavro.writer(file, schema, [{f["name"]: make.whole(events[0])[f["name"]] for f in schema["fields"]}])
    with pytest.raises(DamagedFileError, match="the schema of Call lacks duration_s: expected customer_id"):
        read(tmp_path / "a.avro")
    twice = pa.table([table["customer_id"], *table.columns], names=["customer_id", *table.column_names])
    pq.write_table(twice, tmp_path / "Call.parquet")
    with pytest.raises(DamagedFileError, match="customer_id is there twice"):
        read(tmp_path / "Call.parquet")


def tolerant(path: Path) -> int | None:
    """Events of the file, or None where it is refused as damaged; anything else is a failure of the reader."""
    try:
        return sum(len(block) + len(block.rejected) for block in read_blocks(path).blocks)
    except FileError as error:
        told = str(error)
    assert str(path) in told
    return None


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("foreign", [False, True])
def test_a_damaged_avro_file_is_refused_and_says_where(codec: str, foreign: bool, tmp_path: Path) -> None:
    dice = random.Random(6)
    events = make.some(dice, CALL, 400, whole=True)
    path = tmp_path / "a.avro"
    schema: Any = make.foreign_schema(CALL, "millis") if foreign else CALL.schema
    with path.open("wb") as file:
        fastavro.writer(file, schema, [{"more": {}, **make.whole(event)} for event in events], codec=codec, sync_interval=2000)
    data = path.read_bytes()
    for cut in [*range(1, len(data), max(1, len(data) // 150)), len(data) - 1, len(data) - 17]:
        path.write_bytes(data[:cut])
        found = tolerant(path)
        assert found is None or data[:cut].endswith(data[-16:]), "a file that ends with a whole block is a whole file"
    for _ in range(300):
        place, bit = dice.randrange(len(data)), 1 << dice.randrange(8)
        path.write_bytes(data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :])
        tolerant(path)
    path.write_bytes(data.replace(data[-16:], bytes(16), 1) if not foreign else data[:-16] + bytes(16))
    with pytest.raises(DamagedFileError, match=r"the block at byte \d+, after record \d+, is damaged or cut off"):
        read(path)
    path.write_bytes(b"not Avro at all")
    with pytest.raises(DamagedFileError, match="the header is not that of an Avro container file"):
        read(path)


def test_a_damaged_parquet_file_is_refused(tmp_path: Path) -> None:
    dice = random.Random(7)
    path = make.write_parquet(tmp_path / "Call.parquet", make.some(dice, CALL, 400), row_group_size=100)
    data = path.read_bytes()
    for cut in range(0, len(data), max(1, len(data) // 60)):
        path.write_bytes(data[:cut])
        assert tolerant(path) is None
    path.write_bytes(data[: len(data) // 2] + bytes(50) + data[len(data) // 2 + 50 :])
    tolerant(path)
    path.write_bytes(b"PAR1 no")
    with pytest.raises(DamagedFileError, match="not a whole Parquet file"):
        read(path)


def test_numbers_far_out_do_not_wrap(tmp_path: Path) -> None:
    table = {
        "customer_id": pa.array(["c", "c"]),
        "event_id": pa.array(["1", "2"]),
        "event_time": pa.array([2**62, -(2**62)], pa.int64()).cast(pa.timestamp("s")),
        "duration_s": pa.array([np.nan, np.inf]),
    }
    pq.write_table(pa.table(table), tmp_path / "Call.parquet", coerce_timestamps=None, version="2.6", use_deprecated_int96_timestamps=False)
    assert tolerant(tmp_path / "Call.parquet") in {2, None}
