"""What the sink's script leaves in Redis, against a naive view: older and newer writes, other fields, other types, times to live."""

from __future__ import annotations

import io
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastavro
import pytest
from redis import Redis

from keepline.jobs.stack import ports
from keepline.jobs.stack.process import Child
from keepline.jobs.stack.redis import redis_server as program
from keepline.operators.redis import RedisOptions, RedisView, redis_sink
from keepline.schemas.packed import Frame, pack_frame

from .conftest import collection

SCHEMA = {
    "type": "record",
    "name": "Noted",
    "fields": [{"name": "who", "type": "string"}, {"name": "n", "type": "long"}, {"name": "note", "type": ["null", "string"]}],
}
TTL_MS = 3_600_000
KEYS = 300


def frame(who: str, as_of: int, sequence: int, n: int, note: str | None) -> bytes:
    value = io.BytesIO()
    fastavro.schemaless_writer(value, SCHEMA, {"who": who, "n": n, "note": note})
    return pack_frame(Frame(0, sequence, as_of, 0, who.encode(), b"\xc3\x01" + bytes(8) + value.getvalue()))


def fields(who: str, as_of: int, sequence: int, n: int, note: str | None) -> dict[str, str]:
    found = {"as_of": str(as_of), "sequence": str(sequence), "who": who, "n": str(n)}
    return found if note is None else {**found, "note": note}


def earlier(draw: random.Random, redis: Redis, key: str, who: str) -> Any:
    """Puts something under the key, or nothing; returns its hash, None for nothing, or the string that is no hash."""
    kind = draw.randrange(8)
    if kind == 0:
        return None
    if kind == 1:
        redis.set(key, "no hash")
        return "no hash"
    found = fields(who, draw.randrange(3), draw.randrange(3), draw.randrange(100), draw.choice([None, "x" * 80]))
    if kind == 2:
        found = {"who": who, "other": "1"}  # nobody knows how new it is
    elif kind == 3:
        found["gone"] = "of an older schema"
    elif kind == 4:
        found = {"a": "1", "b": "2", "c": "3", "d": "4"}  # as many fields as ours, none of them
    redis.hset(key, mapping=found)
    if draw.random() < 0.5:
        redis.pexpire(key, 10 * TTL_MS)
    return found


@pytest.mark.parametrize("ttl_ms", [0, TTL_MS])
def test_every_write_leaves_what_a_naive_view_says(environment, redis_server, name, ttl_ms):
    redis = Redis.from_url(redis_server.url, decode_responses=True)
    draw, frames, wanted, written = random.Random(11 + ttl_ms), [], {}, set()
    for number in range(KEYS):
        who = f"w{number}"
        key = f"{name}:{who}"
        old = earlier(draw, redis, key, who)
        as_of, sequence, n, note = draw.randrange(3), draw.randrange(3), draw.randrange(100), draw.choice([None, "y" * 80])
        frames.append(frame(who, as_of, sequence, n, note))
        known = isinstance(old, dict) and "as_of" in old
        newer = not known or (int(old["as_of"]), int(old["sequence"])) < (as_of, sequence)
        wanted[key] = fields(who, as_of, sequence, n, note) if newer and old != "no hash" else old
        if newer and old != "no hash":
            written.add(key)
    untouched = {key: redis.pttl(key) for key in wanted if key not in written}
    env = environment()
    redis_sink(
        collection(env, frames), redis_server.url, [RedisView(0, SCHEMA, name + ":{who}")], RedisOptions(ttl_ms, meter_key=f"{name}-meter")
    )
    env.execute(name)
    assert {key: redis.get(key) if redis.type(key) == "string" else redis.hgetall(key) for key in wanted} == wanted
    assert 50 < len(written) < KEYS - 50
    for key in written:
        assert (0 < redis.pttl(key) <= ttl_ms) if ttl_ms else redis.pttl(key) == -1
    assert all((redis.pttl(key) > 0) == (left > 0) for key, left in untouched.items()), "a refused or older write changes no time to live"
    meter = redis.hgetall(f"{name}-meter:0")
    assert int(meter["refused"]) == sum(value == "no hash" for value in wanted.values()) > 10
    assert meter["retries"] == meter["pending"] == "0"


def test_a_slow_redis_gets_everything_in_the_end(environment, redis_server, name):
    """It answers after the sink has given up waiting: what was written nevertheless is written again, and stays."""
    redis = Redis.from_url(redis_server.url, decode_responses=True)
    wanted = {f"{name}:w{number}": fields(f"w{number}", 1, 1, number, None) for number in range(3000)}
    frames = [frame(f"w{number}", 1, 1, number, None) for number in range(3000)]
    env = environment()
    redis_sink(
        collection(env, frames), redis_server.url, [RedisView(0, SCHEMA, name + ":{who}")],
        RedisOptions(timeout_ms=200, pipeline=1000, meter_key=f"{name}-meter"),
    )  # fmt: skip
    stop = threading.Event()

    def slow() -> None:
        """Busy for longer than the sink waits, then long enough itself for one round trip."""
        with Redis.from_url(redis_server.url) as other:
            while not stop.wait(0.1):
                other.execute_command("DEBUG", "SLEEP", "0.4")

    thread = threading.Thread(target=slow)
    thread.start()
    try:
        env.execute(name)
    finally:
        stop.set()
        thread.join()
    assert {key: redis.hgetall(key) for key in wanted} == wanted
    assert int(redis.hget(f"{name}-meter:0", "refused") or 0) == 0


BUS = 10_000
"""So far above its port a node talks with the others."""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[str]:
    """A Redis cluster of one node, which refuses a call whose keys lie in different slots."""
    port = next(port for port in iter(lambda: ports.free_ports(1)[0], None) if port + BUS in ports.RANGE and ports.is_free(port + BUS))
    options = ["--port", str(port), "--bind", ports.HOST, "--dir", str(tmp_path), "--save", "", "--cluster-enabled", "yes"]
    child = Child("Redis", [program(), *options], tmp_path / "redis.log")
    try:
        child.wait_until(lambda: ports.listening(port), 30)
        with Redis(port=port) as redis:
            redis.execute_command("CLUSTER", "ADDSLOTS", *range(16384))
            child.wait_until(lambda: redis.execute_command("CLUSTER INFO")["cluster_state"] == "ok", 30)
        yield f"redis://{ports.HOST}:{port}"
    finally:
        child.kill()


def test_where_keys_may_not_share_a_call_each_has_its_own(environment, cluster, name):
    wanted = {f"{name}:w{number}": fields(f"w{number}", 1, 1, number, None) for number in range(100)}
    env = environment()
    frames = [frame(f"w{number}", 1, 1, number, None) for number in range(100)]
    redis_sink(collection(env, frames), cluster, [RedisView(0, SCHEMA, name + ":{who}")])
    env.execute(name)
    with Redis.from_url(cluster, decode_responses=True) as redis:
        assert {key: redis.hgetall(key) for key in wanted} == wanted
