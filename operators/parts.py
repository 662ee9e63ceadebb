"""The parts of a customer's state, one for each feature set that a job computes: what each part scores, and where it keeps what.

    spec ──► parts_of ──► Part(feature set, plan, scores, model's tables), in the order churn, clv

A part is the feature set's state (features/layout.py) and behind it, for sets with several scores, a tail of the operator: of each score
the value that was put out last, the value that the policy was told last, and the band. One score has these in the header. A part alone
and among others holds the same bytes, and so does one with another family of models for the same scores: a job may be given another set,
or trees in the place of a logistic model, and start from its savepoint (states.py).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from keepline.features.layout import I_LAST_BAND, W_LAST_VALUE, W_SIGNALLED_VALUE
from keepline.features.plan import Plan
from keepline.features.plan import compile as compile_plan
from keepline.features.sets import feature_set
from keepline.features.spec import FeatureSet
from keepline.models import manifest
from keepline.models.clv import manifest as clv_manifest
from keepline.models.clv import scorer
from keepline.models.manifest import ForestManifest
from keepline.operators.scoring import FOREST, LINEAR, VALUE
from keepline.operators.spec import OperatorSpec
from keepline.operators.stats import SCORE_NAMES

TAIL = 64
"""Bytes behind the features of a set with several scores: value put out and value told of each score but the one whose place is in the
header, their bands (int32), and the UTC day of the newest scoring plus one (int32). A score's place is by its number, whichever scores
there are."""
TAIL_BANDS, TAIL_DAY = 48, 60
IN_HEADER = "p_alive"


@dataclass(frozen=True, slots=True)
class ScoreOf:
    """One score: its name in schemas/outputs/Score.avsc, the model it is of, the limits of its bands."""

    name: str
    model_id: str
    version: int
    bands: tuple[float, float]
    probability: bool = True
    """Changes of it count as differences; else as shares of its value."""


@dataclass(frozen=True)
class Part:
    """One feature set's part of the states."""

    plan: Plan
    family: int
    scores: tuple[ScoreOf, ...]
    kind: npt.NDArray[np.int32]
    coef: npt.NDArray[np.float64]
    center: npt.NDArray[np.float64]
    floats: npt.NDArray[np.float64]
    """Intercept, and what is taken off exp(z), of the linear model."""
    table: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(1))
    """The numbers of the closed forms, for the family VALUE; the trees, and the linear model beside them, for FOREST."""
    regression: bool = False
    own: tuple[str, ...] = ()
    """Types of events that call for scoring, beside ticks and the first event of a UTC day, for no other moves the scores; () all."""

    @property
    def feature_set(self) -> FeatureSet:
        """The set that it computes."""
        return self.plan.meta.feature_set

    @property
    def names(self) -> tuple[str, ...]:
        """The features, in the order of the row."""
        return self.plan.meta.names

    @property
    def tail(self) -> int:
        """Bytes that the operator keeps behind the features."""
        return TAIL if len(self.scores) > 1 else 0

    @property
    def size(self) -> int:
        """Bytes in the state."""
        return self.plan.size + self.tail

    def places(self) -> npt.NDArray[np.int64]:
        """Rows of `context.PLACES`: where what was put out and told last of each score stands."""
        return np.array([self._place(score.name) for score in self.scores], np.int64)

    def _place(self, name: str) -> tuple[int, int, int, int]:
        number, at = SCORE_NAMES.index(name), self.plan.size
        if not self.tail or name == IN_HEADER:
            return 8 * W_LAST_VALUE, 8 * W_SIGNALLED_VALUE, 4 * I_LAST_BAND, number
        return at + 16 * (number - 1), at + 16 * (number - 1) + 8, at + TAIL_BANDS + 4 * (number - 1), number


def parts_of(spec: OperatorSpec) -> tuple[Part, ...]:
    """The parts of a job's states; raises KeeplineError with what to do where a model does not fit its feature set."""
    return tuple(_churn(spec) if name == "churn" else _clv(spec) for name in spec.feature_sets)


def _churn(spec: OperatorSpec) -> Part:
    churn = feature_set("churn")
    model = manifest.from_mapping(spec.manifest, churn)
    score = ScoreOf("churn", model.model_id, model.version, model.bands)
    if isinstance(model.manifest, ForestManifest):
        width = len(churn.names)
        nothing = np.zeros(width, np.int32), np.zeros(width), np.zeros(width), np.zeros(2)
        return Part(compile_plan(churn), FOREST, (score,), *nothing, model.forest())
    tables = model.tables()
    return Part(compile_plan(churn), LINEAR, (score,), tables.kind, tables.coef, tables.center, np.array([tables.intercept, 0.0]))


def _clv(spec: OperatorSpec) -> Part:
    clv = feature_set("clv")
    forms = clv_manifest.from_json(json.dumps(spec.clv).encode(), clv, where="the manifest of clv")
    plan = compile_plan(clv, margin=forms.default_margin)
    width = len(plan.meta.names)
    scores = [ScoreOf(name, forms.model_id, forms.version, forms.bands[name], probability=name == "p_alive") for name in scorer.SCORES]
    kind, coef, center, floats = np.zeros(width, np.int32), np.zeros(width), np.zeros(width), np.zeros(2)
    own: tuple[str, ...] = ("Purchase",)
    if spec.clv_regression:
        model = manifest.from_mapping(spec.clv_regression, clv)
        tables = model.tables()
        kind, coef, center, floats = tables.kind, tables.coef, tables.center, np.array([tables.intercept, model.less])
        scores.append(ScoreOf("clv_regression", model.model_id, model.version, model.bands, probability=False))
        own = ("Purchase", "PageView", "PromotionResponse")
    return Part(plan, VALUE, tuple(scores), kind, coef, center, floats, forms.table(), bool(spec.clv_regression), own)
