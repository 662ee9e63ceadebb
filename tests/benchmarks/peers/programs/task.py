"""What a run tells a peer's program: one JSON argument, made by `tell` in the harness and read by `given` in the program."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.benchmarks.peers.system import Run

PARTITIONS = 2


@dataclass(frozen=True, slots=True)
class Task:
    """The part of a Run that programs need, and which of the processes this one is."""

    bootstrap_servers: str
    source: str
    sink: str
    name: str
    checkpoint_s: float
    backend: str
    folder: Path
    settings: Path
    process: int
    processes: int

    @property
    def partitions(self) -> list[int]:
        """The partitions of the source that are this process's."""
        return [partition for partition in range(PARTITIONS) if partition % self.processes == self.process]


def tell(run: Run) -> str:
    """The argument."""
    return json.dumps(asdict(run), default=str)


def given() -> Task:
    """The task that this program was started with."""
    told = json.loads(sys.argv[1])
    process, processes = int(os.environ.get("PEER_PROCESS", "0")), int(os.environ.get("PEER_PROCESSES", "1"))
    names = ("bootstrap_servers", "source", "sink", "name", "checkpoint_s", "backend")
    paths = {name: Path(told[name]) for name in ("folder", "settings")}
    return Task(**{name: told[name] for name in names}, **paths, process=process, processes=processes)
