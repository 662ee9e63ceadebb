"""A savepoint of every released state version, restored by this version, goes on as an uninterrupted run."""

from __future__ import annotations

from pathlib import Path

import pytest

from keepline.jobs.stack.flink import FlinkCluster
from keepline.jobs.stack.kafka import EmbeddedKafka
from tests.savepoints.__main__ import job
from tests.savepoints.committed import SAVEPOINTS, Savepoint
from tests.whole.support import drained, live, send, topics


@pytest.mark.slow
@pytest.mark.parametrize("folder", SAVEPOINTS, ids=lambda folder: folder.name)
def test_restore(folder: Path, flink: FlinkCluster, kafka: EmbeddedKafka, tmp_path: Path) -> None:
    saved = Savepoint(folder, tmp_path)
    facts = saved.facts
    assert topics(kafka, facts["job"]) == facts["topic"]
    send(kafka, facts["topic"], saved.records)  # its first part lies before the savepoint's offset
    uri = (folder / "savepoint").as_uri()
    with job(flink, kafka, folder, facts["job"], saved.policy, uri, facts["backend"]) as started:
        drained(kafka, flink.rest, started, facts["topic"], facts["job"])
        found = live(kafka, facts["job"])
    assert saved.assert_goes_on(found) > 100
