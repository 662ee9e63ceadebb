"""The benchmarks run, and what they feed is sound telemetry."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from keepline.schemas.encode import Ok
from keepline.schemas.files import read_events
from keepline.schemas.packed import frames
from keepline.schemas.records import to_record
from tests.benchmarks import events, files, kernel, latency, mapping, report
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


def test_arrivals_are_known_by_the_event() -> None:
    stream, n, values = events.Stream(20), 500, []
    kernel.Feed(20, batch=7).run(
        events.make(stream, 0, n, packed=True),
        lambda out, end: values.extend(frame.value for frame in frames(bytes(out[:end])) if frame.channel == 0),
    )
    lengths = np.fromiter(map(len, values), np.int64, len(values))
    arrived, seen = np.zeros(n), np.zeros(n, np.int32)
    raw = np.frombuffer(b"".join(values), np.uint8)
    events.note_arrivals(raw[: lengths[:200].sum()], lengths[:200], 1.0, arrived, seen)
    events.note_arrivals(raw, lengths, 2.0, arrived, seen)
    assert sorted(seen.tolist()) == [1] * (n - 200) + [2] * 200
    assert ((arrived == 1.0) == (seen == 2)).all()


def test_a_latency_is_shown_with_the_producers_own() -> None:
    figures = latency.quantiles(np.arange(1000) / 1e6)
    assert list(figures) == ["p50", "p90", "p99", "p99.9", "max"]
    found = {"rate": 5000, "redis_ms": figures, "committed_ms": figures, "producer_late_ms": figures, "void": "",
             "cores": {"job": 0.5, "broker": 0.25, "Redis": 0.125}}  # fmt: skip
    (table,) = report.tables({"latency": [found]})
    assert [len(row) for row in table.rows] == [len(table.columns)] * 2
    assert table.rows[0][-2:] == ["1, 1", "0.50, 0.25, 0.12"]


def test_the_kernel_part_runs_and_prints() -> None:
    results = kernel_part(arguments(["--quick"]), lambda _: None)
    (table,) = report.tables({"kernel": results})
    assert len(table.rows) == len(kernel.STAGES) + 2
    assert "ns/event" in report.markdown([table], {"Cores": "2"}, "make bench", "calls", 40)


def test_files_of_every_format_hold_the_same_events(tmp_path: Path) -> None:
    made = events.make(events.Stream(50), 0, 3000)
    values: list[list[bytes]] = []
    for number, format_ in enumerate(files.FORMATS):
        folder = files.write(tmp_path / str(number), format_, made)
        values.append(sorted(line.event.value for line in read_events(folder) if isinstance(line.event, Ok)))
    assert len(values[0]) == 3000
    assert all(found == values[0] for found in values)


def test_the_files_part_runs_and_prints() -> None:
    (table,) = report.tables({"files": files.measure(50, 3000, lambda _: None, ("avro",))})
    assert [row[0] for row in table.rows] == ["features", "replay", "replay --emit every"]


def test_the_mapping_part_runs() -> None:
    found = mapping.main(50)
    assert len(found) == 4
    assert all(rate > 0 for rate in found.values())
