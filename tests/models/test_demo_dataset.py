"""The demo's events: totals equal the public rows, and nothing else gets in."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from keepline.features.churn import CHURN
from keepline.features.plan import compile as compile_plan
from keepline.features.rows import EventBatch, compute_rows
from keepline.jobs.demo import dataset, export
from keepline.jobs.demo.dataset import DAY_MS, END_MS, HOUR_MS
from keepline.models import manifest
from keepline.schemas.encode import Ok, encode
from keepline.schemas.times import from_rfc3339

PRETRAINED = Path(__file__).parents[2] / "models" / "pretrained" / "churn" / "1"
SOME = 120
HELD_FIRST = ["mlc-00007", "mlc-00010", "mlc-00011"]


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Some of the held-back rows."""
    return dataset.customers("held-back").head(SOME)


@pytest.fixture(scope="module")
def by_customer(table: pd.DataFrame) -> dict[str, list[dict[str, Any]]]:
    """Their events."""
    found = defaultdict(list)
    for event in dataset.events(table):
        found[event["customer_id"]].append(event)
    return found


def of(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """Events of one type."""
    return [event for event in events if event["type"] == kind]


def test_the_split_is_fixed() -> None:
    held, kept = dataset.customers("held-back"), dataset.customers("train")
    assert (len(held), len(kept)) == (1000, 4000)
    assert held.index.intersection(kept.index).empty
    assert held.index[:3].tolist() == HELD_FIRST
    assert "churn" not in held.columns
    assert dataset.labels("held-back").index.equals(held.index)
    assert dataset.labels("held-back").mean() == pytest.approx(0.14, abs=0.02)


def test_totals_equal_the_row(table: pd.DataFrame, by_customer: dict[str, list[dict[str, Any]]]) -> None:
    for name, row in table.iterrows():
        events = by_customer[str(name)]
        calls = of(events, "Call")
        for period in dataset.PERIODS:
            first = list(dataset.PERIODS).index(period) * 1000
            mine = [call for call in calls if first <= int(call["event_id"].rsplit("c", 1)[1]) < first + 1000]
            assert len(mine) == row[f"total_{period}_calls"]
            assert sum(call["duration_s"] for call in mine) == pytest.approx(row[f"total_{period}_minutes"] * 60, abs=1e-6)
            begin, length = dataset.PERIODS[period]
            assert all((call["event_time"] // HOUR_MS % 24 - begin) % 24 < length for call in mine)
            assert all(call["duration_s"] >= 1 for call in mine)
        assert len(of(events, "Message")) == row["number_vmail_messages"]
        assert len(of(events, "SupportContact")) == row["number_customer_service_calls"]
        charges = sum(row[f"total_{period}_charge"] for period in dataset.PERIODS)
        (bill,), (payment,), (subscription,) = of(events, "Bill"), of(events, "Payment"), of(events, "Subscription")
        assert bill["amount"] == payment["amount"] == pytest.approx(charges, abs=1e-6)
        assert bill["event_time"] <= payment["event_time"] <= bill["due_time"] == END_MS - 16 * DAY_MS
        assert (END_MS - subscription["started_time"]) / DAY_MS == row["account_length"]


def test_events_are_canonical_in_order_and_within_the_month(by_customer: dict[str, list[dict[str, Any]]]) -> None:
    for events in by_customer.values():
        assert all(isinstance(encode(json.loads(json.dumps(event))), Ok) for event in events)
        times = [event["event_time"] for event in events]
        assert times == sorted(times)
        assert times[0] >= END_MS - 30 * DAY_MS
        assert times[-1] < END_MS
        assert events[0]["type"] == "Subscription"
        assert len({event["event_id"] for event in events}) == len(events)


def test_all_customers_together_are_in_order(table: pd.DataFrame) -> None:
    times = [event["event_time"] for event in dataset.events(table)]
    assert times == sorted(times)


def test_a_customers_events_depend_on_the_row_alone(table: pd.DataFrame, by_customer: dict[str, list[dict[str, Any]]]) -> None:
    name = str(table.index[7])
    assert list(dataset.events(table.loc[[name]])) == by_customer[name]
    assert list(dataset.events(table.loc[[name]], seed=1)) != by_customer[name]


@pytest.mark.parametrize("end", [END_MS, END_MS + 5 * HOUR_MS + 1, 7 * DAY_MS + 3])
def test_any_end_keeps_the_month_and_the_hours(table: pd.DataFrame, end: int) -> None:
    made = dataset.columns(table.head(20), end)
    assert made.time.min() >= end - 30 * DAY_MS
    assert made.time.max() < end
    contacts = made.time[made.kind == dataset.SUPPORT] // HOUR_MS % 24
    assert ((contacts >= 9) & (contacts < 18)).all()


def test_the_windows_hold_the_rows_totals(table: pd.DataFrame) -> None:
    values = [encode(event) for event in dataset.events(table)]
    batch = EventBatch.of([value.value for value in values if isinstance(value, Ok)])
    rows = compute_rows(compile_plan(CHURN), batch, table.index.tolist(), np.full(len(table), END_MS - 1))
    x = pd.DataFrame(rows.x, columns=list(CHURN.names), index=table.index)
    periods = list(dataset.PERIODS)
    np.testing.assert_array_equal(x["calls_30d"], table[[f"total_{p}_calls" for p in periods]].sum(axis=1))
    np.testing.assert_allclose(x["call_seconds_30d"], table[[f"total_{p}_minutes" for p in periods]].sum(axis=1) * 60, rtol=1e-12)
    np.testing.assert_array_equal(x["messages_30d"], table["number_vmail_messages"])
    np.testing.assert_array_equal(x["support_contacts_30d"], table["number_customer_service_calls"])
    np.testing.assert_allclose(x["last_bill_amount"], table[[f"total_{p}_charge" for p in periods]].sum(axis=1), rtol=1e-12)
    np.testing.assert_allclose(x["tenure_days"], table["account_length"], atol=1e-6)
    assert (x["overdue_bills"] == 0).all()


def test_what_the_rows_lack_has_no_weight_in_the_committed_model() -> None:
    model = manifest.load(PRETRAINED, CHURN).manifest
    weightless = {term.name for term in model.terms if term.coefficient == 0}
    informed = {"calls_30d", "call_seconds_30d", "messages_30d", "support_contacts_30d", "last_bill_amount", "tenure_days"}
    assert weightless == set(CHURN.names) - informed
    assert model.data.rows == 4000


def test_exported_files_are_whole(table: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "customers", lambda _split: table.head(5))
    count = export.export("held-back", tmp_path)
    events = pd.read_json(tmp_path / "events.jsonl.gz", lines=True, convert_dates=False)
    assert len(events) == count
    queries = pd.read_csv(tmp_path / "queries.csv")
    newest = events.groupby("customer_id")["event_time"].max()
    assert [from_rfc3339(at) for at in queries["at"]] == newest[queries["customer_id"]].tolist()
    first = (tmp_path / "events.jsonl.gz").read_bytes()
    export.export("held-back", tmp_path)
    assert (tmp_path / "events.jsonl.gz").read_bytes() == first
