"""Small made-up training files for the tests of models/."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from keepline.features.churn import CHURN


def mixed(rows: int = 400, seed: int = 1) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Features of every kind (skewed, signed, flag, text, constant, with gaps) and labels that depend on them."""
    rng = np.random.default_rng(seed)
    ids = [f"{i:05d}" for i in range(rows)]
    usage = np.exp(rng.normal(3, 1.5, rows))
    balance = rng.normal(0, 50, rows)
    plan = rng.choice(["basic", "plus", "Ünïque"], rows)
    z = 0.8 * (np.log1p(usage) - 3) - 0.02 * balance + (plan == "plus") - 0.7
    label = (rng.random(rows) < 1 / (1 + np.exp(-z))).astype(int)
    features = pd.DataFrame(
        {
            "customer_id": ids,
            "usage": usage,
            "balance": balance,
            "autopay": rng.integers(0, 2, rows),
            "plan": plan,
            "country": 7,
            "gap": np.where(rng.random(rows) < 0.2, np.nan, rng.normal(5, 2, rows)),
        }
    )
    return features, pd.DataFrame({"customer_id": ids, "label": label})


def churn_like(rows: int = 300, seed: int = 2) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Random rows of the churn feature set: counts, skewed sums, flags, a signed and a constant column; with `at`."""
    rng = np.random.default_rng(seed)
    table = {}
    for j, name in enumerate(CHURN.names):
        kinds = (rng.poisson(4.0, rows), np.exp(rng.normal(4, 2, rows)), rng.integers(0, 2, rows), rng.normal(0, 9, rows))
        table[name] = kinds[j % len(kinds)].astype(float)
    table["monthly_charge"] = np.full(rows, 19.9)
    features = pd.DataFrame(table)
    z = 0.3 * features["calls_24h"] - 1.2 + 0.05 * features["call_seconds_24h"]
    label = (rng.random(rows) < 1 / (1 + np.exp(-z))).astype(int)
    ids = [f"c{i}" for i in range(rows)]
    features.insert(0, "customer_id", ids)
    features.insert(1, "at", "2025-01-01T00:00:00Z")
    return features, pd.DataFrame({"customer_id": ids, "label": label})


def write(folder: Path, features: pd.DataFrame, labels: pd.DataFrame) -> tuple[Path, Path]:
    """F.csv and L.csv in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    features.to_csv(folder / "F.csv", index=False)
    labels.to_csv(folder / "L.csv", index=False)
    return folder / "F.csv", folder / "L.csv"
