"""Training files for the tests of regressions: made-up rows of the clv feature set, and what their customers then spend."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd

from keepline.features.clv import CLV

AT = "2025-01-01T00:00:00Z"


def clv_like(rows: int = 400, seed: int = 3, *, zeros: bool = True) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows with `at`, and labels: a Poisson number of gamma orders whose rate and size depend on the rows; without zeros at least one."""
    dice = np.random.default_rng(seed)
    frequency = dice.poisson(dice.gamma(0.8, 4.0, rows)).astype(float)
    table = {name: np.zeros(rows) for name in CLV.names}
    table["frequency"] = frequency
    table["orders"] = frequency + 1
    table["t_days"] = dice.integers(30, 400, rows).astype(float)
    table["recency_days"] = np.where(frequency > 0, np.floor(table["t_days"] * dice.random(rows)), 0.0)
    table["average_purchase_value"] = np.exp(dice.normal(3.5, 0.6, rows))
    table["monetary_value"] = np.where(frequency > 0, table["average_purchase_value"] * dice.uniform(0.8, 1.2, rows), 0.0)
    table["revenue"] = table["orders"] * table["average_purchase_value"]
    table["purchase_frequency"] = table["orders"] * 30 / np.maximum(table["t_days"], 30)
    table["gross_margin"] = np.full(rows, 0.3)
    table["page_views_7d"] = dice.poisson(3.0, rows).astype(float)
    table["page_views_30d"] = table["page_views_7d"] + dice.poisson(9.0, rows)
    table["promotions_sent_90d"] = dice.integers(0, 2, rows).astype(float)
    table["promotion_redemption_rate_90d"] = dice.random(rows)
    table["days_since_last_order"] = table["t_days"] - table["recency_days"] + dice.random(rows)
    rate = 0.4 * (1 + frequency) ** 0.9 * np.exp(-table["days_since_last_order"] / 300 + 0.04 * table["page_views_7d"])
    count = dice.poisson(rate) + (0 if zeros else 1)
    revenue = np.where(count > 0, dice.gamma(np.maximum(3.0 * count, 1e-9)) * table["average_purchase_value"] / 3, 0.0)
    ids = [f"c{i:04}" for i in range(rows)]
    head = pd.DataFrame({"customer_id": ids, "at": AT})
    labels = pd.DataFrame({"customer_id": ids, "at": AT, "horizon_days": 180.0, "revenue": revenue, "orders": count})
    return pd.concat([head, pd.DataFrame(table)], axis=1), labels


def write(folder: Path, rows: pd.DataFrame, labels: pd.DataFrame) -> tuple[Path, Path]:
    """R.csv and L.csv in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    rows.to_csv(folder / "R.csv", index=False)
    labels.to_csv(folder / "L.csv", index=False)
    return folder / "R.csv", folder / "L.csv"


def cdnow(shared_data: Path) -> list[dict[str, object]]:
    """The CDNOW sample as Purchase events at noon of their day, in order of time. Id: the sample's own number of the customer."""
    events = []
    lines = gzip.decompress((shared_data / "clv" / "cdnow_sample.txt.gz").read_bytes()).decode().splitlines()
    for number, (_, customer, day, quantity, dollars) in enumerate(line.split() for line in lines if line.strip()):
        time = f"{day[:4]}-{day[4:6]}-{day[6:]}T12:00:00Z"
        event = {"customer_id": customer, "event_id": f"e{number}", "event_time": time, "order_id": f"o{number}", "quantity": int(quantity)}
        events.append({"type": "Purchase"} | event | {"amount": float(dollars)})
    return sorted(events, key=lambda event: event["event_time"])
