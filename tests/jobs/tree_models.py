"""Boosted trees and an ensemble, trained on rows of made-up events, and their scores by the definition, in plain Python.

cli_files.months ──keepline features──► F.csv, L.csv ──train──► Trained (manifest, pipeline) ──► by_hand
"""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from keepline.features.churn import CHURN
from keepline.jobs import features
from keepline.models.manifest import MANIFEST_FILE, ForestManifest
from keepline.models.predict import load_pipeline
from keepline.models.train import Options, train
from tests.jobs import cli_files as files
from tests.models.trees.fitted import walked

FAMILIES = ("trees", "ensemble")
CUSTOMERS = 300
NAMES = list(CHURN.names)


class Trained(NamedTuple):
    """A model's folder, and what was written into it and trained on."""

    folder: Path
    manifest: ForestManifest
    pipeline: Any
    """Of scikit-learn."""
    rows: pd.DataFrame

    @property
    def raw(self) -> dict[str, Any]:
        """The manifest as a job's spec carries it."""
        return json.loads((self.folder / MANIFEST_FILE).read_bytes())

    def __repr__(self) -> str:
        return f"{self.manifest.model_id}, {self.manifest.forest.trees} trees"

    def predicted(self, rows: list[dict[str, float]]) -> np.ndarray:
        """scikit-learn's probabilities of rows by name. A logarithm of ours is of 1e300 at most (models/scorer.py), so here too."""
        frame, linear = pd.DataFrame(rows, columns=NAMES), self.manifest.linear
        bent = [] if linear is None else [term.name for term in linear.terms if term.transform == "log1p"]
        frame[bent] = frame[bent].clip(upper=1e300)
        with np.errstate(invalid="ignore"):  # it sums a column to see whether all is finite
            return self.pipeline.predict_proba(frame)[:, 1]


def write_rows(folder: Path) -> tuple[Path, Path]:
    """F.csv and L.csv. Cells are a little off, so that no threshold is a round number that a feature meets exactly."""
    source = files.write(folder / "events.jsonl", files.lines(files.months(seed=5, customers=CUSTOMERS, each=30), bad=False))
    dice = random.Random(4)
    asked = [f"c{c},{files.START + dice.randrange(30 * files.DAY, 160 * files.DAY)}" for c in range(CUSTOMERS)]
    queries = files.write(folder / "queries.csv", ["customer_id,at", *asked])
    features.compute("churn", [source], str(queries), folder / "F.csv")
    rows = pd.read_csv(folder / "F.csv")
    numbers = np.random.default_rng(6)
    rows[NAMES] *= numbers.uniform(0.998, 1.002, (len(rows), len(NAMES)))
    bent = (rows["support_contacts_30d"] > 1.5) & (rows["data_mb_30d"] < 150) | (rows["overdue_bills"] > 0.5) & (rows["calls_30d"] < 2.5)
    z = 3.0 * bent + 0.4 * rows["calls_7d"] - 1.8
    labels = (numbers.random(len(rows)) < 1 / (1 + np.exp(-z))).astype(int)
    rows.to_csv(folder / "F.csv", index=False)
    pd.DataFrame({"customer_id": rows["customer_id"], "label": labels}).to_csv(folder / "L.csv", index=False)
    return folder / "F.csv", folder / "L.csv"


def trained(folder: Path) -> dict[str, Trained]:
    """The models by family."""
    paths, found = write_rows(folder), {}
    rows = pd.read_csv(paths[0], float_precision="round_trip")[NAMES]
    for family in FAMILIES:
        options = Options(threshold=0.6, medium=0.3, model_id=f"churn-{family}", version=7, family=family)
        made = train(*paths, folder / family, options).manifest
        assert isinstance(made, ForestManifest)
        found[family] = Trained(folder / family, made, load_pipeline(folder / family, made), rows)
    return found


def by_hand(model: ForestManifest, x: dict[str, float]) -> float:
    """The probability of a row without missing cells, from the manifest's numbers alone."""
    z = model.trees_weight * walked(model.forest, np.array([x[each.name] for each in model.forest.inputs]))[0]
    if model.linear is not None:
        parts = (
            term.coefficient * (math.log1p(min(max(x[term.name], 0.0), 1e300)) if term.transform == "log1p" else x[term.name])
            for term in model.linear.terms
        )
        z += (1 - model.trees_weight) * (model.linear.intercept + sum(parts))
    return 1 / (1 + math.exp(-z)) if z > -700 else 0.0
