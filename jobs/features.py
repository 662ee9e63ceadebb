"""`keepline features`: event files and queries to training rows, on the stream's kernels.

Events are read once into one buffer of framed Avro; what cannot be an event, by the reader or by the decoder, goes to
OUT.rejected.jsonl with its line, and the rest makes the rows (features/rows.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keepline.features import query
from keepline.features.plan import compile as compile_plan
from keepline.features.rows import BOUNDS, EventBatch, Rows, arrange, compute_rows, known_customers, scan
from keepline.features.sets import feature_set
from keepline.schemas.blocks import TYPE_IDS, EventBlock, concatenate
from keepline.schemas.files import read_blocks
from keepline.schemas.messages import message
from keepline.schemas.programs import Image, compile_programs
from keepline.schemas.records import to_json
from keepline.schemas.sources import Progress
from keepline.schemas.status import DUPLICATE, OK, Reason


def compute(
    set_name: str,
    paths: Sequence[Path],
    at: str,
    out: Path,
    type_name: str | None = None,
    progress: Progress | None = None,
    *,
    currency: str = "",
    margin: float | None = None,
) -> dict[str, Any]:
    """Writes the rows; returns counts: rows, events, rejected, duplicate, late, and where the rejected lines went.

    `currency` is the one that amounts are in; events that name another are rejected. `margin`: as `plan.compile`.
    """
    query.check_out(out)
    asked = query.read_queries(Path(at)) if Path(at).suffix in {".csv", ".gz"} or Path(at).exists() else None
    if asked is None:
        query.parse_time(at)
    plan = compile_plan(feature_set(set_name), margin=margin)
    programs = compile_programs(currency=currency)
    names, blocks = read_blocks(paths, type_name, progress)
    events = concatenate(list(blocks))
    batch = EventBatch(events.buffer, events.offsets, events.lengths)
    found = scan(batch, programs=programs)
    groups = arrange(found)
    queries = asked or query.everyone(known_customers(batch, groups), at)
    rows = compute_rows(plan, batch, queries.customer_ids, queries.at, programs=programs, found=found, groups=groups)
    query.write_rows(out, queries, plan.meta.names, rows.x)
    rejected = _rejected(events, rows, programs)
    file = out.with_name(out.name + ".rejected.jsonl")
    _write_rejected(file, names, rejected)
    return {
        "rows": len(rows.x),
        "events": len(events),
        "rejected": len(rejected),
        "duplicate": rows.duplicates,
        "late": rows.late,
        "rejected_file": str(file) if rejected else None,
    }


def _rejected(events: EventBlock, rows: Rows, programs: Image) -> list[tuple[int, int, dict[str, Any]]]:
    """(file, line, what is said of it) of each line that makes no row, in their order."""
    found = [(line.file, line.number, line.why.reason.name, line.why.message) for line in events.rejected]
    for i in np.flatnonzero((rows.status != OK) & (rows.status < DUPLICATE)).tolist():
        value, status = events.value(i), int(rows.status[i])
        why = message(status, TYPE_IDS[value[2:10]], int(rows.field[i]), value, bounds=BOUNDS, image=programs)
        found.append((int(events.files[i]), int(events.numbers[i]), Reason(status).name, why))
    return [(file, number, {"line": number, "reason": reason, "message": why}) for file, number, reason, why in sorted(found)]


def _write_rejected(path: Path, names: Sequence[str], rejected: Sequence[tuple[int, int, dict[str, Any]]]) -> None:
    """With several files each line says its file. No file where there are none."""
    if not rejected:
        path.unlink(missing_ok=True)
        return
    with path.open("w", encoding="utf-8") as file:
        for place, _, entry in rejected:
            file.write(to_json({"file": names[place], **entry} if len(names) > 1 else entry) + "\n")
