"""What a system of the comparison is, and what one run of it is given.

    systems/<name>.py:   SYSTEM = System(name="<name>", label="…", guarantee="exactly once", start=start, packages=("quixstreams==…",))

`start(run)` starts the system and returns at once. The harness fills `run.source` before, watches `run.sink`, ends the system with
`kill()` when all is there, and compares what was committed with what the kernel gives without Flink (gate.py). A system may keep
files below `run.folder` and make topics whose names begin with `run.name`; both are removed after the run.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

Guarantee = Literal["exactly once", "at least once", "none"]
PARTITIONS = 2
SYSTEMS = Path(__file__).parent / "systems"


class Running(Protocol):
    """A started system; `keepline.jobs.stack.process.Child` is one."""

    @property
    def pid(self) -> int:
        """The process whose tree's CPU time is the system's."""

    @property
    def running(self) -> bool:
        """Whether it lives. One that ends before its output is complete has failed."""

    def tail(self) -> str:
        """The end of its log, for the message of a failure."""

    def kill(self) -> None:
        """Ends it and all its processes at once."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one system."""

    python: Path
    """The interpreter of the system's own environment (the project's where it asks for no packages)."""
    bootstrap_servers: str
    source: str
    """Input topic: PARTITIONS partitions, key = customer id, value = a framed Avro event. It is complete before the start."""
    sink: str
    """Output topic of PARTITIONS partitions, named `{name}.scores`: one Score (framed Avro) for each event."""
    name: str
    """Unique; group ids, transactional ids, names of further topics and folders begin with it."""
    n: int
    """Events in the source; each gets one score."""
    customers: int
    checkpoint_s: float
    """Seconds between checkpoints, or transactions."""
    processes: int
    """One of the system's `processes`."""
    backend: str
    """One of the system's `backends`, "" if it has none."""
    folder: Path
    """Scratch, empty."""
    settings: Path
    """JSON: `manifest` (path of the model's manifest), `schemas` (folder of the Avro schemas), and `score` (path of the Score's schema)."""


@dataclass(frozen=True, slots=True)
class System:
    """One system."""

    name: str
    label: str
    """As in the report."""
    guarantee: Guarantee
    start: Callable[[Run], Running]
    packages: tuple[str, ...] = ()
    """Requirements `name==version` of an environment of its own; none: the project's."""
    processes: tuple[int, ...] = (1,)
    """Counts worth trying on two cores. `launch` starts so many copies of a command."""
    backends: tuple[str, ...] = ()
    """State backends, "heap" or "rocksdb", each a row of its own; none: the system has no choice."""
    share: float = 1.0
    """Events of its runs relative to the fastest systems', so that a slow one ends in time."""
    puts: Literal["scores", "copies"] = "scores"
    """What the sink holds: scores, or the input's own records (the limits)."""

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1 or not self.processes or min(self.processes) < 1:
            msg = f"system {self.name}: share {self.share} must be in (0, 1], processes {self.processes} at least one count, each ≥ 1"
            raise ValueError(msg)


def discover() -> dict[str, System]:
    """All systems, by name: the `SYSTEM` of each file of systems/. Raises ValueError for a file that is none."""
    found = {}
    for path in sorted(SYSTEMS.glob("[a-z]*.py")):
        system = getattr(importlib.import_module(f"{__package__}.systems.{path.stem}"), "SYSTEM", None)
        if not isinstance(system, System) or system.name != path.stem:
            msg = f"{path}: expected SYSTEM = System(name={path.stem!r}, …)"
            raise ValueError(msg)
        found[system.name] = system
    return found
