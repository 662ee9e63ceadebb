"""A plain function of a graph whose code travels with the job, as the customer operator's does (see code.py).

What is pickled into the graph is this class, by its name, and bytes. So a TaskManager that has loaded another version of the code needs
nothing of the job's version but these few lines.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

from pyflink.datastream import FlatMapFunction

from keepline.operators.code import code_hash, opened, package_of, sealed

code_hash()  # of the code as it is loaded now, whatever happens to its files later


class Carried(FlatMapFunction):
    """Records in, frames out, by the function that `started(spec)` of a module returns: `carried("jobs.mapping.spec", spec)`."""

    def __init__(self, module: str, data: bytes) -> None:
        self._module, self._data = module, data

    def open(self, _context: Any) -> None:
        """In the TaskManager, with the job's own code."""
        wanted, archive, spec = opened(self._data)
        self._frames = import_module(f"{package_of(wanted, archive)}.{self._module}").started(spec)

    def flat_map(self, value: bytes) -> Iterator[bytes]:
        """One record."""
        yield from self._frames(value)


def carried(module: str, spec: bytes) -> Carried:
    """The function of a module below the package, sealed with the code as it is here."""
    return Carried(module, sealed(spec))
