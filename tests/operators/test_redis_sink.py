"""The Redis view: never older, never short of a newest value, and no checkpoint waits for it."""

import random
import time

import pytest
from confluent_kafka import Producer
from redis import Redis

from keepline.jobs.cluster.rest import FlinkRest
from keepline.jobs.stack.ports import free_ports
from keepline.jobs.stack.redis import EmbeddedRedis
from keepline.operators.kafka import exactly_once_sink, telemetry_source
from keepline.operators.redis import RedisOptions, RedisView, redis_sink
from keepline.operators.stream import customer_stream
from keepline.schemas.packed import Frame, pack_frame

from .conftest import avro_frame, collection, spec

SCHEMA = {"type": "record", "name": "Count", "fields": [{"name": "customer_id", "type": "string"}, {"name": "count", "type": "long"}]}


def view(prefix: str) -> RedisView:
    return RedisView(0, SCHEMA, prefix + ":{customer_id}")


def test_older_writes_are_ignored(environment, redis_server, name):
    redis = Redis.from_url(redis_server.url, decode_responses=True)
    redis.hset(f"{name}:b", mapping={"as_of": 100, "sequence": 7, "count": 7})
    redis.hset(f"{name}:c", mapping={"as_of": 100, "sequence": 7, "count": 7, "gone": "x"})
    redis.set(f"{name}:d", "another type")
    frames = [avro_frame("a", 2, 20), avro_frame("a", 1, 10), avro_frame("b", 6, 100), avro_frame("b", 8, 99), avro_frame("c", 8, 100)]
    frames += [avro_frame("d", 1, 1), avro_frame("e", 1, 1, channel=1), avro_frame("f", 3, 3)]
    env = environment()
    redis_sink(collection(env, frames), redis_server.url, [view(name)], RedisOptions(ttl_ms=60_000, meter_key=f"{name}-meter"))
    env.execute(name)
    assert redis.hgetall(f"{name}:a") == {"as_of": "20", "sequence": "2", "customer_id": "a", "count": "2"}
    assert redis.hget(f"{name}:b", "count") == "7"
    assert redis.hgetall(f"{name}:c") == {"as_of": "100", "sequence": "8", "customer_id": "c", "count": "8"}
    assert redis.get(f"{name}:d") == "another type"
    assert not redis.exists(f"{name}:e"), "channel 1 has no view"
    assert redis.hget(f"{name}:f", "count") == "3", "a refused key does not hold up the others"
    assert 0 < redis.pttl(f"{name}:a") <= 60_000
    assert redis.pttl(f"{name}:b") == -1
    meter = redis.hgetall(f"{name}-meter:0")
    assert meter["refused"] == "1"
    assert meter["pending"] == meter["stale"] == "0"


def tombstone(key: str, sequence: int, as_of: int, channel: int = 0) -> bytes:
    return pack_frame(Frame(channel, sequence, as_of, 0, key.encode(), b""))


def test_a_tombstone_takes_the_hash_away(environment, redis_server, name):
    """Once under the guard of every write, and back again with a newer one."""
    redis = Redis.from_url(redis_server.url, decode_responses=True)
    scored = {"type": "record", "name": "Kept", "fields": [*SCHEMA["fields"], {"name": "score", "type": "string"}]}
    views = [view(name), RedisView(1, scored, name + "-by:{customer_id}:{score}")]
    redis.hset(f"{name}:b", mapping={"as_of": 100, "sequence": 7, "customer_id": "b", "count": 7})
    redis.set(f"{name}:d", "another type")
    redis.hset(f"{name}-by:x|y:churn", mapping={"as_of": 100, "sequence": 7, "customer_id": "x|y", "count": 7, "score": "churn"})

    def run(*frames: bytes) -> None:
        env = environment()
        redis_sink(collection(env, frames), redis_server.url, views, RedisOptions(meter_key=f"{name}-meter"))
        env.execute(name)

    run(
        avro_frame("a", 1, 20), tombstone("a", 2, 20),
        tombstone("b", 6, 100), tombstone("c", 3, 50), tombstone("d", 1, 1),
        tombstone("x|y|churn|CHAMPION", 8, 100, 1), tombstone("no parts", 1, 1, 1), avro_frame("e", 1, 1),
    )  # fmt: skip
    assert redis.hgetall(f"{name}:a") == {"as_of": "20", "sequence": "2", "erased": "1"}
    assert redis.hget(f"{name}:b", "count") == "7", "the tombstone is older than what is there"
    assert redis.pttl(f"{name}:b") == -1
    assert redis.hgetall(f"{name}:c") == {"as_of": "50", "sequence": "3", "erased": "1"}, "an older write may still come"
    assert redis.get(f"{name}:d") == "another type"
    assert redis.hgetall(f"{name}-by:x|y:churn") == {"as_of": "100", "sequence": "8", "erased": "1"}
    assert redis.hget(f"{name}:e", "count") == "1"
    for mark in (f"{name}:a", f"{name}:c", f"{name}-by:x|y:churn"):
        assert 0 < redis.pttl(mark) <= 60_000
    assert redis.hget(f"{name}-meter:0", "refused") == "2", "another type, and a key that does not say which hash"

    run(avro_frame("a", 2, 20), avro_frame("c", 9, 49))  # as a retry or a restart sends them again
    assert redis.hgetall(f"{name}:a") == {"as_of": "20", "sequence": "2", "erased": "1"}
    assert redis.hgetall(f"{name}:c") == {"as_of": "50", "sequence": "3", "erased": "1"}
    run(avro_frame("a", 1, 21), avro_frame("c", 4, 50))
    assert redis.hgetall(f"{name}:a") == {"as_of": "21", "sequence": "1", "customer_id": "a", "count": "1"}
    assert redis.hgetall(f"{name}:c") == {"as_of": "50", "sequence": "4", "customer_id": "c", "count": "4"}
    assert redis.pttl(f"{name}:a") == redis.pttl(f"{name}:c") == -1, "the customer is back, and for longer than the mark"


def test_tombstones_among_writes_leave_what_a_naive_view_says(environment, redis_server, name):
    redis = Redis.from_url(redis_server.url, decode_responses=True)
    draw, frames, wanted = random.Random(5), [], {}
    newest: dict[str, tuple[int, int]] = {}
    for _ in range(4000):
        key, as_of, sequence = f"c{draw.randrange(300)}", draw.randrange(40), draw.randrange(1, 60)
        gone = draw.random() < 0.3
        frames.append(tombstone(key, sequence, as_of) if gone else avro_frame(key, sequence, as_of))
        if newest.get(key, (-1, -1)) < (as_of, sequence):
            newest[key] = (as_of, sequence)
            rest = {"erased": "1"} if gone else {"customer_id": key, "count": str(sequence)}
            wanted[f"{name}:{key}"] = {"as_of": str(as_of), "sequence": str(sequence), **rest}
    env = environment()
    # Small trips: what comes later meets what is there, and not what waits.
    options = RedisOptions(ttl_ms=3_600_000, pipeline=5, meter_key=f"{name}-meter")
    redis_sink(collection(env, frames), redis_server.url, [view(name)], options)
    env.execute(name)
    assert {key: redis.hgetall(key) for key in wanted} == wanted
    erased = [key for key, hashed in wanted.items() if "erased" in hashed]
    assert 50 < len(erased) < 250
    assert all((redis.pttl(key) <= 60_000) == (key in erased) for key in wanted)
    assert redis.hget(f"{name}-meter:0", "refused") == "0"


@pytest.mark.slow
def test_an_outage_loses_no_newest_value_and_holds_up_no_checkpoint(environment, kafka, name, tmp_path):
    topic, out = f"{name}-in", f"{name}-out"
    kafka.create_topics([topic, out])
    (port,) = free_ports(1)
    env = environment(**{"rest.port": str(port)})
    source = telemetry_source(env, kafka.bootstrap_servers, [topic], name)
    frames = customer_stream(source, "counting_kernel", spec(avro=True))
    exactly_once_sink(frames, kafka.bootstrap_servers, [out], name)
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    rest = FlinkRest(f"http://127.0.0.1:{port}")

    def send(rounds: int) -> None:
        for _ in range(rounds):
            for customer in range(200):
                producer.produce(topic, b"count", key=b"c%d" % customer)
            producer.flush(30)

    def checkpoints(job: str) -> int:
        return int(rest.call(f"/jobs/{job}/checkpoints")["counts"]["completed"])

    with EmbeddedRedis(durable=True) as server:
        redis = Redis.from_url(server.url, decode_responses=True)

        def stored() -> set[int]:
            return {int(redis.hget(f"{name}:c{customer}", "count") or 0) for customer in range(200)}

        def wait_for(count: int) -> None:
            deadline = time.monotonic() + 60
            while stored() != {count}:
                assert time.monotonic() < deadline, f"Redis holds {stored()}, not {count}"
                time.sleep(0.1)

        redis_sink(frames, server.url, [view(name)], RedisOptions(timeout_ms=500))
        client = env.execute_async(name)
        job = str(client.get_job_id())
        try:
            send(3)
            wait_for(3)
            server.kill()
            send(1)
            before = checkpoints(job)
            time.sleep(5)
            assert checkpoints(job) >= before + 10, "checkpoints of 200 ms stood still while Redis was away"
            # What waits for Redis survives a failure: nobody sends it again, for the source goes on behind it.
            producer.produce(topic, b"raise-once:" + str(tmp_path / "raised").encode(), key=b"other")
            producer.flush(30)
            deadline = time.monotonic() + 60
            while not (tmp_path / "raised").exists() or int(rest.call(f"/jobs/{job}/checkpoints")["counts"]["restored"]) == 0:
                assert time.monotonic() < deadline, "the job was not restored"
                time.sleep(0.1)
            server.start()
            wait_for(4)
            send(1)
            wait_for(5)
        finally:
            client.cancel().result()
