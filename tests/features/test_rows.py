"""Training rows against the oracle, through real bytes: encode → scan → sweep."""

from typing import Any

import numpy as np
import pytest
from feature_histories import histories, moments
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_kernel_oracle import check

from keepline.features import oracle, plan
from keepline.features.churn import CHURN
from keepline.features.rows import EventBatch, arrange, compute_rows, known_customers, scan
from keepline.features.spec import FeatureError
from keepline.schemas.encode import Ok, encode
from keepline.schemas.status import DUPLICATE, INVALID_FIELD, LATE, MALFORMED, OK, OUT_OF_BOUNDS_TIME

DAY = 86_400_000
T = 1_750_032_000_000
ANY_TIME = (-(2**55), 2**55)
PLAN = plan.compile(CHURN)
fuzz = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


def framed(record: dict[str, Any]) -> bytes:
    """The record as the topic carries it."""
    event = encode(record)
    assert isinstance(event, Ok), event
    return event.value


def call(customer: str, event_id: str, t: int, **fields: Any) -> dict[str, Any]:
    """A call of a minute."""
    return {"type": "Call", "customer_id": customer, "event_id": event_id, "event_time": t, "duration_s": 60.0} | fields


def consent(customer: str, t: int) -> dict[str, Any]:
    """A control type."""
    own = {"purpose": "MARKETING", "status": "GRANTED"}
    return {"type": "Consent", "customer_id": customer, "event_id": "1", "event_time": t} | own


def asked(records: list[dict[str, Any]], queries: list[tuple[str, int]]) -> list[dict[str, float]]:
    """Rows by name."""
    batch = EventBatch.of([framed(record) for record in records])
    rows = compute_rows(PLAN, batch, [q[0] for q in queries], np.array([q[1] for q in queries], np.int64), bounds=ANY_TIME)
    return [dict(zip(CHURN.names, row, strict=True)) for row in rows.x.tolist()]


@fuzz
@given(st.data())
def test_rows_equal_oracle(data: st.DataObject) -> None:
    """Several customers interleaved, queries at any moment, twice, and of strangers."""
    parts = {name: [record | {"customer_id": name} for record in data.draw(histories(25))] for name in ("a", "b", "ü")}
    queries = []
    for name, own in parts.items():
        queries += [(name, data.draw(moments(own))) for _ in range(data.draw(st.integers(0, 6)))]
    queries += [("stranger", T)]
    queries = data.draw(st.permutations(queries)) + queries[:1]
    turns = data.draw(st.permutations([name for name, own in parts.items() for _ in own]))
    left = {name: iter(own) for name, own in parts.items()}
    records = [next(left[name]) for name in turns]

    batch = EventBatch.of([framed(record) for record in records])
    found = scan(batch, bounds=ANY_TIME)
    rows = compute_rows(PLAN, batch, [q[0] for q in queries], np.array([q[1] for q in queries]), found=found)
    for (name, at), row in zip(queries, rows.x.tolist(), strict=True):
        check(dict(zip(CHURN.names, row, strict=True)), oracle.training_row(parts.get(name, []), at), f"{name} at {at}")

    histories_of = {name: oracle.accept(own) for name, own in parts.items()}
    assert rows.duplicates == sum(len(history.duplicates) for history in histories_of.values())
    assert rows.late == sum(len(history.late) for history in histories_of.values())
    assert rows.rejected == 0
    assert known_customers(batch, arrange(found)) == sorted(name for name, own in parts.items() if own)


@fuzz
@given(histories(40), st.data())
def test_incremental_equals_from_scratch(records: list[dict[str, Any]], data: st.DataObject) -> None:
    """A row asked for among others is bit-equal to the row from only the records up to its time."""
    times = sorted(data.draw(st.lists(moments(records), min_size=1, max_size=8)))
    together = asked(records, [("c", at) for at in times])
    for at, row in zip(times, together, strict=True):
        assert row == asked([record for record in records if record["event_time"] <= at], [("c", at)])[0]


def test_statuses() -> None:
    good = framed(call("a", "1", T))
    values = [
        good,
        good,
        framed(call("a", "2", T - 90 * DAY)),
        framed(call("a", "3", T - 90 * DAY - 1)),
        good[:-1],
        framed(call("a", "4", T, duration_s=-1.0)),
        framed(call("a", "5", 4_102_444_800_001)),
        framed(consent("z", T)),
    ]
    batch = EventBatch.of(values)
    rows = compute_rows(PLAN, batch, ["a"], np.array([T]))
    assert rows.status.tolist() == [OK, DUPLICATE, OK, LATE, MALFORMED, INVALID_FIELD, OUT_OF_BOUNDS_TIME, OK]
    assert (rows.duplicates, rows.late, rows.rejected) == (1, 1, 3)
    assert rows.field[[5, 6]].tolist() == [4, 2]
    assert known_customers(batch, arrange(scan(batch))) == ["a", "z"]


def test_nothing_at_all() -> None:
    rows = compute_rows(PLAN, EventBatch.of([]), [], np.array([], np.int64))
    assert rows.x.shape == (0, 36)
    assert asked([], [("a", T)])[0] == oracle.training_row([], T)


def test_control_types_move_nothing() -> None:
    records = [call("a", "1", T), consent("a", T + 500 * DAY), call("a", "2", T + 1)]
    assert asked(records, [("a", T + 1)])[0]["calls_24h"] == 2


def test_lists_of_different_length_are_refused() -> None:
    with pytest.raises(FeatureError, match="2 customer ids but 1 times"):
        compute_rows(PLAN, EventBatch.of([]), ["a", "b"], np.array([T]))
