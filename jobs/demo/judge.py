"""Judges the demo's scores: against scikit-learn on the same features, and against the labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import precision_score, recall_score, roc_auc_score

from keepline.features.churn import CHURN
from keepline.features.plan import compile as compile_plan
from keepline.features.rows import EventBatch, compute_rows
from keepline.jobs.settings import PRETRAINED
from keepline.models.manifest import load
from keepline.models.predict import load_pipeline
from keepline.schemas.encode import Ok


@dataclass(frozen=True)
class Verdict:
    """Figures over the customers; `ours` and `sklearn` in the order of `customers`."""

    customers: tuple[str, ...]
    ours: npt.NDArray[np.float64]
    sklearn: npt.NDArray[np.float64]
    labels: npt.NDArray[np.int64]
    threshold: float
    precision: float
    recall: float
    roc_auc: float

    @property
    def difference(self) -> float:
        """The largest between our score and scikit-learn's."""
        return float(np.max(np.abs(self.ours - self.sklearn)))


def judge(events: Sequence[Ok], scores: Mapping[str, Mapping[str, str]], labels: pd.Series) -> Verdict:
    """`scores`: the score hash of each customer as Redis holds it (value, as_of)."""
    model = load(PRETRAINED, CHURN)
    customers = tuple(scores)
    at = np.array([int(scores[customer]["as_of"]) for customer in customers], np.int64)
    rows = compute_rows(compile_plan(CHURN), EventBatch.of([event.value for event in events]), customers, at)
    pipeline = load_pipeline(PRETRAINED, model.manifest)
    theirs = pipeline.predict_proba(pd.DataFrame(rows.x, columns=list(CHURN.names))[model.manifest.columns])[:, 1]
    ours = np.array([float(scores[customer]["value"]) for customer in customers])
    truth = labels.loc[list(customers)].to_numpy()
    chosen = ours >= model.threshold
    return Verdict(
        customers, ours, theirs, truth, model.threshold,
        float(precision_score(truth, chosen, zero_division=0)), float(recall_score(truth, chosen)), float(roc_auc_score(truth, ours)),
    )  # fmt: skip
