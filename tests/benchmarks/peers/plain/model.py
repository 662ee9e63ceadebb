"""The logistic model of the manifest: probability, band, and the three features that weigh most."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from math import exp, log1p
from operator import itemgetter
from typing import Any

from tests.benchmarks.peers.plain.state import FEATURES

REASONS = 3
Scored = tuple[float, int, list[float], list[int]]


def scorer(manifest: Mapping[str, Any]) -> tuple[Callable[[array[float]], Scored], list[int]]:
    """The function row → (probability, band, contributions, places of the three largest), and the features those places stand for.

    Terms without weight are left out: they change neither the sum nor, unless fewer than three are left, the reasons.
    """
    every = sorted(((FEATURES.index(term["name"]), term) for term in manifest["terms"]), key=itemgetter(0))
    weighing = [(place, term) for place, term in every if term["coefficient"]]
    used = weighing if len(weighing) >= REASONS else every
    terms = [(place, term["coefficient"], term["center"], term["transform"] == "log1p") for place, term in used]
    base = manifest["intercept"] + sum(term["coefficient"] * term["center"] for _, term in used)
    low, high = manifest["bands"]

    def score(x: array[float]) -> Scored:
        contributions = [
            weight * ((log1p(x[place] if x[place] > 0.0 else 0.0) if logarithm else x[place]) - center)
            for place, weight, center, logarithm in terms
        ]
        z = base + sum(contributions)
        small = exp(-abs(z))
        p = (1.0 if z >= 0.0 else small) / (1.0 + small)
        sizes = list(map(abs, contributions))
        first = sizes.index(max(sizes))
        sizes[first] = -1.0
        second = sizes.index(max(sizes))
        sizes[second] = -1.0
        return p, (p >= low) + (p >= high), contributions, [first, second, sizes.index(max(sizes))]

    return score, [place for place, _ in used]
