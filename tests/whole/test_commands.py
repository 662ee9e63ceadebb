"""`keepline submit`, `status`, `savepoint`, `stop` and `restore` on a session cluster, as a user types them; outputs equal to replay."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from keepline.jobs.cluster.named import live as live_jobs
from keepline.jobs.settings import RetentionSettings
from keepline.jobs.stack.flink import FlinkCluster
from keepline.jobs.stack.kafka import EmbeddedKafka
from keepline.operators.code import code_hash
from tests.whole.history import whole_history
from tests.whole.support import assert_equal, command, drained, live, replayed, send, settings_file, topics

TIMEOUT = 420


class Cluster:
    """The commands against one cluster."""

    def __init__(self, flink: FlinkCluster) -> None:
        self.flink = flink

    def run(self, *words: str, code: int = 0) -> str:
        """What it printed: standard output if it went well, else standard error."""
        done = command(*words, timeout=TIMEOUT, KEEPLINE_FLINK_URL=self.flink.rest.url)
        logs = self.flink.logs() if code == 0 and done.returncode else ""
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}\n{logs}"
        return done.stdout if code == 0 else done.stderr

    def json(self, *words: str) -> Any:
        return json.loads(self.run(*words, "--json"))


@contextmanager
def commands(flink: FlinkCluster, *names: str) -> Iterator[Cluster]:
    """Cancels the jobs of these names at the end."""
    try:
        yield Cluster(flink)
    finally:
        for name in names:
            for job in live_jobs(flink.rest, name):
                flink.rest.cancel(job["jid"])
                flink.rest.wait(job["jid"])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_submitted_saved_stopped_rescaled(flink: FlinkCluster, kafka: EmbeddedKafka, model: Path, name: str, tmp_path: Path) -> None:
    records = whole_history(seed=21, customers=60, partitions=2, per_day=300, silence=20)
    topic, half = topics(kafka, name, 2), len(records) // 2
    send(kafka, topic, records[:half])
    written = settings_file(
        tmp_path, job_name=name, bootstrap_servers=kafka.bootstrap_servers, topics=topic, output_prefix=name, redis_url="",
        model=str(model), emit="every", idle_after="0s", checkpoint_interval="200ms",
    )  # fmt: skip
    file = str(written)
    with commands(flink, name) as keepline:
        first = keepline.json("submit", "retention", "--config", file)
        assert first["state"] == "RUNNING"
        assert first["restored"] is None
        drained(kafka, flink.rest, first["job"], topic, name)

        # A second live job of this name would fence the first.
        told = keepline.run("submit", "retention", "--config", file, code=2)
        assert told.startswith(f"error: job '{name}' is RUNNING on {flink.rest.url}"), told
        assert f"keepline stop {name}" in told

        (shown,) = keepline.json("status", name)
        assert (shown["id"], shown["state"], shown["parallelism"], shown["lag"]) == (first["job"], "RUNNING", 1, 0)
        assert shown["restarts"] == flink.rest.restarts(first["job"])
        assert shown["tasks_running"] == shown["tasks"] > 0
        assert shown["checkpoint"]["size"] > 1000
        assert f"/checkpoints/{name}/" in shown["checkpoint"]["uri"], "the folder is the name's, not only the id's"
        assert shown["model"] == "churn-test/3"
        assert shown["code"] == code_hash()
        table = keepline.run("status")
        assert name in table
        assert "RUNNING" in table

        saved = keepline.json("savepoint", first["job"][:8])
        assert saved["state"] == "RUNNING"
        assert f"/savepoints/{name}/savepoint-" in saved["savepoint"]
        stopped = keepline.json("stop", name)
        assert stopped["state"] == "FINISHED"
        assert "no job" in keepline.run("stop", name, code=2)

        # Without state it would put out everything twice; the state that is there is named.
        told = keepline.run("submit", "retention", "--config", file, code=2)
        place = stopped["savepoint"].removeprefix("file:").lstrip("/")
        assert place in told, told
        assert "--restore latest" in told
        assert "--fresh" in told

        send(kafka, topic, records[half:])
        second = keepline.json("restore", "retention", "latest", "--config", file, "--parallelism", "2")
        assert second["restored"].endswith(place)
        (shown,) = keepline.json("status", name)
        assert shown["parallelism"] == 2
        assert shown["restored"] >= 1
        drained(kafka, flink.rest, second["job"], topic, name)
        wanted = replayed(RetentionSettings(model=model, emit="every"), records, tmp_path)
        assert_equal(live(kafka, name), wanted)

        # Fresh: all of it again, here to other topics.
        assert keepline.json("stop", name, "--cancel")["savepoint"]
        topics(kafka, f"{name}-again")
        fresh = keepline.json("submit", "retention", "--config", file, "--output-prefix", f"{name}-again", "--fresh")
        assert fresh["restored"] is None
        drained(kafka, flink.rest, fresh["job"], topic, name)
        assert_equal(live(kafka, f"{name}-again"), wanted)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_what_is_refused(flink: FlinkCluster, kafka: EmbeddedKafka, model: Path, name: str, tmp_path: Path) -> None:
    topic = topics(kafka, name)
    file = str(
        settings_file(tmp_path, job_name=name, bootstrap_servers=kafka.bootstrap_servers, topics=topic, output_prefix=name, redis_url="")
    )
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap_servers, "group.id": name})
    consumer.commit(offsets=[TopicPartition(topic, 0, 17)], asynchronous=False)
    consumer.close()
    with commands(flink, name) as keepline:
        told = keepline.run("submit", "retention", "--config", file, code=2)
        assert f"its consumer group has read {topic} (up to offset 17)" in told
        assert "--fresh" in told
        assert "Traceback" not in told
        for words, wanted in (
            (("submit", "retention", "--config", file, "--restore", "latest"), "no checkpoint or savepoint of job"),
            (
                ("submit", "retention", "--config", file, "--restore", "file:///nowhere"),
                "Cannot find checkpoint or savepoint file/directory 'file:///nowhere'",
            ),
            (("submit", "retention", "--config", file, "--model", "nowhere", "--fresh"), "No model at"),
            (("submit", "retention", "--config", file, "--topics", f"{name}.absent", "--fresh"), f"has no topic {name}.absent"),
            (("submit", "retention", "--config", file, "--restore", "latest", "--fresh"), "exclude each other"),
            (("restore", "retention", "no-such-job", "--config", file), "no job 'no-such-job'"),
            (("restore", "retention", "file:///nowhere", "--config", file), "the state to go on from is file:///nowhere"),
            (("status", "no-such-job"), "no job 'no-such-job'"),
            (("stop", name, "--cancel", "--drain"), "leave --dir and --drain out"),
            (("status", "--flink-url", "http://127.0.0.1:1"), "check that the JobManager runs"),
            (("status", "--flink-url", "localhost"), "no address of Flink's REST interface"),
        ):
            told = keepline.run(*words, code=2)
            assert told.splitlines()[-1].startswith("error: ") or "\nerror: " in f"\n{told}", told
            assert wanted in told, (words, told)
            assert "Traceback" not in told
        assert not live_jobs(flink.rest, name)
