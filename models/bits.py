"""Three instructions that numba has no name for: the bits of a double as an integer, back again, and a fused multiply-add.

Each is one instruction on the processors Flink runs on, and LLVM vectorises loops over them. `fma` is spelled out instead of
allowed by `fastmath`, so that a value does not depend on the loop it was computed in.
"""

from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

ir = cgutils.ir  # llvmlite, as numba imports it


def _bits_of(typing_context: Any, value: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(64))

    return types.int64(types.float64), generate


def _double_of(typing_context: Any, bits: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.int64), generate


def _fma(typing_context: Any, a: Any, b: Any, c: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fma(*arguments)

    return types.float64(types.float64, types.float64, types.float64), generate


bits_of: Any = intrinsic(_bits_of)
"""float64 → its 64 bits as int64."""
double_of: Any = intrinsic(_double_of)
"""int64 → the float64 with these bits."""
fma: Any = intrinsic(_fma)
"""a · b + c, rounded once."""
