"""The hypergeometric form of BG/NBD against mpmath's 2F1 in the paper's own formula, to 1e-9 relative, and its bounds everywhere."""

from __future__ import annotations

import math

import mpmath
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keepline.models.clv.hyp2f1 import _quadrature, _series, purchases_if_alive

ACCURACY = 1e-9


def logarithmic(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(math.log(low), math.log(high)).map(math.exp)


def published(s: float, a: float, b: float, c: float) -> float:
    """Equation 10 as printed, with digits enough that its subtraction and its division lose none that count."""
    for digits in (150, 400):
        with mpmath.workdps(digits):
            s_, a_, b_, c_ = map(mpmath.mpf, (s, a, b, c))
            a_ *= 1 + mpmath.mpf(10) ** -40  # off the points where it is 0/0
            z = c_ / (1 + c_)
            value = (a_ + b_ - 1) / (a_ - 1) * (1 - (1 - z) ** s_ * mpmath.hyp2f1(s_, b_, a_ + b_ - 1, z, maxterms=10**6))
            if mpmath.isfinite(value) and 0 < value <= s_ * c_ * (1 + mpmath.mpf(10) ** -20):
                return float(value)
    msg = f"mpmath found no value at {s, a, b, c}"
    raise AssertionError(msg)


SIZES = logarithmic(1e-3, 1e3)
PURCHASES = st.sampled_from([0, 1, 2]) | st.integers(0, 10_000)


@settings(max_examples=80, deadline=None)
@given(r=SIZES, alpha=SIZES, a=SIZES, b=SIZES, x=PURCHASES, age=st.just(0.0) | st.floats(0, 1000), horizon=SIZES)
def test_equals_mpmath(r: float, alpha: float, a: float, b: float, x: int, age: float, horizon: float) -> None:
    arguments = (r + x, a, b + x, horizon / (alpha + age))
    assert purchases_if_alive(*arguments) == pytest.approx(published(*arguments), rel=ACCURACY)


@pytest.mark.parametrize(
    "arguments",
    [
        (0.2426, 0.7929, 2.4258, 51.43 / 4.4135),  # CDNOW, a new customer
        (0.2426, 1 + 1e-12, 2.4258, 3.0),  # a at 1, where the paper's formula is 0/0
        (0.2426, 0.3, 0.4, 3.0),  # a + b below 1
        (0.2426, 0.5, 0.5 - 1e-9, 3.0),  # a + b − 1 at 0, a pole of 2F1
        (0.2426, 0.7929, 2.4258, 1e9),  # z at 1
        (2.2426, 0.7929, 4.4258, 1e-9),  # all digits of 1 − (1 − z)^s 2F1 cancel
        (10_000.2, 0.7929, 10_002.4, 5.0),  # 10,000 purchases
        (1e-6, 1e-6, 1e-6, 1.0),
        (1e6, 0.8, 2.4, 1e-3),
        (3.0, 1e-5, 80_400.0, 2.0),  # Online Retail: nobody leaves
        (3.0, 1e5, 1e-5, 2.0),  # all leave at once
    ],
)
def test_hard_arguments(arguments: tuple[float, float, float, float]) -> None:
    assert purchases_if_alive(*arguments) == pytest.approx(published(*arguments), rel=ACCURACY)


@settings(max_examples=300, deadline=None)
@given(s=logarithmic(1e-2, 1e3), a=logarithmic(1e-3, 1e3), b=logarithmic(1e-3, 1e3), c=logarithmic(1e-3, 10))
def test_both_ways_agree(s: float, a: float, b: float, c: float) -> None:
    if s * c + 10 * math.sqrt(s * c * (1 + c)) < 1000 and s * math.log1p(c) < 600:
        assert _series(s, a, b, c) == pytest.approx(_quadrature(s, a, b, c), rel=1e-11)


ANY = logarithmic(1e-12, 1e12)


@settings(max_examples=1000, deadline=None)
@given(s=ANY, a=ANY, b=ANY, c=st.just(0.0) | logarithmic(1e-300, 1e18))
def test_finite_and_within_bounds_everywhere(s: float, a: float, b: float, c: float) -> None:
    """Between what one makes who leaves at the first purchase and what one makes who never leaves."""
    found = purchases_if_alive(s, a, b, c)
    assert math.isfinite(found)
    assert -math.expm1(-s * math.log1p(c)) * (1 - 1e-9) <= found <= s * c


@settings(max_examples=200, deadline=None)
@given(s=SIZES, a=SIZES, b=SIZES, c=logarithmic(1e-6, 1e4), factor=st.floats(1, 10))
def test_a_longer_horizon_brings_no_fewer(s: float, a: float, b: float, c: float, factor: float) -> None:
    assert purchases_if_alive(s, a, b, c * factor) >= purchases_if_alive(s, a, b, c) * (1 - 1e-11)
