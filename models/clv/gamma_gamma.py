"""Gamma-Gamma: how much a customer spends on average, from the few purchases seen.

A purchase's amount is gamma-distributed (shape p, rate ν), and ν is gamma-distributed over customers (shape q, rate γ). Of a customer
with x repeat purchases of mean amount m the model says a mean between m and that of all customers, nearer to m the larger x is. It takes
the amount as independent of how often a customer buys; `fit.py` reports the correlation.

    (x, m) of customers with repeat purchases ──► log_likelihood, gradient ──► fit.py ──► p, q, γ
    p, q, γ and (x, m) of one ──► expected_value

Source: P. S. Fader and B. G. S. Hardie (2013), The Gamma-Gamma model of monetary value, brucehardie.com/notes/025. Equation numbers are the
note's.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import digamma, gammaln

from keepline.schemas.jit import njit

Float64 = npt.NDArray[np.float64]


class GammaGamma(NamedTuple):
    """The three parameters: p > 0, q > 1 (else no mean exists), γ > 0 in the currency."""

    p: float
    q: float
    gamma: float


def log_likelihood(parameters: GammaGamma, x: Float64, m: Float64) -> Float64:
    """The log-likelihood of each customer's mean amount (equation 1a). x, m: float64[n], x ≥ 1, m > 0."""
    p, q, gamma = parameters
    px = p * x
    found: Float64 = gammaln(px + q) - gammaln(px) - gammaln(q) - q * np.log1p(x * m / gamma) - px * np.log1p(gamma / (x * m)) - np.log(m)
    return found


def gradient(parameters: GammaGamma, x: Float64, m: Float64) -> Float64:
    """Derivatives of each customer's log-likelihood by p, q, γ: float64[n, 3]."""
    p, q, gamma = parameters
    px, total = p * x, x * m
    return np.column_stack(
        (
            x * (digamma(px + q) - digamma(px) - np.log1p(gamma / total)),
            digamma(px + q) - digamma(q) - np.log1p(total / gamma),
            q / gamma - (px + q) / (gamma + total),
        )
    )


@njit(error_model="numpy")
def expected_value(p: float, q: float, gamma: float, x: float, m: float) -> float:
    """Mean amount of a purchase that is expected of a customer with x repeat purchases of mean m (equation 5).

    x ≤ 0 gives the mean of all customers, p·γ/(q − 1). A negative m counts as 0.
    """
    repeats = max(x, 0.0)
    return p * (gamma + repeats * max(m, 0.0)) / (p * repeats + (q - 1.0))


@njit
def all_expected_values(p: float, q: float, gamma: float, x: Float64, m: Float64) -> Float64:
    """`expected_value` of many customers: float64[n] each."""
    found = np.empty(x.shape[0])
    for i in range(x.shape[0]):
        found[i] = expected_value(p, q, gamma, x[i], m[i])
    return found
