"""The model manifest: a linear model as JSON, all that the stream ever loads of a model (never a pickle).

    manifest.json → checks (numbers finite, sha256, shape, feature set) → `Model` → `tables()` → `models/scorer.py`

The linear predictor is z = intercept + Σ coefficient_j · t_j(x_j) + Σ categories, with t = identity or log1p(max(x, 0)); all
scaling is folded in. A logistic model's score is 1 / (1 + exp(-z)) (`Manifest`), that of a regression exp(z) or exp(z) - 1
(`RegressionManifest`). `sha256` is the hash of the canonical JSON (sorted keys, no spaces, UTF-8) without that field. It finds a changed or
damaged file; it is no signature.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from keepline.models.errors import ModelError

MANIFEST_FILE = "manifest.json"
JOBLIB_FILE = "model.joblib"
TRANSFORMS = ("identity", "log1p")
"""By the number that `Tables.kind` carries."""
METRICS = ("accuracy", "precision", "recall", "f1", "roc_auc", "pr_auc", "log_loss")
REGRESSION_METRICS = ("mae", "rmse", "spearman", "gini")
REGRESSIONS = ("ridge", "gamma", "tweedie")
"""The families of a `RegressionManifest`."""
DECILES = 9
QUANTILES = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)
RETRAIN = "Train the model again, or restore the manifest as `keepline train` wrote it."


class FeatureSetLike(Protocol):
    """What a manifest is held against: `keepline.features.spec.FeatureSet`, or anything with these."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def version(self) -> int: ...  # noqa: D102
    @property
    def names(self) -> tuple[str, ...]: ...  # noqa: D102


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class FeatureSetRef(_Part):
    """A feature set by name and version."""

    name: str
    version: int


class Term(_Part):
    """A numeric column: coefficient of the transformed raw value, and the training mean of that transformed value."""

    name: str
    transform: Literal["identity", "log1p"]
    coefficient: float
    center: float
    missing_value: float | None = None
    """What stands for a missing cell (the training median); None where the training data had none missing."""
    missing_coefficient: float = 0.0
    """Added to z when the cell is missing."""


class Category(_Part):
    """A one-hot column: what each level adds to z; an unknown level adds nothing."""

    name: str
    coefficients: dict[str, float]


class Baseline(_Part):
    """A column's distribution in training, raw values. Numbers are None for a categorical column, `levels` for a numeric one."""

    missing: float
    mean: float | None = None
    std: float | None = None
    min: float | None = None
    max: float | None = None
    quantiles: dict[str, float] | None = None
    levels: dict[str, float] | None = None


class Spread(_Part):
    """Mean and standard deviation over the folds."""

    mean: float
    std: float


class TrainingData(_Part):
    """What the model was trained on."""

    features_sha256: str
    labels_sha256: str
    rows: int
    base_rate: float


class Created(_Part):
    """How the model was made."""

    command: str
    versions: dict[str, str]


class Manifest(_Part):
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


class TargetData(_Part):
    """What a regression was trained on."""

    features_sha256: str
    labels_sha256: str
    rows: int
    mean: float
    """Mean of the target, in the currency of the labels."""
    share_zero: float


class RegressionManifest(_Part):
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


AnyManifest = Manifest | RegressionManifest


class Tables(NamedTuple):
    """The model for the kernel, dense in the feature set's order (n entries each)."""

    kind: npt.NDArray[np.int32]
    coef: npt.NDArray[np.float64]
    center: npt.NDArray[np.float64]
    intercept: float
    """On the centred scale: z = intercept + Σ coef · (t(x) - center)."""


class Model:
    """A checked manifest. With a feature set it can be loaded by the job; without one it scores files only."""

    def __init__(self, manifest: AnyManifest, feature_set: FeatureSetLike | None) -> None:
        """Take a manifest that has passed the checks (`load`, `from_json`, `from_mapping`)."""
        self.manifest = manifest
        self.model_id = manifest.model_id
        self.version = manifest.version
        self.threshold = manifest.threshold
        self.bands = manifest.bands
        """(low, high): LOW < low ≤ MEDIUM < high ≤ HIGH."""
        self.link: Literal["logit", "log", "log1p"] = manifest.link
        """From z to the score: logit `scorer.score`; log, log1p `scorer.amount` with `less`."""
        self.less = 1.0 if manifest.link == "log1p" else 0.0
        """What is taken off exp(z)."""
        self._names = tuple(manifest.columns) if feature_set is None else feature_set.names

    @property
    def names(self) -> tuple[str, ...]:
        """Features in the order of `tables()`."""
        return self._names

    def median(self, name: str) -> float:
        """Median of a numeric feature in the training data; infinity where the manifest has none."""
        baseline = self.manifest.baseline.get(name)
        return math.inf if baseline is None or baseline.quantiles is None else baseline.quantiles["0.5"]

    def tables(self) -> Tables:
        """Arrays for `scorer.score` and `scorer.amount`; only for a model of numeric columns."""
        if self.manifest.categories:
            msg = f"Model {self.model_id!r} has text columns, which the stream does not score. Use `keepline predict`."
            raise ModelError(msg)
        terms = {term.name: term for term in self.manifest.terms}
        ordered = [terms[name] for name in self._names]
        coef = np.array([term.coefficient for term in ordered])
        center = np.array([term.center for term in ordered])
        kind = np.array([TRANSFORMS.index(term.transform) for term in ordered], np.int32)
        return Tables(kind, coef, center, self.manifest.intercept + math.fsum(coef * center))


def load(path: str | Path, feature_set: FeatureSetLike | None = None) -> Model:
    """Load and check the manifest in a model directory, or the file itself.

    `feature_set`: the one the caller will compute; None takes any model (for files). Raises ModelError with what to do.
    """
    file = Path(path)
    if file.is_dir():
        file /= MANIFEST_FILE
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        msg = f"No model at {file}. Give --model a directory that `keepline train` wrote (it holds {MANIFEST_FILE})."
        raise ModelError(msg) from None
    except OSError as error:
        msg = f"Model {file} cannot be read: {error.strerror}. Check the path and its permissions."
        raise ModelError(msg) from None
    return from_json(data, feature_set, where=str(file))


def from_json(data: bytes, feature_set: FeatureSetLike | None = None, *, where: str = "manifest") -> Model:
    """Check the manifest in `data`; `where` names it in errors."""
    try:
        raw = json.loads(data)
    except ValueError as error:
        msg = f"{where} is not JSON ({error}). {RETRAIN}"
        raise ModelError(msg) from None
    return from_mapping(raw, feature_set, where=where)


def from_mapping(raw: Any, feature_set: FeatureSetLike | None = None, *, where: str = "manifest") -> Model:
    """Check a manifest that is already parsed."""
    if not isinstance(raw, Mapping):
        msg = f"{where} is a JSON {type(raw).__name__}, expected an object. {RETRAIN}"
        raise ModelError(msg)
    for place, value in _numbers(raw, ""):
        if not math.isfinite(value):
            msg = f"{where}: {place} is {value}, expected a finite number. {RETRAIN}"
            raise ModelError(msg)
    expected = checksum(raw)
    if raw.get("sha256") != expected:
        msg = (
            f"{where}: sha256 is {raw.get('sha256')!r}, but the content hashes to {expected!r}: "
            f"it was changed or damaged after training. {RETRAIN}"
        )
        raise ModelError(msg)
    try:
        # From JSON text, since pydantic is strict about tuples in Python data.
        kind = RegressionManifest if raw.get("family") in REGRESSIONS else Manifest
        manifest: AnyManifest = kind.model_validate_json(json.dumps(raw), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        msg = f"{where}: {place}: {first['msg']} (found {first['input']!r:.80}). {RETRAIN}"
        raise ModelError(msg) from None
    _check_shape(manifest, where)
    if feature_set is not None:
        _check_feature_set(manifest, feature_set, where)
    return Model(manifest, feature_set)


def checksum(raw: Mapping[str, Any]) -> str:
    """Hash the canonical JSON without the field `sha256`; hex."""
    content = {key: value for key, value in raw.items() if key != "sha256"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def dump(manifest: AnyManifest) -> bytes:
    """Return the manifest as the bytes of its file, `sha256` filled in."""
    raw = manifest.model_dump(mode="json")
    raw["sha256"] = checksum(raw)
    return json.dumps(raw, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def _numbers(value: Any, place: str) -> Iterator[tuple[str, float]]:
    """All floats below `value`, each with where it stands; list items by their `name` where they have one."""
    if isinstance(value, float):
        yield place, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _numbers(item, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            label = item.get("name", i) if isinstance(item, Mapping) else i
            yield from _numbers(item, f"{place}[{label}]")


def _check_shape(manifest: AnyManifest, where: str) -> None:
    named = [*(term.name for term in manifest.terms), *(category.name for category in manifest.categories)]
    if sorted(named) != sorted(manifest.columns) or len(set(named)) != len(named):
        msg = f"{where}: terms and categories do not name each of the {len(manifest.columns)} columns once. {RETRAIN}"
        raise ModelError(msg)
    low, high = manifest.bands
    if isinstance(manifest, RegressionManifest):
        _check_regression(manifest, where)
    elif not 0 < low <= high < 1:
        msg = f"{where}: bands are [{low}, {high}], expected 0 < low ≤ high < 1. {RETRAIN}"
        raise ModelError(msg)
    expected = REGRESSION_METRICS if isinstance(manifest, RegressionManifest) else METRICS
    absent = [name for name in expected if name not in manifest.metrics]
    if absent:
        msg = f"{where}: metrics lack {', '.join(absent)}. {RETRAIN}"
        raise ModelError(msg)


def _check_regression(manifest: RegressionManifest, where: str) -> None:
    low, high = manifest.bands
    if not 0 <= low <= high:
        msg = f"{where}: bands are [{low}, {high}], expected 0 ≤ low ≤ high. {RETRAIN}"
        raise ModelError(msg)
    if manifest.deciles != sorted(manifest.deciles) or manifest.deciles[0] < 0:
        msg = f"{where}: deciles are {manifest.deciles}, expected {DECILES} amounts in rising order. {RETRAIN}"
        raise ModelError(msg)
    link = "log1p" if manifest.family == "ridge" else "log"
    if manifest.link != link:
        msg = f"{where}: link is {manifest.link!r}, expected {link!r} with family {manifest.family!r}. {RETRAIN}"
        raise ModelError(msg)


def _check_feature_set(manifest: AnyManifest, feature_set: FeatureSetLike, where: str) -> None:
    wanted = f"{feature_set.name} version {feature_set.version}"
    make = f"Make training rows with `keepline features {feature_set.name} …` of this release and train on them."
    if manifest.feature_set is None:
        msg = f"{where}: this model cannot run in the job, which computes feature set {wanted}: {manifest.note} {make}"
        raise ModelError(msg)
    found = f"{manifest.feature_set.name} version {manifest.feature_set.version}"
    if found != wanted:
        msg = f"{where}: trained on feature set {found}, expected {wanted}. {make}"
        raise ModelError(msg)
    lacking = [name for name in feature_set.names if name not in manifest.columns]
    unknown = [name for name in manifest.columns if name not in feature_set.names]
    if lacking or unknown or manifest.categories:
        parts = [f"{what} {', '.join(names[:5])}" for what, names in (("lacks", lacking), ("has unknown", unknown)) if names]
        parts += [f"has text column {category.name}" for category in manifest.categories[:1]]
        msg = f"{where}: its columns are not those of feature set {wanted}: it {'; it '.join(parts)}. {make}"
        raise ModelError(msg)
