"""Makes a committed savepoint: `python -m tests.savepoints churn-v2 --release 0.2.0` (needs `make setup`; half a minute).

One folder of tests/savepoints holds one state version, or one more way in which it is stored (a name's ending says which, such as
`churn-v1-rocksdb`), and is never made anew once released: it stands for what users have. test_committed.py holds that every release
and every state version has one; tests/whole/test_committed_savepoint.py restores each.

    manifest.json          the model; clv.json that of lifetime value, of a job that scores both
    events.jsonl           the input, one partition, in order; the first `before` lines are in the savepoint
    facts.json             before: lines; topic, job: the input topic, for which a restored source asks, and the job's name;
                           release, state_version; contacts: the version of contacts' states, from 3 on; form: 0 for whole states, else
                           PackedState.FORM; backend, format
    savepoint/_metadata    all of it in one file: the state lies inside (the paths in it are names of what lies there, not of files)
    policy.yaml            the contact policy; none in folders of before there was one
    scores.jsonl, …        what the whole input led to when this was made

The savepoint is taken in a night, when offers are held, with rows that wait for outcomes, consents, and claims on a budget. The jobs of an
earlier version are needed to remake an earlier state version; so check the folder in with the version.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from keepline.features.sets import feature_set
from keepline.jobs.stack.flink import FlinkCluster
from keepline.jobs.stack.java import ROOT
from keepline.jobs.stack.kafka import EmbeddedKafka
from keepline.models.contact import stored
from keepline.operators.spec import CHANNELS
from tests.jobs.models_for_tests import clv_manifest, manifest
from tests.savepoints.committed import CLV_MODEL, POLICY, settings_of
from tests.whole.history import Sent, whole_history
from tests.whole.policies import by_time, policy_file, policy_of_both, with_outcomes
from tests.whole.support import Record, assert_equal, by_customer, drained, flat, live, replayed, send, topics

HERE = Path(__file__).parent
PACKED_STATE = ROOT / "operators" / "jvm" / "src" / "main" / "java" / "io" / "keepline" / "PackedState.java"
INLINE = {"execution.checkpointing.data-inline-threshold": "500 kb"}


def form() -> int:
    """How this version stores a state: 0 as it is, else the form that PackedState writes."""
    source = PACKED_STATE.read_text(encoding="utf-8") if PACKED_STATE.exists() else ""
    told = re.search(r"\bint FORM = (\d+);", source)
    return int(told.group(1)) if told else 0


@contextmanager
def job(
    flink: FlinkCluster, kafka: EmbeddedKafka, model: Path, name: str, policy: Path, savepoint: str | None = None, backend: str = "hashmap"
) -> Iterator[str]:
    """The job on one subtask, every score put out, lifetime value too if the folder has its model; cancelled at the end if it runs."""
    value = ("--scores", "churn,clv", "--clv-model", str(model / CLV_MODEL)) if (model / CLV_MODEL).exists() else ()
    started = flink.submit(
        ROOT / "jobs" / "retention.py", "--bootstrap-servers", kafka.bootstrap_servers, "--topics", f"{name}.in", "--output-prefix", name,
        "--redis-url", "", "--model", str(model), "--policy", str(policy), "--job-name", name, "--emit", "every", "--idle-after", "0s",
        "--checkpoint-interval", "200ms", "--state-backend", backend, *value, savepoint=savepoint,
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


def in_a_night(records: list[Sent], decisions: list[Record]) -> int:
    """How many records there are up to one soon after which an offer is held, far in the history."""
    held = {json.loads(each["made_from"])["event_id"] for each in decisions if each["result"] == "HELD"}
    far = len(records) * 2 // 3
    return 1 + next(at for at, record in enumerate(records) if at > far and record.event and record.event["event_id"] in held)


def main(folder: Path, release: str, backend: str, native: bool, both: bool) -> None:
    """Runs the job, takes the savepoint in mid-stream, restores it, compares all of it with a replay, and writes the folder."""
    name = f"savepoint-{folder.name}"  # of its own: tests restore several at one Kafka
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps(manifest(), indent=1) + "\n", encoding="utf-8")
    if both:
        (folder / CLV_MODEL).write_text(json.dumps(clv_manifest(), indent=1) + "\n", encoding="utf-8")
    policy = (policy_of_both if both else policy_file)(folder, per_day=1000).rename(folder / POLICY)
    settings = settings_of(folder, policy)
    records = whole_history(seed=2, customers=6, partitions=1, per_day=20, silence=5)
    with tempfile.TemporaryDirectory() as temporary:
        made = replayed(settings, records, Path(temporary))
        records = with_outcomes(records, made["interventions"], 1)
        before = in_a_night(records, flat(replayed(settings, records, Path(temporary) / "again")["decisions"]))
    with EmbeddedKafka() as kafka, FlinkCluster(settings=INLINE) as flink, tempfile.TemporaryDirectory() as temporary:
        topic = topics(kafka, name)
        send(kafka, topic, records[:before])
        with job(flink, kafka, folder, name, policy, backend=backend) as first:
            # Drained, so that no transaction is open: one of a broker that is gone could not be committed by a restore.
            drained(kafka, flink.rest, first, topic, name)
            taken = flink.rest.savepoint(first, flink.savepoints, stop=True, native=native)
            files = list(Path(taken.removeprefix("file:")).iterdir())
            assert [file.name for file in files] == ["_metadata"], f"the state is too large to lie in one file: {files}"
            (folder / "savepoint").mkdir(exist_ok=True)
            shutil.copy(files[0], folder / "savepoint" / "_metadata")
        send(kafka, topic, records[before:])
        with job(flink, kafka, folder, name, policy, taken, backend) as second:
            drained(kafka, flink.rest, second, topic, name)
        results = live(kafka, name)
        wanted = replayed(settings, records, Path(temporary))
        for channel in ("interventions", "decisions"):
            results[channel], wanted[channel] = by_time(results[channel]), by_time(wanted[channel])
        assert_equal(results, wanted)
        for channel in CHANNELS:
            shutil.copy(Path(temporary) / "out" / f"{channel}.jsonl", folder / f"{channel}.jsonl")
        shutil.copy(Path(temporary) / "events.jsonl", folder / "events.jsonl")
        assert sum(map(len, by_customer(map(json.loads, (folder / "scores.jsonl").open())).values())) > 300
    facts = {
        "before": before, "topic": topic, "job": name, "release": release, "state_version": feature_set("churn").state_version,
        "contacts": stored.VERSION, "form": form(), "backend": backend, "format": "NATIVE" if native else "CANONICAL",
    }  # fmt: skip
    (folder / "facts.json").write_text(json.dumps(facts) + "\n", encoding="utf-8")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.savepoints", description="Makes a committed savepoint of this version.")
    parser.add_argument("name", help="folder below tests/savepoints, such as churn-v2; must be new")
    parser.add_argument("--release", required=True, help="the release that first stores states so, such as 0.2.0")
    parser.add_argument("--backend", default="hashmap", choices=("hashmap", "rocksdb"), help="state backend (default: hashmap)")
    parser.add_argument("--both", action="store_true", help="of a job that scores churn and lifetime value")
    parser.add_argument("--native", action="store_true", help="the backend's own format; else Flink's canonical one")
    found = parser.parse_args()
    if (HERE / found.name).exists():
        parser.error(f"{HERE / found.name} is there already: a committed savepoint is never made anew")
    return found


if __name__ == "__main__":
    given = arguments()
    main(HERE / given.name, given.release, given.backend, given.native, given.both)
