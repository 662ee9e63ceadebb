"""Formulas over windowed sums that stand in the row already; an operand that is no feature waits in the formula's own slot."""

from __future__ import annotations

from keepline.features.aggregators.windows import finite
from keepline.features.plan import P_N_QUOTIENT, P_N_RISE, P_QUOTIENT, P_RISE
from keepline.features.words import get, get_float, put_float
from keepline.schemas.jit import njit


@njit(error_model="numpy")
def read(ints: int, floats: int, x: int) -> None:
    """Rises, then quotients. A quotient divides first: a trend's parts lie in its whole, so that cannot overflow, whatever their size."""
    for op in range(get(ints, P_RISE), get(ints, P_RISE) + 3 * get(ints, P_N_RISE), 3):
        short, double = get_float(x, get(ints, op + 1)), get_float(x, get(ints, op + 2))
        put_float(x, get(ints, op), finite(short - (double - short)))
    for op in range(get(ints, P_QUOTIENT), get(ints, P_QUOTIENT) + 4 * get(ints, P_N_QUOTIENT), 4):
        above, below = get_float(x, get(ints, op + 1)), get_float(x, get(ints, op + 2))
        constants = get(ints, op + 3)
        value = get_float(floats, constants + 1) if below == 0.0 else finite(above / below * get_float(floats, constants))
        put_float(x, get(ints, op), value)
