"""The retention job between ends of one's own: how to run it in a test without Kafka and Redis, on a MiniCluster in this process.

A source is a function from the environment to a stream of packed records (schemas/packed.py), a sink one from the stream of
frames to anything. What lies between is the real job. Two customers fall silent for longer than the feature set remembers, which takes
no time here: event time is in the records.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from keepline.jobs.operator_spec import operator_spec
from keepline.jobs.settings import RetentionSettings
from keepline.operators.spec import CHANNELS
from keepline.schemas.packed import VIEW_ONLY, Record, frames, pack_record
from keepline.schemas.records import to_json, to_record
from tests.operators.conftest import collection, environment  # noqa: F401 - the fixture
from tests.whole.history import DAY, START, Crowd, Sent, sent
from tests.whole.support import assert_equal, by_customer, flat, replayed


def packed(records: Iterable[Sent]) -> list[bytes]:
    """As the Kafka source hands them on; a record without a key gets its customer's."""
    return [pack_record(Record(r.key, r.value or b"", 0, r.partition, offset)) for offset, r in enumerate(records)]


def run(make: Any, settings: RetentionSettings, records: list[Sent], parallelism: int) -> Any:
    """The job's frames, decoded, by channel and customer."""
    from keepline.jobs.retention import RetentionJob
    from keepline.operators.kafka import watermarks

    def source(env: Any) -> Any:
        return collection(env, packed(records)).assign_timestamps_and_watermarks(watermarks())

    kept: list[Any] = []
    job = RetentionJob(source, [kept.append], operator_spec(settings), name="swapped")
    out = job.build(make(parallelism))
    assert kept == [out]
    outputs: dict[str, list[Any]] = {channel: [] for channel in CHANNELS}
    with out.execute_and_collect() as results:
        frames_of_job = results._j_closeable_iterator  # PyFlink's own takes some 40 ms a record
        while frames_of_job.hasNext():
            for frame in frames(bytes(frames_of_job.next())):
                if frame.channel >= len(CHANNELS) or frame.flags & VIEW_ONLY or not frame.value:
                    continue  # no records of a topic, or tombstones
                outputs[CHANNELS[frame.channel]].append(json.loads(to_json(to_record(frame.value)[1])))
    return {channel: by_customer(made) for channel, made in outputs.items()}


@pytest.mark.parametrize(("emit", "parallelism"), [("every", 1), ("band", 2)])
def test_a_collection_through_the_job(environment: Any, emit: str, parallelism: int, model: Path, tmp_path: Path) -> None:  # noqa: F811
    crowd = Crowd(seed=3, customers=4)
    records = crowd.active(START, 3, 60) + crowd.silent(START + 3 * DAY, 30) + crowd.active(START + 33 * DAY, 2, 60)
    last = START + 35 * DAY + 1
    alone = {"type": "Call", "customer_id": "c-silent", "event_id": "1", "event_time": last, "duration_s": 600.0}
    # 410 days on, what is known of everybody is forgotten; who comes back begins anew.
    records += [sent(alone, 1), *crowd.silent(START + 40 * DAY, 410)]
    records += [sent(alone | {"event_time": START + 450 * DAY + 77}, 1)]
    settings = RetentionSettings(model=model, emit=emit)
    found = run(environment, settings, records, parallelism)
    assert_equal(found, replayed(settings, records, tmp_path))
    mine = found["scores"]["c-silent"]
    assert [score["event_id"] for score in (mine[0], mine[-1])] == ["1", "1"], "the same id counts again: the memory is gone"
    assert mine[0]["value"] == mine[-1]["value"]
    if emit == "every":
        assert len(mine) == 1 + 399 + 1
        assert len(flat(found["scores"])) > 2000
