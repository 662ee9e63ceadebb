"""Redis and Kafka away at the start and in mid-run: nothing is lost, nothing comes twice, and what can go on goes on."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from redis import Redis

from keepline.jobs.cluster.rest import FlinkRest
from keepline.jobs.settings import RetentionSettings
from keepline.jobs.stack.flink import FlinkCluster
from keepline.jobs.stack.java import ROOT
from keepline.jobs.stack.kafka import EmbeddedKafka
from keepline.jobs.stack.ports import free_ports
from keepline.jobs.stack.redis import EmbeddedRedis
from tests.whole.history import whole_history
from tests.whole.support import (
    alive,
    assert_equal,
    assert_view_soon,
    command,
    drained,
    flat,
    live,
    replayed,
    send,
    settings_file,
    topics,
    wait,
)

RETENTION = ROOT / "jobs" / "retention.py"
AWAY_SECONDS = 20


def completed(rest: FlinkRest, job: str) -> int:
    return int(rest.checkpoints(job)["counts"]["completed"])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_redis_and_kafka_go_and_come_back(flink: FlinkCluster, model: Path, name: str, tmp_path: Path) -> None:
    """Redis is away at the start, comes, is killed and comes back empty; then Kafka is killed for 20 s. Kafka's output equals replay."""
    name = f"hard-{name}"
    records = whole_history(seed=31, customers=60, partitions=2, per_day=300, silence=20)
    parts = [records[part * len(records) // 5 : (part + 1) * len(records) // 5] for part in range(5)]
    rest = flink.rest
    with EmbeddedKafka() as kafka:
        topic, redis = topics(kafka, name, 2), EmbeddedRedis()
        file = settings_file(
            tmp_path, job_name=name, bootstrap_servers=kafka.bootstrap_servers, topics=topic, output_prefix=name, redis_url=redis.url,
            model=str(model), emit="every", idle_after="0s", checkpoint_interval="300ms",
        )  # fmt: skip
        send(kafka, topic, parts[0])
        job = flink.submit(RETENTION, "--config", str(file))
        try:
            drained(kafka, rest, job, topic, name, 300)
            assert len(flat(live(kafka, name)["scores"])) > 500, "Redis is not there, and Kafka's output flows"
            redis.start()
            assert_view_soon(redis.url, live(kafka, name), parts[0], 120)
            redis.kill()
            send(kafka, topic, parts[1])
            drained(kafka, rest, job, topic, name, 300)
            assert rest.restarts(job) == 0, "neither to start without Redis nor to lose it is a failure"
            redis.start()
            found = live(kafka, name)["scores"]
            send(kafka, topic, parts[2])
            drained(kafka, rest, job, topic, name, 300)
            later = live(kafka, name)["scores"]
            view = Redis.from_url(redis.url, decode_responses=True)
            newest = {
                customer: made[-1]
                for customer, made in later.items()
                if len(made) > len(found.get(customer, [])) and alive(made) == made  # of who was erased, the view may hold less
            }
            assert len(newest) > 20

            def arrived() -> bool:
                return all(view.hget(f"keepline:score:{who}:churn", "event_id") == score["event_id"] for who, score in newest.items())

            wait("later writes in the emptied Redis", arrived, 120)

            kafka.kill()
            gone = time.monotonic()
            wait("Kafka away for a while", lambda: time.monotonic() - gone > AWAY_SECONDS, AWAY_SECONDS + 10)
            kafka.start()
            send(kafka, topic, parts[3])
            send(kafka, topic, parts[4])
            before = completed(rest, job)
            wait("checkpoints go on", lambda: completed(rest, job) > before, 300)
            drained(kafka, rest, job, topic, name, 300)
            found = live(kafka, name)
            wanted = replayed(RetentionSettings(model=model, emit="every"), records, tmp_path)
            assert_equal(found, wanted)
        except BaseException:
            print(rest.state(job), rest.restarts(job), rest.cause(job)[:3000])
            raise
        finally:
            rest.cancel(job)
            rest.wait(job)
            redis.close()
    assert len(flat(found["scores"])) > 4000


def test_no_broker_at_the_start_is_told_within_seconds() -> None:
    """Also for a job without Redis and on a topic of its own name."""
    (port,) = free_ports(1)
    done = command("run", "retention", "--bootstrap-servers", f"127.0.0.1:{port}", "--redis-url", "", timeout=240)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: Kafka at 127.0.0.1:{port} does not say within 10 s"), done.stderr
    assert "check that it runs, --bootstrap-servers" in done.stderr
