"""The benchmarks run, and what they feed is sound telemetry."""

from __future__ import annotations

import numpy as np

from keepline.schemas.records import to_record
from tests.benchmarks import events, kernel, report
from tests.benchmarks.__main__ import arguments, kernel_part


def test_the_events_are_those_of_the_contract() -> None:
    made = events.make(events.Stream(50), 0, 3000)
    records = [to_record(made.buffer[made.at[k] : made.at[k + 1]].tobytes()) for k in range(3000)]
    assert {name for name, _ in records} == set(events.MIX)
    for k, (_, record) in enumerate(records):
        assert record["customer_id"].encode() == events.key(made.customer[k])
        assert record["event_id"] == f"e{k:0{events.ID_DIGITS}d}"


def test_every_event_gets_one_score_whatever_the_batch() -> None:
    stream, n = events.Stream(20), 2000
    expected = kernel.reference(stream, n)
    feed, scores, seen = kernel.Feed(20, batch=7), np.full(n, np.nan), np.zeros(n, np.int32)
    feed.run(events.make(stream, 0, n, packed=True), lambda out, end: events.note_frames(out, end, scores, seen))
    assert (seen == 1).all()
    assert (scores == expected).all()


def test_the_kernel_part_runs_and_prints() -> None:
    results = kernel_part(arguments(["--quick"]), lambda _: None)
    (table,) = report.tables({"kernel": results})
    assert len(table.rows) == len(kernel.STAGES) + 2
    assert "ns/event" in report.markdown([table], {"Cores": "2"}, "make bench", "calls", 40)
