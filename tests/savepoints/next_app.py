"""Makes a committed savepoint of the next-app job: `python -m tests.savepoints.next_app next-app-v1 --release 0.2.0` (needs `make setup`).

As tests/savepoints/__main__.py does for the retention job, and for the same reason never made anew once released.

    manifest.json            the model
    events.jsonl             the input, one partition, in order; the first `before` lines are in the savepoint
    facts.json               before, topic, job, release, state_version
    savepoint/_metadata      all of it in one file
    app-predictions.jsonl    what the whole input led to when this was made
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from keepline.features.next_app.layout import STATE_VERSION
from keepline.jobs import replay
from keepline.jobs.next_app_settings import NextAppSettings
from keepline.jobs.stack.flink import FlinkCluster
from keepline.jobs.stack.java import ROOT
from keepline.jobs.stack.kafka import EmbeddedKafka
from keepline.models.next_app import manifest
from keepline.operators.spec import NEXT_APP_CHANNELS
from tests.models.next_app.models import made_up
from tests.savepoints.__main__ import INLINE
from tests.whole.history import Sent, sent
from tests.whole.phones import APPS, phone_history
from tests.whole.support import Record, drained, send

HERE = Path(__file__).parent
SAVEPOINTS = sorted(HERE.glob("next-app-v*"))
NEXT_APP = ROOT / "jobs" / "next_app.py"
CHANNELS = [channel for channel in NEXT_APP_CHANNELS if channel]
PREDICTIONS = "app-predictions"


def topics(kafka: EmbeddedKafka, name: str, partitions: int = 1) -> str:
    """Creates the job's topics; returns the input."""
    kafka.create_topics([f"{name}.in"], partitions)
    kafka.create_topics([f"{name}.{channel}" for channel in CHANNELS], 2)
    return f"{name}.in"


@contextmanager
def job(flink: FlinkCluster, kafka: EmbeddedKafka, model: Path, name: str, savepoint: str | None = None) -> Iterator[str]:
    """The job on one subtask; cancelled at the end if it runs."""
    started = flink.submit(
        NEXT_APP, "--bootstrap-servers", kafka.bootstrap_servers, "--topics", f"{name}.in", "--output-prefix", name, "--redis-url", "",
        "--model", str(model), "--job-name", name, "--idle-after", "0s", "--checkpoint-interval", "200ms", savepoint=savepoint,
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


def read(folder: Path) -> list[Sent]:
    """The events of a folder."""
    return [sent(json.loads(line), 1, partition=0) for line in (folder / "events.jsonl").open(encoding="utf-8")]


def replayed(model: Path, records: list[Sent], folder: Path) -> list[Record]:
    """The predictions that a replay of the records makes."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "events.jsonl").write_text("".join(json.dumps(record.event) + "\n" for record in records), encoding="utf-8")
    replay.next_app(NextAppSettings(model=model), [folder / "events.jsonl"], folder / "out")
    return [json.loads(line) for line in (folder / "out" / f"{PREDICTIONS}.jsonl").open(encoding="utf-8")]


def main(folder: Path, release: str) -> None:
    """Runs the job, takes the savepoint in mid-stream, and writes the folder."""
    name = f"savepoint-{folder.name}"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_bytes(manifest.dump(made_up("logistic", 4, names=["only.in.the.prior", *APPS[:6]])))
    records = [record for record in phone_history(2, users=6, partitions=1, unlocks=25) if record.event]
    before = len(records) // 2
    with EmbeddedKafka() as kafka, FlinkCluster(settings=INLINE) as flink, tempfile.TemporaryDirectory() as temporary:
        topic = topics(kafka, name)
        send(kafka, topic, records[:before])
        with job(flink, kafka, folder, name) as first:
            drained(kafka, flink.rest, first, topic, name)  # no transaction is open then
            taken = flink.rest.savepoint(first, flink.savepoints, stop=True)
        files = list(Path(taken.removeprefix("file:")).iterdir())
        assert [file.name for file in files] == ["_metadata"], f"the state is too large to lie in one file: {files}"
        (folder / "savepoint").mkdir()
        shutil.copy(files[0], folder / "savepoint" / "_metadata")
        predictions = replayed(folder, records, Path(temporary))
        assert len(predictions) > 100
        shutil.copy(Path(temporary) / "events.jsonl", folder / "events.jsonl")
        shutil.copy(Path(temporary) / "out" / f"{PREDICTIONS}.jsonl", folder / f"{PREDICTIONS}.jsonl")
    facts = {"before": before, "topic": topic, "job": name, "release": release, "state_version": STATE_VERSION}
    (folder / "facts.json").write_text(json.dumps(facts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.savepoints.next_app", description="Makes a committed savepoint.")
    parser.add_argument("name", help="folder below tests/savepoints, such as next-app-v2; must be new")
    parser.add_argument("--release", required=True, help="the release that first stores states so, such as 0.2.0")
    given = parser.parse_args()
    if (HERE / given.name).exists():
        parser.error(f"{HERE / given.name} is there already: a committed savepoint is never made anew")
    main(HERE / given.name, given.release)
