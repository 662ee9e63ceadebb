"""What was learnt, as a manifest: for the ranker without the facts of a training, for a file with them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from keepline.features.next_app.layout import FEATURES
from keepline.models.manifest import Created
from keepline.models.next_app.learn import Learned
from keepline.models.next_app.manifest import FEATURE_SET, NextAppManifest, Part, PriorApp, Term, TrainingData

_NOTHING = Part(opens=0, targets=0, scored=0, start="", end="")


def manifest_of(learned: Learned, **facts: Any) -> NextAppManifest:
    """The manifest; `facts` are its further fields."""
    linear, forest = learned.linear, learned.forest
    return NextAppManifest(
        family=learned.family,
        feature_set=FEATURE_SET,
        columns=list(FEATURES),
        constants=asdict(learned.constants),
        linear=None
        if linear is None or linear.coef is None or linear.center is None
        else [
            Term(name=name, coefficient=coefficient, center=center)
            for name, coefficient, center in zip(FEATURES, linear.coef.tolist(), linear.center.tolist(), strict=True)
        ],
        forest=None if forest is None else forest.forest,
        trees_weight=learned.trees_weight,
        prior=[PriorApp(app=app, share=share) for app, share in learned.prior],
        prior_opens=learned.prior_opens,
        settings=learned.settings,
        importance=forest.importance if forest is not None else linear.importance if linear is not None else {},
        **facts,
    )


def bare(learned: Learned) -> NextAppManifest:
    """The manifest without the facts, for an evaluation alone."""
    data = TrainingData(
        log_sha256="", users=1, apps=1, unlocks=0, rows=1, at="opens", fit=_NOTHING, validation=_NOTHING, test=_NOTHING, fitted_on=""
    )
    facts = {"metrics": {}, "metrics_at_unlocks": {}, "data": data, "created": Created(command="", versions={})}
    return manifest_of(learned, model_id="next-app", version=1, **facts)
