"""Real purchases as events: CDNOW against its published summary, Online Retail with its cancellations against the twin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from keepline.features import oracle_clv, plan
from keepline.features.clv import CLV
from keepline.features.rows import EventBatch, compute_rows
from keepline.schemas.encode import Ok, encode

DAY = 86_400_000
END_OF_DAY = DAY - 1
CALIBRATED = int(pd.Timestamp("1997-09-30").value // 1_000_000) + END_OF_DAY
pytestmark = pytest.mark.timeout(600)


def events(table: pd.DataFrame) -> list[dict[str, Any]]:
    """One Purchase a line of (customer, time in ms, amount), in the order of the table."""
    return [
        {
            "type": "Purchase",
            "customer_id": str(customer),
            "event_id": str(i),
            "event_time": int(t),
            "order_id": str(i),
            "amount": float(amount),
        }
        for i, (customer, t, amount) in enumerate(table[["customer", "t", "amount"]].itertuples(index=False))
    ]


def rows(records: list[dict[str, Any]], customers: list[str], at: list[int]) -> pd.DataFrame:
    framed = [encode(record) for record in records]
    found = compute_rows(plan.compile(CLV), EventBatch.of([e.value for e in framed if isinstance(e, Ok)]), customers, np.array(at))
    assert not found.status[:].any()
    return pd.DataFrame(found.x, index=customers, columns=list(CLV.names))


@pytest.fixture(scope="module")
def cdnow(shared_data: Path) -> pd.DataFrame:
    path = shared_data / "clv" / "cdnow_sample.txt.gz"
    table = pd.read_csv(path, sep=r"\s+", names=["master", "customer", "date", "cds", "amount"], dtype={"date": str})
    # Ten hours into the day: a day is not its midnight.
    return table.assign(t=pd.to_datetime(table["date"]).astype("int64") // 1_000_000 + 10 * 3_600_000)


@pytest.mark.parametrize("seed", [None, 1])
def test_cdnow_equals_its_published_summary(shared_data: Path, cdnow: pd.DataFrame, seed: int | None) -> None:
    """Frequency, recency and T as published, monetary value as from the purchases; and again with each quarter out of order."""
    table = cdnow[cdnow["t"] <= CALIBRATED]
    if seed is not None:  # at most 60 days behind
        behind = np.random.default_rng(seed).integers(0, 60 * DAY, len(table))
        table = table.assign(arrival=table["t"] + behind).sort_values("arrival", kind="stable")
    customers = [str(number) for number in range(1, 2358)]
    found = rows(events(table), customers, [CALIBRATED] * 2357)
    published = pd.read_csv(shared_data / "clv" / "cdnow_customers_summary.csv.gz")
    assert published["ID"].tolist() == list(range(1, 2358))
    assert found["frequency"].tolist() == published["frequency"].tolist()
    for feature, weeks in (("recency_days", "recency"), ("t_days", "T")):
        assert np.floor(found[feature] / 7 * 100 + 0.5).tolist() == np.round(published[weeks] * 100).tolist(), "weeks of two decimals"
    days = table.groupby([table["customer"].astype(str), table["t"] // DAY])["amount"].sum()
    first = days.groupby(level=0).head(1)
    repeats = days.drop(first.index).groupby(level=0).mean().reindex(customers, fill_value=0.0)
    assert found["monetary_value"].to_numpy() == pytest.approx(repeats.to_numpy(), rel=1e-12)
    assert (found["frequency"] > 0).sum() == 946
    assert found["revenue"].sum() == pytest.approx(table["amount"].sum())


def compare(records: list[dict[str, Any]], customers: list[str], at: list[int]) -> pd.DataFrame:
    """The kernel's rows, equal to the twin's."""
    found = rows(records, customers, at)
    own: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        own.setdefault(record["customer_id"], []).append(record)
    for (customer, got), moment in zip(found.iterrows(), at, strict=True):
        want = oracle_clv.training_row(own[str(customer)], moment)
        for name, value in want.items():
            assert got[name] == pytest.approx(value, rel=1e-9, abs=1e-6), (customer, name)
    return found


def test_cdnow_equals_the_twin(cdnow: pd.DataFrame) -> None:
    """Whole histories to the end of June 1998, and those to the end of the calibration."""
    records = events(cdnow)
    customers = sorted({record["customer_id"] for record in records})
    compare(records, customers, [CALIBRATED] * len(customers))
    assert compare(records, customers, [CALIBRATED + 273 * DAY] * len(customers))["orders"].sum() == 6919


def test_online_retail_with_its_cancellations(shared_data: Path) -> None:
    """An invoice is an order, a cancellation ("C…") a refund; customers as they are, and a few months in."""
    lines = pd.read_csv(shared_data / "clv" / "uci_online_retail_to_2011_05.csv.gz", dtype={"InvoiceNo": str, "CustomerID": str})
    lines = lines.dropna(subset=["CustomerID"])
    lines = lines.assign(amount=lines["Quantity"] * lines["UnitPrice"], t=pd.to_datetime(lines["InvoiceDate"]).astype("int64") // 1_000_000)
    table = lines.groupby("InvoiceNo", sort=False).agg(customer=("CustomerID", "first"), t=("t", "first"), amount=("amount", "sum"))
    cancelled = table.index.str.startswith("C")
    records = events(table)
    customers = sorted(set(table["customer"]))
    end = int(table["t"].max())
    found = compare(records, customers, [end] * len(customers))
    assert found["orders"].sum() == (table["amount"] >= 0).sum()
    assert found["revenue"].sum() == pytest.approx(table["amount"].sum(), rel=1e-9)
    only_refunds = set(table["customer"]) - set(table["customer"][~cancelled])
    assert only_refunds
    assert (found.loc[sorted(only_refunds), ["orders", "frequency", "t_days", "monetary_value"]] == 0).all(axis=None)
    # Whoever has not come by then has the defaults, refunds or not.
    compare(records, customers[::3], [end - 100 * DAY - i for i in range(len(customers[::3]))])
