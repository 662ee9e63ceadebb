"""Labelled outcomes as Arrow tables: one row a decision, one column a feature, as at the decision.

    records ── of_records ──► tables ┐
                                     ├── merged ──► one row a decision, late outcomes appended, in a fixed order
    a file that was written before ──┘

The booleans (accepted, delivered, …) speak of the landing window alone, which is as long for every decision; a late outcome shows in
`outcomes` with `late` true. A feature that the decision did not have is null, and so is one that is not a number.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from keepline.features.churn import CHURN
from keepline.features.sets import FEATURE_SETS
from keepline.schemas.errors import KeeplineError
from keepline.schemas.times import to_rfc3339

MOMENT = pa.timestamp("ms", "UTC")
OUTCOME = pa.struct([("outcome", pa.string()), ("event_time", MOMENT), ("late", pa.bool_())])
FLAGS = {"accepted": "ACCEPTED", "delivered": "DELIVERED", "failed": "FAILED", "complained": "COMPLAINED", "declined": "DECLINED"}
HEAD = pa.schema(
    [
        ("customer_id", pa.string()), ("decision_id", pa.string()), ("intervention_id", pa.string()), ("programme", pa.string()),
        ("arm", pa.string()), ("kind", pa.string()), ("channel", pa.string()), ("trigger", pa.string()), ("escalation", pa.bool_()),
        ("policy", pa.string()), ("policy_version", pa.int32()), ("score", pa.string()), ("value", pa.float64()),
        ("model_id", pa.string()), ("model_version", pa.int32()), ("decided_at", MOMENT), ("closed_at", MOMENT), ("status", pa.string()),
        ("label", pa.string()), *((name, pa.bool_()) for name in FLAGS), ("outcomes", pa.list_(OUTCOME)),
    ]
)  # fmt: skip
"""What every row has, in this order; the features follow."""
UNKNOWN = pa.schema(
    [
        ("customer_id", pa.string()),
        ("intervention_id", pa.string()),
        ("status", pa.string()),
        ("outcome", pa.string()),
        ("event_time", MOMENT),
    ]
)
"""An outcome that no row takes."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ORDER = [(name, "ascending") for name in ("decided_at", "customer_id", "decision_id")]

Record = dict[str, Any]
Late = Mapping[str, list[Record]]
"""Late outcomes by decision: {outcome, event_time, late} with times as epoch ms."""


class OutcomesError(KeeplineError):
    """Outcomes that cannot be read, written or used as asked; the message says what to do."""


def feature_names(table: pa.Table) -> list[str]:
    """The table's features, in its order."""
    return [name for name in table.column_names if name not in HEAD.names]


def _columns(names: Iterable[str]) -> list[str]:
    """The columns for these features: all of a set that has one of them, in its order, then the others by name.

    So a file's columns depend on its rows alone, and the files of a folder have the same, though a feature may be null in all of a day.
    """
    given = set(names)
    known = [name for each in FEATURE_SETS.values() if given.intersection(each.names) for name in each.names]
    return [*dict.fromkeys(known), *sorted(given.difference(known))]


def of_records(records: Sequence[Record]) -> pa.Table:
    """Rows of LANDED records of LabelledOutcome."""
    features = sorted({name for record in records for name in record["features"]})
    clash = set(features).intersection(HEAD.names)
    if clash:
        msg = f"the feature {min(clash)!r} has the name of another column of the rows: rename it in the feature set"
        raise OutcomesError(msg)
    columns = {name: [record.get(name) for record in records] for name in HEAD.names}
    columns["outcomes"] = [[each | {"late": False} for each in record["outcomes"]] for record in records]
    for flag, outcome in FLAGS.items():
        columns[flag] = [any(each["outcome"] == outcome for each in record["outcomes"]) for record in records]
    head = [pa.array(columns[name], HEAD.field(name).type) for name in HEAD.names]
    tail = [pa.array([_number(record["features"].get(name)) for record in records], pa.float64()) for name in features]
    return pa.table([*head, *tail], names=[*HEAD.names, *features])


def _number(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value


def of_unknown(records: Iterable[Record]) -> pa.Table:
    """A row an outcome, for records whose outcomes no row takes."""
    rows = [
        {"customer_id": record["customer_id"], "intervention_id": record["intervention_id"], "status": record["status"], **outcome}
        for record in records
        for outcome in record["outcomes"]
    ]
    return pa.Table.from_pylist(rows, UNKNOWN)


def merged_unknown(tables: Sequence[pa.Table]) -> pa.Table:
    """All of these, each once, in a fixed order."""
    table = pa.concat_tables([UNKNOWN.empty_table(), *tables])
    return table.group_by(UNKNOWN.names).aggregate([]).select(UNKNOWN.names).sort_by([(name, "ascending") for name in UNKNOWN.names])


def merged(tables: Sequence[pa.Table], late: Late) -> pa.Table:
    """One row a decision: of several the last, with the late outcomes of all of them and of `late`, each once."""
    table = pa.concat_tables([HEAD.empty_table(), *tables], promote_options="default")
    columns = _columns(name for name in feature_names(table) if table[name].null_count < table.num_rows)
    for name in set(columns).difference(table.column_names):
        table = table.append_column(name, pa.nulls(table.num_rows, pa.float64()))
    table = table.select([*HEAD.names, *columns])
    ids = table["decision_id"].to_pylist()
    kept = list({decision: row for row, decision in enumerate(ids)}.values())
    found = table["outcomes"].to_pylist()
    more: dict[str, list[Record]] = {decision: list(late[decision]) for decision in set(ids).intersection(late)}
    for decision, outcomes in zip(ids, found, strict=True):
        old = [each | {"event_time": epoch_ms(each["event_time"])} for each in outcomes if each["late"]]
        if old:
            more.setdefault(decision, []).extend(old)
    table = table.take(pa.array(kept, pa.int64()))
    if more:
        column = [_appended(found[row], more.get(ids[row], ())) for row in kept]
        place = HEAD.get_field_index("outcomes")
        table = table.set_column(place, HEAD.field(place), pa.array(column, HEAD.field(place).type))
    return table.sort_by(_ORDER).combine_chunks()


def _appended(outcomes: Sequence[Record], late: Sequence[Record]) -> list[Record]:
    once = {(each["event_time"], each["outcome"]): each for each in late}
    return [*(each for each in outcomes if not each["late"]), *(once[key] for key in sorted(once))]


def epoch_ms(moment: datetime) -> int:
    """A value of a MOMENT column as epoch milliseconds."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def read(path: Path, wanted: pa.Schema = HEAD, columns: Sequence[str] | None = None) -> pa.Table:
    """A file that an export wrote, or some of its columns; OutcomesError if it lacks one that is wanted."""
    try:
        table = pq.ParquetFile(path).read(columns)
    except (pa.ArrowException, OSError) as error:
        msg = f"{path}: not a whole Parquet file ({str(error).partition(chr(10))[0][:200]}); export it again"
        raise OutcomesError(msg) from None
    for field in wanted if columns is None else map(wanted.field, columns):
        if field.name not in table.column_names or table.schema.field(field.name).type != field.type:
            msg = f"{path}: {field.name} is missing or no {field.type}: expected a file of `keepline outcomes export`"
            raise OutcomesError(msg)
    return table


def training_rows(table: pa.Table, arms: Sequence[str]) -> tuple[pa.Table, pa.Table, int]:
    """(features, labels, rows without features) for `keepline train churn`, of these arms: each customer's first landed decision.

    The first, because it was chosen before anything was known of what followed: of those who churned, the last is always the one that
    ended so, and rows chosen by it would have too many of them. Tickets for people and rows without any feature are left out; and so are,
    of a job with several feature sets, the columns of the others, or the job could not load what is trained on them.
    """
    names = feature_names(table)
    if set(CHURN.names) <= set(names):
        others = {name for each in FEATURE_SETS.values() if each is not CHURN for name in each.names}
        names = [name for name in names if name not in others or name in CHURN.names]
    chosen = pc.and_(pc.invert(table["escalation"]), pc.is_valid(table["label"]))
    table = table.filter(pc.and_(chosen, pc.is_in(table["arm"], value_set=pa.array(arms, pa.string()))))
    table = table.sort_by(_ORDER)
    first: dict[str, int] = {}
    for row, customer in enumerate(table["customer_id"].to_pylist()):
        first.setdefault(customer, row)
    table = table.take(pa.array(list(first.values()), pa.int64())).sort_by("customer_id")
    bare = [not any(value is not None for value in row.values()) for row in table.select(names).to_pylist()]
    table = table.filter(pa.array([not each for each in bare], pa.bool_()))
    customers = table["customer_id"]
    at = pa.array([to_rfc3339(epoch_ms(moment)) for moment in table["decided_at"].to_pylist()], pa.string())
    features = pa.table([customers, at, *(table[name] for name in names)], names=["customer_id", "at", *names])
    label = pc.equal(table["label"], "CHURNED").cast(pa.int8())
    return features, pa.table([customers, label], names=["customer_id", "label"]), sum(bare)
