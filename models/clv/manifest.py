"""The manifest of a BG/NBD with Gamma-Gamma: all that the stream loads of it.

    `keepline clv fit` → manifest.json → checks (finite numbers, sha256, parameters, feature set) → `ClvModel` → `table()` → scorer.py

The file is checked and written by models/manifest_file.py.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal, NoReturn

import numpy as np
import numpy.typing as npt
from pydantic import Field

from keepline.models.clv.bgnbd import Bgnbd
from keepline.models.clv.gamma_gamma import GammaGamma
from keepline.models.clv.scorer import (
    SCORES,
    USED,
    W_BASELINE,
    W_DISCOUNT,
    W_LIFESPAN,
    W_PERIODS,
    WORDS,
)
from keepline.models.clv.value import MOST_PERIODS
from keepline.models.errors import ModelError
from keepline.models.manifest import DECILES, Baseline, Created, FeatureSetLike, FeatureSetRef
from keepline.models.manifest_file import Fields, parsed, read, sound, written

REFIT = "Fit the model again, or restore the manifest as `keepline clv fit` wrote it."
FEATURE_SET = FeatureSetRef(name="clv", version=1)
BGNBD = Bgnbd._fields
GAMMA_GAMMA = GammaGamma._fields


class Estimate(Fields):
    """A parameter, and its standard error where one can be told."""

    value: float = Field(gt=0)
    standard_error: float | None = Field(ge=0)


class FittedPart(Fields):
    """One of the two models, as `fit.Fitted` has it."""

    parameters: dict[str, Estimate]
    log_likelihood: float
    verdict: Literal["converged", "degenerate", "failed"]
    warnings: list[str]
    customers: int = Field(ge=1)
    correlation: float | None = Field(default=None, ge=-1, le=1)
    """Gamma-Gamma: of repeat purchases and mean amount."""

    def values(self, names: tuple[str, ...]) -> tuple[float, ...]:
        """The parameters in this order."""
        return tuple(self.parameters[name].value for name in names)


class Horizon(Fields):
    """How far ahead values look, and what later periods count."""

    periods: int = Field(ge=1, le=MOST_PERIODS)
    period_days: Literal[30] = 30
    discount: float = Field(ge=0)
    """Per period: an amount of period k counts 1/(1 + discount)^k."""


class Data(Fields):
    """What was fitted on."""

    purchases_sha256: str
    """Of the purchases up to `until`, whatever the format of their files (`purchases.Purchases.sha256`)."""
    purchases: int
    """Orders and refunds."""
    until: str
    customers: int


class ClvManifest(Fields):
    """The manifest as it stands in the file."""

    format: Literal[1] = 1
    model_id: str = Field(min_length=1)
    version: int = Field(ge=1)
    family: Literal["bgnbd"] = "bgnbd"
    feature_set: FeatureSetRef
    time_unit: Literal["weeks"] = "weeks"
    bgnbd: FittedPart
    gamma_gamma: FittedPart
    horizon: Horizon
    lifespan: float | None = Field(gt=0)
    """CL of the formula, in periods; None: from the purchases that BG/NBD expects over the horizon."""
    default_margin: float
    """Gross margin of customers whose orders carry no cost."""
    currency: str
    deciles: dict[str, list[float]]
    """Of each score over the customers that were fitted on: the 10th to 90th percentile."""
    bands: dict[str, tuple[float, float]]
    """Of each score (low, high): LOW < low ≤ MEDIUM < high ≤ HIGH."""
    baseline: dict[str, Baseline]
    """Of the features that the scores read, over the same customers."""
    data: Data
    created: Created
    sha256: str = ""


class ClvModel:
    """A checked manifest, for the job and for files."""

    def __init__(self, manifest: ClvManifest) -> None:
        """Take a manifest that has passed the checks (`load`, `from_json`)."""
        self.manifest = manifest
        self.model_id = manifest.model_id
        self.version = manifest.version
        self.bands = manifest.bands
        self.default_margin = manifest.default_margin
        self.bgnbd = Bgnbd(*manifest.bgnbd.values(BGNBD))
        self.gamma_gamma = GammaGamma(*manifest.gamma_gamma.values(GAMMA_GAMMA))

    def table(self) -> npt.NDArray[np.float64]:
        """The flat table for `scorer.score`; keep it alive as long as its address is used."""
        manifest = self.manifest
        table = np.zeros(WORDS)
        table[:W_PERIODS] = [*self.bgnbd, *self.gamma_gamma]
        table[W_PERIODS] = manifest.horizon.periods
        table[W_DISCOUNT] = manifest.horizon.discount
        table[W_LIFESPAN] = manifest.lifespan or 0.0
        for name, place in USED.items():
            table[W_BASELINE + place] = manifest.baseline[name].mean or 0.0
        return table


def load(path: str | Path, feature_set: FeatureSetLike | None = None) -> ClvModel:
    """Load and check the manifest in a model directory, or the file itself; ModelError with what to do.

    `feature_set`: the one the caller will compute; None where rows come from elsewhere.
    """
    data, where = read(path, "a directory that `keepline clv fit` wrote")
    return from_json(data, feature_set, where=where)


def from_json(data: bytes, feature_set: FeatureSetLike | None = None, *, where: str = "manifest") -> ClvModel:
    """Check the manifest in `data`; `where` names it in errors."""
    raw = parsed(data, where, REFIT)
    if raw.get("family") != "bgnbd":
        msg = f"{where}: family is {raw.get('family')!r}, expected 'bgnbd'. Give a directory that `keepline clv fit` wrote."
        raise ModelError(msg)
    manifest = sound(ClvManifest, raw, where, REFIT)
    _check(manifest, where)
    if feature_set is not None:
        _check_feature_set(manifest, feature_set, where)
    return ClvModel(manifest)


def dump(manifest: ClvManifest) -> bytes:
    """Return the manifest as the bytes of its file, `sha256` filled in."""
    return written(manifest)


def _check(manifest: ClvManifest, where: str) -> None:
    def refuse(what: str) -> NoReturn:
        msg = f"{where}: {what}. {REFIT}"
        raise ModelError(msg)

    for name, part, names in (("bgnbd", manifest.bgnbd, BGNBD), ("gamma_gamma", manifest.gamma_gamma, GAMMA_GAMMA)):
        if set(part.parameters) != set(names):
            refuse(f"{name} has parameters {', '.join(part.parameters) or 'none'}, expected {', '.join(names)}")
    if manifest.gamma_gamma.parameters["q"].value <= 1.0:
        refuse(f"gamma_gamma.q is {manifest.gamma_gamma.parameters['q'].value}, expected above 1, where the mean amount exists")
    for score in SCORES:
        low, high = manifest.bands.get(score, (math.inf, -math.inf))
        if not low <= high:
            refuse(f"bands.{score} is [{low}, {high}], expected low ≤ high")
        deciles = manifest.deciles.get(score, [])
        if len(deciles) != DECILES or sorted(deciles) != deciles:
            refuse(f"deciles.{score} has {len(deciles)} values, expected {DECILES} that do not fall")
    for name in USED:
        if name not in manifest.baseline or manifest.baseline[name].mean is None:
            refuse(f"baseline lacks the mean of {name}")


def _check_feature_set(manifest: ClvManifest, feature_set: FeatureSetLike, where: str) -> None:
    found, wanted = manifest.feature_set, (feature_set.name, feature_set.version)
    if (found.name, found.version) != wanted:
        msg = f"{where}: made for feature set {found.name} version {found.version}, expected {wanted[0]} version {wanted[1]}. {REFIT}"
        raise ModelError(msg)
    for name, place in USED.items():
        if place >= len(feature_set.names) or feature_set.names[place] != name:
            msg = f"{where}: feature {place} of set {wanted[0]} is not {name}, which the scores read there. Use the release that made it."
            raise ModelError(msg)
