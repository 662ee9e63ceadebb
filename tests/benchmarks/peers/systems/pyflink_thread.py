"""Plain PyFlink, Python in thread mode."""

from __future__ import annotations

from functools import partial

from tests.benchmarks.peers.start_pyflink import start
from tests.benchmarks.peers.system import System

SYSTEM = System(
    name="pyflink_thread",
    label="plain PyFlink, thread mode",
    guarantee="exactly once",
    start=partial(start, mode="thread"),
    processes=(1, 2),
    share=0.0625,
)
