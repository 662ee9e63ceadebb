"""Makes a committed savepoint: `python -m tests.savepoints.make tests/savepoints/churn-v1` (needs `make setup`; half a minute).

One folder holds one state version, and is never made anew once released: it stands for what users have.

    manifest.json          the model
    events.jsonl           the input, one partition, in order; the first `before` lines are in the savepoint
    facts.json             {"before": lines, "topic": input topic, "job": job name}: a restored source asks for this topic
    savepoint/_metadata    all of it in one file: the state lies inside (the paths in it are names of what lies there, not of files)
    scores.jsonl, …        what the whole input led to when this was made

The jobs of an earlier version are needed to remake an earlier state version; so check the folder in with the version.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from keepline.jobs.settings import RetentionSettings
from keepline.jobs.stack.flink import FlinkCluster
from keepline.jobs.stack.java import ROOT
from keepline.jobs.stack.kafka import EmbeddedKafka
from keepline.operators.spec import CHANNELS
from tests.jobs.models_for_tests import manifest
from tests.whole.history import whole_history
from tests.whole.support import assert_equal, by_customer, drained, live, replayed, send, topics

JOB = "savepoint-churn"
INLINE = {"execution.checkpointing.data-inline-threshold": "500 kb"}


@contextmanager
def job(flink: FlinkCluster, kafka: EmbeddedKafka, model: Path, name: str, savepoint: str | None = None) -> Iterator[str]:
    """The job on one subtask, every score put out; cancelled at the end if it still runs."""
    started = flink.submit(
        ROOT / "jobs" / "retention.py", "--bootstrap-servers", kafka.bootstrap_servers, "--topics", f"{name}.in", "--output-prefix", name,
        "--redis-url", "", "--model", str(model), "--job-name", name, "--emit", "every", "--idle-after", "0s",
        "--checkpoint-interval", "200ms", savepoint=savepoint,
    )  # fmt: skip
    try:
        flink.rest.wait_running(started)
        yield started
    except BaseException:
        print(flink.logs(), flink.rest.cause(started))
        raise
    finally:
        if flink.rest.state(started) not in ("FINISHED", "CANCELED", "FAILED"):
            flink.rest.cancel(started)
            flink.rest.wait(started)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps(manifest(), indent=1) + "\n", encoding="utf-8")
    records = whole_history(seed=1, customers=6, partitions=1, per_day=20, silence=5)
    before = len(records) * 2 // 3
    with EmbeddedKafka() as kafka, FlinkCluster(settings=INLINE) as flink, tempfile.TemporaryDirectory() as temporary:
        topic = topics(kafka, JOB)
        send(kafka, topic, records[:before])
        with job(flink, kafka, folder, JOB) as first:
            # Drained, so that no transaction is open: one of a broker that is gone could not be committed by a restore.
            drained(kafka, flink.rest, first, topic, JOB)
            taken = flink.rest.savepoint(first, flink.savepoints, stop=True)
            files = list(Path(taken.removeprefix("file:")).iterdir())
            assert [file.name for file in files] == ["_metadata"], f"the state is too large to lie in one file: {files}"
            (folder / "savepoint").mkdir(exist_ok=True)
            shutil.copy(files[0], folder / "savepoint" / "_metadata")
        send(kafka, topic, records[before:])
        with job(flink, kafka, folder, JOB, taken) as second:
            drained(kafka, flink.rest, second, topic, JOB)
        results = live(kafka, JOB)
        wanted = replayed(RetentionSettings(model=folder, emit="every"), records, Path(temporary))
        assert_equal(results, wanted)
        for channel in CHANNELS:
            shutil.copy(Path(temporary) / "out" / f"{channel}.jsonl", folder / f"{channel}.jsonl")
        shutil.copy(Path(temporary) / "events.jsonl", folder / "events.jsonl")
        assert sum(map(len, by_customer(map(json.loads, (folder / "scores.jsonl").open())).values())) > 300
    (folder / "facts.json").write_text(json.dumps({"before": before, "topic": topic, "job": JOB}) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
