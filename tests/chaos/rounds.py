"""One round: the stream runs, a fault comes at a random moment, the job recovers, all drains, and what is live is compared with replay."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from random import Random
from typing import Any

from tests.chaos.compare import Difference, difference
from tests.chaos.fault import Fault
from tests.chaos.view import differences_soon, gone_at
from tests.chaos.world import PATIENCE, World, away
from tests.whole.support import wait

Say = Callable[[str], None]


@dataclass
class Result:
    """What a round found; a line of rounds.json."""

    fault: str
    seed: int
    backend: str
    parallelism: int
    seconds: float = 0.0
    first_score: float | None = None
    """Seconds from the fault to the first committed score of an event that was sent after it."""
    lost: int = 0
    duplicated: int = 0
    changed: int = 0
    view: int = 0
    """Keys of Redis that are not as replay says."""
    records: int = 0
    """Records compared: all since the job began."""
    saw: str = ""
    failed: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        return not (self.failed or self.lost or self.duplicated or self.changed or self.view)

    def plain(self) -> dict[str, Any]:
        return asdict(self)


def play(world: World, fault: Fault, seed: int, say: Say = lambda _: None) -> Result:
    """Runs a round. What fails in it is in the result, and not raised."""
    shape = world.shape
    result = Result(fault.name, seed, shape.backend, shape.parallelism)
    begun = time.monotonic()
    try:
        _play(world, fault, Random(seed), result, say)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever it was, the round failed, and the report says of what
        result.failed = f"{type(error).__name__}: {error}"
        result.notes.append(world.told())
    result.seconds = time.monotonic() - begun
    return result


def _play(world: World, fault: Fault, draw: Random, result: Result, say: Say) -> None:
    say("runs")
    begun = time.time()
    world.feed.start()
    wait("the job puts out scores", lambda: world.watch.first("scores", begun), PATIENCE)
    away(draw.uniform(0.3, 3.0))
    say("fault")
    moment = time.time()
    result.saw = fault.inject(world, draw)
    say("recovers")
    wait("the first new score after the fault", lambda: world.watch.first("scores", moment), PATIENCE)
    result.first_score = (world.watch.first("scores", moment) or 0) - moment
    world.heal()
    away(draw.uniform(0.5, 1.5))
    say("drains")
    # The job runs: now the clocks' last records, from which a restored source knows event time again.
    world.feed.pause()
    world.feed.close_round()
    world.drain()
    fault.after(world)
    say("compares")
    wanted = world.replay()
    found = world.committed.read()
    told = difference(found, wanted)
    take(result, told)
    view = differences_soon(world.redis.url, wanted, gone_at(found, world.feed.sent))
    result.view = len(view)
    result.notes += view[:5]
    assert told.records > 100, f"only {told.records} records: the round compared nothing"


def take(result: Result, told: Difference) -> None:
    """The counts of a comparison."""
    result.lost, result.duplicated, result.changed = told.lost, told.duplicated, told.changed
    result.records = told.records
    if not told.equal:
        result.notes.append(told.told())
