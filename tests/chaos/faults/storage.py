"""The checkpoint folder fills up."""

from __future__ import annotations

import time
from random import Random

from tests.chaos.fault import Fault
from tests.chaos.world import PATIENCE, World, away
from tests.whole.support import wait


def folder_full(world: World, draw: Random) -> str:
    """No checkpoint, so nothing is committed; after some failed ones the job restarts. With room again it goes on."""
    job, failed, completed = world.job, world.counts()["failed"], 0

    def still_full(seconds: float) -> str:
        """Whatever an older checkpoint leaves behind is taken too."""
        end = time.monotonic() + seconds
        while (said := world.store.fill()) and time.monotonic() < end:
            away(0.05)
        return said

    said = still_full(0)
    try:
        wait("a checkpoint fails", lambda: still_full(0.2) and (world.quietly(world.counts) or {}).get("failed", 0) > failed, PATIENCE)
        completed = world.counts()["completed"]
        still_full(draw.uniform(2, 8))
        assert world.counts()["completed"] <= completed + 1, "checkpoints were completed without room for them"
        failed = world.counts()["failed"] - failed
    finally:
        world.store.free()
    wait("checkpoints go on", lambda: (world.quietly(world.counts) or {}).get("completed", 0) > completed + 1, PATIENCE)
    return f"{failed} checkpoints failed ({said}), job {job[:8]} went on, restores {world.restored()}"


FAULTS = (
    Fault(
        "checkpoint-folder-full", "the file system of the checkpoints is full for some seconds", folder_full,
        costs="nothing is committed until there is room",
    ),
)  # fmt: skip
