"""Arrays over addresses, for compiled code: `floats(address, n)` and `ints(address, n)`.

An array that arrives as an argument is counted (an atomic operation) at every call that passes it on, a fifth of the kernel's
time; one made over an address owns nothing, so nothing is counted. Whoever gives the address keeps the memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray, types
from numba.extending import intrinsic

from keepline.schemas.jit import njit


@intrinsic
def _pointer(typing_context: Any, address: Any) -> Any:  # noqa: ARG001  numba's signature
    """An address as a pointer."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.voidptr(types.intp), generate


@njit
def floats(address: int, n: int) -> Any:
    """float64[n] at an address."""
    return carray(_pointer(address), (n,), np.float64)


@njit
def ints(address: int, n: int) -> Any:
    """int32[n] at an address."""
    return carray(_pointer(address), (n,), np.int32)
