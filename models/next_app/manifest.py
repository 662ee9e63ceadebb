"""The manifest of a model of the next app: all that the stream and a phone ever load of it.

    `keepline train next-app` → manifest.json → checks (finite numbers, sha256, fields, parts) → `Loaded` → `table()` → scorer.py

z of a candidate is Σ coefficient · (x − center) (logistic), the logit of boosted trees (trees), or (1 − w) · the first + w · the second
(ensemble); there is no intercept, since a softmax over candidates does not see it. The file is checked and written by
models/manifest_file.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import numpy as np
import numpy.typing as npt
from pydantic import Field

from keepline.features.next_app.constants import Constants
from keepline.features.next_app.layout import FEATURES, MAX_NAME, NAME, VERSION
from keepline.features.spec import FeatureError
from keepline.models.errors import ModelError
from keepline.models.manifest import Created, FeatureSetRef
from keepline.models.manifest_file import Fields, as_mapping, parsed, read, sound, written
from keepline.models.trees.forest import Forest, flaw

RETRAIN = "Train the model again, or restore the manifest as `keepline train next-app` wrote it."
FEATURE_SET = FeatureSetRef(name=NAME, version=VERSION)
FAMILIES = ("logistic", "trees", "ensemble")
MOST_PRIOR, LEAST_PRIOR = 32, 6
"""Apps in the prior: with six there are always five to tell, whatever is on screen."""
LARGEST = 1e6
"""Of a coefficient and of a center: no z can overflow."""
SLACK = 1e-6
"""How far the shares of the prior may sum to something else than 1."""

Bounded = Annotated[float, Field(ge=-LARGEST, le=LARGEST)]


class Term(Fields):
    """What a feature adds to z: coefficient · (x − center)."""

    name: str
    coefficient: Bounded
    center: Bounded


class PriorApp(Fields):
    """An app of the global prior, and its share of the prior's opens."""

    app: str
    share: float = Field(gt=0, le=1)


class Estimate(Fields):
    """A metric with the ends of its 95 % interval."""

    value: float
    low: float
    high: float


class Part(Fields):
    """What was read of the log for one purpose."""

    opens: int = Field(ge=0)
    targets: int = Field(ge=0)
    """Opens of an app that was not on screen."""
    scored: int = Field(ge=0)
    """Of those, the ones whose app was a candidate."""
    start: str
    end: str
    """Of the first and the last open, RFC 3339."""


class TrainingData(Fields):
    """What the model was made of. Fit, validation and test are parts of each user's opens, in this order."""

    log_sha256: str
    users: int = Field(ge=1)
    apps: int = Field(ge=1)
    unlocks: int = Field(ge=0)
    rows: int = Field(ge=1)
    """Candidates that the final fit has seen."""
    at: Literal["opens", "unlocks"]
    """Which opens were learnt from: all, or those that came first after an unlock."""
    fit: Part
    validation: Part
    test: Part
    fitted_on: str
    """In words: which parts the written model was fitted on."""


class NextAppManifest(Fields):
    """The manifest as it stands in the file."""

    format: Literal[1] = 1
    model_id: str = Field(min_length=1)
    version: int = Field(ge=1)
    family: Literal["logistic", "trees", "ensemble"]
    feature_set: FeatureSetRef
    columns: list[str]
    constants: dict[str, float]
    """Of the kernel: `keepline.features.next_app.constants.Constants`."""
    linear: list[Term] | None
    """None for trees alone."""
    forest: Forest | None
    """None for logistic."""
    trees_weight: float = Field(ge=0, le=1)
    """Of the forest's logit: 0 for logistic, 1 for trees."""
    prior: list[PriorApp]
    """The largest share first."""
    prior_opens: float = Field(gt=0, le=LARGEST)
    """So many opens' worth the prior has against what a user's own state says."""
    settings: dict[str, float]
    """What validation chose, or was given."""
    importance: dict[str, float]
    """|Change of z| for one standard deviation of the column (logistic), or mean |contribution| to the logit (trees); largest first."""
    metrics: dict[str, dict[str, Estimate]]
    """On the test part, by ranker."""
    metrics_at_unlocks: dict[str, dict[str, Estimate]]
    """The same over the opens that came first after an unlock; empty where there are none."""
    data: TrainingData
    created: Created
    sha256: str = ""


class Loaded:
    """A checked manifest, for the job, files and phones."""

    def __init__(self, manifest: NextAppManifest) -> None:
        """Take a manifest that has passed the checks (`load`, `from_mapping`, `checked`)."""
        self.manifest = manifest
        self.model_id = manifest.model_id
        self.version = manifest.version
        self.constants = Constants.of(manifest.constants)
        self.prior = tuple(each.app for each in manifest.prior)
        """Names, in the prior's order."""
        self._table: npt.NDArray[np.float64] | None = None

    @property
    def raw(self) -> dict[str, Any]:
        """The JSON object of the file, checksum included: what `from_mapping` takes."""
        return as_mapping(self.manifest)

    def table(self) -> npt.NDArray[np.float64]:
        """The flat table for `scorer.predict`, made once; keep it alive as long as its address is used."""
        from keepline.models.next_app.tables import build

        if self._table is None:
            self._table = build(self.manifest)
        return self._table


def load(path: str | Path) -> Loaded:
    """Load and check the manifest in a model directory, or the file itself; ModelError with what to do."""
    data, where = read(path, "a directory that `keepline train next-app` wrote")
    return from_json(data, where=where)


def from_json(data: bytes, *, where: str = "manifest") -> Loaded:
    """Check the manifest in `data`; `where` names it in errors."""
    return from_mapping(parsed(data, where, RETRAIN), where=where)


def from_mapping(raw: Mapping[str, Any], *, where: str = "manifest") -> Loaded:
    """Check a manifest that is already parsed."""
    if raw.get("family") not in FAMILIES or "prior_opens" not in raw:
        msg = f"{where}: no model of the next app (family {raw.get('family')!r}). Give a directory that `keepline train next-app` wrote."
        raise ModelError(msg)
    return checked(sound(NextAppManifest, raw, where, RETRAIN), where=where)


def checked(manifest: NextAppManifest, *, where: str = "manifest") -> Loaded:
    """Check how the parts fit together; ModelError."""

    def refuse(what: str) -> NoReturn:
        msg = f"{where}: {what}. {RETRAIN}"
        raise ModelError(msg)

    found, wanted = manifest.feature_set, FEATURE_SET
    if found != wanted or manifest.columns != list(FEATURES):
        refuse(
            f"made for feature set {found.name} version {found.version} with {len(manifest.columns)} columns, "
            f"expected {wanted.name} version {wanted.version} of this release with {len(FEATURES)} columns"
        )
    try:
        Constants.of(manifest.constants)
    except FeatureError as error:
        msg = f"{where}: {error}"
        raise ModelError(msg) from None
    linear, forest = manifest.linear, manifest.forest
    parts = {"logistic": (True, False), "trees": (False, True), "ensemble": (True, True)}[manifest.family]
    weights = {"logistic": (0.0, 0.0), "trees": (1.0, 1.0), "ensemble": (0.0, 1.0)}[manifest.family]
    if (linear is not None, forest is not None) != parts or not weights[0] <= manifest.trees_weight <= weights[1]:
        refuse(f"family {manifest.family!r} does not fit its parts: which of linear and forest there are, and trees_weight")
    if linear is not None and [term.name for term in linear] != list(FEATURES):
        refuse(f"linear does not name each of the {len(FEATURES)} columns in order")
    why = None if forest is None else flaw(forest, FEATURES)
    if why is not None:
        refuse(f"the forest is damaged: {why}")
    if forest is not None and forest.texts():
        refuse("the forest reads text columns, of which there are none")
    _check_prior(manifest.prior, refuse)
    return Loaded(manifest)


def _check_prior(prior: list[PriorApp], refuse: Any) -> None:
    names = [each.app for each in prior]
    shares = [each.share for each in prior]
    if not LEAST_PRIOR <= len(prior) <= MOST_PRIOR or len(set(names)) != len(names):
        refuse(f"the prior has {len(prior)} apps, expected {LEAST_PRIOR} to {MOST_PRIOR} different ones")
    if any(not 1 <= len(name.encode()) <= MAX_NAME for name in names):
        refuse(f"a name in the prior has not 1 to {MAX_NAME} bytes")
    if abs(math.fsum(shares) - 1) > SLACK or sorted(shares, reverse=True) != shares:
        refuse("the shares of the prior do not fall and sum to 1")


def dump(manifest: NextAppManifest) -> bytes:
    """Return the manifest as the bytes of its file."""
    return written(manifest, dense=manifest.forest is not None)
