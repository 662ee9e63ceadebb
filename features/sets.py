"""The feature sets that ship, by name."""

from __future__ import annotations

from keepline.features.churn import CHURN
from keepline.features.clv import CLV
from keepline.features.spec import FeatureError, FeatureSet

FEATURE_SETS = {feature_set.name: feature_set for feature_set in (CHURN, CLV)}


def feature_set(name: str) -> FeatureSet:
    """The feature set of that name; FeatureError with the known names."""
    if name not in FEATURE_SETS:
        msg = f"unknown feature set {name!r}: expected one of {', '.join(sorted(FEATURE_SETS))}"
        raise FeatureError(msg)
    return FEATURE_SETS[name]
