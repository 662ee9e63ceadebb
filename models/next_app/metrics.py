"""Hit rates and the mean reciprocal rank, with confidence intervals.

A rank is the target's place in a ranking, from 1; 0 where it was not ranked: no hit, and a reciprocal rank of 0.

    HR@k = share of ranks in 1 … k      MRR = mean of 1 / rank      (MRR: E. M. Voorhees 1999, The TREC-8 Question Answering Track)

Intervals are by the percentile bootstrap over targets (B. Efron & R. J. Tibshirani 1993, An Introduction to the Bootstrap, chapter 13): the
same number of targets is drawn with replacement. A metric depends only on how often each rank was drawn, which is multinomial. Targets of
a user depend on each other, so that intervals are somewhat too narrow for a statement on other users.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

HITS_AT = (1, 3, 5)
METRICS = (*(f"HR@{k}" for k in HITS_AT), "MRR")
DRAWS = 1000
LEVEL = 0.95


class Estimate(NamedTuple):
    """A metric, and the ends of its 95 % interval."""

    value: float
    low: float
    high: float


def _worth(rank: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """What a target of each rank adds to each metric: (ranks, metrics)."""
    hits = [(rank >= 1) & (rank <= k) for k in HITS_AT]
    reciprocal = np.divide(1.0, rank, out=np.zeros(len(rank)), where=rank > 0)
    return np.column_stack([*hits, reciprocal]).astype(np.float64)


def metrics(ranks: npt.NDArray[np.int64], seed: int = 42, draws: int = DRAWS) -> dict[str, Estimate]:
    """All of METRICS over ranks, of which there must be one at least; the same seed gives the same intervals."""
    distinct, counts = np.unique(ranks, return_counts=True)
    worth, n = _worth(distinct), len(ranks)
    values = counts @ worth / n
    drawn = np.random.default_rng(seed).multinomial(n, counts / n, size=draws) @ worth / n
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail], axis=0)
    return {name: Estimate(*map(float, found)) for name, *found in zip(METRICS, values, low, high, strict=True)}


def as_json(found: dict[str, Estimate]) -> dict[str, Any]:
    """For machines."""
    return {name: estimate._asdict() for name, estimate in found.items()}
