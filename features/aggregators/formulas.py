"""Formulas over windowed sums that stand in the row already; an operand that is no feature waits in the formula's own slot."""

from __future__ import annotations

from keepline.features.aggregators.windows import finite
from keepline.features.plan import P_N_RISE, P_N_TREND, P_RISE, P_TREND
from keepline.features.words import get, get_float, put_float
from keepline.schemas.jit import njit


@njit(error_model="numpy")
def read(ints: int, floats: int, x: int) -> None:
    """Rises, then trends. A trend divides the sums first: their quotient cannot overflow, whatever their size."""
    for op in range(get(ints, P_RISE), get(ints, P_RISE) + 3 * get(ints, P_N_RISE), 3):
        short, double = get_float(x, get(ints, op + 1)), get_float(x, get(ints, op + 2))
        put_float(x, get(ints, op), finite(short - (double - short)))
    for op in range(get(ints, P_TREND), get(ints, P_TREND) + 4 * get(ints, P_N_TREND), 4):
        short, long = get_float(x, get(ints, op + 1)), get_float(x, get(ints, op + 2))
        put_float(x, get(ints, op), 1.0 if long == 0.0 else short / long * get_float(floats, get(ints, op + 3)))
