"""Reading and writing 8-byte words and 4-byte counters at an address, for compiled code.

Aggregators take a customer's state, the plan and the registers as plain addresses: arrays as arguments cost more than
the work itself (numba counts references at every call). Whoever takes an address keeps the array alive meanwhile.
"""

from __future__ import annotations

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
