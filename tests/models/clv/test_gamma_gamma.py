"""Gamma-Gamma against its own definition: integrals over customers' rates ν."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import quad

from keepline.models.clv import gamma_gamma
from keepline.models.clv.gamma_gamma import GammaGamma

CDNOW = GammaGamma(6.2496, 3.7442, 15.4435)
SIZES = st.floats(math.log(1e-2), math.log(1e2)).map(math.exp)


@pytest.mark.parametrize("parameters", [CDNOW, GammaGamma(0.5, 1.3, 200.0)])
@pytest.mark.parametrize(("x", "m"), [(1.0, 35.0), (2.0, 22.35), (29.0, 300.0), (4.0, 0.5)])
def test_likelihood_and_mean_are_the_integrals(parameters: GammaGamma, x: float, m: float) -> None:
    p, q, gamma = parameters
    rates = stats.gamma(q, scale=1 / gamma)
    middle = math.log((p * x + q) / (gamma + x * m))

    def over(weight: float) -> float:
        """∫ density of m given ν · ν^weight over ν = e^u."""

        def at(u: float) -> float:
            rate = math.exp(u)
            return stats.gamma.pdf(m, p * x, scale=1 / (rate * x)) * rates.pdf(rate) * rate ** (1 + weight)

        return quad(at, middle - 90, middle + 6, limit=400, points=(middle - 20, middle), epsabs=0, epsrel=1e-10)[0]

    found = gamma_gamma.log_likelihood(parameters, np.array([x]), np.array([m]))[0]
    assert found == pytest.approx(math.log(over(0)), rel=1e-7, abs=1e-8)
    assert gamma_gamma.expected_value(*parameters, x, m) == pytest.approx(p * over(-1) / over(0), rel=1e-7)


@settings(max_examples=100, deadline=None)
@given(p=SIZES, q=SIZES, gamma=SIZES, x=st.integers(1, 1000), m=SIZES)
def test_gradient(p: float, q: float, gamma: float, x: int, m: float) -> None:
    data = np.array([float(x)]), np.array([m])
    point = np.array([p, q, gamma])
    found = gamma_gamma.gradient(GammaGamma(*point), *data)[0] * point
    size = 1e-6
    for i in range(3):
        step = np.where(np.arange(3) == i, 1 + size, 1.0)
        rise = gamma_gamma.log_likelihood(GammaGamma(*point * step), *data) - gamma_gamma.log_likelihood(GammaGamma(*point / step), *data)
        assert found[i] == pytest.approx(rise[0] / (2 * size), rel=1e-5, abs=1e-6 * p * x)


@settings(max_examples=300, deadline=None)
@given(p=SIZES, q=SIZES.map(lambda value: 1 + value), gamma=SIZES, x=st.integers(1, 100_000), m=SIZES)
def test_between_own_mean_and_that_of_all(p: float, q: float, gamma: float, x: int, m: float) -> None:
    """And nearer to the own mean with more purchases."""
    everyone = gamma_gamma.expected_value(p, q, gamma, 0.0, 0.0)
    assert everyone == pytest.approx(p * gamma / (q - 1))
    found = gamma_gamma.expected_value(p, q, gamma, float(x), m)
    assert min(everyone, m) * (1 - 1e-12) <= found <= max(everyone, m) * (1 + 1e-12)
    more = gamma_gamma.expected_value(p, q, gamma, 2.0 * x, m)
    assert abs(more - m) <= abs(found - m) + 1e-9 * max(everyone, m)
