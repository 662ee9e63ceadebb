"""Application mode: a JobManager that starts with the job, as a container does, under a profile of flink-conf/; outputs equal to replay."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from keepline.jobs.cluster import profiles
from keepline.jobs.settings import load
from keepline.jobs.stack.application import FlinkApplication
from keepline.jobs.stack.java import ROOT
from keepline.jobs.stack.kafka import EmbeddedKafka
from keepline.jobs.stack.process import StackError
from tests.whole.history import whole_history
from tests.whole.support import assert_equal, drained, live, replayed, send, settings_file, topics, wait

RETENTION = ROOT / "jobs" / "retention.py"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_job_with_its_own_cluster(kafka: EmbeddedKafka, model: Path, name: str, tmp_path: Path) -> None:
    records = whole_history(seed=41, customers=60, partitions=2, per_day=300, silence=20)
    topic = topics(kafka, name, 2)
    send(kafka, topic, records)
    profile = tomllib.loads(profiles.job_settings("throughput"))
    own = {
        "job_name": name, "bootstrap_servers": kafka.bootstrap_servers, "topics": topic, "output_prefix": name, "redis_url": "",
        "model": str(model), "emit": "every", "idle_after": "0s", "checkpoint_interval": "300ms",
    }  # fmt: skip
    tables = {table: profile[table] for table in ("kafka", "flink") if table in profile}
    file = settings_file(tmp_path, **own)
    with file.open("a") as more:
        for table, values in tables.items():
            more.write(f"[{table}]\n" + "".join(f'"{key}" = "{value}"\n' for key, value in values.items()))
    with FlinkApplication(RETENTION, "--config", str(file), profile="throughput") as flink:
        try:
            flink.rest.wait_running(flink.job)
            assert flink.rest.config()["taskmanager.memory.segment-size"] == "64kb"
            drained(kafka, flink.rest, flink.job, topic, name)
            assert_equal(live(kafka, name), replayed(load({}, environment={}, config=file), records, tmp_path))
            # The cluster is the job's: it ends with it.
            taken = flink.rest.savepoint(flink.job, flink.savepoints, stop=True)
            assert (Path(taken.removeprefix("file:")) / "_metadata").is_file()
            wait("the JobManager's end", lambda: not flink.rest.answers())
        except BaseException:
            print(flink.logs())
            raise
    assert not flink.folder.exists()


def test_a_job_that_cannot_start_says_why() -> None:
    with (
        pytest.raises(StackError, match=r"(?s)error: No model at nowhere.*jobmanager ended with status"),
        FlinkApplication(RETENTION, "--model", "nowhere", taskmanagers=0) as flink,
    ):
        assert not flink.job
