"""`keepline clv labels`: event files to the table customer_id, at, horizon_days, revenue, orders (models/clv/labels.py).

The table also serves as the queries of `keepline features clv --at`, so that rows and labels are of the same customers and moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from keepline.features.query import check_out, parse_time
from keepline.features.rows import EventBatch
from keepline.models.clv.labels import labels
from keepline.models.errors import TrainingDataError
from keepline.schemas.blocks import concatenate
from keepline.schemas.durations import UNITS, parse_ms
from keepline.schemas.files import read_blocks
from keepline.schemas.programs import compile_programs
from keepline.schemas.sources import Progress


def horizon_ms(text: str) -> int:
    """Milliseconds of --horizon; TrainingDataError where it is no duration above 0."""
    try:
        horizon = parse_ms(text)
    except ValueError as error:
        msg = f"--horizon: {error}"
        raise TrainingDataError(msg) from None
    if horizon == 0:
        msg = f"--horizon is {text}, expected a time above 0, such as 360d."
        raise TrainingDataError(msg)
    return horizon


def write(
    paths: Sequence[Path],
    at: str,
    horizon: str,
    out: Path,
    type_name: str | None = None,
    progress: Progress | None = None,
    *,
    currency: str = "",
) -> dict[str, Any]:
    """Writes the labels; returns counts: customers, buyers, revenue, unknown (customers first seen after `at`), events, rejected.

    `currency` is the one that amounts are in; events that name another are rejected.
    """
    check_out(out)
    moment, length = parse_time(at), horizon_ms(horizon)
    events = concatenate(list(read_blocks(paths, type_name, progress).blocks))
    programs = compile_programs(currency=currency)
    found = labels(EventBatch(events.buffer, events.offsets, events.lengths), moment, length, programs=programs)
    frame = pd.DataFrame(
        {
            "customer_id": found.customer_ids,
            "at": at,
            "horizon_days": length / UNITS["d"],
            "revenue": found.revenue,
            "orders": found.orders,
        }
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix == ".parquet":
        frame.to_parquet(out, index=False)
    else:
        frame.to_csv(out, index=False)
    return {
        "customers": len(frame),
        "buyers": int((found.orders > 0).sum()),
        "revenue": float(found.revenue.sum()),
        "unknown": found.unknown,
        "events": len(events),
        "rejected": len(events.rejected) + found.rejected,
    }
