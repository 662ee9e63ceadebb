"""From a summary of customers to the manifest: both fits, the scores of the same customers, their deciles, bands and baseline."""

from __future__ import annotations

import platform
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt
import scipy

from keepline.models.clv.batch import rows_of, score_rows
from keepline.models.clv.fit import Fitted, fit_bgnbd, fit_gamma_gamma
from keepline.models.clv.manifest import FEATURE_SET, ClvManifest, ClvModel, Data, Estimate, FittedPart, Horizon
from keepline.models.clv.scorer import SCORES, USED
from keepline.models.clv.summary import Summary
from keepline.models.clv.value import MOST_PERIODS
from keepline.models.errors import ModelError, TrainingDataError
from keepline.models.manifest import QUANTILES, Baseline, Created

P_ALIVE_BANDS = (0.3, 0.7)
CLV_BANDS = (0.3, 0.8)
"""Shares of the customers below LOW's and HIGH's limits."""
LARGEST = 1e100
"""Of amounts; beyond it their squares are no numbers any more."""


@dataclass(frozen=True)
class Options:
    """What can be chosen about a fit."""

    horizon: int = 12
    """Periods of 30 days."""
    discount: float = 0.0
    """Per period."""
    margin: float = 0.3
    """Gross margin of customers whose orders carry no cost."""
    lifespan: float | None = None
    """CL of the formula in periods; None: from BG/NBD."""
    currency: str = ""
    model_id: str = "clv"
    version: int = 1

    def check(self) -> None:
        """Raise ModelError with what to change."""
        if not 1 <= self.horizon <= MOST_PERIODS:
            msg = f"--horizon is {self.horizon}, expected 1 to {MOST_PERIODS} periods of 30 days."
            raise ModelError(msg)
        if not 0 <= self.discount < np.inf:
            msg = f"--discount is {self.discount}, expected a rate per 30 days of at least 0, such as 0.01."
            raise ModelError(msg)
        if not -1e6 < self.margin <= 1:
            msg = f"--margin is {self.margin}, expected a share of the revenue of at most 1, such as 0.3."
            raise ModelError(msg)
        if self.lifespan is not None and not 0 < self.lifespan < np.inf:
            msg = f"--lifespan is {self.lifespan}, expected a number of 30-day periods above 0."
            raise ModelError(msg)
        if not self.model_id or self.version < 1:
            msg = "--model-id must not be empty and --version must be at least 1."
            raise ModelError(msg)


def train(summary: Summary, data: Data, command: str, options: Options) -> ClvManifest:
    """Fit on the summary. `data` and `command` go into the manifest as they are.

    Raises TrainingDataError where there is nothing to fit on.
    """
    options.check()
    largest = float(np.abs(summary.monetary_value).max(initial=0.0))
    if largest > LARGEST:
        msg = f"A customer's mean amount is {largest:g}, expected at most {LARGEST:g}. Correct the amounts, or give them in a larger unit."
        raise TrainingDataError(msg)
    rows = rows_of(summary)
    bgnbd = fit_bgnbd(summary.x, summary.t_x, summary.t)
    gamma_gamma = fit_gamma_gamma(summary.x, summary.monetary_value)
    bare = ClvManifest(
        model_id=options.model_id,
        version=options.version,
        feature_set=FEATURE_SET,
        bgnbd=_part(bgnbd),
        gamma_gamma=_part(gamma_gamma),
        horizon=Horizon(periods=options.horizon, discount=options.discount),
        lifespan=options.lifespan,
        default_margin=options.margin,
        currency=options.currency,
        deciles={},
        bands={},
        baseline={name: _distribution(rows[:, place]) for name, place in USED.items()},
        data=data,
        created=Created(command=command, versions=_versions()),
    )
    values = score_rows(rows, ClvModel(bare).table()).values
    tenths = np.arange(1, 10) / 10
    deciles = {name: np.quantile(values[:, i], tenths).tolist() for i, name in enumerate(SCORES)}
    bands = {name: _band(name, values[:, i]) for i, name in enumerate(SCORES)}
    return bare.model_copy(update={"deciles": deciles, "bands": bands})


def _band(name: str, values: npt.NDArray[np.float64]) -> tuple[float, float]:
    if name == "p_alive":
        return P_ALIVE_BANDS
    low, high = np.quantile(values, CLV_BANDS).tolist()
    return low, high


def _part(fitted: Fitted) -> FittedPart:
    return FittedPart(
        parameters={name: Estimate(value=value, standard_error=fitted.errors[name]) for name, value in fitted.parameters.items()},
        log_likelihood=fitted.log_likelihood,
        verdict=fitted.verdict,
        warnings=list(fitted.warnings),
        customers=fitted.customers,
        correlation=fitted.correlation,
    )


def _distribution(values: npt.NDArray[np.float64]) -> Baseline:
    quantiles = np.quantile(values, QUANTILES)
    return Baseline(
        missing=0.0,
        mean=float(values.mean()),
        std=float(values.std()),
        min=float(values.min()),
        max=float(values.max()),
        quantiles={f"{q:g}": float(value) for q, value in zip(QUANTILES, quantiles, strict=True)},
    )


def _versions() -> dict[str, str]:
    found = {"numpy": np.__version__, "scipy": scipy.__version__, "numba": numba.__version__}
    return {"python": platform.python_version(), **found}
