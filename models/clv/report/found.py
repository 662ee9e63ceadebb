"""Everything that the page says, as numbers: the model, its matrices and segments, and the holdout where there is one.

purchases up to `until` ──► Summary ──┬──► matrix, segments
manifest ─────────────────────────────┤
all purchases up to `end` ────────────┴──► Holdout: tracking, means by frequency, figures by method
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from keepline.models.clv.batch import rows_of, score_rows
from keepline.models.clv.compared import NAME as MODEL
from keepline.models.clv.evaluation import Figures, evaluate, naive_rate
from keepline.models.clv.gamma_gamma import all_expected_values
from keepline.models.clv.manifest import ClvManifest, ClvModel
from keepline.models.clv.purchases import Purchases
from keepline.models.clv.regression import NAIVE
from keepline.models.clv.report.matrix import Matrix, matrix
from keepline.models.clv.report.segments import Segment, segments
from keepline.models.clv.report.tracking import Group, Tracking, by_count, days_after, expected_purchases, track
from keepline.models.clv.scorer import LARGEST_AMOUNT
from keepline.models.clv.summary import Summary, holdout
from keepline.models.clv.value import DAYS_A_WEEK, PERIOD_WEEKS

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Input:
    """What was read, and by whom it was asked for."""

    first: int
    """Epoch ms of the first order of all."""
    end: int
    """Epoch ms of the last purchase or refund."""
    purchases: int
    rejected: int
    duplicate: int
    late: int
    fitted: bool
    """Fitted for this report; else the model was given."""
    default_until: bool
    """`until` was not asked for."""


@dataclass(frozen=True, eq=False)
class Holdout:
    """The time after `until`: what was expected of the customers known then, and what came."""

    days: int
    actual: float
    """Repeat purchases: days with an order, summed over the customers."""
    expected: float
    mae: float
    """Of the repeat purchases of a customer."""
    naive: float
    """Expected where everyone goes on at the rate so far."""
    naive_mae: float
    tracking: Tracking
    groups: list[Group]
    figures: Mapping[str, Figures]
    """By method, the model's first: predicted against actual revenue."""
    below_zero: int
    """Customers whose refunds were above their orders; their revenue counts as 0."""


@dataclass(frozen=True, eq=False)
class Report:
    """All that the page says."""

    manifest: ClvManifest
    input: Input
    until: int
    """Epoch ms."""
    customers: int
    repeaters: int
    matrix: Matrix | None
    segments: list[Segment]
    holdout: Holdout | None
    """None where no day lies between `until` and the end."""

    @property
    def warnings(self) -> list[str]:
        """What is to be minded about the fits."""
        return [*self.manifest.bgnbd.warnings, *self.manifest.gamma_gamma.warnings]

    def as_json(self) -> dict[str, Any]:
        """All figures, for machines; what cannot be told is null."""
        ahead = self.holdout
        found: dict[str, Any] = {
            "model": self.manifest.model_dump(mode="json", exclude={"sha256", "baseline"}),
            "input": asdict(self.input),
            "until": self.until,
            "customers": self.customers,
            "repeaters": self.repeaters,
            "segments": [asdict(segment) for segment in self.segments],
            "holdout": None
            if ahead is None
            else {
                **{name: getattr(ahead, name) for name in ("days", "actual", "expected", "mae", "naive", "naive_mae", "below_zero")},
                "groups": [asdict(group) for group in ahead.groups],
                "tracking": {name: getattr(ahead.tracking, name).tolist() for name in ("weeks", "actual", "cohort", "history")},
                "methods": {name: figures.as_json() for name, figures in ahead.figures.items()},
            },
        }
        return {name: _told(value) for name, value in found.items()}


def _told(value: Any) -> Any:
    """The value with None for what is not finite: sums of absurd amounts overflow."""
    if isinstance(value, dict):
        return {name: _told(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_told(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def find(manifest: ClvManifest, summary: Summary, purchases: Purchases, read: Input, others: Mapping[str, Float64] | None = None) -> Report:
    """The report on a summary of at least one customer. `purchases`: all there are; those after `until` are the holdout.

    `others`: further methods by name, each the revenue it expects of the summary's customers in the holdout, float64[n].
    """
    model = ClvModel(manifest)
    spent = _revenue(purchases, summary, summary.until, read.end)
    ahead = _holdout(model, summary, purchases, read.end, spent, others or {}) if days_after(summary, read.end) else None
    values = score_rows(rows_of(summary), model.table()).values
    return Report(
        manifest=manifest,
        input=read,
        until=summary.until,
        customers=len(summary.customers),
        repeaters=int((summary.x > 0).sum()),
        matrix=matrix(model.bgnbd, summary, manifest.horizon.periods * PERIOD_WEEKS),
        segments=segments(values, manifest.bands, None if ahead is None else np.maximum(spent, 0.0)),
        holdout=ahead,
    )


def _holdout(model: ClvModel, summary: Summary, purchases: Purchases, end: int, spent: Float64, others: Mapping[str, Float64]) -> Holdout:
    days = days_after(summary, end)
    actual = holdout(purchases, summary, end).astype(np.float64)
    expected = expected_purchases(model.bgnbd, summary, days / DAYS_A_WEEK)
    naive = summary.x / np.maximum(summary.t_days, 1.0) * days
    so_far = _revenue(purchases, summary, None, summary.until)
    methods = {
        MODEL: expected * all_expected_values(*model.gamma_gamma, summary.x, summary.monetary_value),
        NAIVE: naive_rate(so_far, summary.t_days, days),
        **others,
    }
    return Holdout(
        days=days,
        actual=float(actual.sum()),
        expected=float(expected.sum()),
        mae=float(np.abs(expected - actual).mean()),
        naive=float(naive.sum()),
        naive_mae=float(np.abs(naive - actual).mean()),
        tracking=track(purchases, summary, model.bgnbd, end),
        groups=by_count(summary.x, actual, expected),
        figures={name: evaluate(np.maximum(spent, 0.0), np.minimum(each, LARGEST_AMOUNT)) for name, each in methods.items()},
        below_zero=int((spent < 0).sum()),
    )


def _revenue(purchases: Purchases, summary: Summary, after: int | None, upto: int) -> Float64:
    """Orders less refunds in (after, upto] of the summary's customers, held to amounts whose squares are finite."""
    chosen = (purchases.time <= upto) & (purchases.time > (-math.inf if after is None else after))
    sums = np.bincount(purchases.customer[chosen], purchases.amount[chosen], len(purchases.customers) + 1).astype(np.float64)
    places = {name: place for place, name in enumerate(purchases.customers)}
    found: Float64 = np.clip(sums, -LARGEST_AMOUNT, LARGEST_AMOUNT)[[places.get(name, -1) for name in summary.customers]]
    return found
