"""Models of the tests: churn with a weight on every feature, so that a wrong feature is a wrong score; lifetime value."""

from __future__ import annotations

import json
from typing import Any

from keepline.features.churn import CHURN
from keepline.features.clv import CLV
from keepline.models.clv import manifest as clv
from keepline.models.clv.scorer import SCORES, USED
from keepline.models.manifest import METRICS, REGRESSION_METRICS, Manifest, RegressionManifest, dump

SCALE = {
    "last_bill": 0.01,
    "monthly": 0.01,
    "hours_since": 0.001,
    "days_since": 0.004,
    "bill_rise": 0.01,
    "tenure": 0.0005,
}
"""Weights of features that are large numbers and not put through a logarithm."""


def manifest(threshold: float = 0.6, intercept: float = -0.4) -> dict[str, Any]:
    """Bands at 0.3 and the threshold; log1p on counts and sums, identity on the rest."""
    terms, baseline = [], {}
    for place, name in enumerate(CHURN.names):
        log = name.startswith(("calls", "call_seconds", "data_mb", "messages", "dropped"))
        sign = 1 if place % 2 else -1
        size = 0.12 if log else next((v for stem, v in SCALE.items() if name.startswith(stem)), 0.25)
        terms.append(
            {
                "name": name,
                "transform": "log1p" if log else "identity",
                "coefficient": sign * size * (1 + place / 50),
                "center": 0.1 * place,
            }
        )
        quantiles = dict.fromkeys(("0.0", "0.01", "0.05", "0.1", "0.25", "0.5", "0.75", "0.9", "0.95", "0.99", "1.0"), 20.0)
        baseline[name] = {"missing": 0.0, "mean": 1.0, "std": 1.0, "min": 0.0, "max": 9.0, "quantiles": quantiles}
    spread = {name: {"mean": 0.5, "std": 0.0} for name in METRICS}
    raw = {
        "model_id": "churn-test",
        "version": 3,
        "feature_set": {"name": "churn", "version": 1},
        "note": "a model of the tests",
        "columns": list(CHURN.names),
        "terms": terms,
        "categories": [],
        "intercept": intercept,
        "threshold": threshold,
        "bands": (0.3, threshold),
        "baseline": baseline,
        "metrics": spread,
        "metrics_at_threshold": spread,
        "data": {"features_sha256": "", "labels_sha256": "", "rows": 1, "base_rate": 0.5},
        "created": {"command": "test", "versions": {}},
        "joblib_sha256": "",
    }
    return json.loads(dump(Manifest(**raw)))


def clv_manifest() -> dict[str, Any]:
    """The closed forms with the parameters that Fader, Hardie and Lee (2005) found for CDNOW; bands in the middle of what tests see."""
    estimates = {"r": 0.2426, "alpha": 4.4135, "a": 0.7929, "b": 2.4258}, {"p": 6.2496, "q": 3.7442, "gamma": 15.4435}
    parts = [
        {
            "parameters": {name: {"value": value, "standard_error": None} for name, value in each.items()},
            "log_likelihood": -1.0,
            "verdict": "converged",
            "warnings": [],
            "customers": 2357,
        }
        for each in estimates
    ]
    baseline = {name: {"missing": 0.0, "mean": 0.5 + place} for place, name in enumerate(USED)}
    raw = {
        "model_id": "clv-test",
        "version": 2,
        "feature_set": {"name": "clv", "version": 1},
        "bgnbd": parts[0],
        "gamma_gamma": parts[1],
        "horizon": {"periods": 12, "discount": 0.0},
        "lifespan": None,
        "default_margin": 0.3,
        "currency": "",
        "deciles": {name: [0.1 * place for place in range(1, 10)] for name in SCORES},
        "bands": {"p_alive": (0.3, 0.7), "clv_bgnbd": (20.0, 60.0), "clv_formula": (2.0, 9.0)},
        "baseline": baseline,
        "data": {"purchases_sha256": "", "purchases": 1, "until": "1997-09-30T23:59:59Z", "customers": 2357},
        "created": {"command": "test", "versions": {}},
    }
    return json.loads(clv.dump(clv.ClvManifest(**raw)))


def regression_manifest() -> dict[str, Any]:
    """A regression of log1p of the revenue, with a weight on every feature of `clv`."""
    terms = [
        {"name": name, "transform": ("log1p", "identity")[place % 2], "coefficient": 0.01 * (1 + place) * (-1) ** place, "center": 0.2}
        for place, name in enumerate(CLV.names)
    ]
    quantiles = dict.fromkeys(("0.0", "0.01", "0.05", "0.1", "0.25", "0.5", "0.75", "0.9", "0.95", "0.99", "1.0"), 2.0)
    baseline = {name: {"missing": 0.0, "mean": 1.0, "std": 1.0, "min": 0.0, "max": 9.0, "quantiles": quantiles} for name in CLV.names}
    raw = {
        "model_id": "amount-test",
        "version": 5,
        "family": "ridge",
        "link": "log1p",
        "power": None,
        "alpha": 0.1,
        "horizon_days": 360.0,
        "feature_set": {"name": "clv", "version": 1},
        "note": "a model of the tests",
        "columns": list(CLV.names),
        "terms": terms,
        "categories": [],
        "intercept": 2.0,
        "mean_correction": 1.0,
        "bands": (5.0, 9.0),
        "deciles": [float(place) for place in range(1, 10)],
        "baseline": baseline,
        "metrics": {name: {"mean": 0.5, "std": 0.0} for name in REGRESSION_METRICS},
        "data": {"features_sha256": "", "labels_sha256": "", "rows": 1, "mean": 5.0, "share_zero": 0.5},
        "created": {"command": "test", "versions": {}},
        "joblib_sha256": "",
    }
    return json.loads(dump(RegressionManifest(**raw)))
