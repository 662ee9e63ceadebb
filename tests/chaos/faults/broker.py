"""The broker: killed and started again; stopped for longer than a record may wait for delivery."""

from __future__ import annotations

import time
from random import Random

from tests.chaos.fault import Fault
from tests.chaos.world import DELIVERY_TIMEOUT, PATIENCE, World, away, stopped
from tests.whole.support import wait


def broker_killed(world: World, draw: Random) -> str:
    seconds = draw.uniform(0.5, 6)
    world.kafka.kill()
    gone = time.time()
    assert not world.kafka.running
    away(seconds)
    back = time.time()
    world.kafka.start()
    assert world.watch.first("scores", gone + 1) is None or world.watch.first("scores", gone + 1) > back, "scores without a broker"
    return f"broker away for {time.time() - gone:.1f} s, restores {world.quietly(world.restored)}"


def broker_paused(world: World, draw: Random) -> str:
    """Where records were on their way, the job is restored; where all had just been acknowledged, it goes on."""
    before = world.restored()
    seconds = DELIVERY_TIMEOUT + draw.uniform(3, 8)
    with stopped(world.kafka.pid):
        away(seconds)
    since = time.time()
    wait("scores after the pause", lambda: world.watch.first("scores", since), PATIENCE)
    return f"broker stopped for {seconds:.1f} s, restores {before} → {world.restored()}"


FAULTS = (
    Fault("broker-killed", "kill -9 of the broker, started again after up to 6 s", broker_killed),
    Fault("broker-paused", "SIGSTOP of the broker for longer than delivery.timeout.ms, then SIGCONT", broker_paused),
)
