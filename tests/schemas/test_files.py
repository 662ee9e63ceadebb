"""Files of events: order, kinds, and what becomes of bad lines and bad files."""

import gzip
import io
import json
import random
import sys

import pytest

from keepline.schemas.encode import Ok, Rejected
from keepline.schemas.errors import DamagedFileError, FileError, KeeplineError, MissingFileError, UnsupportedFileError
from keepline.schemas.files import find_files, read_events, total_bytes
from keepline.schemas.records import to_record
from keepline.schemas.status import Reason


def event(event_id: str, time: int, **more) -> str:
    return json.dumps({"type": "Message", "customer_id": "c", "event_id": event_id, "event_time": time, **more})


def write(path, *lines, end="\n"):
    data = "".join(line + end for line in lines).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def ids(lines):
    return [to_record(line.event.value)[1]["event_id"] if isinstance(line.event, Ok) else line.raw.decode() for line in lines]


def test_one_file_keeps_its_order(tmp_path):
    path = write(tmp_path / "a.jsonl", event("b", 2), event("a", 1))
    lines = list(read_events(path))
    assert ids(lines) == ["b", "a"]
    assert [(line.file, line.number) for line in lines] == [("a.jsonl", 1), ("a.jsonl", 2)]


def test_a_folder_is_merged_even_of_one_file(tmp_path):
    write(tmp_path / "a.jsonl", event("b", 2), event("a", 1))
    assert ids(read_events(tmp_path)) == ["a", "b"]


@pytest.mark.parametrize("budget", [256 << 20, 0, 3000])
def test_merge_by_time_then_name_then_line(tmp_path, budget):
    one = write(tmp_path / "2.jsonl", event("2.1", 5), event("2.2", 1), event("2.3", 5))
    two = write(tmp_path / "1.jsonl.gz", event("1.1", 5), event("1.2", 9), event("1.3", 5))
    expected = ["2.2", "1.1", "1.3", "2.1", "2.3", "1.2"]
    assert ids(read_events([one, two], budget=budget)) == expected
    assert ids(read_events([two, one], budget=budget)) == expected
    assert ids(read_events(tmp_path, budget=budget)) == expected


def test_a_merge_over_its_budget_is_the_same_merge(tmp_path):
    rng = random.Random(7)
    for name in "abc":
        lines = [event(f"{name}{i}", rng.randrange(50)) if rng.random() < 0.9 else f"bad {name}{i}" for i in range(300)]
        write(tmp_path / f"{name}.jsonl", *lines)
    whole = list(read_events(tmp_path))
    assert list(read_events(tmp_path, budget=20_000)) == whole
    assert len(whole) == 900
    good = [(line.event.event_time, line.file, line.number) for line in whole if isinstance(line.event, Ok)]
    assert good == sorted(good)


def test_bad_lines_go_with_the_good_line_before_them(tmp_path):
    write(tmp_path / "a.jsonl", "bad 0", event("a1", 5), "bad 1", "bad 2", event("a2", 3))
    write(tmp_path / "b.jsonl", event("b1", 4), "bad 3")
    lines = list(read_events(tmp_path))
    assert ids(lines) == ["bad 0", "a2", "b1", "bad 3", "a1", "bad 1", "bad 2"]
    assert lines[0].event.reason == Reason.MALFORMED


def test_names_in_folders(tmp_path):
    write(tmp_path / "in" / "b" / "x.jsonl", event("b", 1))
    write(tmp_path / "in" / "a" / "x.jsonl", event("a", 1))
    write(tmp_path / "in" / ".hidden.jsonl", "bad")
    write(tmp_path / "in" / "_SUCCESS")
    write(tmp_path / "in" / "README.md", "text")
    assert [line.file for line in read_events(tmp_path / "in")] == ["a/x.jsonl", "b/x.jsonl"]
    pair = [tmp_path / "in" / "b" / "x.jsonl", tmp_path / "in" / "a" / "x.jsonl"]
    assert [line.file for line in read_events(pair)] == [str(pair[1]), str(pair[0])]
    assert total_bytes(find_files(pair)) == 2 * len(event("a", 1)) + 2


def test_blank_lines_byte_order_marks_and_line_ends(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + event("a", 1).encode() + b"\r\n\r\n   \n" + event("b", 2).encode())
    lines = list(read_events(path))
    assert [line.number for line in lines] == [1, 4]
    assert ids(lines) == ["a", "b"]


def test_an_empty_file_has_no_events(tmp_path):
    assert list(read_events(write(tmp_path / "a.jsonl"))) == []
    assert list(read_events(write(tmp_path / "a.csv"), "Call")) == []
    assert list(read_events(write(tmp_path / "a.jsonl.gz"))) == []


def test_a_long_line_is_read_whole(tmp_path):
    path = write(tmp_path / "a.jsonl", event("a", 1, filler="x" * 3_000_000), event("b", 2))
    assert ids(read_events(path)) == ["a", "b"]


def test_a_line_without_end_does_not_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("keepline.schemas.textfiles._MAX_LINE", 200)
    path = write(tmp_path / "a.jsonl", event("a", 1), "x" * 1001, event("b", 2))
    lines = list(read_events(path))
    assert [line.number for line in lines] == [1, 2, 3]
    assert [isinstance(line.event, Ok) for line in lines] == [True, False, True]
    assert lines[1].event.reason == Reason.OVERSIZED
    assert len(lines[1].raw) == 200


def test_progress_reaches_the_size(tmp_path):
    write(tmp_path / "a.jsonl", *(event(str(i), i) for i in range(9000)))
    write(tmp_path / "b.jsonl.gz", *(event(str(i), i) for i in range(9000)))
    steps = []
    assert len(list(read_events(tmp_path, progress=steps.append))) == 18_000
    assert sum(steps) == total_bytes(find_files([tmp_path]))
    assert len(steps) > 4


def test_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(event("a", 1).encode())))
    assert ids(read_events("-")) == ["a"]


CSV_HEAD = "customer_id,event_id,event_time,duration_s,roaming"


def test_csv(tmp_path):
    path = write(
        tmp_path / "calls.csv.gz",
        CSV_HEAD,
        "c1,e1,1970-01-01T00:00:01Z,61.5,true",
        '"c,""2""\nx",e2,2000,1,',
        "",
        "c3,e3,3000,x,",
        "c4,e4,4000",
        "c5,e5,5000,1,false,extra",
        'c6,"e6"6,6000,1,',
        "c7,e7,7000,7,FALSE",
        end="\r\n",
    )
    lines = list(read_events(path, "Call"))
    assert [line.number for line in lines] == [2, 3, 6, 7, 8, 9, 10]
    assert [line.event.customer_id for line in lines if isinstance(line.event, Ok)] == ["c1", 'c,"2"\nx', "c7"]
    bad = [line.event for line in lines if isinstance(line.event, Rejected)]
    assert [(r.reason, r.field) for r in bad] == [
        (Reason.INVALID_FIELD, "duration_s"),
        (Reason.INVALID_FIELD, "duration_s"),
        (Reason.MALFORMED, None),
        (Reason.MALFORMED, None),
    ]
    assert [line.raw for line in lines if line.raw] == [b"c3,e3,3000,x,", b"c4,e4,4000", b"c5,e5,5000,1,false,extra", b'c6,"e6"6,6000,1,']


def test_csv_says_its_type_by_column_or_name(tmp_path):
    path = write(tmp_path / "x.csv", "type," + CSV_HEAD, "Call,c,e,1,2,", "Message,c,e,1,,", ",c,e,1,2,")
    assert [line.event.type_id for line in read_events(path, "Call")] == [0, 2, 0]
    assert [line.event.reason for line in read_events(path) if isinstance(line.event, Rejected)] == [Reason.UNKNOWN_SCHEMA]
    path = write(tmp_path / "Call.2025.csv", CSV_HEAD, "c,e,1,2,")
    assert [line.event.type_id for line in read_events(path)] == [0]


def test_csv_bytes_that_are_not_utf8_are_a_bad_row(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xef\xbb\xbf" + CSV_HEAD.encode() + b"\nc\xff,e,1,2,\nc,e,1,2,\n")
    first, second = read_events(path, "Call")
    assert (first.event.reason, first.event.field) == (Reason.INVALID_FIELD, "customer_id")
    assert isinstance(second.event, Ok)


def test_csv_an_open_quote_costs_its_rows_and_no_more(tmp_path):
    path = write(tmp_path / "a.csv", CSV_HEAD, '"c,e,1,2,', *["c,e,1,2," for _ in range(30_000)])
    lines = list(read_events(path, "Call"))
    assert lines[0].event.reason == Reason.MALFORMED
    assert sum(isinstance(line.event, Ok) for line in lines) > 10_000


@pytest.mark.parametrize(
    ("name", "content", "type_name", "error", "words"),
    [
        ("a.csv", b"customer_id;event_id\n", "Call", DamagedFileError, "lacks customer_id.*separated by commas"),
        ("a.csv", b"customer_id,event_id,event_time\n", "Call", DamagedFileError, "lacks duration_s"),
        ("a.csv", (CSV_HEAD + ",roaming\n").encode(), "Call", DamagedFileError, "has roaming twice"),
        ("a.csv", CSV_HEAD.encode(), None, FileError, "give --type"),
        ("a.csv", CSV_HEAD.encode(), "Calls", FileError, "unknown event type 'Calls'"),
        ("a.jsonl.gz", b"no gzip", None, DamagedFileError, "damaged after line 0"),
        ("a.jsonl.gz", gzip.compress(b"{}\n" * 100_000)[:-20], None, DamagedFileError, "damaged after line"),
        ("a.csv.gz", b"no gzip", "Call", DamagedFileError, "damaged after line 0"),
        ("a.parquet.gz", b"", None, UnsupportedFileError, "a compression of their own.*decompress"),
        ("a.avro.GZ", b"", None, UnsupportedFileError, "a compression of their own.*decompress"),
        ("a.txt", b"", None, UnsupportedFileError, "does not say what it holds"),
        ("a", b"", None, UnsupportedFileError, "does not say what it holds"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, name, content, type_name, error, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=words) as caught:
        list(read_events(tmp_path / name, type_name))
    assert isinstance(caught.value, KeeplineError)


def test_missing_files_are_refused_before_anything_is_read(tmp_path):
    for paths in ([tmp_path / "none.jsonl"], [tmp_path], []):
        with pytest.raises(MissingFileError):
            read_events(paths)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.parquet.gz").touch()
    with pytest.raises(UnsupportedFileError):
        read_events(tmp_path / "in")
