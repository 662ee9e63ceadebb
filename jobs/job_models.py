"""The models of a job: loaded and checked at submit, their manifests for the operators, their names and limits for the policy.

settings (scores, model, clv_model, clv_regression) ──► JobModels ──► OperatorSpec (operator_spec.py), ModelNames (the policy file)
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keepline.features.sets import feature_set
from keepline.jobs.settings import RetentionSettings, SettingsError
from keepline.models import manifest
from keepline.models.clv import manifest as clv_manifest
from keepline.models.clv.scorer import SCORES
from keepline.models.contact.names import ModelNames, names_of_all
from keepline.models.manifest import MANIFEST_FILE, RegressionManifest


@dataclass(frozen=True)
class JobModels:
    """Manifests as the operators take them, empty where a job has no such model, and what a policy may name."""

    churn: dict[str, Any]
    clv: dict[str, Any]
    clv_regression: dict[str, Any]
    names: ModelNames

    @property
    def labels(self) -> tuple[tuple[str, int], ...]:
        """(model id, version) of each."""
        return tuple((each["model_id"], each["version"]) for each in (self.churn, self.clv, self.clv_regression) if each)


def load(settings: RetentionSettings) -> JobModels:
    """The models that the settings name; KeeplineError with what to do for one that cannot be used."""
    scores: list[tuple[str, float | None, tuple[float, float], tuple[float, ...]]] = []
    features: list[str] = []
    churn: dict[str, Any] = {}
    clv: dict[str, Any] = {}
    regression: dict[str, Any] = {}
    if "churn" in settings.scores:
        model = manifest.load(settings.model, feature_set("churn"))
        if isinstance(model.manifest, RegressionManifest):
            msg = f"{settings.model}: a regression of {model.manifest.feature_set}; expected a churn model. Give it as --clv-regression"
            raise SettingsError(msg)
        churn = _raw(settings.model)
        scores.append(("churn", model.threshold, model.bands, ()))
        features += feature_set("churn").names
    if "clv" in settings.scores:
        forms = clv_manifest.load(settings.clv_model, feature_set("clv"))
        fitted = forms.manifest.currency
        if fitted and settings.currency and fitted != settings.currency:
            msg = (
                f"{settings.clv_model}: fitted on amounts in {fitted}, but the job's currency is {settings.currency}. "
                "Give --currency of the model, or fit it on amounts in the job's"
            )
            raise SettingsError(msg)
        clv = _raw(settings.clv_model)
        scores += [(name, None, forms.bands[name], tuple(forms.manifest.deciles[name])) for name in SCORES]
        features += feature_set("clv").names
        if settings.clv_regression != "none":
            amount = manifest.load(settings.clv_regression, feature_set("clv"))
            if not isinstance(amount.manifest, RegressionManifest):
                msg = f"{settings.clv_regression}: not a regression of lifetime value; give a model that `keepline train clv` wrote"
                raise SettingsError(msg)
            regression = _raw(settings.clv_regression)
            scores.append(("clv_regression", None, amount.bands, tuple(amount.manifest.deciles)))
    return JobModels(churn, clv, regression, names_of_all(scores, features))


def _raw(path: Path) -> dict[str, Any]:
    file = path / MANIFEST_FILE if path.is_dir() else path
    raw: dict[str, Any] = json.loads(file.read_bytes())
    return raw
