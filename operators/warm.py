"""What a TaskManager loads before it has a job, so that one which stands by takes over soon (see WarmStandby.java).

The costly part of a start is the same for every job: numba and NumPy, Keepline's own modules, and the compiled kernels, which come from
numba's cache on disk (or are compiled here, on a machine's first start). All of it stays in the interpreter that jobs share. A job of
other code than what is installed (`operators.code`) still finds NumPy and numba here.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import keepline.models
from keepline.operators import layout as at
from keepline.operators.kernels import kernel_of
from keepline.operators.spec import NEXT_APP, OperatorSpec

ENTRIES, OUT_BYTES, EVENT_BYTES = 8, 1 << 16, 1 << 16
"""As small as a batch may be: nothing is run, only bound."""


def warm(modules: str = "") -> None:
    """Loads the kernels as an operator would, and imports `modules` (names separated by commas) besides.

    The models are the newest of the package's own; which ones does not matter, for kernels are the same for all.
    """
    for name in filter(None, ["keepline.operators.runtime", *map(str.strip, modules.split(","))]):
        importlib.import_module(name)
    for spec in _specs():
        kernel = kernel_of(spec)
        states = np.zeros(2 * kernel.state_size, np.uint8)
        io = np.zeros(at.io_layout(ENTRIES, OUT_BYTES, EVENT_BYTES).total + 64, np.uint8)
        kernel.bind(states, io[-io.ctypes.data % 64 :], ENTRIES, OUT_BYTES, EVENT_BYTES)


def _specs() -> Iterator[OperatorSpec]:
    """A spec for each kernel of which the package has a model."""
    folder = Path(str(keepline.models.__file__)).parent / "pretrained"
    for name in ("churn", "next-app"):
        found = sorted((folder / name).glob("*/manifest.json"))
        if found:
            manifest = json.loads(found[-1].read_bytes())
            own = {"manifest": manifest} if name == "churn" else {"feature_sets": NEXT_APP, "next_app": manifest}
            yield OperatorSpec(**own, topics=())
