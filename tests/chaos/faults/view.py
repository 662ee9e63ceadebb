"""Redis: killed, restarted empty, out of memory, slow. Interventions go on to Kafka meanwhile, and the view is right in the end."""

from __future__ import annotations

import time
from random import Random

from redis import Redis
from redis.exceptions import OutOfMemoryError

from tests.chaos.fault import Fault
from tests.chaos.world import PATIENCE, World, away
from tests.whole.support import wait

MARK = "chaos:mark"


def _client(world: World) -> Redis:
    return Redis.from_url(world.redis.url, decode_responses=True)


def _without_view(world: World, since: float, seconds: float) -> int:
    """For some seconds, and until interventions of events sent since then are committed; how many."""
    before = world.restored()
    away(seconds)
    wait("interventions are committed without the view", lambda: world.watch.count("interventions", since) > 0, PATIENCE)
    assert world.restored() == before, "the job was restarted because of its view"
    return world.watch.count("interventions", since)


def _kill(world: World, draw: Random) -> int:
    world.redis.kill()
    since = time.time()
    assert not world.redis.running
    return _without_view(world, since, draw.uniform(2, 8))


def killed(world: World, draw: Random) -> str:
    made = _kill(world, draw)
    world.redis.start()
    return f"Redis killed; {made} interventions committed meanwhile"


def emptied(world: World, draw: Random) -> str:
    _client(world).set(MARK, "here")
    made = _kill(world, draw)
    for path in world.redis.folder.rglob("*.aof*"):
        path.unlink()
    world.redis.start()
    assert not _client(world).exists(MARK), "Redis still has what it had"
    return f"Redis killed and its data gone; {made} interventions committed meanwhile"


def rebuild(world: World) -> None:
    told = world.cli("rebuild-view", "--config", str(world.config))
    assert told["written"] > 0, f"nothing was rebuilt: {told}"


def full(world: World, draw: Random) -> str:
    client, retries = _client(world), world.counter("redis_retries_total")
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", 1)
    try:
        try:
            client.set(MARK, "x")
        except OutOfMemoryError as error:
            said = str(error)
        else:
            raise AssertionError("Redis took a write though it is full")
        made = _without_view(world, time.time(), draw.uniform(2, 8))
        wait("the sink tries again", lambda: world.counter("redis_retries_total") > retries, PATIENCE)
    finally:
        client.config_set("maxmemory", 0)
    return f"Redis said: {said}; {made} interventions committed meanwhile"


def slow(world: World, draw: Random) -> str:
    """Pauses, some longer than the sink waits for an answer (2 s), one behind the other with hardly a gap."""
    client, since, slowest = _client(world), time.time(), 0.0
    for pause in (draw.uniform(0.5, 1.5), draw.uniform(2.5, 4), draw.uniform(0.5, 3)):
        client.client_pause(int(1000 * pause))
        asked = time.monotonic()
        client.set(MARK, "x")
        slowest = max(slowest, time.monotonic() - asked)
    assert slowest > 2, f"Redis answered within {slowest:.1f} s"
    made = _without_view(world, since, 0.5)
    return f"Redis took up to {slowest:.1f} s to answer; {made} interventions committed meanwhile"


FAULTS = (
    Fault("redis-killed", "kill -9 of Redis, started again with its data after some seconds", killed),
    Fault(
        "redis-emptied", "kill -9 of Redis, started again without its data", emptied, after=rebuild,
        costs="the view of customers who have no new score, until `keepline rebuild-view`",
    ),
    Fault("redis-full", "Redis refuses writes (maxmemory reached, noeviction) for some seconds", full),
    Fault("redis-slow", "Redis stands still three times, up to 4 s, longer than the sink waits for an answer", slow),
)  # fmt: skip
