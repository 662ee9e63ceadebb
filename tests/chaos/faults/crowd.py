"""A million customers that nobody has seen, within a minute: a market that is switched on. Once in a long run, in a world of its own."""

from __future__ import annotations

import time
from random import Random

from tests.chaos.fault import Fault
from tests.chaos.world import PATIENCE, Shape, World, away
from tests.whole.history import sent
from tests.whole.support import wait

CUSTOMERS = 1_000_000
SECONDS = 60.0
PIECE = 2_000


def million(world: World, draw: Random) -> str:
    """One event each. The crowd's own days stand still meanwhile: a day later a million ticks would be due."""
    world.feed.pause()
    time_ms, since, begun = world.feed.begin, time.time(), time.monotonic()
    for at in range(0, CUSTOMERS, PIECE):
        world.feed.add(
            sent(
                {
                    "type": "Call", "customer_id": f"new-{number}", "event_id": f"new-{number}", "event_time": time_ms + number // 1000,
                    "duration_s": draw.random() * 900, "outcome": "DROPPED" if number % 3 else "COMPLETED", "direction": "OUTGOING",
                },
                world.feed.partitions,
            )
            for number in range(at, at + PIECE)
        )  # fmt: skip
        ahead = begun + SECONDS * (at + PIECE) / CUSTOMERS - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)
    took = time.monotonic() - begun
    wait("all of them are scored", lambda: (away(1) or world.watch.count("scores", since)) >= CUSTOMERS, 3 * PATIENCE)
    lag = time.monotonic() - begun - took
    return f"{CUSTOMERS:,} new customers within {took:.0f} s, all scores committed {lag:.0f} s later; restores {world.restored()}"


def rebuild(world: World) -> None:
    """Where Redis was behind by more keys than may wait, the view lacks some; where it was not, nothing is to be written."""
    world.cli("rebuild-view", "--config", str(world.config))


def shape(given: Shape) -> Shape:
    """More state than heap, and more checkpoint than the small disk."""
    return given.changed(backend="rocksdb", parallelism=2, disk=False, interval="2s", customers=50)


FAULTS = (
    Fault(
        "million-customers", "a million new customers within 60 s, on RocksDB", million, after=rebuild, once=True, shape=shape,
        costs="the view of customers beyond the 200,000 that may wait for Redis, until `keepline rebuild-view`",
    ),
)  # fmt: skip
