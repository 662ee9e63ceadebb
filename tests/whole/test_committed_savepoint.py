"""A savepoint of every released state version, restored by this version, goes on as an uninterrupted run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from keepline.jobs.settings import RetentionSettings
from keepline.jobs.stack.flink import FlinkCluster
from keepline.jobs.stack.java import ROOT
from keepline.jobs.stack.kafka import EmbeddedKafka
from keepline.operators.spec import CHANNELS
from tests.savepoints.__main__ import job
from tests.whole.history import sent
from tests.whole.support import assert_equal, by_customer, drained, live, replayed, send, topics

SAVEPOINTS = sorted((ROOT / "tests" / "savepoints").glob("churn-v*"))


@pytest.mark.slow
@pytest.mark.parametrize("folder", SAVEPOINTS, ids=lambda folder: folder.name)
def test_restore(folder: Path, flink: FlinkCluster, kafka: EmbeddedKafka, tmp_path: Path) -> None:
    facts = json.loads((folder / "facts.json").read_text())
    records = [sent(json.loads(line), 1, partition=0) for line in (folder / "events.jsonl").open()]
    known = {channel: by_customer(map(json.loads, (folder / f"{channel}.jsonl").open())) for channel in CHANNELS}
    # This version's replay says the same as the version that took the savepoint.
    assert_equal(replayed(RetentionSettings(model=folder, emit="every"), records, tmp_path / "whole"), known)
    first = replayed(RetentionSettings(model=folder, emit="every"), records[: facts["before"]], tmp_path / "first")

    assert topics(kafka, facts["job"]) == facts["topic"]
    send(kafka, facts["topic"], records)  # its first part lies before the savepoint's offset
    with job(flink, kafka, folder, facts["job"], (folder / "savepoint").as_uri(), facts["backend"]) as started:
        drained(kafka, flink.rest, started, facts["topic"], facts["job"])
        found = live(kafka, facts["job"])
    rest = {
        channel: {customer: left for customer, made in known[channel].items() if (left := made[len(first[channel].get(customer, [])) :])}
        for channel in CHANNELS
    }
    assert_equal(found, rest)
    assert sum(map(len, rest["scores"].values())) > 100
