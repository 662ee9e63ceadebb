"""`keepline features`: event files and queries to training rows, on the stream's kernels.

Events are read once into one buffer of framed Avro; what cannot be an event, by the reader or by the decoder, goes to
OUT.rejected.jsonl with its line, and the rest makes the rows (features/rows.py).
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keepline.features import query
from keepline.features.plan import compile as compile_plan
from keepline.features.rows import BOUNDS, EventBatch, compute_rows, known_customers, scan
from keepline.features.sets import feature_set
from keepline.schemas.encode import Ok
from keepline.schemas.files import read_events
from keepline.schemas.messages import message
from keepline.schemas.records import to_json
from keepline.schemas.sources import Progress
from keepline.schemas.status import DUPLICATE, OK, Reason


class _Events:
    """All readable events in one buffer, with where each came from; the unreadable ones as reported."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.lengths, self.files, self.numbers, self.types = array("q"), array("i"), array("q"), array("b")
        self.names: dict[str, int] = {}
        self.rejected: list[tuple[int, int, dict[str, Any]]] = []

    def read(self, paths: Sequence[Path], type_name: str | None, progress: Progress | None) -> _Events:
        for line in read_events(paths, type_name, progress):
            file = self.names.setdefault(line.file, len(self.names))
            if isinstance(line.event, Ok):
                self.buffer += line.event.value
                self.lengths.append(len(line.event.value))
                self.files.append(file)
                self.numbers.append(line.number)
                self.types.append(line.event.type_id)
            else:
                self.reject(file, line.number, line.event.reason.name, line.event.message)
        return self

    def reject(self, file: int, number: int, reason: str, why: str) -> None:
        """Notes a line that makes no row."""
        self.rejected.append((file, number, {"line": number, "reason": reason, "message": why}))

    def batch(self) -> EventBatch:
        """The events as the kernels take them."""
        lengths = np.array(self.lengths, np.int64)
        return EventBatch(np.frombuffer(self.buffer or b"\0", np.uint8), np.cumsum(lengths) - lengths, lengths)


def compute(
    set_name: str, paths: Sequence[Path], at: str, out: Path, type_name: str | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """Writes the rows; returns counts: rows, events, rejected, duplicate, late, and where the rejected lines went."""
    query.check_out(out)
    asked = query.read_queries(Path(at)) if Path(at).suffix in {".csv", ".gz"} or Path(at).exists() else None
    if asked is None:
        query.parse_time(at)
    plan = compile_plan(feature_set(set_name))
    events = _Events().read(paths, type_name, progress)
    batch = events.batch()
    found = scan(batch)
    queries = asked or query.everyone(known_customers(batch, found), at)
    rows = compute_rows(plan, batch, queries.customer_ids, queries.at, found=found)
    for i in np.flatnonzero((rows.status != OK) & (rows.status < DUPLICATE)).tolist():
        start = int(batch.offsets[i])
        value = batch.buffer[start : start + int(batch.lengths[i])].tobytes()
        why = message(int(rows.status[i]), events.types[i], int(rows.field[i]), value, bounds=BOUNDS)
        events.reject(events.files[i], events.numbers[i], Reason(int(rows.status[i])).name, why)
    query.write_rows(out, queries, plan.meta.names, rows.x)
    rejected = out.with_name(out.name + ".rejected.jsonl")
    _write_rejected(rejected, events)
    return {
        "rows": len(rows.x),
        "events": len(events.lengths),
        "rejected": len(events.rejected),
        "duplicate": rows.duplicates,
        "late": rows.late,
        "rejected_file": str(rejected) if events.rejected else None,
    }


def _write_rejected(path: Path, events: _Events) -> None:
    """The rejected lines in their order; with several files each line says its file. No file where there are none."""
    if not events.rejected:
        path.unlink(missing_ok=True)
        return
    names = list(events.names)
    with path.open("w", encoding="utf-8") as file:
        for place, _, entry in sorted(events.rejected, key=lambda item: item[:2]):
            file.write(to_json({"file": names[place], **entry} if len(names) > 1 else entry) + "\n")
