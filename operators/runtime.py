"""What the JVM shells call: one function, `entry`.

Only ever one function name per interpreter: a second one crashes pemja 0.5.7 (docs/decisions). For a batched operator it works on two
direct buffers that Python maps as NumPy arrays, and no bytes cross per batch. The operators of rare work (`operators.rare`) hand state and
frame over as bytes, one call a step.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import itertools
import mmap
import struct
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from keepline.operators import rare
from keepline.operators.batched import BatchKernel
from keepline.operators.code import code_hash, opened, package_of
from keepline.operators.kernels import kernel_of
from keepline.operators.spec import OperatorSpec

OPEN, STATE_SIZE, MAP, RUN, CLOSE, MIGRATE, DESCRIBE, WAITING_FOR, RARE_OPEN, RARE_RUN = range(10)
MADV_HUGEPAGE = getattr(mmap, "MADV_HUGEPAGE", 14)
_kernels: dict[int, BatchKernel] = {}
_rare: dict[int, rare.RareKernel] = {}
_others: dict[int, tuple[Callable[..., Any], int]] = {}
"""Operators whose job brought other code than this: that code's `entry`, and its own handle there."""
_handles = itertools.count(1)
code_hash()  # of the code as it is loaded now, whatever happens to its files later


def _view(address: int, size: int) -> npt.NDArray[np.uint8]:
    return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))


def _large_pages(address: int, size: int) -> None:
    """Asks Linux for large pages (MADV_HUGEPAGE): states are touched at random, and fewer pages are fewer misses of the address cache.

    A system that does not know the call, or does not grant it, changes nothing.
    """
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).madvise(ctypes.c_void_p(address), ctypes.c_size_t(size), MADV_HUGEPAGE)


def _open(op: int, data: bytes) -> int:
    wanted, archive, spec = opened(data)
    package = package_of(wanted, archive)
    handle = next(_handles)
    if package != __name__.partition(".")[0]:
        other = importlib.import_module(f"{package}.operators.runtime").entry
        _others[handle] = other, other(op, 0, 0, 0, 0, spec)
    elif op == OPEN:
        _kernels[handle] = kernel_of(OperatorSpec.loads(spec), ask=True)
    else:
        _rare[handle] = rare.open_kernel(spec)
    return handle


def entry(op: int, a: int, b: int, c: int, d: int, data: bytes | None) -> int | bytes | str:
    """Dispatches one call of a shell (see docs/architecture.md, "The shell's calls").

    OPEN data=sealed spec → handle · STATE_SIZE a=handle b=0 → version << 32 | size, b=1 → its rules, four little-endian int64 each ·
    MAP a=handle b=block c=io d=entries
    data=(capacity, event bytes, out bytes, io bytes, bound) · RUN a=handle b=entries c=watermark d=wall clock → consumed ·
    CLOSE a=handle · MIGRATE a=handle data=old state → new state · DESCRIBE a=handle → what is counted (JSON) ·
    WAITING_FOR a=handle → what RUN waits for, as text.
    Of rare work: RARE_OPEN data=sealed spec → handle · RARE_RUN a=handle b=0 a frame, 1 a due time c=that time data=key, state, frame →
    state, wake, frames, or text: a refusal (operators/rare.py) · DESCRIBE and CLOSE as above.
    """
    if op in (OPEN, RARE_OPEN):
        return _open(op, bytes(data or b""))
    if a in _others:
        other, handle = _others.pop(a) if op == CLOSE else _others[a]
        return other(op, handle, b, c, d, data)  # type: ignore[no-any-return]
    if op == RUN:
        return _kernels[a].run(b, c, d)
    if a in _rare:
        return _of_rare(op, a, b, c, bytes(data or b""))
    kernel = _kernels[a]
    if op == STATE_SIZE:
        if b:
            return b"".join(struct.pack("<4q", *rule) for rule in kernel.state_rules)
        return kernel.state_version << 32 | kernel.state_size
    if op == MAP:
        capacity, event_bytes, out_bytes, io_bytes, _bound = struct.unpack("<5q", bytes(data or b""))
        _large_pages(b, capacity * kernel.state_size)
        kernel.bind(_view(b, capacity * kernel.state_size), _view(c, io_bytes), d, out_bytes, event_bytes)
        return 0
    if op == MIGRATE:
        return kernel.migrate(bytes(data or b""))
    if op == DESCRIBE:
        return kernel.describe()
    if op == WAITING_FOR:
        return kernel.waiting_for().encode()
    if op == CLOSE:
        del _kernels[a]  # drops the views before the JVM frees the buffers
        return 0
    return _unknown(op)


def _of_rare(op: int, a: int, b: int, c: int, data: bytes) -> int | bytes | str:
    if op == RARE_RUN:
        return rare.call(_rare[a], b, c, data)
    if op == DESCRIBE:
        return rare.described(_rare[a])
    if op == CLOSE:
        del _rare[a]
        return 0
    return _unknown(op)


def _unknown(op: int) -> NoReturn:
    msg = f"unknown operation {op}: the jar and the Python package are of different versions; install both from one wheel"
    raise ValueError(msg)
