"""Fits BG/NBD and Gamma-Gamma by maximum likelihood, with standard errors and a verdict.

    x, t_x, T (weeks) ──► fit_bgnbd ───────┐
    x, m ──────────────► fit_gamma_gamma ──┴─► Fitted: parameters, standard errors, log-likelihood, verdict, warnings

The mean log-likelihood is maximised by L-BFGS-B (R. H. Byrd, P. Lu, J. Nocedal and C. Zhu 1995, SIAM J. Sci. Comput. 16:1190-1208; SciPy's)
with the analytic gradient, over the logarithms of the parameters (of q − 1 for q), from several starts; the best end counts. A parameter is
held between 1e-5 and 1e5 (γ relative to the mean amount), so that data without an optimum end at a finite place, and are called degenerate.
Standard errors are from the inverse of the observed information (central differences of the gradient), brought from the logarithms to the
parameters by the delta method. A parameter that ran away has none, and those of the others hold with it where it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from keepline.models.clv import bgnbd, gamma_gamma
from keepline.models.clv.bgnbd import Bgnbd
from keepline.models.clv.gamma_gamma import GammaGamma
from keepline.models.errors import TrainingDataError

Float64 = npt.NDArray[np.float64]
Verdict = Literal["converged", "degenerate", "failed"]

LIMIT = float(np.log(1e5))
AT_LIMIT = LIMIT - float(np.log(10.0))
"""A parameter within a factor of ten of a limit has run away."""
FLAT = 1e-5
"""Largest derivative of the mean log-likelihood, by the logarithm of a parameter, at an optimum."""
STEP = 1e-4
"""Of the central differences, on the logarithmic scale."""
NO_DROPOUT = 1e-3
"""Mean probability of leaving after a purchase, a/(a + b), below which nobody is said to leave."""
DEPENDENT = 0.3
"""Correlation from which value is not independent of frequency: a medium effect by J. Cohen (1988), Statistical Power Analysis, p. 80."""
FEW = 30
BGNBD_STARTS = ((1.0, 1.0, 1.0, 1.0), (0.25, 4.0, 0.8, 2.5), (2.0, 20.0, 0.2, 2.0), (0.5, 10.0, 2.0, 2.0))
GAMMA_GAMMA_STARTS = ((1.0, 2.0, 1.0), (6.0, 4.0, 0.5), (0.5, 1.2, 1.0), (20.0, 10.0, 0.5))
"""γ relative to the mean amount."""


@dataclass(frozen=True)
class Fitted:
    """A fit. All numbers are finite; a standard error that cannot be told is None."""

    parameters: dict[str, float]
    errors: dict[str, float | None]
    log_likelihood: float
    verdict: Verdict
    warnings: tuple[str, ...]
    customers: int
    """How many were fitted on: all for BG/NBD, those with a repeat purchase above 0 for Gamma-Gamma."""
    correlation: float | None = None
    """Gamma-Gamma: Pearson's, of repeat purchases and mean amount; None where one of them does not vary."""

    @property
    def bgnbd(self) -> Bgnbd:
        """The parameters of a BG/NBD fit."""
        return Bgnbd(**self.parameters)

    @property
    def gamma_gamma(self) -> GammaGamma:
        """The parameters of a Gamma-Gamma fit."""
        return GammaGamma(**self.parameters)


@dataclass(frozen=True)
class _Optimum:
    """Where the maximum was found, on the logarithmic scale."""

    theta: Float64
    log_likelihood: float
    slope: float
    """Largest derivative of the mean that no limit stops."""
    away: npt.NDArray[np.bool_]
    """Parameters that have run to a limit."""
    deviations: Float64 | None
    """Standard errors on the logarithmic scale, NaN for parameters that ran away; None where the information of the others is singular."""


def fit_bgnbd(x: Float64, t_x: Float64, t: Float64) -> Fitted:
    """Fit BG/NBD to repeat purchases x, time of the last one t_x and time until now t, both in weeks since the first: float64[n].

    Raises TrainingDataError without customers or where 0 ≤ t_x ≤ t does not hold.
    """
    if not len(x):
        msg = "There is no customer with an order to fit on. Give events with Purchase of amount ≥ 0 up to --until."
        raise TrainingDataError(msg)
    wrong = np.flatnonzero(~((x >= 0) & (t_x >= 0) & (t_x <= t) & np.isfinite(t)))
    if wrong.size:
        i = wrong[0]
        msg = f"Customer {i} has x = {x[i]}, t_x = {t_x[i]}, T = {t[i]}, expected x ≥ 0 and 0 ≤ t_x ≤ T. Correct the summary."
        raise TrainingDataError(msg)
    kinds, counts = np.unique(np.column_stack((x, t_x, t)), axis=0, return_counts=True)

    def mean(theta: Float64) -> tuple[float, Float64]:
        parameters = Bgnbd(*np.exp(theta))
        values = bgnbd.log_likelihood(parameters, *kinds.T)
        slopes = bgnbd.gradient(parameters, *kinds.T) * np.exp(theta)
        return float(counts @ values) / len(x), counts @ slopes / len(x)

    found = _maximise(mean, np.log(BGNBD_STARTS), len(x))
    parameters = Bgnbd(*np.exp(found.theta).tolist())
    warnings = _bgnbd_warnings(parameters, found, x)
    return _fitted(parameters._asdict(), np.exp(found.theta), found, warnings, len(x))


def fit_gamma_gamma(x: Float64, m: Float64) -> Fitted:
    """Fit Gamma-Gamma to repeat purchases x and their mean amount m: float64[n]; customers with x < 1 or m ≤ 0 are left out.

    Raises TrainingDataError where no customer is left.
    """
    chosen = (x >= 1) & (m > 0)
    free = int(np.count_nonzero((x >= 1) & ~chosen))
    x, m = x[chosen], m[chosen]
    if not len(x):
        msg = (
            "No customer has a repeat purchase with an amount above 0, so nothing can be learned of amounts. "
            "Give a longer time of events, or check their amounts."
        )
        raise TrainingDataError(msg)
    scale = float(np.average(m, weights=x))

    def natural(theta: Float64) -> GammaGamma:
        p, rest, gamma = np.exp(theta)
        return GammaGamma(p, 1.0 + rest, gamma * scale)

    def mean(theta: Float64) -> tuple[float, Float64]:
        parameters = natural(theta)
        inner = np.exp(theta) * (1.0, 1.0, scale)
        slopes = gamma_gamma.gradient(parameters, x, m).sum(axis=0) * inner
        return float(gamma_gamma.log_likelihood(parameters, x, m).sum()) / len(x), slopes / len(x)

    starts = np.log(np.array(GAMMA_GAMMA_STARTS) - (0.0, 1.0, 0.0))
    found = _maximise(mean, starts, len(x))
    parameters = GammaGamma(*(float(value) for value in natural(found.theta)))
    correlation = _correlation(x, m)
    warnings = _gamma_gamma_warnings(parameters, found, correlation)
    if free:
        warnings.append(f"{free} customers whose repeat purchases cost nothing were left out of Gamma-Gamma.")
    return _fitted(parameters._asdict(), np.exp(found.theta) * (1.0, 1.0, scale), found, warnings, len(x), correlation)


def _maximise(mean: Callable[[Float64], tuple[float, Float64]], starts: npt.ArrayLike, customers: int) -> _Optimum:
    """The best maximum from the starts. `mean`: mean log-likelihood and its gradient, on the logarithmic scale."""

    def loss(theta: Float64) -> tuple[float, Float64]:
        value, slopes = mean(theta)
        return -value, -slopes

    rows = np.asarray(starts, float)
    bounds = [(-LIMIT, LIMIT)] * rows.shape[1]
    options = {"maxiter": 2000, "maxfun": 10_000, "ftol": 1e-15, "gtol": 1e-10}
    ends = [minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options) for start in rows]
    best = min(ends, key=lambda end: float(end.fun))
    theta = np.asarray(best.x, float)
    value, slopes = mean(theta)
    stopped = ((theta >= LIMIT) & (slopes > 0)) | ((theta <= -LIMIT) & (slopes < 0))
    slope = float(np.abs(np.where(stopped, 0.0, slopes)).max())
    away = np.abs(theta) > AT_LIMIT
    return _Optimum(theta, value * customers, slope, away, _deviations(mean, theta, ~away, customers))


def _deviations(
    mean: Callable[[Float64], tuple[float, Float64]], theta: Float64, free: npt.NDArray[np.bool_], customers: int
) -> Float64 | None:
    """Roots of the diagonal of the inverse observed information of the free parameters, the others held where they are."""
    steps = STEP * np.eye(len(theta))
    rows = [(mean(theta - step)[1] - mean(theta + step)[1]) / (2.0 * STEP) for step in steps]
    information = customers * np.array(rows)[np.ix_(free, free)]
    try:
        factor = np.linalg.cholesky((information + information.T) / 2.0)
    except np.linalg.LinAlgError:
        return None
    root = np.linalg.inv(factor)
    deviations = np.full(len(theta), np.nan)
    deviations[free] = np.sqrt((root * root).sum(axis=0))
    return deviations if np.isfinite(deviations[free]).all() else None


def _fitted(
    parameters: dict[str, float], inner: Float64, found: _Optimum, warnings: list[str], customers: int, correlation: float | None = None
) -> Fitted:
    """Put a fit together. `inner`: derivative of each parameter by its logarithmic scale."""
    deviations = np.full(len(inner), np.nan) if found.deviations is None else inner * found.deviations
    errors = [float(value) if np.isfinite(value) else None for value in deviations]
    verdict: Verdict = "converged"
    if found.away.any() or found.deviations is None or _degenerate(parameters):
        verdict = "degenerate"
    elif found.slope > FLAT:
        verdict = "failed"
        warnings.append(
            f"The optimiser stopped where the likelihood still rises (slope {found.slope:.1e}): the parameters are not the best."
        )
    if customers < FEW:
        warnings.append(f"Fitted on {customers} customers only: expect large errors.")
    return Fitted(
        parameters=parameters,
        errors=dict(zip(parameters, errors, strict=True)),
        log_likelihood=found.log_likelihood,
        verdict=verdict,
        warnings=tuple(warnings),
        customers=customers,
        correlation=correlation,
    )


def _degenerate(parameters: dict[str, float]) -> bool:
    return "b" in parameters and parameters["a"] < NO_DROPOUT * (parameters["a"] + parameters["b"])


def _bgnbd_warnings(parameters: Bgnbd, found: _Optimum, x: Float64) -> list[str]:
    """What a runaway parameter means, in words."""
    r, alpha, a, b = parameters
    log_r, log_alpha, log_a, log_b = found.theta
    if not x.any():
        return ["No customer bought again: nothing can be learned of rates or of leaving. Give a longer time of events."]
    warnings = []
    if _degenerate(parameters._asdict()):
        warnings.append(
            f"Dropout goes to zero (a/(a + b) = {a / (a + b):.2g}): by these data no customer ever leaves, so P(alive) is near 1 for all, "
            "and silence says little. A longer time of events may show who leaves."
        )
    elif log_a > AT_LIMIT or log_b > AT_LIMIT:
        warnings.append(f"Customers do not differ in when they leave: all with probability {a / (a + b):.3g} after each purchase.")
    elif min(log_a, log_b) < -AT_LIMIT:
        warnings.append("Customers leave either after the first repeat purchase or never: a and b run to zero.")
    if log_r > AT_LIMIT or log_alpha > AT_LIMIT:
        warnings.append(f"Customers do not differ in their rate: all buy {r / alpha:.3g} times a week while they are customers.")
    elif min(log_r, log_alpha) < -AT_LIMIT:
        warnings.append("The rates of customers have no finite spread: r or α runs to zero.")
    return warnings or _flat(found)


def _gamma_gamma_warnings(parameters: GammaGamma, found: _Optimum, correlation: float | None) -> list[str]:
    log_p, log_q, log_gamma = found.theta
    warnings = []
    if log_p > AT_LIMIT:
        warnings.append("A customer always spends the same: p runs away, and the expected amount is the customer's own mean.")
    elif log_p < -AT_LIMIT:
        warnings.append("Amounts of a customer say nothing of the next one: p runs to zero.")
    if log_q > AT_LIMIT or log_gamma > AT_LIMIT:
        warnings.append("Customers do not differ in what they spend: q runs away, and the expected amount is near the mean of all.")
    elif log_q < -AT_LIMIT:
        mean = parameters.p * parameters.gamma / (parameters.q - 1.0)
        warnings.append(f"Amounts have no finite mean: q is held at 1, and the mean of all customers, {mean:.3g}, is not to be trusted.")
    elif log_gamma < -AT_LIMIT:
        warnings.append("Amounts have no finite spread over customers: γ runs to zero.")
    warnings = warnings or _flat(found)
    if correlation is not None and abs(correlation) >= DEPENDENT:
        more = "more" if correlation > 0 else "less"
        warnings.append(
            f"Those who buy more often spend {more} per purchase (correlation {correlation:.2f}), and Gamma-Gamma takes the two as "
            "independent: expected amounts are off at both ends."
        )
    return warnings


def _flat(found: _Optimum) -> list[str]:
    if found.deviations is not None:
        return []
    return ["The likelihood is flat: other parameters fit these data as well, and no standard errors can be told."]


def _correlation(x: Float64, m: Float64) -> float | None:
    if len(x) < 2 or not np.ptp(x) or not np.ptp(m):
        return None
    found = float(np.corrcoef(x, m)[0, 1])
    return found if np.isfinite(found) else None
