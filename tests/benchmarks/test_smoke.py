"""The benchmarks run, and what they feed is sound telemetry."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keepline.features.churn import CHURN
from keepline.features.clv import CLV
from keepline.jobs.settings import PRETRAINED
from keepline.models import manifest
from keepline.operators.stats import SCORE_NAMES
from keepline.schemas.encode import Ok
from keepline.schemas.files import read_events
from keepline.schemas.packed import frames
from keepline.schemas.records import to_record
from tests.benchmarks import events, files, kernel, latency, mapping, report, scorers, sets
from tests.benchmarks.__main__ import arguments, kernel_part

DAY = 86_400_000


@pytest.mark.parametrize("shop", [False, True])
def test_the_events_are_those_of_the_contract(shop: bool) -> None:
    stream, n = events.Stream(50, shop=shop), 10_000
    made = events.make(stream, 0, n)
    records = [to_record(made.buffer[made.at[k] : made.at[k + 1]].tobytes()) for k in range(n)]
    found = Counter(name for name, _ in records)
    assert found.keys() == stream.mix().keys()
    for name, share in stream.mix().items():
        assert abs(found[name] - n * share) < 5 * np.sqrt(n * share)
    for k, (_, record) in enumerate(records):
        assert record["customer_id"].encode() == events.key(made.customer[k])
        assert record["event_id"] == f"e{k:0{events.ID_DIGITS}d}"
    orders = [record for name, record in records if name == "Purchase"]
    assert {record["amount"] < 0 for record in orders} == ({True, False} if shop else set())
    assert {record["cost"] is None for record in orders} == ({True, False} if shop else set())


def test_the_events_of_published_figures_stay_as_they_were() -> None:
    found = hashlib.sha256()
    for packed in (False, True):
        for part in events.make(events.Stream(20_000), 123_456, 100_000, packed=packed):
            found.update(part.tobytes())
    assert found.hexdigest() == "c7520146d18402d884e3c5d11000acc5706272b766052bf55cce504a661f9b77"


def with_lifetime_value(stream: events.Stream, n: int) -> set[int]:
    """The events that have scores of lifetime value: at each Purchase and the first event of a UTC day, once there was an order."""
    made = events.make(stream, 0, n)
    now, day, ordered = Counter[int](), Counter[int](), set[int]()
    found = set()
    for k, who in enumerate(made.customer.tolist()):
        name, record = to_record(made.buffer[made.at[k] : made.at[k + 1]].tobytes())
        now[who] = max(now[who], record["event_time"])
        if name == "Purchase" and record["amount"] >= 0:
            ordered.add(who)
        if name == "Purchase" or now[who] // DAY != day[who]:
            day[who] = now[who] // DAY
            if who in ordered:
                found.add(k)
    return found


def test_the_scores_of_both_sets_are_known() -> None:
    stream, n = events.Stream(20, shop=True), 3000
    expected = {side: sets.reference(stream, n, side) for side in sets.SIDES}
    both, churn, clv = expected[sets.BOTH], expected[sets.ALONE], expected["clv"]
    assert (both.seen == churn.seen + clv.seen).all()
    assert (both.scores == churn.scores + clv.scores).all()
    assert churn.total() == n
    of_value = with_lifetime_value(stream, n)
    assert 0 < len(of_value) < n / 4
    for name in ("p_alive", "clv_bgnbd", "clv_formula"):
        assert set(np.flatnonzero(clv.seen[SCORE_NAMES.index(name)]).tolist()) == of_value
    assert clv.total() == 3 * len(of_value)
    again = sets.reference(stream, n, sets.BOTH, batch=7)
    assert sets.verdict(both, again.scores, again.seen) == ""


def test_progress_is_counted_in_events() -> None:
    looks = sets.Looks()
    for at, count in enumerate([0, 10, 10, 40, 80, 80, 95]):
        looks.add(count, (float(at), 1000 * at, 2.0 * at, 3.0 * at))
    assert looks.found == [(1.0, 10, 2.0, 3.0), (3.0, 40, 6.0, 9.0), (4.0, 80, 8.0, 12.0), (6.0, 95, 12.0, 18.0)]


def test_every_wrong_score_makes_a_run_void() -> None:
    def pair() -> tuple[Any, Any]:
        return np.array([[0.5, 0.25, 0.0], [0.125, 0.0, 0.0]]), np.array([[1, 1, 0], [1, 0, 0]], np.uint8)

    expected = sets.Expected(*pair(), 0)
    assert sets.verdict(expected, *pair()) == ""
    for name, place, score, times in (
        ("missing", (0, 1), 0.0, 0),
        ("unexpected", (1, 2), 0.75, 1),
        ("double", (1, 0), 0.125, 2),
        ("different", (0, 0), np.nextafter(0.5, 1), 1),
    ):
        scores, seen = pair()
        scores[place], seen[place] = score, times
        assert f"1 {name}" in sets.verdict(expected, scores, seen)


def test_the_feature_sets_are_shown_beside_their_targets() -> None:
    def side(rates: list[float], state: int, void: str = "") -> dict[str, object]:
        runs = [{"void": void, "seconds": 9.0, **dict(zip(sets.MEASURED, (rate, 2.5, 1.25, 999.0), strict=True))} for rate in rates]
        return {"state_bytes": state, "scores_an_event": 1.0, "rounds": runs}

    sides = {sets.ALONE: side([1e5, 2e5, 4e5], 3000), sets.BOTH: side([1e5, 1e5, 1e5], 6145), "clv": side([3e5, 3e5, 3e5], 2000)}
    result = {"void": "", "sides": sides}
    (table,) = report.tables({"sets": [result]})
    assert all(len(row) == len(table.columns) for row in table.rows)
    assert table.rows[0] == [
        "events/s", "100,000 / 200,000 / 400,000", "100,000 / 100,000 / 100,000", "300,000 / 300,000 / 300,000", "0.25 / 0.50 / 1.00",
        "at least 0.7: missed",
    ]  # fmt: skip
    assert {row[0]: row[-1] for row in table.rows}["state, bytes/customer"] == "at most 6,144: missed"
    (table,) = report.tables({"sets": [result | {"void": "void: 1 restarts. "}]})
    assert {row[-1] for row in table.rows} == {"void: 1 restarts. "}


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


def test_the_scorers_part_runs_and_prints() -> None:
    results = scorers.measure(lambda _: None, customers=60, each=40, least_s=0.001)
    (table,) = report.tables({"scorers": results})
    assert [row[0] for row in table.rows] == [scorers.LOGISTIC, scorers.TREES, scorers.ENSEMBLE, scorers.CLOSED]
    assert all(len(row) == len(table.columns) for row in table.rows)
    assert table.rows[1][1].startswith("100 trees, depth ")
    assert (table.rows[0][-1], table.rows[-1][3]) == ("", "-")
    slow = results[1] | {"with_reasons_ns": [4_000.0, 5_001.0, 9_000.0]}
    assert report.tables({"scorers": [slow]})[0].rows[0][4:] == ["4,000 / 5,001 / 9,000", "at most 5,000: missed"]


def test_the_scorers_are_timed_over_the_rows_of_the_stream() -> None:
    """Each column of both sets is a customer's own, and what is summed up while the clock runs are the models' scores."""
    customers, each = 60, 120
    rows, orders = scorers.rows_of("churn", customers, each), scorers.rows_of("clv", customers, each, scorers.SILENCE_DAYS)
    assert len(np.unique(rows, axis=0)) == customers
    assert (rows[:, CHURN.names.index("calls_30d")] > 0).all()
    assert orders[:, CLV.names.index("orders")].sum() > customers / 2
    found = scorers.scorers(customers, each)
    for scorer in found.values():
        sums = [scorer.run(reasons) for reasons in scorer.cases]
        assert len(set(sums)) == 1
        assert 0 < sums[0] < scorer.rows
    assert len(np.unique(orders[:, CLV.names.index("t_days")])) == customers
    logits = manifest.load(PRETRAINED, CHURN).tables()
    moved = np.where(logits.kind == 1, np.log1p(np.maximum(rows, 0)), rows)
    z = logits.intercept + (logits.coef * (moved - logits.center)).sum(axis=1)
    assert found[scorers.LOGISTIC].run(True) == pytest.approx((1 / (1 + np.exp(-z))).sum())


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
