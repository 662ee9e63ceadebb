"""What the JVM shell calls: one function, `entry`, over two direct buffers that Python maps as NumPy arrays.

Only ever one function name per interpreter: a second one crashes pemja 0.5.7 (docs/decisions). No bytes cross per batch.
"""

from __future__ import annotations

import ctypes
import itertools
import struct

import numpy as np
import numpy.typing as npt

from keepline.operators.customer import CustomerKernel
from keepline.operators.spec import OperatorSpec

OPEN, STATE_SIZE, MAP, RUN, CLOSE, MIGRATE, DESCRIBE = range(7)
_kernels: dict[int, CustomerKernel] = {}
_handles = itertools.count(1)


def _view(address: int, size: int) -> npt.NDArray[np.uint8]:
    return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))


def entry(op: int, a: int, b: int, c: int, d: int, data: bytes | None) -> int | bytes:
    """Dispatches one call of the shell (see docs/architecture.md, "The shell's calls").

    OPEN data=spec → handle · STATE_SIZE a=handle → version << 32 | size · MAP a=handle b=block c=io d=entries
    data=(capacity, event bytes, out bytes, io bytes, bound) · RUN a=handle b=entries c=watermark d=wall clock → consumed ·
    CLOSE a=handle · MIGRATE a=handle data=old state → new state · DESCRIBE a=handle → what is counted (JSON).
    """
    if op == RUN:
        return _kernels[a].run(b, c, d)
    if op == OPEN:
        handle = next(_handles)
        _kernels[handle] = CustomerKernel(OperatorSpec.loads(bytes(data or b"")))
        return handle
    kernel = _kernels[a]
    if op == STATE_SIZE:
        return kernel.state_version << 32 | kernel.state_size
    if op == MAP:
        capacity, event_bytes, out_bytes, io_bytes, _bound = struct.unpack("<5q", bytes(data or b""))
        kernel.bind(_view(b, capacity * kernel.state_size), _view(c, io_bytes), d, out_bytes, event_bytes)
        return 0
    if op == MIGRATE:
        return kernel.migrate(bytes(data or b""))
    if op == DESCRIBE:
        return kernel.describe()
    if op == CLOSE:
        del _kernels[a]  # drops the views before the JVM frees the buffers
        return 0
    msg = f"unknown operation {op}: the jar and the Python package are of different versions; install both from one wheel"
    raise ValueError(msg)
