"""Models for journeys, small enough to be written in a line: the score is what the scenario says it is, and the real kernel computes it.

    logit = logit(base) + contract_months · 1e-8 + Σ weight · feature

The dial is a field that no one else turns: `Journey.score(0.9)` sends a Subscription whose contract_months make the score 0.9, and a
contract of real months moves it by less than 1e-6. Weights, if the scenario gives any, let its events move the score and be its reasons.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from keepline.features.sets import feature_set
from keepline.jobs.journey.times import JourneyError
from keepline.models.manifest import METRICS, Manifest, dump

MODEL_ID = "churn-journey"
DIAL = "contract_months"
"""The feature that is the dial, and the field of Subscription that it is read from."""
UNIT = 1e-8
"""Of the logit, a month of the dial: 32 bits of them reach beyond every score of eight digits."""
BASE = 0.05
"""The score of a customer of whom nothing was said."""
THRESHOLD = 0.5
FINEST, ROUGH = 1e-6, 1e-3
"""A score is set from FINEST to 1 − FINEST, base and threshold from ROUGH to 1 − ROUGH: so the dial's 32 bits suffice."""


def journey_model(base: float = BASE, threshold: float = THRESHOLD, weights: Mapping[str, float] | None = None) -> dict[str, Any]:
    """The manifest of such a model, as it stands in its file. Bands begin half way from 0 and half way to 1 from the threshold.

    Args:
        base: the score of a customer whose weighted features are 0, between 0 and 1.
        threshold: the score from which a customer is at risk, between 0 and 1.
        weights: what one unit of a feature adds to the logit.

    Raises:
        JourneyError: a number out of its range, or a feature that there is not.
    """
    names = feature_set("churn").names
    given = dict(weights or {})
    for name in given:
        if name not in names or name == DIAL:
            near = get_close_matches(name, [each for each in names if each != DIAL], 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            why = "is what journey.score() turns" if name == DIAL else "is no feature of churn"
            msg = f"the weight of {name!r}: {name} {why}: expected one such as dropped_calls_7d (docs/features.md){hint}"
            raise JourneyError(msg)
    for what, value in (("base", base), ("threshold", threshold)):
        _checked(what, value, ROUGH)
    spread = {name: {"mean": 0.0, "std": 0.0} for name in METRICS}
    raw = {
        "model_id": MODEL_ID,
        "version": 1,
        "feature_set": {"name": "churn", "version": feature_set("churn").version},
        "note": "Made for a journey: it knows nothing of churn.",
        "columns": list(names),
        "terms": [
            {"name": name, "transform": "identity", "coefficient": float(given.get(name, UNIT if name == DIAL else 0.0)), "center": 0.0}
            for name in names
        ],
        "categories": [],
        "intercept": _logit(base),
        "threshold": threshold,
        "bands": (threshold / 2, (1 + threshold) / 2),
        "baseline": {},
        "metrics": spread,
        "metrics_at_threshold": spread,
        "data": {"features_sha256": "", "labels_sha256": "", "rows": 0, "base_rate": base},
        "created": {"command": "journey", "versions": {}},
        "joblib_sha256": "",
    }
    made: dict[str, Any] = json.loads(dump(Manifest.model_validate_json(json.dumps(raw))))
    return made


def dial(score: float, manifest: Mapping[str, Any]) -> int:
    """The contract_months that make the score at least this, and by less than 1e-8 more, where no weight moves it."""
    return math.floor((_logit(_checked("score", score, FINEST)) - float(manifest["intercept"])) / UNIT) + 1


def _checked(what: str, value: float, least: float) -> float:
    if not isinstance(value, int | float) or not least <= value <= 1 - least:
        msg = f"the {what} is {value!r}: expected a number from {least:g} to {1 - least:g}, such as 0.9"
        raise JourneyError(msg)
    return float(value)


def _logit(p: float) -> float:
    return math.log(p) - math.log1p(-p)
