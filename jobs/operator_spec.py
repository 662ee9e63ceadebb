"""From settings to what the customer operator is told: the same for the live job and for replay."""

from __future__ import annotations

import json
from pathlib import Path

from keepline.features import layouts
from keepline.features.sets import feature_set
from keepline.jobs.settings import RetentionSettings
from keepline.models.manifest import MANIFEST_FILE, load
from keepline.operators.spec import OperatorSpec


def operator_spec(settings: RetentionSettings) -> OperatorSpec:
    """The spec, with the model's manifest in it. Raises ModelError or FeatureError, here at submit, for what cannot be used."""
    layouts.check(feature_set("churn"))
    load(settings.model, feature_set("churn"))
    path = Path(settings.model)
    manifest = json.loads((path / MANIFEST_FILE if path.is_dir() else path).read_bytes())
    return OperatorSpec(
        manifest=manifest,
        topics=settings.topics,
        emit=settings.emit,
        delta=settings.delta,
        cooldown_ms=settings.cooldown,
        bound_ms=settings.disorder,
        currency=settings.currency,
    )
