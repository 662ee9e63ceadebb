"""`keepline outcomes export`: labelled rows from the job's topic, or from files of `replay`, to Parquet.

    PREFIX.labelled-outcomes, or labelled-outcomes.jsonl ── collect ──► rows, late outcomes, unknown outcomes ── export ──► Parquet

A row is written to the topic once, when its window closes; outcomes that come later are records of their own, and are appended to their
row here. An export reads the topic from its beginning and adds to what the folder has, so it may be repeated at will, and rows that the
topic has dropped since stay. Memory: one to two kilobytes a decision.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from keepline.jobs import outcome_files as files
from keepline.jobs.outcome_tables import (
    HEAD,
    UNKNOWN,
    OutcomesError,
    Record,
    epoch_ms,
    merged,
    merged_unknown,
    of_records,
    of_unknown,
    read,
    training_rows,
)
from keepline.jobs.settings import RetentionSettings
from keepline.schemas.records import RecordError, from_record, to_record

NAME = "LabelledOutcome"
TOPIC = "labelled-outcomes"
AT_ONCE = 20_000
"""Records that become a table together."""
Progress = Callable[[int, int], None]
ARMS = {"control": ("CONTROL",), "treatment": ("TREATMENT",), "all": ("CONTROL", "TREATMENT")}


@dataclass
class Collected:
    """What a source held."""

    tables: list[pa.Table] = field(default_factory=list)
    late: dict[str, list[Record]] = field(default_factory=dict)
    """Late outcomes by decision."""
    late_records: list[Record] = field(default_factory=list)
    unknown: list[Record] = field(default_factory=list)
    read: int = 0
    unreadable: int = 0
    """Records of another version of Keepline."""


@dataclass
class Exported:
    """What an export did."""

    read: int
    unreadable: int
    rows: int = 0
    """Rows in the files that were written."""
    late: int = 0
    """Late outcomes that were read."""
    unknown: list[Record] = field(default_factory=list)
    """Outcomes that no row takes."""
    files: int = 0


def from_topic(settings: RetentionSettings, given: Iterable[str] = (), progress: Progress | None = None) -> Iterator[Record | None]:
    """The committed records of the topic, to the end it has now; None for one that cannot be read."""
    from keepline.jobs.tail import messages

    for count, message in enumerate(messages(f"{settings.output_prefix}.{TOPIC}", settings.bootstrap_servers, given), 1):
        if progress and count % 1000 == 0:
            progress(count, 0)
        if message.value() is None:
            continue
        try:
            name, record = to_record(message.value())
        except RecordError:
            yield None
            continue
        yield record if name == NAME else None


def from_lines(path: Path) -> Iterator[Record]:
    """The records of a JSON Lines file as `replay` and `tail` write it; OutcomesError names the line that is none."""
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield _record(path, number, line)
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}; expected {TOPIC}.jsonl of `keepline replay retention`"
        raise OutcomesError(msg) from None


def _record(path: Path, number: int, line: str) -> Record:
    try:
        return to_record(from_record(NAME, json.loads(line)))[1]
    except (ValueError, RecordError) as error:
        msg = f"{path}:{number}: no record of {NAME}: {error}; expected a line of {TOPIC}.jsonl as `keepline replay` or `tail` writes it"
        raise OutcomesError(msg) from None


def collect(records: Iterable[Record | None]) -> Collected:
    """Sorts records by status; rows become tables as they come."""
    found, rows = Collected(), list[Record]()
    for record in records:
        found.read += 1
        if record is None:
            found.unreadable += 1
        elif record["status"] == "LANDED":
            rows.append(record)
            if len(rows) == AT_ONCE:
                found.tables.append(of_records(rows))
                rows.clear()
        elif record["status"] == "LATE":
            found.late.setdefault(record["decision_id"], []).extend(each | {"late": True} for each in record["outcomes"])
            found.late_records.append(record)
        else:
            found.unknown.append(record)
    if rows:
        found.tables.append(of_records(rows))
    return found


def from_paths(paths: Sequence[Path], progress: Progress | None = None) -> Collected:
    """What these hold: JSON Lines files, or folders and Parquet files of an earlier export."""
    lines, tables = list[Path](), list[pa.Table]()
    for path in paths:
        if path.is_dir() or files.is_file(path):
            found = files.row_files(path)
            for count, each in enumerate(found, 1):
                tables.append(read(each))
                if progress:
                    progress(count, len(found))
        else:
            lines.append(path)
    collected = collect(record for path in lines for record in from_lines(path))
    collected.read += sum(table.num_rows for table in tables)
    collected.tables = tables + collected.tables
    return collected


def export(found: Collected, out: Path, progress: Progress | None = None) -> Exported:
    """Writes the rows to a folder, a file a day, or to one file if `out` ends in .parquet. Rows that are there already are kept."""
    done = Exported(found.read, found.unreadable, late=sum(map(len, found.late.values())))
    with files.locked(out):
        gone = files.erased(out)
        parts = _parts(found, out)
        taken: set[str] = set()
        for count, (path, tables) in enumerate(sorted(parts.items()), 1):
            before = [read(path)] if path.exists() else []
            table = files.without_erased(merged([*before, *tables], found.late), gone, "decided_at")
            if table.num_rows or files.is_file(out):
                files.write(path, table)
                done.files += 1
                done.rows += table.num_rows
                if found.late:
                    taken.update(found.late.keys() & set(table["decision_id"].to_pylist()))
            if progress:
                progress(count, len(parts))
        strays = [record for record in found.late_records if record["decision_id"] not in taken]
        done.unknown = _write_unknown(of_unknown([*found.unknown, *strays]), out, gone)
    return done


def _parts(found: Collected, out: Path) -> Mapping[Path, list[pa.Table]]:
    """New rows by the file they belong to; also files whose rows get late outcomes only."""
    if files.is_file(out):
        return {out: found.tables}
    parts: dict[Path, list[pa.Table]] = {}
    if found.tables:
        table = pa.concat_tables([HEAD.empty_table(), *found.tables], promote_options="default").combine_chunks()
        days = np.asarray(table["decided_at"].cast(pa.int64())) // files.DAY_MS
        order = np.argsort(days, kind="stable")
        names, starts = np.unique(days[order], return_index=True)
        for day, rows in zip(names.tolist(), np.split(order, starts[1:]), strict=True):
            parts[files.day_file(out, day)] = [table.take(pa.array(rows))]
    for record in found.late_records:
        path = files.day_file(out, record["decided_at"] // files.DAY_MS)
        if path.exists():
            parts.setdefault(path, [])
    return parts


def _write_unknown(table: pa.Table, out: Path, gone: dict[str, int]) -> list[Record]:
    """Adds to the folder's file of unknown outcomes (one file of rows has none beside it), and returns what there is, times as epoch ms."""
    path = out / files.UNKNOWN_FILE
    before = [] if files.is_file(out) or not path.exists() else [read(path, UNKNOWN)]
    table = files.without_erased(merged_unknown([*before, table]), gone, "event_time")
    if table.num_rows and not files.is_file(out):
        files.write(path, table)
    return [row | {"event_time": epoch_ms(row["event_time"])} for row in table.to_pylist()]


def export_training(found: Collected, out: Path, arm: str) -> dict[str, Any]:
    """Writes features.parquet and labels.parquet for `keepline train churn`; returns counts. OutcomesError where no row is left."""
    if arm not in ARMS:
        msg = f"--arm {arm!r}: expected {', '.join(ARMS)}"
        raise OutcomesError(msg)
    if files.is_file(out):
        msg = f"--out {out}: with --training expected a folder, for features.parquet and labels.parquet"
        raise OutcomesError(msg)
    with files.locked(out):
        table = files.without_erased(merged(found.tables, found.late), files.erased(out), "decided_at")
        features, labels, bare = training_rows(table, ARMS[arm])
        if not features.num_rows:
            hint = (
                "without a holdout there is no control arm, and --arm all takes every row" if arm == "control" else "no window has landed"
            )
            msg = f"no landed decision of --arm {arm} has features ({found.read} records read): {hint}"
            raise OutcomesError(msg)
        files.write(out / "features.parquet", features)
        files.write(out / "labels.parquet", labels)
    churned = int(np.asarray(labels["label"]).sum())
    return {"rows": features.num_rows, "churned": churned, "without_features": bare, "arm": arm, "unreadable": found.unreadable}
