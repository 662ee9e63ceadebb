"""Questions in, answers out: what is read, what is refused and where, and what the files hold."""

import csv
import gzip
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from keepline.features.query import Queries, QueryError, everyone, parse_time, read_queries, write_rows


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-03-01T12:30:00.250+02:00", 1_772_361_000_250),
        ("1750000000000", 1_750_000_000_000),
        ("-1", -1),
        (" 17 ", 17),
    ],
)
def test_times(text: str, ms: int) -> None:
    assert parse_time(text) == ms


def test_questions_keep_order_and_text(tmp_path: Path) -> None:
    path = tmp_path / "q.csv.gz"
    path.write_bytes(
        gzip.compress('\ufeffat,note,customer_id\r\n1000,x,b\r\n\r\n1970-01-01T00:00:02Z,"y,\nz","a,1"\r\n1000,x,b\r\n'.encode())
    )
    queries = read_queries(path)
    assert queries.customer_ids == ["b", "a,1", "b"]
    assert queries.asked == ["1000", "1970-01-01T00:00:02Z", "1000"]
    assert queries.at.tolist() == [1000, 2000, 1000]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"line 1: the columns are none\. Expected customer_id and at"),
        (b"id,at\n", r"line 1: the columns are id, at"),
        (b"customer_id,at,at\n", r"once each"),
        (b"customer_id,at\na,1\nb,yesterday\n", r"line 3: at is no time: 'yesterday'"),
        (b"customer_id,at\na,2026-03-01T00:00:00\n", r"line 2: at is no time"),
        (b"customer_id,at\na,99999999999999999999\n", r"line 2: at is no time"),
        (b"customer_id,at\na\n", r"line 2: 1 cells\. Expected 2"),
        (b"customer_id,at\n,1\n", r"line 2: the customer_id '' should have 1 to 128 bytes"),
        (b"customer_id,at\n" + b"x" * 129 + b",1\n", r"line 2: the customer_id"),
        (b"customer_id,at\na,1\n\xff,1\n", r"line 3: not UTF-8"),
        (b'customer_id,at\na,1\n"b,1\n', r"line 3: not CSV"),
    ],
)
def test_refusals_name_the_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "q.csv"
    path.write_bytes(content)
    with pytest.raises(QueryError, match=message) as error:
        read_queries(path)
    assert str(path) in str(error.value)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(QueryError, match="cannot be read"):
        read_queries(tmp_path / "absent.csv")


def test_everyone_is_sorted() -> None:
    queries = everyone(["b", "ü", "a"], "1970-01-01T00:00:01Z")
    assert queries.customer_ids == ["a", "b", "ü"]
    assert queries.asked == ["1970-01-01T00:00:01Z"] * 3
    assert queries.at.tolist() == [1000] * 3


def test_answers_read_back_exactly(tmp_path: Path) -> None:
    queries = Queries(["a,1", "b"], ["1000", "1970-01-01T00:00:02Z"], np.array([1000, 2000]))
    x = np.array([[0.1, 1e300], [5e-324, 61.0]])
    for name in ("out.csv", "new/out.parquet"):
        write_rows(tmp_path / name, queries, ["f", "g"], x)
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [["customer_id", "at", "f", "g"], ["a,1", "1000", "0.1", "1e+300"], ["b", "1970-01-01T00:00:02Z", "5e-324", "61.0"]]
    table = pq.read_table(tmp_path / "new/out.parquet")
    assert table.column_names == ["customer_id", "at", "f", "g"]
    assert table.to_pylist()[0] == {"customer_id": "a,1", "at": "1000", "f": 0.1, "g": 1e300}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "out.csv"]


def test_unknown_kind_of_file(tmp_path: Path) -> None:
    with pytest.raises(QueryError, match=r"\.csv or \.parquet"):
        write_rows(tmp_path / "out.xlsx", Queries([], [], np.array([], np.int64)), [], np.zeros((0, 0)))
