"""What was asked for, and the answer: QUERIES.csv in, OUT.csv or OUT.parquet out.

QUERIES has the columns customer_id and at (RFC 3339 or epoch milliseconds), in any order; other columns are ignored. OUT has these two
as asked, text for text, and one column per feature, in the order of the questions. Data passes as
`read_queries → rows.compute_rows → write_rows`; with one time for everyone, `everyone` makes the questions.
"""

from __future__ import annotations

import csv
import gzip
import io
import os
import re
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from keepline.features.spec import FeatureError
from keepline.schemas.times import TimeError, from_rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

_MILLISECONDS = re.compile(r"[+-]?\d{1,15}", re.ASCII).fullmatch
_MAX_ID_BYTES = 128
_CHUNK = 10_000


class QueryError(FeatureError):
    """A question that cannot be read, with its file and line."""


class Queries(NamedTuple):
    """Questions in the order asked."""

    customer_ids: list[str]
    asked: list[str]  # the times as written
    at: NDArray[np.int64]  # epoch ms


def parse_time(text: str) -> int:
    """Epoch milliseconds of an RFC 3339 time or of epoch milliseconds; `QueryError` if it is neither."""
    stripped = text.strip()
    if _MILLISECONDS(stripped):
        return int(stripped)
    try:
        return from_rfc3339(stripped)
    except TimeError as error:
        msg = f"{error}. Correct the time."
        raise QueryError(msg) from None


def everyone(customer_ids: Sequence[str], time: str) -> Queries:
    """One time for every customer, sorted by id."""
    return Queries(sorted(customer_ids), [time] * len(customer_ids), np.full(len(customer_ids), parse_time(time), np.int64))


def read_queries(path: Path) -> Queries:
    """Read QUERIES.csv (.gz is accepted); `QueryError` names the file, the line, what was expected and what to do."""
    ids, asked, at = [], [], []
    for line, customer_id, time in _lines(path):
        where = f"{path}, line {line}"
        if not customer_id or len(customer_id.encode()) > _MAX_ID_BYTES or "\0" in customer_id:
            msg = f"{where}: the customer_id {customer_id[:40]!r} should have 1 to {_MAX_ID_BYTES} bytes without NUL. Correct the line."
            raise QueryError(msg)
        try:
            at.append(parse_time(time))
        except QueryError as error:
            msg = f"{where}: at is no time: {error}"
            raise QueryError(msg) from None
        ids.append(customer_id)
        asked.append(time)
    return Queries(ids, asked, np.array(at, np.int64))


def _lines(path: Path) -> Iterator[tuple[int, str, str]]:
    """Line number, customer_id and at of every line that is not empty."""
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError) as error:
        msg = f"{path} cannot be read: {error}. Give a CSV file with customer_id and at, or a time such as 2026-03-01T00:00:00Z."
        raise QueryError(msg) from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        msg = f"{path}, line {line}: not UTF-8. Save the file as UTF-8."
        raise QueryError(msg) from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        names = [name.strip() for name in header]
        if names.count("customer_id") != 1 or names.count("at") != 1:
            msg = f"{path}, line 1: the columns are {', '.join(names) or 'none'}. Expected customer_id and at, once each: add a header."
            raise QueryError(msg)
        customer_id, at = names.index("customer_id"), names.index("at")
        for row in reader:
            if not row:
                continue
            if len(row) != len(names):
                msg = f"{path}, line {reader.line_num}: {len(row)} cells. Expected {len(names)}, as in the header; quote cells with commas."
                raise QueryError(msg)
            yield reader.line_num, row[customer_id], row[at]
    except csv.Error as error:
        msg = f"{path}, line {reader.line_num}: not CSV ({error}). Correct the quoting."
        raise QueryError(msg) from None


def check_out(path: Path) -> None:
    """Refuse a name of OUT that no writer knows, before any work is done."""
    if path.suffix not in {".csv", ".parquet"}:
        msg = f"{path} ends in {path.suffix or 'nothing'}. Expected a name that ends in .csv or .parquet."
        raise QueryError(msg)


def write_rows(path: Path, queries: Queries, names: Sequence[str], x: NDArray[np.float64]) -> None:
    """Write OUT whole or not at all. CSV floats are the shortest text that reads back as the same double (`61.0`, `1e-05`)."""
    check_out(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        if path.suffix == ".csv":
            _write_csv(unfinished, queries, names, x)
        else:
            _write_parquet(unfinished, queries, names, x)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _write_csv(path: Path, queries: Queries, names: Sequence[str], x: NDArray[np.float64]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["customer_id", "at", *names])
        for first in range(0, len(x), _CHUNK):
            part = slice(first, first + _CHUNK)
            rows = zip(queries.customer_ids[part], queries.asked[part], x[part].tolist(), strict=True)
            writer.writerows(chain(head, row) for *head, row in rows)


def _write_parquet(path: Path, queries: Queries, names: Sequence[str], x: NDArray[np.float64]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    heads = [pa.array(queries.customer_ids, pa.string()), pa.array(queries.asked, pa.string())]
    columns = [pa.array(np.ascontiguousarray(x[:, i])) for i in range(len(names))]
    pq.write_table(pa.table([*heads, *columns], names=["customer_id", "at", *names]), path)
