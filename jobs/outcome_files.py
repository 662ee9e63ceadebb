"""Where exported outcomes lie: a file a UTC day in a folder, or one file. Written whole or not at all, and how a customer is removed.

    outcomes/outcomes-2026-03-01.parquet    the rows decided on that day
    outcomes/unknown-outcomes.parquet       outcomes that no row takes
    outcomes/erased.json                    hashes of the customers who were erased, so that a later export does not bring them back

Export and erasure lock the folder, so neither undoes the other.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from keepline.jobs.outcome_tables import OutcomesError, epoch_ms

UNKNOWN_FILE = "unknown-outcomes.parquet"
ERASED_FILE = "erased.json"
DAYS = "outcomes-*.parquet"
SUFFIX = ".parquet"
DAY_MS = 86_400_000


def is_file(out: Path) -> bool:
    """Whether this is one file, by its name."""
    return out.suffix == SUFFIX


def day_file(out: Path, day: int) -> Path:
    """The file of a day, counted from 1970-01-01.

    >>> day_file(Path("outcomes"), 20513)
    PosixPath('outcomes/outcomes-2026-03-01.parquet')
    """
    return out / f"outcomes-{datetime.fromtimestamp(day * 86_400, UTC):%Y-%m-%d}{SUFFIX}"


def row_files(out: Path) -> list[Path]:
    """The files of rows there are; OutcomesError where there is no such folder or file, or nothing in it."""
    found = [out] if out.is_file() else sorted(out.glob(DAYS))
    if not found:
        msg = f"{out}: no file {DAYS} in it: expected a folder or file that `keepline outcomes export` wrote"
        raise OutcomesError(msg)
    return found


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Alone in the folder, which is made if it is not there."""
    folder = out.parent if is_file(out) else out
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            msg = f"{folder}: another export or erasure is at work here: wait until it has ended, and run this again"
            raise OutcomesError(msg) from None
        yield
    finally:
        os.close(handle)


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A file beside `path` to write to, which takes its place when it is whole and on disk."""
    unfinished = path.with_name(f".{path.name}.partial")
    try:
        yield unfinished
        with unfinished.open("rb+") as file:
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def write(path: Path, table: pa.Table) -> None:
    """Writes the table in the place of the file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _replacing(path) as unfinished:
        pq.write_table(table, unfinished, compression="zstd")


def _digest(customer: str) -> str:
    return hashlib.blake2b(customer.encode(), digest_size=16, person=b"keepline erased").hexdigest()


def erased(out: Path) -> dict[str, int]:
    """Who was erased here: by hash of the customer_id, the moment, epoch ms."""
    path = (out.parent if is_file(out) else out) / ERASED_FILE
    try:
        found = json.loads(path.read_bytes())
        return {str(digest): int(moment) for digest, moment in found["erased"].items()}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError, AttributeError):
        msg = (
            f"{path}: not the list that `keepline outcomes erase` writes; restore it from a backup: without it, erased customers come back"
        )
        raise OutcomesError(msg) from None


def _remember(folder: Path, customer: str, now_ms: int) -> None:
    known = erased(folder) | {_digest(customer): now_ms}
    with _replacing(folder / ERASED_FILE) as unfinished:
        unfinished.write_text(json.dumps({"erased": dict(sorted(known.items()))}, indent=1) + "\n", encoding="utf-8")


def without_erased(table: pa.Table, gone: dict[str, int], column: str) -> pa.Table:
    """The rows less those of erased customers, up to their erasure. `column` has the rows' times."""
    if not gone:
        return table
    until = {customer: gone.get(_digest(customer)) for customer in table["customer_id"].unique().to_pylist()}
    if all(moment is None for moment in until.values()):
        return table
    rows = zip(table["customer_id"].to_pylist(), table[column].to_pylist(), strict=True)
    keep = [(limit := until[customer]) is None or epoch_ms(at) > limit for customer, at in rows]
    return table.filter(pa.array(keep, pa.bool_()))


@dataclass
class Erased:
    """What an erasure did."""

    rows: int = 0
    files: int = 0
    """Files that were rewritten; where nothing else was in one, it is gone."""
    looked_into: int = 0
    without_customers: int = 0
    """Parquet files that have no customer_id, and were left as they are."""


def erase(customer: str, out: Path, now_ms: int) -> Erased:
    """Rewrites every Parquet file in the folder (or the one file) without the customer, and remembers a hash of the id.

    `now_ms` is the moment of the erasure: rows decided later are a new customer's. OutcomesError for files that cannot be read.
    """
    if not out.exists():
        msg = f"{out}: no such folder or file; check --dir"
        raise OutcomesError(msg)
    if out.is_file() != is_file(out):
        msg = f"{out}: expected a folder, or one file that ends in {SUFFIX}"
        raise OutcomesError(msg)
    done, paths = Erased(), [out] if out.is_file() else sorted(out.rglob("*" + SUFFIX))
    with locked(out):
        # First, so that an export after a broken erasure does not add to what is to go.
        for folder in {out.parent if is_file(out) else out, *(path.parent for path in paths)}:
            _remember(folder, customer, now_ms)
            for left in folder.glob(f".*{SUFFIX}.partial"):
                left.unlink()
        for path in paths:
            if _without(customer, path, done) == 0 and path != out:
                path.unlink()
    return done


def _without(customer: str, path: Path, done: Erased) -> int | None:
    """Rewrites a file that has the customer; returns the rows left in it, or None where it had nothing to go."""
    done.looked_into += 1
    try:
        file = pq.ParquetFile(path)
        if "customer_id" not in file.schema_arrow.names:
            done.without_customers += 1
            return None
        # As text, since files of others may have whole numbers or categories for ids.
        other = pc.fill_null(pc.not_equal(file.read(["customer_id"])["customer_id"].cast(pa.string()), customer), fill_value=True)
        if pc.all(other).as_py() is not False:
            return None
        table = file.read()
    except (pa.ArrowException, OSError) as error:
        msg = f"{path}: cannot be read, so the customer may still be in it ({error}); repair or remove the file, and run this again"
        raise OutcomesError(msg) from None
    left = table.filter(other)
    write(path, left)
    done.rows += table.num_rows - left.num_rows
    done.files += 1
    return int(left.num_rows)
