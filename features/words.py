"""Reading and writing 8-byte words and 4-byte counters at an address, for compiled code.

Aggregators take a customer's state, the plan and the registers as plain addresses: arrays as arguments cost more than
the work itself (numba counts references at every call). Whoever takes an address keeps the array alive meanwhile.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from keepline.schemas.jit import njit
from keepline.schemas.mem import load_f64, load_i32, load_i64, store_f64, store_i32, store_i64


@njit
def get(at: int, word: int) -> int:
    """The int64 at a word."""
    value: int = load_i64(at, word << 3)
    return value


@njit
def put(at: int, word: int, value: int) -> None:
    """Write the int64 at a word."""
    store_i64(at, word << 3, value)


@njit
def get_float(at: int, word: int) -> float:
    """The float64 at a word."""
    value: float = load_f64(at, word << 3)
    return value


@njit
def put_float(at: int, word: int, value: float) -> None:
    """Write the float64 at a word."""
    store_f64(at, word << 3, value)


@njit
def get_count(at: int, byte: int) -> int:
    """The int32 counter at a byte offset."""
    value: int = load_i32(at, byte)
    return value


@njit
def put_count(at: int, byte: int, value: int) -> None:
    """Write the int32 counter at a byte offset."""
    store_i32(at, byte, value)


@intrinsic
def prefetch(typing_context: Any, at: Any) -> Any:  # noqa: ARG001  numba's signature
    """Ask for the cache line at an address, to be written; never faults."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        pointer, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        call = ir.FunctionType(ir.VoidType(), [pointer, number, number, number])
        function = builder.module.declare_intrinsic("llvm.prefetch", [pointer], call)
        # For writing (1), into all caches (3), data (1).
        builder.call(function, [builder.inttoptr(arguments[0], pointer), number(1), number(3), number(1)])
        return context.get_dummy_value()

    return types.none(types.intp), generate
