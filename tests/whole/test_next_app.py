"""The next-app job on a standalone cluster and in a local run: equal to replay, whatever is killed, stopped and restored."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import pytest
from redis import Redis

from keepline.features.next_app.layout import STATE_VERSION
from keepline.jobs import replay
from keepline.jobs.next_app_settings import NextAppSettings
from keepline.jobs.stack.flink import FlinkCluster
from keepline.jobs.stack.kafka import EmbeddedKafka
from keepline.jobs.stack.redis import EmbeddedRedis
from keepline.jobs.tail import records as tail
from keepline.models.next_app import manifest
from tests.models.next_app.models import made_up
from tests.savepoints.next_app import CHANNELS, NEXT_APP, PREDICTIONS, SAVEPOINTS, job, read, topics
from tests.savepoints.next_app import replayed as predictions_of
from tests.whole.history import Sent
from tests.whole.phones import APPS, phone_history
from tests.whole.support import Outputs, Record, alive, by_customer, drained, flat, is_tombstone, plain, send, wait, without_place
from tests.whole.test_cluster import running, slowly


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that weighs every feature; its prior has apps that nobody has."""
    folder = tmp_path_factory.mktemp("next-app")
    (folder / "manifest.json").write_bytes(manifest.dump(made_up("logistic", 4, names=["only.in.the.prior", *APPS[:6]])))
    return folder


def live(kafka: EmbeddedKafka, name: str) -> Outputs:
    """What a job committed; of tombstones the user is the key."""
    given = [f"{key}={value}" for key, value in kafka.admin.items()]
    found: Outputs = {}
    for channel in CHANNELS:
        grouped: dict[str, list[Record]] = defaultdict(list)
        for record in map(plain, tail(f"{name}.{channel}", kafka.bootstrap_servers, given)):
            who = record["key"] if is_tombstone(record) else next(record[n] for n in ("customer_id", "request_id", "key") if n in record)
            grouped[str(who)].append(record)
        found[channel] = dict(grouped)
    return found


def replayed(model: Path, records: Iterable[Sent], folder: Path) -> Outputs:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "events.jsonl"
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(record.event) + "\n" for record in records if record.event)
    replay.next_app(NextAppSettings(model=model), [path], folder / "out")
    return {channel: by_customer(map(json.loads, (folder / "out" / f"{channel}.jsonl").open())) for channel in CHANNELS}


def assert_equal(found: Outputs, wanted: Outputs) -> None:
    """Per user, in order; files have no tombstones."""
    for channel in ("app-predictions", "late-events", "erasure-receipts"):
        here = {user: made for user, each in found[channel].items() if (made := [without_place(r) for r in alive(each)])}
        there = {user: [without_place(record) for record in each] for user, each in wanted[channel].items()}
        assert sorted(here) == sorted(there), channel
        for user, made in there.items():
            assert here[user] == made, f"{channel} of {user}"


def assert_view(url: str, found: Outputs) -> None:
    """Redis holds every user's last prediction, and nothing of one who was erased and did not come back."""
    redis = Redis.from_url(url, decode_responses=True)
    wanted = {}
    for user, made in found["app-predictions"].items():
        if not is_tombstone(made[-1]):
            wanted[f"keepline:next-app:{user}"] = made[-1]
    there = {key for key in redis.keys("keepline:next-app:*") if not redis.hexists(key, "erased")}
    assert there == set(wanted)
    for key, record in wanted.items():
        stored = redis.hgetall(key)
        assert (int(stored["as_of"]), stored["event_id"]) == (record["as_of"], record["event_id"]), key
        assert json.loads(stored["apps"]) == record["apps"], key


def assert_met(found: Outputs, records: list[Sent]) -> None:
    """What the run was meant to meet, it met."""
    made = alive(flat(found["app-predictions"]))
    assert len(made) > 2000
    assert all(len(record["apps"]) == 5 for record in made)
    assert any(each["app"] == "only.in.the.prior" for record in made for each in record["apps"])
    asked = {r.event["request_id"] for r in records if r.event and r.event["type"] == "Erasure"}
    assert {record["request_id"] for record in flat(found["erasure-receipts"])} == asked
    assert len(asked) > 3
    assert sum(is_tombstone(record) for record in flat(found["app-predictions"])) == len(asked)
    assert len(flat(found["late-events"])) > 10
    assert {record["reason"] for record in flat(found["dead-letters"])} == {"MALFORMED"}
    assert len(flat(found["dead-letters"])) == sum(record.reason == "MALFORMED" for record in records)


@pytest.mark.slow
def test_killed_stopped_and_restored(flink: FlinkCluster, kafka: EmbeddedKafka, model: Path, name: str, tmp_path: Path) -> None:
    records = phone_history(seed=3)
    topic = topics(kafka, name, 2)
    third = len(records) // 3
    send(kafka, topic, records[:third])
    with EmbeddedRedis() as redis:

        def submit(parallelism: int, savepoint: str | None = None) -> str:
            return flink.submit(
                NEXT_APP, "--bootstrap-servers", kafka.bootstrap_servers, "--topics", topic, "--output-prefix", name, "--redis-url",
                redis.url, "--model", str(model), "--job-name", name, "--idle-after", "0s", "--checkpoint-interval", "200ms",
                "--resident-states", "1000", "--parallelism", str(parallelism), parallelism=parallelism, savepoint=savepoint,
            )  # fmt: skip

        first = submit(2)
        with running(flink, first):
            wait("a checkpoint", lambda: flink.rest.checkpoints(first)["counts"]["completed"] > 0)
            sending = slowly(kafka, topic, records[third : 2 * third], 2)
            time.sleep(1)  # in mid-stream
            restored = flink.rest.checkpoints(first)["counts"]["restored"]
            lost = flink.kill_taskmanager(0)
            wait("the loss noticed", lambda: lost not in flink.rest.taskmanagers(), 30)
            flink.start_taskmanager(0)
            wait("a restore", lambda: flink.rest.checkpoints(first)["counts"]["restored"] > restored)
            flink.rest.wait_running(first)
            sending.join()
            drained(kafka, flink.rest, first, topic, name)
            savepoint = flink.rest.savepoint(first, flink.savepoints, stop=True)
            assert flink.rest.wait(first) == "FINISHED"
        send(kafka, topic, records[2 * third :])
        second = submit(1, savepoint)
        with running(flink, second):
            drained(kafka, flink.rest, second, topic, name)
            found = live(kafka, name)
            assert_equal(found, replayed(model, records, tmp_path))
            assert_met(found, records)
            wait("the view", lambda: _same(redis.url, found), 20)
            assert_view(redis.url, found)
    logs = flink.logs()
    assert "org.example.app" not in logs, "an app's name in a log"
    assert "u001" not in logs, "a user's id in a log"


def _same(url: str, found: Outputs) -> bool:
    try:
        assert_view(url, found)
    except AssertionError:
        return False
    return True


@pytest.mark.slow
@pytest.mark.parametrize("folder", SAVEPOINTS, ids=lambda folder: folder.name)
def test_a_committed_savepoint_goes_on(folder: Path, flink: FlinkCluster, kafka: EmbeddedKafka, tmp_path: Path) -> None:
    facts, records = json.loads((folder / "facts.json").read_text()), read(folder)
    known = [json.loads(line) for line in (folder / f"{PREDICTIONS}.jsonl").open()]
    assert predictions_of(folder, records, tmp_path / "whole") == known
    first = predictions_of(folder, records[: facts["before"]], tmp_path / "first")
    assert topics(kafka, facts["job"]) == facts["topic"]
    send(kafka, facts["topic"], records)  # its first part lies before the savepoint's offset
    with job(flink, kafka, folder, facts["job"], (folder / "savepoint").as_uri()) as started:
        drained(kafka, flink.rest, started, facts["topic"], facts["job"])
        found = live(kafka, facts["job"])[PREDICTIONS]
    rest = by_customer(known[len(first) :])
    assert {user: alive(made) for user, made in found.items() if alive(made)} == rest
    assert sum(map(len, rest.values())) > 50


def test_every_state_version_has_a_savepoint() -> None:
    versions = {json.loads((folder / "facts.json").read_text())["state_version"] for folder in SAVEPOINTS}
    assert versions == set(range(1, STATE_VERSION + 1)), "make it with `python -m tests.savepoints.next_app` and commit the folder"
