"""Gauss's hypergeometric function as BG/NBD needs it, compiled: finite and exact to about 1e-12 for every argument.

The paper's expected purchases (Fader, Hardie & Lee 2005, equations 9 and 10) hold

    G(s, a, b, c) = (a + b − 1)/(a − 1) · [1 − (1 − z)^s · 2F1(s, b; a + b − 1; z)],    z = c/(1 + c)

which as written loses all digits where a is near 1 or c is small, is undefined where a + b ≤ 1 and x = 0, and overflows for many
purchases. G is computed from two other forms, sums of positive terms alone:

    series      G = Σ_n NB(n; s, z) · M_n,    M_n = Σ_{k<n} (b)_k / (a + b)_k
    quadrature  G = E[(1 − (1 + c·p)^−s) / p],    p ~ Beta(a, b)

The series is the power series of 2F1 times (1 − z)^s, with the factor (a + b − 1)/(a − 1) and the subtraction done term by term: NB are the
probabilities of a negative binomial, M_n the purchases expected of a customer who would make n if there were no dropout. It is taken
where it is short. The quadrature is Euler's integral for 2F1, brought to the same form; it goes over the logistic scale of p, on which
the Beta density is log-concave, stretched by sinh, so that the trapezoidal rule converges exponentially (Takahasi & Mori 1974, Double
exponential formulas for numerical integration, Publ. RIMS 9:721-741). It needs no Γ: the rule divides by its own integral of the density.
"""

from __future__ import annotations

import math

from keepline.schemas.jit import njit

SERIES_TERMS = 1500.0
"""The series is taken where it needs about this many terms at most, some 5 µs."""
SERIES_EXPONENT = 600.0
"""Its first term is exp of minus this at least: a normal double."""
REST = 1e-14
"""Share of the sum at which its rest is left out."""
NODES = 64
"""Of the first trapezoidal rule; each refinement doubles them."""
REFINEMENTS = 6
TOLERANCE = 1e-12
"""Relative difference of two refinements that ends the quadrature."""
DROP = 40.0
"""Where the integrand has fallen by exp of minus this, it is cut off."""
TINY = 1e-290
FARTHEST = 512.0
"""An end of the quadrature on the stretched scale; sinh of it is still finite."""


@njit(error_model="numpy")
def purchases_if_alive(s: float, a: float, b: float, c: float) -> float:
    """G(s, a, b, c): purchases expected in a time of length t of a customer who is alive.

    s = r + x and c = t/(α + T) by the customer's gamma-distributed rate, a and b + x of the beta-distributed dropout (all of equation 10);
    s, a, b > 0 and c ≥ 0, all finite. Not negative, at most s·c, which it is without dropout.
    """
    if c <= 0.0:
        return 0.0
    without_dropout = s * c
    terms = without_dropout + 10.0 * math.sqrt(without_dropout * (1.0 + c)) + 40.0 * (1.0 + c)
    short = terms < SERIES_TERMS and s * math.log1p(c) < SERIES_EXPONENT
    value = _series(s, a, b, c) if short else _quadrature(s, a, b, c)
    return min(max(value, 0.0), without_dropout)


@njit(error_model="numpy")
def _series(s: float, a: float, b: float, c: float) -> float:
    """Terms by recurrence, until a geometric series above the rest is small. It is looked at every eight terms, since divisions cost."""
    z = c / (1.0 + c)
    ab = a + b
    weight = math.exp(-s * math.log1p(c))
    reached = 1.0
    made = total = n = 0.0
    while n < 4.0 * SERIES_TERMS:
        for _ in range(8):
            total += weight * made
            made += reached
            reached *= (b + n) / (ab + n)
            weight *= z * (s + n) / (n + 1.0)
            n += 1.0
        # M grows by (n + 1)/n at most, the weights by z·(s + n)/(n + 1).
        ratio = z * (s + n) / n
        if weight * made <= REST * total * (1.0 - ratio):
            break
    return total


@njit(error_model="numpy")
def _gain(p: float, s: float, c: float) -> float:
    """(1 − (1 + c·p)^−s) / p: purchases expected of a customer who leaves with probability p after each."""
    return -math.expm1(-s * math.log1p(c * p)) / p if p > TINY else s * c


@njit(error_model="numpy")
def _log_mean(share: float, rest: float, d: float) -> float:
    """log(share · e^d + rest) for d ≤ 0 and share + rest = 1: exact near 0, and finite where the share is all but 1."""
    fallen = -share * math.expm1(d)
    return math.log1p(-fallen) if fallen < 0.5 else math.log(share * math.exp(d) + rest)


@njit(error_model="numpy")
def _log_density(d: float, a: float, b: float) -> float:
    """log(p^a · (1 − p)^b) at p = 1/(1 + e^−(log(a/b) + d)), less its value at the mode, d = 0.

    That is the Beta density on the logistic scale without its constant. Seen from the mode no digits are lost to large a and b.
    """
    if d < 0.0:
        return a * d - (a + b) * _log_mean(a / (a + b), b / (a + b), d)
    return -b * d - (a + b) * _log_mean(b / (a + b), a / (a + b), -d)


@njit(error_model="numpy")
def _end(sign: float, scale: float, least: float, a: float, b: float) -> float:
    """How far from the mode, on the stretched scale, the log density is above `least`; at most a sixteenth too far."""
    inside, outside = 0.0, 1.0
    while outside < FARTHEST and _log_density(sign * scale * math.sinh(outside), a, b) > least:
        inside = outside
        outside *= 2.0
    while outside - inside > 0.0625:
        middle = 0.5 * (inside + outside)
        if _log_density(sign * scale * math.sinh(middle), a, b) > least:
            inside = middle
        else:
            outside = middle
    return outside


@njit(error_model="numpy")
def _quadrature(s: float, a: float, b: float, c: float) -> float:
    """Trapezoidal rules of twice the nodes each, until two agree."""
    mode = math.log(a / b)
    scale = min(1.0, math.sqrt(1.0 / a + 1.0 / b))
    # The gain grows towards p = 0, at most from gain(1) to s·c, so the density must have fallen by as much more there.
    rise = math.log(max(s * c / max(_gain(1.0, s, c), TINY), 1.0))
    first = -_end(-1.0, scale, -DROP - rise, a, b)
    last = _end(1.0, scale, -DROP, a, b)
    before = -1.0
    nodes = NODES
    for _ in range(REFINEMENTS):
        step = (last - first) / nodes
        density = total = 0.0
        for i in range(nodes + 1):
            u = first + i * step
            d = scale * math.sinh(u)
            y = mode + d
            small = math.exp(-abs(y))
            p = 1.0 / (1.0 + small) if y >= 0.0 else small / (1.0 + small)
            weight = math.exp(_log_density(d, a, b)) * math.cosh(u)
            density += weight
            total += weight * _gain(p, s, c)
        value = total / density
        if abs(value - before) <= TOLERANCE * value:
            break
        before = value
        nodes *= 2
    return value
