"""How the bands of the scores divide the customers, and what each band is worth.

scores of every customer (float64[n, 3]), bands of the manifest, revenue after `until` ──► segments ──► a Segment a score and band
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from keepline.models.clv.scorer import LARGEST_AMOUNT, SCORES

Float64 = npt.NDArray[np.float64]
BANDS = ("LOW", "MEDIUM", "HIGH")
VALUE = SCORES.index("clv_bgnbd")


@dataclass(frozen=True, slots=True)
class Segment:
    """The customers whose score is at least `at_least` and below `below`; None: no limit. A share of a total that is 0 is None."""

    score: str
    band: str
    at_least: float | None
    below: float | None
    customers: int
    share: float
    """Of all customers."""
    value: float
    """Sum of `clv_bgnbd`, the revenue expected over the horizon."""
    value_share: float | None
    spent_share: float | None
    """Of the actual revenue after `until`; None without a holdout."""


def segments(values: Float64, bands: Mapping[str, tuple[float, float]], spent: Float64 | None) -> list[Segment]:
    """Every score's bands, from low to high. `values`: float64[n, 3] in the order of SCORES, n ≥ 1; `spent`: float64[n] or None."""
    worth = np.minimum(values[:, VALUE], LARGEST_AMOUNT)  # sums stay finite
    found = []
    for place, score in enumerate(SCORES):
        low, high = bands[score]
        band = np.searchsorted([low, high], values[:, place], side="right")
        for number, (name, at_least, below) in enumerate(zip(BANDS, (None, low, high), (low, high, None), strict=True)):
            own = band == number
            found.append(
                Segment(
                    score, name, at_least, below, int(own.sum()), float(own.mean()), float(worth[own].sum()),
                    _share(worth, own), None if spent is None else _share(spent, own),
                )
            )  # fmt: skip
    return found


def _share(amounts: Float64, own: npt.NDArray[np.bool_]) -> float | None:
    total = float(amounts.sum())
    return float(amounts[own].sum()) / total if total else None
