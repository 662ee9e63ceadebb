"""BG/NBD: when a customer buys again, and whether one still is a customer.

A customer buys at a rate λ, gamma-distributed over customers (shape r, rate α), and after each purchase leaves for good with probability p,
beta-distributed over customers (a, b). What is known of one is x, the number of repeat purchases, t_x, the time of the last one, and T, the
time until now, both since the first purchase and both in weeks.

    (x, t_x, T) of many customers ──► log_likelihood, gradient ──► fit.py ──► r, α, a, b
    r, α, a, b and (x, t_x, T) of one ──► p_alive, expected_purchases

Source: P. S. Fader, B. G. S. Hardie and K. L. Lee (2005), "Counting your customers" the easy way: an alternative to the Pareto/NBD model,
Marketing Science 24:275-284. Equation numbers are the paper's.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import betaln, digamma, gammaln

from keepline.models.clv.hyp2f1 import purchases_if_alive
from keepline.models.scorer import sigmoid
from keepline.schemas.jit import njit

Float64 = npt.NDArray[np.float64]


class Bgnbd(NamedTuple):
    """The four parameters, all above 0; time in weeks."""

    r: float
    alpha: float
    a: float
    b: float


def _log_odds(parameters: Bgnbd, x: Float64, t_x: Float64, t: Float64) -> Float64:
    """Log of the odds that a customer has left, −∞ for one without a repeat purchase: equations 3 and 6 share it."""
    r, alpha, a, b = parameters
    repeats = np.maximum(x, 1.0)
    odds = np.log(a) - np.log(b + repeats - 1.0) + (r + x) * np.log1p((t - t_x) / (alpha + t_x))
    return np.where(x > 0, odds, -np.inf)


def log_likelihood(parameters: Bgnbd, x: Float64, t_x: Float64, t: Float64) -> Float64:
    """The log-likelihood of each customer (equation 6, in log space). x, t_x, t: float64[n], 0 ≤ t_x ≤ t."""
    r, alpha, a, b = parameters
    alive = gammaln(r + x) - gammaln(r) + betaln(a, b + x) - betaln(a, b) - r * np.log1p(t / alpha) - x * np.log(alpha + t)
    found: Float64 = alive + np.logaddexp(0.0, _log_odds(parameters, x, t_x, t))
    return found


def gradient(parameters: Bgnbd, x: Float64, t_x: Float64, t: Float64) -> Float64:
    """Derivatives of each customer's log-likelihood by r, α, a, b: float64[n, 4]."""
    r, alpha, a, b = parameters
    odds = _log_odds(parameters, x, t_x, t)
    left = np.exp(-np.logaddexp(0.0, -odds))
    both = digamma(a + b) - digamma(a + b + x)
    return np.column_stack(
        (
            digamma(r + x) - digamma(r) - np.log1p(t / alpha) + left * np.log1p((t - t_x) / (alpha + t_x)),
            r / alpha - (r + x) / (alpha + t) - left * (r + x) * (t - t_x) / ((alpha + t) * (alpha + t_x)),
            both + left / a,
            digamma(b + x) - digamma(b) + both - left / (b + np.maximum(x, 1.0) - 1.0),
        )
    )


@njit(error_model="numpy")
def p_alive(r: float, alpha: float, a: float, b: float, x: float, t_x: float, t: float) -> float:
    """Probability that the customer has not left by T = `t` (the paper's P(active | x, t_x, T); 1 at x = 0).

    From equation 6, as in P. S. Fader and B. G. S. Hardie (2008), Computing P(alive) using the BG/NBD model. Between 0 and 1 and
    never NaN for any finite x, t_x, t; t_x is taken as between 0 and t.
    """
    if x <= 0.0:
        return 1.0
    end = max(t, 0.0)
    last = min(max(t_x, 0.0), end)
    odds = math.log(a) - math.log(b + max(x, 1.0) - 1.0) + (r + x) * math.log1p((end - last) / (alpha + last))
    return sigmoid(-odds)


@njit(error_model="numpy")
def expected_if_alive(r: float, alpha: float, a: float, b: float, x: float, t: float, horizon: float) -> float:
    """Repeat purchases in (t, t + horizon] that are expected of a customer with x ones who is alive at t (weeks)."""
    repeats = max(x, 0.0)
    return purchases_if_alive(r + repeats, a, b + repeats, horizon / (alpha + max(t, 0.0)))


@njit(error_model="numpy")
def expected_purchases(r: float, alpha: float, a: float, b: float, x: float, t_x: float, t: float, horizon: float) -> float:
    """Purchases in (t, t + horizon] that are expected of a customer: E[Y(t) | x, t_x, T] (equation 10)."""
    return p_alive(r, alpha, a, b, x, t_x, t) * expected_if_alive(r, alpha, a, b, x, t, horizon)


@njit(error_model="numpy")
def expected_of_new(r: float, alpha: float, a: float, b: float, t: float) -> float:
    """Repeat purchases in the first t weeks that are expected of a random customer: E[X(t)] (equation 9)."""
    return purchases_if_alive(r, a, b, t / alpha)


@njit
def all_p_alive(r: float, alpha: float, a: float, b: float, x: Float64, t_x: Float64, t: Float64) -> Float64:
    """`p_alive` of many customers: float64[n] each, weeks."""
    found = np.empty(x.shape[0])
    for i in range(x.shape[0]):
        found[i] = p_alive(r, alpha, a, b, x[i], t_x[i], t[i])
    return found


@njit
def all_expected_purchases(r: float, alpha: float, a: float, b: float, x: Float64, t_x: Float64, t: Float64, horizon: float) -> Float64:
    """`expected_purchases` of many customers: float64[n] each, weeks."""
    found = np.empty(x.shape[0])
    for i in range(x.shape[0]):
        found[i] = expected_purchases(r, alpha, a, b, x[i], t_x[i], t[i], horizon)
    return found
