"""Latency of a score at a fixed rate of events: from when the event was due to its score in Redis, and to a committed read.

Open loop: the producer keeps its schedule whatever happens, and `created_ms` is the scheduled moment, so a stall counts for
all events it delays. The Redis figure is the sink's own, taken at the acknowledgement; it knows p50, p99 and the maximum
(and p99.9 where the sink gives it). The committed figure is a consumer's that reads committed records only.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from confluent_kafka import Consumer, TopicPartition
from redis import Redis

from tests.benchmarks import events, load
from tests.benchmarks.job import PARTITIONS, Job

SHARES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
PATIENCE_S, START_S = 30.0, 180.0
FIRST = 1000
"""Events that wait in the topic while the job starts; the schedule begins when it has scored them."""


def quantiles(values: Any) -> dict[str, float]:
    """The shares of SHARES, ms."""
    return {name: float(np.quantile(values, share, method="higher")) for name, share in SHARES.items()}


def meter(redis: Redis, job: str) -> dict[str, float]:
    """What the Redis sink has measured so far, ms."""
    found = redis.hgetall(f"keepline:meter:{job}:0")
    fields = {key.decode(): float(value) for key, value in found.items()}  # type: ignore[union-attr]
    return {"p50": fields.get("p50_ms", np.nan), "p99": fields.get("p99_ms", np.nan), "p99.9": fields.get("p999_ms", np.nan),
            "max": fields.get("max_ms", np.nan), "count": fields.get("count", 0)}  # fmt: skip


def warm_reader(servers: str, topic: str) -> Consumer:
    """A consumer of committed scores that does not wait for more than it gets."""
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "latency",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "fetch.wait.max.ms": 5,
        }
    )
    consumer.assign([TopicPartition(topic, p, 0) for p in range(PARTITIONS)])
    return consumer


def run(
    broker: Any, redis_url: str, name: str, stream: events.Stream, rate: int, warm_s: float, seconds: float, say: Callable[[str], None]
) -> dict[str, Any]:
    """One rate, on a job of its own; the warm-up is at the same rate."""
    topic = f"{name}.telemetry"
    broker.create_topics([topic], partitions=PARTITIONS)
    context = multiprocessing.get_context("spawn")
    told = context.Queue()
    with Job(broker, name, topic, checkpoint="1s", redis_url=redis_url) as job:
        say(f"latency at {rate:,} events/s: starting")
        load.fill(broker.bootstrap_servers, topic, stream, FIRST, lambda _: None)
        reader = warm_reader(broker.bootstrap_servers, job.scores)
        ready, deadline = 0, time.monotonic() + START_S
        while ready < FIRST:
            ready += sum(not m.error() for m in reader.consume(FIRST - ready, 0.1))
            job.check()
            if time.monotonic() > deadline:
                msg = f"the job scored {ready} of {FIRST} events within {START_S:.0f} s. The end of its log:\n{job.tail()}"
                raise RuntimeError(msg)
        sender = context.Process(
            target=load.open_loop, args=(broker.bootstrap_servers, topic, stream, FIRST, rate, warm_s, seconds, told), daemon=True
        )
        sender.start()
        sent, measured, late = None, 0, 0.0
        taken, total, since = [], 0, time.monotonic()
        while sent is None or total < sent:
            messages = [m for m in reader.consume(2000, 0.02) if not m.error()]
            now = time.time() * 1000
            for message in messages:
                headers = message.headers()
                if headers:
                    taken.append(now - int(headers[0][1]))
            if messages:
                total, since = total + len(messages), time.monotonic()
                say(f"latency at {rate:,} events/s: {total / (rate * (warm_s + seconds)):.0%}")
            if sent is None and not told.empty():
                sent, measured, late = told.get()
            job.check()
            if time.monotonic() - since > PATIENCE_S:
                msg = f"no score for {PATIENCE_S:.0f} s at {rate} events/s. The end of the log:\n{job.tail()}"
                raise RuntimeError(msg)
        reader.close()
        sender.join()
        time.sleep(1.2)  # the meter reports once a second
        with Redis.from_url(redis_url) as redis:
            view = meter(redis, name)
        facts = job.facts()
    void = "" if len(taken) == measured else f"void: {measured} events measured, {len(taken)} scores read"
    if facts["restarts"]:
        void = f"void: {facts['restarts']} restarts. {void}"
    return {
        "rate": rate,
        "events": measured,
        "producer_late_ms": late,
        "redis_ms": view,
        "committed_ms": quantiles(taken),
        "void": void,
        **facts,
    }
