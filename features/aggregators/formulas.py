"""Formulas over windowed sums that stand in the row already; an operand that is no feature waits in the formula's own slot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keepline.features.aggregators.windows import finite
from keepline.features.plan import P_N_RISE, P_N_TREND, P_RISE, P_TREND
from keepline.schemas.jit import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    F64, I64 = NDArray, NDArray


@njit
def read(ints: I64, floats: F64, x: F64) -> None:
    """Rises, then trends. A trend divides the sums first: their quotient cannot overflow, whatever their size."""
    for op in range(ints[P_RISE], ints[P_RISE] + 3 * ints[P_N_RISE], 3):
        short, double = x[ints[op + 1]], x[ints[op + 2]]
        x[ints[op]] = finite(short - (double - short))
    for op in range(ints[P_TREND], ints[P_TREND] + 4 * ints[P_N_TREND], 4):
        short, long = x[ints[op + 1]], x[ints[op + 2]]
        x[ints[op]] = 1.0 if long == 0.0 else short / long * floats[ints[op + 3]]
