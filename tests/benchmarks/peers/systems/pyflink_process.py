"""Plain PyFlink, Python in process mode."""

from __future__ import annotations

from functools import partial

from tests.benchmarks.peers.start_pyflink import start
from tests.benchmarks.peers.system import System

SYSTEM = System(
    name="pyflink_process",
    label="plain PyFlink, process mode",
    guarantee="exactly once",
    start=partial(start, mode="process"),
    processes=(1, 2),
    share=0.03,
)
