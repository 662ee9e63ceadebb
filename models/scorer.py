"""The score of one row by a linear model, and its three reasons, compiled.

    x (float64[n], a feature row in the feature set's order)
      → contribution_j = coef_j · (t_j(x_j) - center_j)        t = identity or log1p(max(x, 0))
      → z = intercept + Σ contributions
      → logistic (`score`): 1 / (1 + exp(-z));   log link (`amount`): exp(z) - less, with less 0, or 1 where the target was log1p
      → the three features with the largest |contribution|

`Model.tables()` of `models/manifest.py` makes the tables: dense, one entry per feature of the set, coefficient 0 where the
model leaves a feature out, `intercept` already moved to the centred scale. Dense, because a gather by index costs more than
twelve spare logarithms. About 120 ns a row for 36 features (Xeon, AVX2), of which 27 are the reasons.

The same x gives the same bits whatever the caller: sums have one fixed order, and no `fastmath` is used. NaN in x is outside
the contract (features are never NaN); it scores as NaN or as log1p(0), and never traps.
"""

import math
from typing import Any

from keepline.models.bits import bits_of, double_of, fma
from keepline.schemas.jit import njit

MAX_FEATURES = 256
"""`top3` keeps the place of a feature in eight bits."""

_LN2_HIGH = 6.93147180369123816490e-01
_LN2_LOW = 1.90821492927058770002e-10
_HALF_SQRT2_BITS = 0x3FE6A09E667F3BCD
_ONE_BITS = 0x3FF0000000000000
_MANTISSA = 0x000FFFFFFFFFFFFF
_TWO52_BITS = 0x4330000000000000
"""2^52 as bits: an integer below 2^52 or-ed into it is that integer plus 2^52, as a double."""
_TWO52_AND_BIAS = 4503599627370496.0 + 1023.0
MAX_Z = 690.0
"""The log link's z is held to ±690, so that exp(z) is neither infinite nor 0: 3e-300 to 5e299."""
_MAGNITUDE = 0x7FFFFFFFFFFFFF00
"""Bits of |c| without the last eight: those carry the place."""


@njit(error_model="numpy")
def log1p(x: float) -> float:
    """log(1 + max(x, 0)); x above 1e300 counts as 1e300. Branch-free, so a loop over it vectorises.

    The method and the polynomial are those of fdlibm's e_log.c and s_log1p.c (Sun Microsystems, 1993; freely granted): 1 + x =
    2^k · (1 + f) with √½ ≤ 1 + f < √2, log(1 + f) by a polynomial in s = f / (2 + f), and a correction for the rounding
    of 1 + x. Both quotients share one division. Within one unit in the last place of NumPy's over [0, 1e300].
    """
    x = x if x > 0.0 else 0.0
    x = x if x < 1e300 else 1e300
    u = 1.0 + x
    lost = x - (u - 1.0)
    bits = bits_of(u) + (_ONE_BITS - _HALF_SQRT2_BITS)
    k = double_of((bits >> 52) | _TWO52_BITS) - _TWO52_AND_BIAS
    f = double_of((bits & _MANTISSA) + _HALF_SQRT2_BITS) - 1.0
    g = 2.0 + f
    reciprocal = 1.0 / (g * u)
    s = f * u * reciprocal
    z = s * s
    w = z * z
    even = w * fma(w, fma(w, 1.531383769920937332e-01, 2.222219843214978396e-01), 3.999999999940941908e-01)
    odd = fma(w, fma(w, fma(w, 1.479819860511658591e-01, 1.818357216161805012e-01), 2.857142874366239149e-01), 6.666666666666735130e-01)
    half = 0.5 * f * f
    tail = fma(s, half + fma(z, odd, even), fma(k, _LN2_LOW, lost * g * reciprocal))
    return fma(k, _LN2_HIGH, f - (half - tail))  # type: ignore[no-any-return]


@njit(error_model="numpy")
def sigmoid(z: float) -> float:
    """1 / (1 + exp(-z)), without overflow at either end."""
    small = math.exp(-abs(z))
    p = 1.0 / (1.0 + small)
    return p if z >= 0.0 else small * p


@njit(error_model="numpy", inline="always")
def linear(x: Any, kind: Any, coef: Any, center: Any, intercept: float, contrib: Any) -> float:
    """Return the linear predictor z of row x; fill `contrib`.

    x, coef, center, contrib: float64[n], n ≤ 256, C-contiguous; kind: int32[n], 0 identity, 1 log1p. Always inlined: a call would
    count references to five arrays, which costs as much as the sum.
    """
    n = coef.shape[0]
    for j in range(n):
        value = x[j]
        logarithm = log1p(value)
        contrib[j] = coef[j] * ((logarithm if kind[j] != 0 else value) - center[j])
    z0 = z1 = z2 = z3 = 0.0
    for quad in range(n >> 2):
        z0 += contrib[4 * quad]
        z1 += contrib[4 * quad + 1]
        z2 += contrib[4 * quad + 2]
        z3 += contrib[4 * quad + 3]
    for j in range(n & ~3, n):
        z0 += contrib[j]
    return intercept + ((z0 + z1) + (z2 + z3))


@njit(error_model="numpy")
def score(x: Any, kind: Any, coef: Any, center: Any, intercept: float, contrib: Any) -> float:
    """Return the probability for row x; fill `contrib`. Arguments as for `linear`."""
    return sigmoid(linear(x, kind, coef, center, intercept, contrib))


@njit(error_model="numpy")
def exponential(z: float, less: float) -> float:
    """exp(z) - less, at least 0: never infinite and never NaN. z is held to ±`MAX_Z`; a z that is NaN counts as -`MAX_Z`.

    `less` is 0 (a model of the amount) or 1 (a model of log1p of the amount).
    """
    z = z if z > -MAX_Z else -MAX_Z
    z = z if z < MAX_Z else MAX_Z
    value = math.expm1(z) if less != 0.0 else math.exp(z)
    return value if value > 0.0 else 0.0


@njit(error_model="numpy")
def amount(x: Any, kind: Any, coef: Any, center: Any, intercept: float, less: float, contrib: Any) -> float:
    """Return the amount that a log-link model expects for row x; fill `contrib` (parts of z). `less`: see `exponential`."""
    return exponential(linear(x, kind, coef, center, intercept, contrib), less)


@njit
def _key(contribution: float, j: int) -> Any:
    """Orders by |contribution|, then by the earlier place. Magnitudes closer than 6e-14 (relative) count as equal."""
    return (bits_of(contribution) & _MAGNITUDE) | (MAX_FEATURES - 1 - j)


@njit
def top3(contrib: Any, places: Any) -> None:
    """Write the places of the three largest |contribution|, largest first, into places (int32[3] or wider); n ≥ 3.

    Three passes for a maximum each: they vectorise, and no branch depends on data.
    """
    n = contrib.shape[0]
    below = 0x7FFFFFFFFFFFFFFF
    for rank in range(3):
        largest = -1
        for j in range(n):
            key = _key(contrib[j], j)
            largest = max(largest, key if key < below else -1)
        places[rank] = MAX_FEATURES - 1 - (largest & (MAX_FEATURES - 1))
        below = largest
