"""BG/NBD against its own definition: integrals over customers' rates and dropout, and simulated customers."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import quad
from scipy.special import betaln, log_expit

from keepline.models.clv import bgnbd
from keepline.models.clv.bgnbd import Bgnbd
from tests.models.clv.test_hyp2f1 import published

CDNOW = Bgnbd(0.2426, 4.4136, 0.7930, 2.4259)
OTHERS = [CDNOW, Bgnbd(2.0, 10.0, 1.5, 3.0), Bgnbd(0.8, 1.0, 0.4, 0.5)]
CUSTOMERS = [(0, 0.0, 38.86), (0, 0.0, 0.0), (1, 1.71, 38.86), (2, 30.43, 38.86), (5, 30.0, 30.0), (26, 25.0, 30.86)]
SIZES = st.floats(math.log(1e-2), math.log(1e2)).map(math.exp)


def parts(parameters: Bgnbd, x: int, t_x: float, t: float) -> tuple[float, float]:
    """The likelihood of having bought so and being alive, and of having bought so and having left: integrals over λ and p."""
    r, alpha, a, b = parameters
    rates = stats.gamma(r, scale=1 / alpha)

    def integral(at: Callable[[float], float]) -> float:
        return sum(quad(at, low, low + 2, epsabs=0, epsrel=1e-10)[0] for low in range(-120, 120, 2))

    def rate(end: float) -> float:
        # λ = e^u, so that a density without bound at 0 is none.
        return integral(lambda u: math.exp(rates.logpdf(math.exp(u)) + u * (x + 1) - math.exp(u) * end) if u < 9 else 0.0)

    def chance(power: int, left: bool) -> float:
        # On the logistic scale of p.
        return integral(lambda y: math.exp((a + left) * log_expit(y) + (b + power) * log_expit(-y) - betaln(a, b)))

    left = chance(x - 1, left=True) * rate(t_x) if x else 0.0
    return chance(x, left=False) * rate(t), left


@pytest.mark.parametrize("parameters", OTHERS)
@pytest.mark.parametrize("customer", CUSTOMERS)
def test_likelihood_and_p_alive_are_the_integrals(parameters: Bgnbd, customer: tuple[int, float, float]) -> None:
    alive, left = parts(parameters, *customer)
    one = [np.array([float(value)]) for value in customer]
    assert bgnbd.log_likelihood(parameters, *one)[0] == pytest.approx(math.log(alive + left), rel=1e-6, abs=1e-7)
    assert bgnbd.p_alive(*parameters, *map(float, customer)) == pytest.approx(alive / (alive + left), rel=1e-6)


@settings(max_examples=100, deadline=None)
@given(r=SIZES, alpha=SIZES, a=SIZES, b=SIZES, x=st.integers(0, 500), t=st.floats(0, 300), share=st.floats(0, 1))
def test_gradient(r: float, alpha: float, a: float, b: float, x: int, t: float, share: float) -> None:
    data = [np.array([value]) for value in (float(x), t * share if x else 0.0, t)]
    point = np.array([r, alpha, a, b])
    found = bgnbd.gradient(Bgnbd(*point), *data)[0] * point
    size = 1e-6
    for i in range(4):
        step = np.where(np.arange(4) == i, 1 + size, 1.0)
        rise = bgnbd.log_likelihood(Bgnbd(*point * step), *data) - bgnbd.log_likelihood(Bgnbd(*point / step), *data)
        scale = max(1.0, abs(float(bgnbd.log_likelihood(Bgnbd(*point), *data)[0])))
        assert found[i] == pytest.approx(rise[0] / (2 * size), rel=1e-5, abs=1e-7 * scale)


@pytest.mark.parametrize("parameters", OTHERS)
def test_expected_purchases_of_simulated_customers(parameters: Bgnbd) -> None:
    """Means of 100,000 customers whose clocks run, within five standard errors: E[X(t)], and E[Y(t)] of all and of those with x ≥ 2."""
    dice = np.random.default_rng(7)
    n, now, horizon = 100_000, 20.0, 30.0
    rate = dice.gamma(parameters.r, 1 / parameters.alpha, n)
    dropout = dice.beta(parameters.a, parameters.b, n)
    clock, last, alive = np.zeros(n), np.zeros(n), np.ones(n, bool)
    x, later = np.zeros(n), np.zeros(n)
    while alive.any():
        clock[alive] += dice.exponential(1.0, int(alive.sum())) / np.maximum(rate[alive], 1e-300)
        alive &= clock <= now + horizon
        early = alive & (clock <= now)
        x[early] += 1
        last[early] = clock[early]
        later[alive & ~early] += 1
        alive &= dice.random(n) >= dropout
    assert abs(x.mean() - bgnbd.expected_of_new(*parameters, now)) < 5 * x.std() / math.sqrt(n)
    expected = bgnbd.all_expected_purchases(*parameters, x, last, np.full(n, now), horizon)
    for chosen in (np.ones(n, bool), x >= 2):
        error = (later - expected)[chosen]
        assert abs(error.mean()) < 5 * error.std() / math.sqrt(chosen.sum())


def test_the_papers_example() -> None:
    """Fader, Hardie and Lee's spreadsheet note: customer 1 of the sample, 39 weeks ahead."""
    assert bgnbd.expected_purchases(*CDNOW, 2.0, 30.43, 38.86, 39.0) == pytest.approx(1.226, abs=5e-4)
    alive = bgnbd.p_alive(*CDNOW, 2.0, 30.43, 38.86)
    r, alpha, a, b = CDNOW
    assert bgnbd.expected_purchases(*CDNOW, 2.0, 30.43, 38.86, 39.0) == pytest.approx(
        alive * published(r + 2, a, b + 2, 39 / (alpha + 38.86)), rel=1e-10
    )


@settings(max_examples=300, deadline=None)
@given(x=st.integers(1, 10_000), t_x=st.floats(0, 500), first=st.floats(0, 500), more=st.floats(0, 5000))
def test_silence_lowers_p_alive(x: int, t_x: float, first: float, more: float) -> None:
    before = bgnbd.p_alive(*CDNOW, float(x), t_x, t_x + first)
    after = bgnbd.p_alive(*CDNOW, float(x), t_x, t_x + first + more)
    assert 0 <= after <= before <= 1
    assert bgnbd.p_alive(*CDNOW, 0.0, 0.0, t_x + first) == 1


@settings(max_examples=300, deadline=None)
@given(*[st.floats(-1e12, 1e12)] * 3)
def test_any_finite_customer_gives_finite_numbers(x: float, t_x: float, t: float) -> None:
    assert 0 <= bgnbd.p_alive(*CDNOW, x, t_x, t) <= 1
    assert 0 <= bgnbd.expected_purchases(*CDNOW, x, t_x, t, 51.4) < math.inf
