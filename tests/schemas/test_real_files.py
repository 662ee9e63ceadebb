"""Third-party records as their users would save them, by pandas: every format gives the same events. Skipped where there is no data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import pandas as pd
import pytest

from keepline.schemas.encode import Ok
from keepline.schemas.files import read_blocks, read_events
from tests.schemas import event_files as make


def values(*paths: Path) -> list[bytes]:
    found = []
    for block in read_blocks(list(paths)).blocks:
        assert not block.rejected
        found += [block.value(i) for i in range(len(block))]
    return found


@pytest.fixture(scope="module")
def telecom(shared_data: Path) -> dict[str, pd.DataFrame]:
    """Calls, sessions and messages of 250 users over a year; the data knows the day of each."""
    found = {}
    for kind, name, date in (
        ("Call", "calls", "call_date"),
        ("DataSession", "internet", "session_date"),
        ("Message", "messages", "message_date"),
    ):
        table = pd.read_csv(shared_data / "telecom" / f"megaline_{name}.csv.gz")
        events = pd.DataFrame({"customer_id": table["user_id"].astype("string"), "event_id": table["id"].astype("string")})
        events["event_time"] = pd.to_datetime(table[date], format="%d/%m/%Y")
        if kind == "Call":
            events["duration_s"] = table["duration"] * 60
            events["outcome"] = pd.Categorical(np.where(table["duration"] > 0, "COMPLETED", "FAILED"))
        elif kind == "DataSession":
            events["megabytes"] = table["mb_used"]
        found[kind] = events
    return found


def test_a_year_of_telecom_from_parquet_csv_avro_and_lines(telecom: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    folders = {name: tmp_path / name for name in ("parquet", "csv", "avro", "lines")}
    for folder in folders.values():
        folder.mkdir()
    for kind, table in telecom.items():
        table.to_parquet(folders["parquet"] / f"{kind}.parquet")
        times = table["event_time"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
        table.assign(event_time=times).to_csv(folders["csv"] / f"{kind}.csv.gz", index=False)
        records: list[dict[str, Any]] = table.assign(event_time=table["event_time"].astype("int64") // 10**6).to_dict("records")
        make.write_avro(folders["avro"] / f"{kind}.avro", [{"type": kind, **record} for record in records], "deflate")
        make.write_json(folders["lines"] / f"{kind}.jsonl", [{"type": kind, **record} for record in records])
    found = {name: values(folder) for name, folder in folders.items()}
    assert len(found["parquet"]) == sum(map(len, telecom.values())) == 162_653
    assert found["parquet"] == found["csv"] == found["avro"] == found["lines"]


def test_purchases_without_a_customer_are_named_by_row(shared_data: Path, tmp_path: Path) -> None:
    """An online shop's lines: numbers for ids, returns as negative amounts, and a quarter of the customers missing."""
    table = pd.read_csv(shared_data / "clv" / "uci_online_retail_to_2011_05.csv.gz", nrows=20_000)
    events = pd.DataFrame({"customer_id": table["CustomerID"].astype("Int64").astype("string")})
    events["event_id"] = [f"{i}" for i in range(len(table))]
    events["event_time"] = pd.to_datetime(table["InvoiceDate"]).astype("datetime64[s]")
    events["order_id"] = table["InvoiceNo"].astype("string").astype("category")
    events["quantity"] = table["Quantity"]
    events["amount"] = table["Quantity"] * table["UnitPrice"]
    events.to_parquet(tmp_path / "Purchase.parquet")
    lines = list(read_events(tmp_path / "Purchase.parquet"))
    missing = set(np.flatnonzero(table["CustomerID"].isna()) + 1)
    assert len(missing) > 4000
    assert {line.number for line in lines if not isinstance(line.event, Ok)} == missing
    assert {line.event.field for line in lines if not isinstance(line.event, Ok)} == {"customer_id"}
    schema = make.foreign_schema(make.event_type("Purchase"))
    micros = events["event_time"].astype("int64") * 10**6
    records = events.assign(event_time=micros, order_id=table["InvoiceNo"].astype(str)).to_dict("records")
    nothing: dict[str, Any] = {"cost": None, "currency": None, "more": {}}
    with (tmp_path / "Purchase.avro").open("wb") as file:
        fastavro.writer(
            file, schema,
            [nothing | record | {"customer_id": None if record["customer_id"] is pd.NA else record["customer_id"]} for record in records],
        )  # fmt: skip
    again = list(read_events(tmp_path / "Purchase.avro"))
    assert [(line.number, line.event) for line in again] == [(line.number, line.event) for line in lines]
