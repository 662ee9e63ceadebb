"""`keepline uplift`: exported outcomes to an effect a group. Reads, counts each customer once a group; models/uplift.py compares."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from keepline.jobs.outcome_files import row_files
from keepline.jobs.outcome_tables import OutcomesError, read
from keepline.models.uplift import Arm, Effect, Group, effect
from keepline.models.uplift_report import Uplift

COLUMNS = (
    "customer_id", "decision_id", "programme", "kind", "trigger", "arm", "label", "escalation", "decided_at", "failed", "declined",
    "complained",
)  # fmt: skip
Progress = Callable[[int, int], None]


def measure(outcomes: Path, progress: Progress | None = None) -> Uplift:
    """The effects of all groups in a folder or file of exported outcomes, ordered by name; OutcomesError where there is nothing landed."""
    found = row_files(outcomes)
    tables = []
    for count, path in enumerate(found, 1):
        tables.append(read(path, columns=COLUMNS))
        if progress:
            progress(count, len(found))
    rows = pa.concat_tables(tables).to_pandas()
    return of_rows(rows, str(outcomes))


def of_rows(rows: pd.DataFrame, where: str = "the rows") -> Uplift:
    """The effects of rows with these columns, in any order."""
    rows = rows[rows["label"].notna()]
    if rows.empty:
        msg = f"{where}: no landed decision: an outcome is known when the landing window of its decision has closed; export again later"
        raise OutcomesError(msg)
    offers = rows[~rows["escalation"]].sort_values(["decided_at", "decision_id"], kind="stable")
    fine = offers.drop_duplicates(["programme", "kind", "trigger", "customer_id"])
    effects = []
    for programme in sorted(offers["programme"].unique()):
        groups = fine[fine["programme"] == programme]
        keys = sorted(set(zip(groups["kind"], groups["trigger"], strict=True)))
        if len(keys) > 1:
            effects.append(_effect(Group(programme), offers[offers["programme"] == programme].drop_duplicates("customer_id")))
        for kind, trigger in keys:
            effects.append(_effect(Group(programme, kind, trigger), groups[(groups["kind"] == kind) & (groups["trigger"] == trigger)]))
    return Uplift(tuple(effects), len(rows), len(offers) - len(fine), len(rows) - len(offers))


def _effect(group: Group, customers: pd.DataFrame) -> Effect:
    return effect(group, *(_arm(customers[customers["arm"] == name]) for name in ("CONTROL", "TREATMENT")))


def _arm(customers: pd.DataFrame) -> Arm:
    def count(mask: Any) -> int:
        return int(mask.sum())

    return Arm(
        customers=len(customers),
        churned=count(customers["label"] == "CHURNED"),
        failed=count(customers["failed"]),
        declined=count(customers["declined"] | customers["complained"]),
    )
