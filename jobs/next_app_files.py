"""Logs of app opens from files: `read_log(path)` → the log, and what became of every row.

    CSV of "App Usage (PRO)" (by its header) ──► models/next_app/appusage.py ─┐
    Keepline's events, any format ─────────────► models/next_app/events.py ───┴► make_log ──► Read

A row is an open, an unlock, or dropped for one reason; the counts of the three add up to the rows. Nothing here names an app.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keepline.features.rows import BOUNDS
from keepline.models.errors import TrainingDataError
from keepline.models.next_app import appusage
from keepline.models.next_app.events import rows_of
from keepline.models.next_app.log import OPEN, Log, Row, make_log
from keepline.schemas.files import read_blocks
from keepline.schemas.sources import Progress, kind_of
from keepline.schemas.textfiles import Text, parsed

DUPLICATE, OUT_OF_BOUNDS = "DUPLICATE", "OUT_OF_BOUNDS_TIME"
REASONS = {
    "MALFORMED": "no app, date or time that can be read, or no event",
    "UNKNOWN_SCHEMA": "not of a type that is known",
    "INVALID_FIELD": "a field has a value that it cannot have",
    OUT_OF_BOUNDS: "before 1990 or after 2099, such as a clock that was never set",
    "OVERSIZED": "a line longer than any event",
    DUPLICATE: "a repeat of a row or event id of the same user",
    "SCREEN": "the screen went on or off without an unlock",
    "OTHER_TYPE": "an event that is no AppOpen or Unlock",
    "FOOTER": "a line with neither date nor time, such as the footer",
}
"""Why rows are dropped. The first five, and FUTURE_TIME and the like, are the stream's own."""


class Read(NamedTuple):
    """A log, and what became of the rows of its files."""

    log: Log
    rows: int
    dropped: dict[str, int]
    """Rows by reason (REASONS), those above 0."""
    reordered: int
    """Rows that came after a later one of their user, and were put in order."""
    device_rows: int
    """Opens that are rows of the device (boot and shutdown), not of an app."""

    def as_json(self) -> dict[str, Any]:
        """Counts, for machines."""
        opens = int((self.log.kind == OPEN).sum())
        return {
            "rows": self.rows,
            "opens": opens,
            "unlocks": len(self.log) - opens,
            "dropped": self.dropped,
            "reordered": self.reordered,
            "device_rows": self.device_rows,
        }

    def notes(self) -> Iterator[str]:
        """The same in words, one line each."""
        counts = self.as_json()
        yield f"{self.rows} rows: {counts['opens']} opens, {counts['unlocks']} unlocks, {sum(self.dropped.values())} dropped"
        for reason, count in sorted(self.dropped.items()):
            yield f"dropped {count}: {reason}, {REASONS.get(reason, 'as the stream refuses it')}"
        if self.reordered:
            yield f"put in order {self.reordered}: rows after a later one of the same user"
        if self.device_rows:
            yield f"counted as opens {self.device_rows}: boots and shutdowns of the device"


def read_log(path: Path, type_name: str | None = None, progress: Progress | None = None) -> Read:
    """The log in a file or folder; FileError if it cannot be read, TrainingDataError if it holds no open.

    `type_name` is the event of Keepline's files that do not say theirs; `progress` gets the bytes on disk read since its last call.
    """
    exported = _is_app_usage(path)
    found = _app_usage(path, progress) if exported else _events(path, type_name, progress)
    dropped: Counter[str] = Counter()
    log, duplicates, reordered = make_log(_sound(found, dropped))
    rows = len(log) + duplicates + sum(dropped.values())
    if duplicates:
        dropped[DUPLICATE] = duplicates
    if not (log.kind == OPEN).any():
        why = ", ".join(f"{count} {reason}" for reason, count in sorted(dropped.items())) or "none"
        msg = (
            f"{path} holds no app open in {rows} rows (dropped: {why}), expected AppOpen events or an export of App Usage (PRO). "
            "Give a file of either, or name the event of its rows with --type."
        )
        raise TrainingDataError(msg)
    device = [i for i, name in enumerate(log.apps) if name in appusage.DEVICE_ROWS] if exported else []
    return Read(log, rows, dict(dropped), reordered, int(np.isin(log.app, device).sum()))


def _sound(found: Iterable[Row | str], dropped: Counter[str]) -> Iterator[Row]:
    """The rows; the codes of the others are counted."""
    for row in found:
        if not isinstance(row, Row):
            dropped[row] += 1
        elif not BOUNDS[0] <= row.time < BOUNDS[1]:
            dropped[OUT_OF_BOUNDS] += 1
        else:
            yield row


def _is_app_usage(path: Path) -> bool:
    if not path.is_file() or kind_of(path) != "csv":
        return False
    first = next(parsed(path, _first, None), (1, []))
    return appusage.is_header(first[1])


def _first(texts: Iterator[Text]) -> Iterator[tuple[int, list[str]]]:
    yield 1, next(texts, Text(1, b"", False)).raw.decode(errors="replace").strip().replace('"', "").split(",")


def _app_usage(path: Path, progress: Progress | None) -> Iterator[Row | str]:
    for _, row in parsed(path, _app_usage_rows, progress):
        yield row


def _app_usage_rows(texts: Iterator[Text]) -> Iterator[tuple[int, Row | str]]:
    """The rows after the header. Each line is a row by itself, so that a lone quote costs one line and not the rest."""
    next(texts, None)
    for number, raw, too_long in texts:
        if too_long:
            yield number, "OVERSIZED"
        elif raw.strip():
            cells = next(csv.reader([raw.decode(errors="surrogateescape")]), [])
            yield number, appusage.row_of(cells)


def _events(path: Path, type_name: str | None, progress: Progress | None) -> Iterator[Row | str]:
    for block in read_blocks(path, type_name, progress).blocks:
        yield from rows_of(block)
