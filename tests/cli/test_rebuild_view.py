"""`keepline rebuild-view`: the newest of each key, never over something as new, as the job's own sink would have written it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Producer
from redis import Redis

from keepline.jobs import rebuild_view
from keepline.jobs.rebuild_view import GUARD, as_fields, java_double
from keepline.jobs.stack.kafka import EmbeddedKafka
from keepline.jobs.stack.ports import free_ports
from keepline.jobs.stack.redis import EmbeddedRedis
from keepline.jobs.view_keys import VIEW_KEYS
from keepline.operators.jar import JVM
from keepline.operators.spec import CHANNELS
from keepline.schemas.records import from_record
from tests.cli.conftest import Command

REASON = {"feature": "calls_7d", "value": 12.0, "contribution": -1.25e-05}


def score(customer: str, as_of: int, value: float) -> dict[str, Any]:
    return {
        "customer_id": customer, "score": "churn", "value": value, "band": "LOW", "as_of": as_of, "event_id": f"e{as_of}",
        "model_id": "m", "model_version": 1, "role": "CHAMPION", "reasons": [REASON],
    }  # fmt: skip


def intervention(customer: str, decided_at: int) -> dict[str, Any]:
    return {
        "intervention_id": f"{decided_at:032x}", "customer_id": customer, "kind": "offer", "channel": "SMS", "offer": "ü", "score": "churn",
        "value": 0.75, "reasons": [REASON], "model_id": "m", "model_version": 1, "policy_version": 1, "decided_at": decided_at,
        "not_before": decided_at, "expires_at": decided_at + 1,
    }  # fmt: skip


def topics(kafka: EmbeddedKafka, prefix: str, partitions: int = 1) -> None:
    kafka.create_topics([f"{prefix}.{CHANNELS[channel]}" for channel in VIEW_KEYS], partitions)


def nothing_of(*channels: str) -> dict[str, int]:
    """The other channels that have a view, as a result counts them."""
    return {CHANNELS[channel]: 0 for channel in VIEW_KEYS if CHANNELS[channel] not in channels}


@pytest.fixture
def redis(redis_server: EmbeddedRedis) -> Iterator[Redis]:
    client = Redis.from_url(redis_server.url, decode_responses=True)
    yield client
    for key in client.scan_iter("keepline:*:rv-*"):
        client.delete(key)


def test_rebuilt(kafka: EmbeddedKafka, redis_server: EmbeddedRedis, redis: Redis, keepline: Command) -> None:
    topics(kafka, "rebuilt", 2)
    producer = Producer({**kafka.admin, "enable.idempotence": True})
    for made in (
        ("rv-a", 10, 0.1),
        ("rv-b", 10, 0.2),
        ("rv-a", 30, 0.3),
        ("rv-c", 10, 0.4),
        ("rv-a", 20, 0.5),
        ("rv-d", 10, 0.6),
        ("rv-d", 10, 0.7),
        ("rv-e", 10, 0.8),
    ):
        producer.produce("rebuilt.scores", from_record("Score", score(*made)), made[0], partition=0)
    producer.produce("rebuilt.scores", None, "rv-gone|churn|CHAMPION", partition=0)
    producer.produce("rebuilt.scores", b"no record", "rv-x", partition=1)
    producer.produce("rebuilt.interventions", from_record("Intervention", intervention("rv-a", 7)), "rv-a")
    assert producer.flush(30) == 0
    redis.hset("keepline:score:rv-b:churn", mapping={"as_of": 11, "sequence": 4, "value": "newer"})
    redis.hset("keepline:score:rv-c:churn", mapping={"as_of": 10, "sequence": 1, "value": "of the same moment"})
    redis.set("keepline:score:rv-e:churn", "no hash")
    redis.hset("keepline:score:rv-d:churn", mapping={"as_of": 9, "sequence": 9, "value": "older", "gone": "x"})

    words = ("rebuild-view", "--bootstrap-servers", kafka.bootstrap_servers, "--redis-url", redis_server.url, "--output-prefix", "rebuilt")
    told = keepline(*words, "--redis-ttl", "1h", "--json").json
    by_channel = {"scores": 5, "interventions": 1} | nothing_of("scores", "interventions")
    counts = {"read": 11, "keys": 6, "written": 3, "newer": 2, "refused": 1, "removed": 0, "unreadable": 1}
    assert told == {**counts, "by_channel": by_channel}
    assert redis.hgetall("keepline:score:rv-a:churn") == {
        "as_of": "30", "sequence": "0", "customer_id": "rv-a", "score": "churn", "value": "0.3", "band": "LOW", "event_id": "e30",
        "model_id": "m", "model_version": "1", "role": "CHAMPION",
        "reasons": '[{"feature":"calls_7d","value":12.0,"contribution":-1.25E-5}]',
    }  # fmt: skip
    assert redis.hget("keepline:score:rv-b:churn", "value") == "newer"
    assert redis.hget("keepline:score:rv-c:churn", "value") == "of the same moment"
    assert redis.hget("keepline:score:rv-d:churn", "value") == "0.7", "of two records of one moment the later"
    assert redis.hget("keepline:score:rv-d:churn", "gone") is None
    assert redis.hget("keepline:intervention:rv-a", "decided_at") == "7"
    assert 0 < redis.pttl("keepline:score:rv-a:churn") <= 3_600_000
    assert not redis.exists("keepline:score:rv-gone:churn")

    again = keepline(*words)
    assert "0 keys written (5 scores, 1 interventions" in again.out
    assert "in the topics), 5 were as new" in again.out
    assert "1 records could not be read" in again.err
    assert "1 keys are of another type" in again.err
    assert redis.get("keepline:score:rv-e:churn") == "no hash"


def test_erased_customers_do_not_come_back(kafka: EmbeddedKafka, redis_server: EmbeddedRedis, redis: Redis, keepline: Command) -> None:
    topics(kafka, "erasures", 1)
    producer = Producer({**kafka.admin, "enable.idempotence": True})

    def scored(customer: str, as_of: int) -> None:
        producer.produce("erasures.scores", from_record("Score", score(customer, as_of, 0.5)), f"{customer}|churn|CHAMPION")

    def intervened(customer: str, at: int) -> None:
        producer.produce("erasures.interventions", from_record("Intervention", intervention(customer, at)), customer)

    def erased(customer: str, as_of: int) -> None:
        producer.produce("erasures.scores", None, f"{customer}|churn|CHAMPION", headers={"as_of": str(as_of)})

    for customer in ("rv-gone", "rv-back|x", "rv-stays"):  # an id may hold the bar that parts the key
        scored(customer, 50)
        intervened(customer, 50)
    for customer in ("rv-gone", "rv-back|x", "rv-never"):
        erased(customer, 51)
    intervened("rv-gone", 51)  # made before the erasure, and long on its way
    scored("rv-back|x", 20)  # an older time than before, and yet the newest
    intervened("rv-forgotten", 50)  # the compacted topic of scores knows neither score nor tombstone any more
    assert producer.flush(30) == 0
    kept = {"as_of": "99", "sequence": "9", "value": "from a dump of Redis"}
    for key in ("score:rv-gone:churn", "intervention:rv-gone", "intervention:rv-back|x", "intervention:rv-never", "score:rv-other:churn"):
        redis.hset(f"keepline:{key}", mapping=kept)

    words = ("rebuild-view", "--bootstrap-servers", kafka.bootstrap_servers, "--redis-url", redis_server.url, "--output-prefix", "erasures")
    told = keepline(*words, "--json").json
    assert {name: told[name] for name in ("keys", "written", "newer", "removed", "unreadable")} == {
        "keys": 3, "written": 3, "newer": 0, "removed": 4, "unreadable": 0,
    }  # fmt: skip
    found = {key.removeprefix("keepline:") for key in redis.scan_iter("keepline:*:rv-*")}
    assert found == {"score:rv-back|x:churn", "score:rv-stays:churn", "intervention:rv-stays", "score:rv-other:churn"}
    assert redis.hget("keepline:score:rv-back|x:churn", "as_of") == "20"
    assert redis.hgetall("keepline:score:rv-other:churn") == kept, "of whom the topics say nothing is not asked for"

    intervened("rv-back|x", 52)
    assert producer.flush(30) == 0
    redis.hset("keepline:score:rv-gone:churn", mapping=kept)
    assert "1 keys of erased customers removed" in keepline(*words).out
    assert redis.hget("keepline:intervention:rv-back|x", "decided_at") == "52"


def test_who_is_erased_while_the_view_is_written_does_not_come_back(
    kafka: EmbeddedKafka, redis_server: EmbeddedRedis, redis: Redis, keepline: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    topics(kafka, "meanwhile", 1)
    producer = Producer({**kafka.admin, "enable.idempotence": True})
    for customer in ("rv-a", "rv-b"):
        producer.produce("meanwhile.scores", from_record("Score", score(customer, 10, 0.5)), f"{customer}|churn|CHAMPION")
        producer.produce("meanwhile.interventions", from_record("Intervention", intervention(customer, 10)), customer)
    assert producer.flush(30) == 0
    write, passes = rebuild_view._write, []

    def slowly(*given: Any) -> Iterator[int]:
        yield from write(*given)
        passes.append(set(given[1]))
        if len(passes) == 1:
            assert redis.exists("keepline:score:rv-a:churn")
            producer.produce("meanwhile.scores", None, "rv-a|churn|CHAMPION")
            producer.produce("meanwhile.scores", from_record("Score", score("rv-b", 20, 0.5)), "rv-b|churn|CHAMPION")
            assert producer.flush(30) == 0

    monkeypatch.setattr(rebuild_view, "_write", slowly)
    words = (
        "rebuild-view",
        "--bootstrap-servers",
        kafka.bootstrap_servers,
        "--redis-url",
        redis_server.url,
        "--output-prefix",
        "meanwhile",
    )
    told = keepline(*words, "--json").json
    assert passes[1] == {"keepline:score:rv-b:churn"}, "the second time only what is new"
    assert (told["read"], told["keys"], told["written"], told["removed"]) == (6, 2, 2, 2)
    assert {key.removeprefix("keepline:") for key in redis.scan_iter("keepline:*:rv-*")} == {"score:rv-b:churn", "intervention:rv-b"}
    assert redis.hget("keepline:score:rv-b:churn", "as_of") == "20"


def test_the_script_is_the_sinks() -> None:
    source = (JVM / "src/main/java/io/keepline/redis/HashScript.java").read_text(encoding="utf-8")
    text = source.partition('String.join("\\n",')[2].partition(";\n\n")[0]
    assert re.findall(r'^\s+"(.*)"[,)]', text, re.MULTILINE) == GUARD.splitlines()


def test_refused(kafka: EmbeddedKafka, keepline: Command) -> None:
    (port,) = free_ports(1)
    words = ("rebuild-view", "--bootstrap-servers", kafka.bootstrap_servers, "--output-prefix", "rebuilt-nothing")
    told = keepline(*words, "--redis-url", "")
    assert told.code == 2
    assert "there is no view to rebuild" in told.err
    told = keepline(*words, "--redis-url", f"redis://127.0.0.1:{port}/0")
    assert told.code == 2
    assert "rebuilt-nothing.scores" in told.err
    topics(kafka, "rebuilt-nothing")
    told = keepline(*words, "--redis-url", f"redis://:secret@127.0.0.1:{port}/0")
    assert told.code == 2
    assert "run it again when Redis takes writes" in told.err
    assert "secret" not in told.err


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.0"), (-0.0, "-0.0"), (1.0, "1.0"), (0.001, "0.001"), (0.0009, "9.0E-4"), (9999999.0, "9999999.0"), (1e7, "1.0E7"),
     (-1.5e-300, "-1.5E-300"), (1.7976931348623157e308, "1.7976931348623157E308"), (0.1 + 0.2, "0.30000000000000004")],
)  # fmt: skip
def test_numbers_are_java_s(value: float, text: str) -> None:
    assert java_double(value) == text
    assert float(text) == value


def test_nulls_are_left_out() -> None:
    assert as_fields({"a": None, "as_of": 1, "sequence": 2, "b": b"\xff", "c": ["ß", None, {"d": 1e-9}]}) == [
        "b",
        b"\xff",
        "c",
        '["ß",null,{"d":1.0E-9}]',
    ]
