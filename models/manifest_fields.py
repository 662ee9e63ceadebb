"""The fields of a model manifest, by kind: `Manifest` (logistic), `ForestManifest` (trees, ensemble), `RegressionManifest` (an amount).

models/manifest.py reads, checks and writes them; what they mean together stands there.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from keepline.models.manifest_file import Fields
from keepline.models.trees.forest import Forest

DECILES = 9


class FeatureSetRef(Fields):
    """A feature set by name and version."""

    name: str
    version: int


class Term(Fields):
    """A numeric column: coefficient of the transformed raw value, and the training mean of that transformed value."""

    name: str
    transform: Literal["identity", "log1p"]
    coefficient: float
    center: float
    missing_value: float | None = None
    """What stands for a missing cell (the training median); None where the training data had none missing."""
    missing_coefficient: float = 0.0
    """Added to z when the cell is missing."""


class Category(Fields):
    """A one-hot column: what each level adds to z; an unknown level adds nothing."""

    name: str
    coefficients: dict[str, float]


class Baseline(Fields):
    """A column's distribution in training, raw values. Numbers are None for a categorical column, `levels` for a numeric one."""

    missing: float
    mean: float | None = None
    std: float | None = None
    min: float | None = None
    max: float | None = None
    quantiles: dict[str, float] | None = None
    levels: dict[str, float] | None = None


class Spread(Fields):
    """Mean and standard deviation over the folds."""

    mean: float
    std: float


class TrainingData(Fields):
    """What the model was trained on."""

    features_sha256: str
    labels_sha256: str
    rows: int
    base_rate: float


class Created(Fields):
    """How the model was made."""

    command: str
    versions: dict[str, str]


class Manifest(Fields):
    """The manifest as it stands in the file."""

    format: Literal[1] = 1
    model_id: str = Field(min_length=1)
    version: int = Field(ge=1)
    family: Literal["logistic"] = "logistic"
    link: Literal["logit"] = "logit"
    feature_set: FeatureSetRef | None
    note: str
    columns: list[str]
    terms: list[Term]
    categories: list[Category]
    intercept: float
    threshold: float = Field(gt=0, lt=1)
    bands: tuple[float, float]
    baseline: dict[str, Baseline]
    metrics: dict[str, Spread]
    metrics_at_threshold: dict[str, Spread]
    data: TrainingData
    created: Created
    joblib_sha256: str
    sha256: str = ""


class TargetData(Fields):
    """What a regression was trained on."""

    features_sha256: str
    labels_sha256: str
    rows: int
    mean: float
    """Mean of the target, in the currency of the labels."""
    share_zero: float


class RegressionManifest(Fields):
    """The manifest of a regression of an amount: revenue in the `horizon_days` after the row.

    The score is the expected amount: exp(z) with link "log", exp(z) - 1 with link "log1p", each at least 0 (`scorer.exponential`).
    """

    format: Literal[1] = 1
    model_id: str = Field(min_length=1)
    version: int = Field(ge=1)
    family: Literal["ridge", "gamma", "tweedie"]
    link: Literal["log", "log1p"]
    power: float | None = Field(ge=1, le=2)
    """Of the variance, mean^power, for gamma (2) and tweedie (between 1 and 2); None for ridge."""
    alpha: float = Field(ge=0)
    """Strength of the L2 penalty; 0: none."""
    horizon_days: float = Field(gt=0)
    feature_set: FeatureSetRef | None
    note: str
    columns: list[str]
    terms: list[Term]
    categories: list[Category]
    intercept: float
    """Of the raw scale; it carries the mean correction."""
    mean_correction: float = Field(gt=0)
    """The factor on exp(z), already in `intercept`, that makes the training predictions sum to the training targets."""
    bands: tuple[float, float]
    """In the currency: LOW < first ≤ MEDIUM < second ≤ HIGH."""
    deciles: list[float] = Field(min_length=DECILES, max_length=DECILES)
    """The 10th to 90th percentile of the training predictions."""
    baseline: dict[str, Baseline]
    metrics: dict[str, Spread]
    data: TargetData
    created: Created
    joblib_sha256: str
    sha256: str = ""

    @property
    def threshold(self) -> float:
        """The amount from which a customer is of high value: the upper band."""
        return self.bands[1]


class LinearPart(Fields):
    """The logistic model of an ensemble: as in a `Manifest`, without the ensemble's weight."""

    terms: list[Term]
    categories: list[Category]
    intercept: float


class ForestManifest(Fields):
    """The manifest of boosted trees, or of their ensemble with a logistic model.

    The score is 1 / (1 + exp(-z)), with z = (1 - trees_weight) · z(linear) + trees_weight · z(forest).
    """

    format: Literal[1] = 1
    model_id: str = Field(min_length=1)
    version: int = Field(ge=1)
    family: Literal["trees", "ensemble"]
    link: Literal["logit"] = "logit"
    feature_set: FeatureSetRef | None
    note: str
    columns: list[str]
    trees_weight: float = Field(ge=0, le=1)
    """Of the forest's logit; 1 for trees alone."""
    linear: LinearPart | None
    """None for trees alone."""
    forest: Forest
    importance: dict[str, float]
    """Mean absolute contribution of a column to the forest's logit in training, largest first."""
    threshold: float = Field(gt=0, lt=1)
    bands: tuple[float, float]
    baseline: dict[str, Baseline]
    metrics: dict[str, Spread]
    metrics_at_threshold: dict[str, Spread]
    data: TrainingData
    created: Created
    joblib_sha256: str
    sha256: str = ""


ChurnManifest = Manifest | ForestManifest
AnyManifest = ChurnManifest | RegressionManifest


def texts_of(manifest: AnyManifest) -> dict[str, frozenset[str]]:
    """The text columns of a model, with the levels known from training."""
    if isinstance(manifest, ForestManifest):
        return manifest.forest.texts()
    return {category.name: frozenset(category.coefficients) for category in manifest.categories}
