"""Churn and lifetime value in one job: equal to `replay` record for record, one policy for both; a savepoint that gains a feature set."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from redis import Redis

from keepline.jobs.settings import RetentionSettings
from keepline.jobs.stack.flink import FlinkCluster
from keepline.jobs.stack.java import ROOT
from keepline.jobs.stack.kafka import EmbeddedKafka
from keepline.jobs.stack.redis import EmbeddedRedis
from tests.jobs.models_for_tests import clv_manifest
from tests.whole.history import DAY, START, Sent, clock, sent, whole_history
from tests.whole.policies import policy_of_both
from tests.whole.support import (
    FROM_FILES,
    Record,
    alive,
    assert_equal,
    drained,
    flat,
    live,
    replayed,
    run_job,
    send,
    settings_file,
    topics,
)

CLV = ("clv_bgnbd", "clv_formula", "p_alive")


@pytest.fixture
def clv_model(tmp_path: Path) -> Path:
    path = tmp_path / "clv.json"
    path.write_text(json.dumps(clv_manifest()), encoding="utf-8")
    return path


def names(scores: Mapping[str, list[Record]]) -> set[str]:
    """The scores that there are."""
    return {key.partition("|")[2] or "churn" for key in scores}


@pytest.mark.slow
def test_live_equals_replay(kafka: EmbeddedKafka, model: Path, clv_model: Path, name: str, tmp_path: Path) -> None:
    partitions = 3
    policy = policy_of_both(tmp_path)
    settings = RetentionSettings(scores="churn,clv", model=model, clv_model=clv_model, emit="delta", policy=policy)  # type: ignore[arg-type]
    records = whole_history(seed=9, customers=50, partitions=partitions, per_day=400, silence=40)
    topic = topics(kafka, name, partitions)
    send(kafka, topic, records)
    with EmbeddedRedis() as redis:
        run_job(
            tmp_path, "--bootstrap-servers", kafka.bootstrap_servers, "--topics", topic, "--output-prefix", name, "--redis-url", redis.url,
            "--scores", "churn,clv", "--model", str(model), "--clv-model", str(clv_model), "--policy", str(policy), "--job-name", name,
            "--emit", "delta", "--parallelism", "2", "--state-backend", "rocksdb", "--idle-after", "0s", "--checkpoint-interval", "300ms",
        )  # fmt: skip
        found, wanted = live(kafka, name), replayed(settings, records, tmp_path)
        assert_equal(found, wanted, FROM_FILES)
        client = Redis.from_url(redis.url, decode_responses=True)
        view = {key for key in client.keys("keepline:score:*") if not client.hexists(key, "erased")}
    assert names(found["scores"]) == {"churn", *CLV}
    held = {key for key, made in found["scores"].items() if alive(made) and "tombstone" not in made[-1]}
    assert {f"keepline:score:{key.replace('|', ':') if '|' in key else key + ':churn'}" for key in held} <= view
    kinds = {record["kind"] for record in flat(found["interventions"])}
    assert kinds >= {"reward", "win_back", "extra_data", "apology"}
    scores = {record["kind"]: record["score"] for record in flat(found["interventions"]) if record["escalation_of"] is None}
    assert scores["reward"] == "clv_bgnbd"
    assert {record["score"] for record in flat(found["interventions"]) if record["kind"] == "win_back"} <= {"clv_bgnbd", "p_alive"}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_churn_forgets_lifetime_value_keeps(
    flink: FlinkCluster, kafka: EmbeddedKafka, model: Path, clv_model: Path, name: str, tmp_path: Path
) -> None:
    """After 400 days of silence a state begins with nothing: the part behind is written, stored and restored all the same."""
    topic = topics(kafka, name)

    def order(number: int, time: int) -> Sent:
        head = {"type": "Purchase", "customer_id": "loyal", "event_id": f"o{number}", "event_time": time}
        return sent({**head, "order_id": f"o{number}", "amount": 20.0}, 1)

    silence = [clock(START + day * DAY + 1) for day in range(0, 410, 5)]
    first = [order(1, START), *silence]
    then = [order(2, START + 410 * DAY), order(3, START + 420 * DAY), clock(START + 421 * DAY + 1)]
    shared = {
        "bootstrap_servers": kafka.bootstrap_servers, "topics": topic, "output_prefix": name, "redis_url": "", "model": str(model),
        "scores": "churn,clv", "emit": "every", "idle_after": "0s", "checkpoint_interval": "500ms", "policy": "none",
        "clv_model": str(clv_model),
    }  # fmt: skip
    send(kafka, topic, first)
    job = flink.submit(ROOT / "jobs" / "retention.py", "--config", str(settings_file(tmp_path, job_name=name, **shared)))
    drained(kafka, flink.rest, job, topic, name, 200)
    savepoint = flink.rest.stop(job, str(tmp_path / "savepoints"))
    flink.rest.wait(job)
    job = flink.submit(ROOT / "jobs" / "retention.py", "--config", str(settings_file(tmp_path, job_name=name, **shared, restore=savepoint)))
    try:
        send(kafka, topic, then)
        drained(kafka, flink.rest, job, topic, name, 200)
        assert flink.rest.restarts(job) == 0
    finally:
        flink.rest.cancel(job)
        flink.rest.wait(job)
    found = live(kafka, name)
    settings = RetentionSettings(scores="churn,clv", model=model, clv_model=clv_model, emit="every", policy="none")  # type: ignore[arg-type]
    wanted = replayed(settings, [*first, *then], tmp_path)
    assert_equal(found, wanted, ["scores"])
    assert min(record["value"] for record in found["scores"]["loyal|p_alive"] if record["event_id"] == "o3") < 1, "three orders are known"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_job_gains_a_feature_set(
    flink: FlinkCluster, kafka: EmbeddedKafka, model: Path, clv_model: Path, name: str, tmp_path: Path
) -> None:
    """Churn goes on from the savepoint as if nothing had been; lifetime value begins with what comes after it."""
    records = whole_history(seed=10, customers=20, partitions=1, per_day=100, silence=3)
    middle = len(records) // 2
    topic = topics(kafka, name)
    shared = {
        "bootstrap_servers": kafka.bootstrap_servers, "topics": topic, "output_prefix": name, "redis_url": "", "model": str(model),
        "emit": "every", "idle_after": "0s", "checkpoint_interval": "500ms", "policy": "none", "clv_model": str(clv_model),
    }  # fmt: skip
    send(kafka, topic, records[:middle])
    job = flink.submit(ROOT / "jobs" / "retention.py", "--config", str(settings_file(tmp_path, job_name=name, **shared)))
    drained(kafka, flink.rest, job, topic, name, 200)
    savepoint = flink.rest.stop(job, str(tmp_path / "savepoints"))
    flink.rest.wait(job)
    more = {"scores": "churn,clv", "restore": savepoint}
    job = flink.submit(ROOT / "jobs" / "retention.py", "--config", str(settings_file(tmp_path, job_name=name, **shared, **more)))
    try:
        send(kafka, topic, records[middle:])
        drained(kafka, flink.rest, job, topic, name, 200)
        assert flink.rest.restarts(job) == 0
    finally:
        flink.rest.cancel(job)
        flink.rest.wait(job)
    found = live(kafka, name)["scores"]
    wanted = replayed(RetentionSettings(model=model, emit="every", policy="none"), records, tmp_path)["scores"]
    churn = {key: alive(made) for key, made in found.items() if "|" not in key and alive(made)}
    assert_equal({"scores": churn}, {"scores": wanted}, ["scores"])
    assert names(found) == {"churn", *CLV}
