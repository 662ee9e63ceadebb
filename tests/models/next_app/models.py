"""Made-up models of the next app for tests, of every family."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from keepline.features.next_app.constants import Constants
from keepline.features.next_app.layout import FEATURES
from keepline.models.manifest import Created
from keepline.models.next_app.manifest import FEATURE_SET, NextAppManifest, Part, PriorApp, Term, TrainingData
from keepline.models.trees.export import forest_of
from keepline.models.trees.forest import Forest, Input

APPS = [f"app{i}" for i in range(40)]
NOTHING = Part(opens=0, targets=0, scored=0, start="", end="")
DATA = TrainingData(
    log_sha256="0", users=1, apps=6, unlocks=0, rows=1, at="opens", fit=NOTHING, validation=NOTHING, test=NOTHING, fitted_on="nothing"
)


def forest(seed: int) -> Forest:
    """Trees on random rows in the range of the features."""
    dice = np.random.default_rng(seed)
    rows = dice.normal(0, 3, (200, len(FEATURES)))
    chosen = (rows @ dice.normal(0, 1, len(FEATURES)) + dice.normal(0, 1, 200) > 0).astype(int)
    fitted = HistGradientBoostingClassifier(max_iter=7, max_depth=4, random_state=0).fit(rows, chosen)
    return forest_of(fitted, [Input(name=name) for name in FEATURES])


def made_up(
    family: str = "logistic", seed: int = 0, names: list[str] | None = None, prior_opens: float = 5.0, constants: Constants | None = None
) -> NextAppManifest:
    """A model with random weights; `names` are the prior's apps, whose shares fall and are at times equal."""
    dice = np.random.default_rng(seed)
    names = APPS[:8] if names is None else names
    shares = np.sort(dice.integers(1, 5, len(names)))[::-1].astype(float)
    linear = [Term(name=name, coefficient=float(dice.normal()), center=float(dice.normal())) for name in FEATURES]
    return NextAppManifest(
        model_id="next-app",
        version=3,
        family=family,
        feature_set=FEATURE_SET,
        columns=list(FEATURES),
        constants=asdict(Constants() if constants is None else constants),
        linear=None if family == "trees" else linear,
        forest=None if family == "logistic" else forest(seed),
        trees_weight={"logistic": 0.0, "trees": 1.0, "ensemble": 0.3}[family],
        prior=[PriorApp(app=name, share=share) for name, share in zip(names, (shares / shares.sum()).tolist(), strict=True)],
        prior_opens=prior_opens,
        settings={},
        importance={},
        metrics={},
        metrics_at_unlocks={},
        data=DATA,
        created=Created(command="", versions={}),
    )
