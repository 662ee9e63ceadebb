"""The model manifest: a linear model or boosted trees as JSON, all that the stream ever loads of a model (never a pickle).

    manifest.json → checks (numbers finite, sha256, shape, feature set) → `Model` → `tables()` → `models/scorer.py`

The linear predictor is z = intercept + Σ coefficient_j · t_j(x_j) + Σ categories, with t = identity or log1p(max(x, 0)); all
scaling is folded in. A logistic model's score is 1 / (1 + exp(-z)) (`Manifest`), that of a regression exp(z) or exp(z) - 1
(`RegressionManifest`). Boosted trees, alone or in an ensemble with a logistic model, have a z of their own (`ForestManifest`), a table of
their own (`Model.forest()`) and the scorer models/trees/scorer.py.

The file is checked and written by models/manifest_file.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from keepline.models.errors import ModelError
from keepline.models.manifest_fields import (
    DECILES,
    AnyManifest,
    Baseline,
    Category,
    ChurnManifest,
    Created,
    FeatureSetRef,
    ForestManifest,
    LinearPart,
    Manifest,
    RegressionManifest,
    Spread,
    TargetData,
    Term,
    TrainingData,
    texts_of,
)
from keepline.models.manifest_file import MANIFEST_FILE, checksum, parsed, read, sound, written
from keepline.models.trees import table
from keepline.models.trees.forest import flaw

__all__ = [
    "DECILES",
    "FORESTS",
    "JOBLIB_FILE",
    "MANIFEST_FILE",
    "METRICS",
    "QUANTILES",
    "REGRESSIONS",
    "REGRESSION_METRICS",
    "RETRAIN",
    "TRANSFORMS",
    "AnyManifest",
    "Baseline",
    "Category",
    "ChurnManifest",
    "Created",
    "FeatureSetLike",
    "FeatureSetRef",
    "ForestManifest",
    "LinearPart",
    "Manifest",
    "Model",
    "RegressionManifest",
    "Spread",
    "Tables",
    "TargetData",
    "Term",
    "TrainingData",
    "checksum",
    "dump",
    "from_json",
    "from_mapping",
    "load",
    "texts_of",
]

JOBLIB_FILE = "model.joblib"
TRANSFORMS = ("identity", "log1p")
"""By the number that `Tables.kind` carries."""
METRICS = ("accuracy", "precision", "recall", "f1", "roc_auc", "pr_auc", "log_loss")
REGRESSION_METRICS = ("mae", "rmse", "spearman", "gini")
REGRESSIONS = ("ridge", "gamma", "tweedie")
"""The families of a `RegressionManifest`."""
FORESTS = ("trees", "ensemble")
"""The families of a `ForestManifest`."""
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
        """Arrays for `scorer.score` and `scorer.amount`; only for a linear model of numeric columns."""
        self._refuse_texts()
        if isinstance(self.manifest, ForestManifest):
            msg = f"Model {self.model_id!r} is of family {self.manifest.family!r}, expected a linear one. Train it with --family logistic."
            raise ModelError(msg)
        return self._linear(self.manifest)

    def forest(self) -> npt.NDArray[np.float64]:
        """The flat table for models/trees/scorer.py, rows in the order of `names`; only for trees and ensembles of numeric columns."""
        self._refuse_texts()
        manifest = self.manifest
        if not isinstance(manifest, ForestManifest):
            msg = f"Model {self.model_id!r} is of family {manifest.family!r}, expected trees or ensemble. Train it with --family trees."
            raise ModelError(msg)
        places = [self._names.index(one.name) for one in manifest.forest.inputs]
        linear = None if manifest.linear is None else self._weighted(manifest.linear, 1.0 - manifest.trees_weight)
        return table.build(manifest.forest, places, len(self._names), manifest.trees_weight, linear)

    def _refuse_texts(self) -> None:
        if texts_of(self.manifest):
            msg = f"Model {self.model_id!r} has text columns, which the stream does not score. Use `keepline predict`."
            raise ModelError(msg)

    def _linear(self, part: Manifest | RegressionManifest | LinearPart) -> Tables:
        ordered = self._ordered(part)
        coef = np.array([term.coefficient for term in ordered])
        center = np.array([term.center for term in ordered])
        kind = np.array([TRANSFORMS.index(term.transform) for term in ordered], np.int32)
        return Tables(kind, coef, center, part.intercept + math.fsum(coef * center))

    def _ordered(self, part: Manifest | RegressionManifest | LinearPart) -> list[Term]:
        terms = {term.name: term for term in part.terms}
        return [terms[name] for name in self._names]

    def _weighted(self, part: LinearPart, weight: float) -> table.Linear:
        """The linear part of an ensemble, with what a missing cell counts: the pipeline puts the median in its place and marks it."""
        kind, coef, center, intercept = self._linear(part)
        missing = []
        for term in self._ordered(part):
            median = self.median(term.name) if term.missing_value is None else term.missing_value
            value = math.log1p(max(median, 0.0)) if term.transform == "log1p" else median
            change = term.coefficient * (value - term.center) if term.coefficient else 0.0
            missing.append(weight * (change + term.missing_coefficient))
        return table.Linear(kind.astype(np.int64), weight * coef, center, np.array(missing), weight * intercept)


def load(path: str | Path, feature_set: FeatureSetLike | None = None) -> Model:
    """Load and check the manifest in a model directory, or the file itself.

    `feature_set`: the one the caller will compute; None takes any model (for files). Raises ModelError with what to do.
    """
    data, where = read(path, "--model a directory that `keepline train` wrote")
    return from_json(data, feature_set, where=where)


def from_json(data: bytes, feature_set: FeatureSetLike | None = None, *, where: str = "manifest") -> Model:
    """Check the manifest in `data`; `where` names it in errors."""
    return from_mapping(parsed(data, where, RETRAIN), feature_set, where=where)


def from_mapping(raw: Mapping[str, Any], feature_set: FeatureSetLike | None = None, *, where: str = "manifest") -> Model:
    """Check a manifest that is already parsed."""
    told = raw.get("feature_set")
    if feature_set is not None and isinstance(told, Mapping) and told.get("name") != feature_set.name:
        # Before the fields: a model of another kind has others.
        msg = (
            f"{where}: trained on feature set {told.get('name')} version {told.get('version')}, "
            f"expected {feature_set.name} version {feature_set.version}. Give the folder of a model of that set."
        )
        raise ModelError(msg)
    manifest = sound(_kind(raw.get("family")), raw, where, RETRAIN)
    _check_shape(manifest, where)
    if feature_set is not None:
        _check_feature_set(manifest, feature_set, where)
    return Model(manifest, feature_set)


def _kind(family: Any) -> type[AnyManifest]:
    if family in REGRESSIONS:
        return RegressionManifest
    return ForestManifest if family in FORESTS else Manifest


def dump(manifest: AnyManifest) -> bytes:
    """Return the manifest as the bytes of its file, `sha256` filled in."""
    return written(manifest, dense=isinstance(manifest, ForestManifest))


def _check_shape(manifest: AnyManifest, where: str) -> None:
    linear = manifest.linear if isinstance(manifest, ForestManifest) else manifest
    if linear is not None:
        named = [*(term.name for term in linear.terms), *(category.name for category in linear.categories)]
        if sorted(named) != sorted(manifest.columns) or len(set(named)) != len(named):
            msg = f"{where}: terms and categories do not name each of the {len(manifest.columns)} columns once. {RETRAIN}"
            raise ModelError(msg)
    if isinstance(manifest, ForestManifest):
        _check_forest(manifest, where)
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


def _check_forest(manifest: ForestManifest, where: str) -> None:
    if len(set(manifest.columns)) != len(manifest.columns):
        msg = f"{where}: a column stands there twice. {RETRAIN}"
        raise ModelError(msg)
    alone = manifest.family == "trees"
    if alone != (manifest.linear is None) or (alone and manifest.trees_weight != 1):
        msg = f"{where}: family {manifest.family!r} does not fit its parts: only an ensemble has a linear part and a weight. {RETRAIN}"
        raise ModelError(msg)
    if manifest.linear is not None and {each.name for each in manifest.linear.categories} != manifest.forest.texts().keys():
        msg = f"{where}: the forest and the linear part have other text columns. {RETRAIN}"
        raise ModelError(msg)
    found = flaw(manifest.forest, manifest.columns)
    if found is not None:
        msg = f"{where}: the forest is damaged: {found}. {RETRAIN}"
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
    texts = texts_of(manifest)
    if lacking or unknown or texts:
        parts = [f"{what} {', '.join(names[:5])}" for what, names in (("lacks", lacking), ("has unknown", unknown)) if names]
        parts += [f"has text column {name}" for name in [*texts][:1]]
        msg = f"{where}: its columns are not those of feature set {wanted}: it {'; it '.join(parts)}. {make}"
        raise ModelError(msg)
