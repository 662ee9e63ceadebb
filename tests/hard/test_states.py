"""A state that this version cannot read, or that is damaged: the job ends with an instruction, once, and the savepoint stays as it was.

The savepoint is the committed one, altered where a state's header says its version, or where a ring's head points.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from keepline.features.churn import CHURN
from keepline.features.layout import MAGIC, lay_out
from keepline.jobs.cluster.rest import ENDED
from keepline.jobs.stack.flink import FlinkCluster
from keepline.jobs.stack.java import ROOT
from keepline.jobs.stack.kafka import EmbeddedKafka
from tests.whole.history import sent
from tests.whole.support import send, topics, wait

FOLDER = ROOT / "tests" / "savepoints" / "churn-v1"
HEADER = MAGIC.to_bytes(2, "little") + CHURN.id.to_bytes(2, "little") + (1).to_bytes(2, "little")


def newer(data: bytearray, at: int) -> None:
    """The version of a later release."""
    data[at + 4] = 9


def damaged(data: bytearray, at: int) -> None:
    """The slot of the first ring's head, far outside of the ring."""
    place = at + 8 * (lay_out(CHURN).rings[0].head + 1)
    data[place : place + 8] = (1 << 40).to_bytes(8, "little")


def foreign(data: bytearray, at: int) -> None:
    """No mark of ours."""
    data[at : at + 2] = b"??"


CASES = [
    (newer, "A stored state has state version 9; expected version"),
    (damaged, "is damaged: byte"),
    (foreign, "does not begin with the mark"),
]


def altered(folder: Path, how: Callable[[bytearray, int], None]) -> Path:
    """A copy of the savepoint with every state altered."""
    copy = folder / "savepoint"
    shutil.copytree(FOLDER / "savepoint", copy)
    file = copy / "_metadata"
    data, at, found = bytearray(file.read_bytes()), -1, 0
    while (at := data.find(HEADER, at + 1)) >= 0:
        how(data, at)
        found += 1
    assert found > 5
    file.write_bytes(data)
    return copy


@pytest.fixture(scope="module")
def own_kafka() -> Iterator[EmbeddedKafka]:
    """A broker with the savepoint's input topic, which another test creates in the shared one."""
    with EmbeddedKafka() as broker:
        topic = str(json.loads((FOLDER / "facts.json").read_text())["topic"])
        broker.create_topics([topic])
        send(broker, topic, [sent(json.loads(line), 1, partition=0) for line in (FOLDER / "events.jsonl").open()])
        yield broker


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("how", "says"), CASES, ids=["newer", "damaged", "foreign"])
def test_a_state_that_cannot_be_used(
    how: Callable[[bytearray, int], None], says: str, flink: FlinkCluster, own_kafka: EmbeddedKafka, name: str, tmp_path: Path
) -> None:
    name = f"hard-{name}"
    facts = json.loads((FOLDER / "facts.json").read_text())
    copy = altered(tmp_path, how)
    before = hashlib.sha256((copy / "_metadata").read_bytes()).digest()
    input_topic = str(facts["topic"])
    topics(own_kafka, name)
    job = flink.submit(
        ROOT / "jobs" / "retention.py", "--bootstrap-servers", own_kafka.bootstrap_servers, "--topics", input_topic,
        "--output-prefix", name,
        "--redis-url", "", "--model", str(FOLDER), "--job-name", name, "--emit", "every", "--idle-after", "0s",
        "--checkpoint-interval", "200ms", savepoint=copy.as_uri(),
    )  # fmt: skip
    wait("the job's end", lambda: flink.rest.state(job) in ENDED, 240)
    assert flink.rest.state(job) == "FAILED", flink.logs()
    cause = flink.rest.cause(job)
    assert "keepline.operators.runtime cannot use a stored state: " in cause, cause
    assert says in cause, cause
    assert "SuppressRestartsException" in cause
    assert flink.rest.restarts(job) == 0
    assert hashlib.sha256((copy / "_metadata").read_bytes()).digest() == before
