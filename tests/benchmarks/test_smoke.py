"""The benchmarks run, and what they feed is sound telemetry."""

from __future__ import annotations

import hashlib
import itertools
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
from tests.benchmarks import events, files, kernel, latency, mapping, next_app, report, scorers, sets, unlocks
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


def visits(stream: unlocks.Unlocks, n: int) -> list[tuple[str, dict[str, Any]]]:
    made = stream.make(0, n)
    records = [to_record(made.buffer[made.at[i] : made.at[i + 1]].tobytes()) for i in range(n)]
    for i, (_, record) in enumerate(records):
        assert record["customer_id"].encode() == events.key(made.customer[i])
        assert record["event_id"] == f"e{i:0{events.ID_DIGITS}d}"
    return records


def test_the_visits_are_unlocks_with_two_opens_of_the_users_apps() -> None:
    stream = unlocks.Unlocks(7)
    records = visits(stream, stream.backlog + 3000)
    assert [name for name, _ in records] == ["Unlock", "AppOpen", "AppOpen"] * (len(records) // 3)
    apps: dict[str, set[str]] = {}
    for _, record in records[: stream.backlog]:
        apps.setdefault(record["customer_id"], set()).update([record["app"]] if "app" in record else [])
    assert len(apps) == 7
    assert all(20 <= len(own) <= 40 for own in apps.values())
    behind = records[stream.backlog :]
    assert all(record["app"] in apps[record["customer_id"]] for name, record in behind if name == "AppOpen")
    assert len({record["app"] for _, record in behind if "app" in record}) > 40
    assert all(len(app) == 20 for own in apps.values() for app in own)
    first = [record["event_time"] for name, record in behind if name == "Unlock"]
    late = sum(a > b + 60_000 for a, b in itertools.pairwise(first)) / len(first)
    assert 0.005 < late < 0.03
    a_day = len(first) / (first[-1] - first[0]) * DAY / 7
    assert a_day == pytest.approx(unlocks.UNLOCKS_A_DAY, rel=0.05)
    named = [unlocks.app_name(app) for app in unlocks.opened(stream, 0, 50).tolist()]
    assert named == [record["app"] for _, record in records[1:150:3]]


def test_the_unlocks_that_are_to_be_answered_are_known() -> None:
    stream, n = unlocks.Unlocks(7), 6000
    model = next_app.models(next_app.warmed(stream), stream, 300)["logistic"]
    expected, newest, wanted = next_app.reference(model, stream, n), dict[str, int](), set[int]()
    for i, (name, record) in enumerate(visits(stream, n)):
        who, t = record["customer_id"], record["event_time"]
        newest[who] = max(newest.get(who, t), t)
        if name == "Unlock" and newest[who] - t <= 60_000:
            wanted.add(i)
    assert set(np.flatnonzero(expected.seen).tolist()) == wanted
    assert 0 < n / 3 - len(wanted) < n / 100
    assert len(set(expected.hashes[expected.seen > 0].tolist())) == len(wanted)


def test_predictions_are_known_by_their_unlock() -> None:
    stream, n, values = unlocks.Unlocks(7), 900, []
    model = next_app.models(next_app.warmed(stream), stream, 300)["logistic"]
    expected = next_app.reference(model, stream, n)
    next_app.Feed(7, model, batch=7).run(
        stream.make(0, n, packed=True), lambda out, end: values.extend(frame.value for frame in frames(bytes(out[:end])))
    )
    lengths = np.fromiter(map(len, values), np.int64, len(values))
    raw, arrived, seen, hashes = np.frombuffer(b"".join(values), np.uint8), np.zeros(n), np.zeros(n, np.int32), np.zeros(n, np.uint64)
    for now in (1.0, 2.0):
        unlocks.note_arrivals(raw, lengths, now, arrived, seen, hashes)
    assert (seen == 2 * expected.seen).all()
    assert (arrived == expected.seen).all()
    assert (hashes == expected.hashes).all()


def test_the_stages_of_an_unlock_end_in_the_kernels_prediction() -> None:
    """After all parts the frames are those of the real kernel; after fewer there are none, and the states are the same."""
    stream = unlocks.Unlocks(7)
    warm = next_app.warmed(stream)
    for model in next_app.models(warm, stream, 300).values():
        made = stream.make(stream.backlog, 3 * 200, packed=True)
        made = unlocks.only(made, np.arange(600) % 3 == 0)
        staged, real, frames_of = next_app.Feed(7, model), next_app.Feed(7, model), list[bytes]()
        real.block[:] = warm.block
        real.run(made, lambda out, end, kept=frames_of: kept.append(bytes(out[:end])))
        answered = {frame.value for part in frames_of for frame in frames(part)}
        for depth in range(1, next_app.DEEPEST + 1):
            staged.block[:] = warm.block
            n = staged.load(made, 0)
            staged.kernel.hdr[kernel.at.OUT_BYTES] = 0
            next_app.staged(staged.kernel._address, n, depth)
            found = {frame.value for frame in frames(bytes(staged.kernel.out[: staged.kernel.hdr[kernel.at.OUT_BYTES]]))}
            assert len(found) == (200 if depth == next_app.DEEPEST else 0)
            words, of_real = staged.states().view(np.int64), real.states().view(np.int64)
            assert np.flatnonzero((words != of_real).any(axis=0)).tolist() == [next_app.W_NEXT_WAKE]
        assert found >= answered
        assert 150 < len(answered) <= 200


def test_the_next_app_parts_run_and_print() -> None:
    results = next_app.measure(lambda _: None, users=30, rounds=2, timed=600, fitted=400)
    (table,) = report.tables({"next-app": results})
    assert [row[1] for row in table.rows] == [*next_app.BUDGET_MS, "an unlock and two opens, through `NextAppKernel`"] * 2
    assert all(len(row) == len(table.columns) for row in table.rows)
    assert [row[0].partition(",")[0] for row in table.rows] == ["logistic", *[""] * 4, "100 trees", *[""] * 4]
    assert "20 to 40 apps" in table.title
    assert results[1]["shape"].startswith("100 trees, depth ")
    ns = {"retrieval": [1e6, 2e6, 3e6], "features": [40e6, 33e6, 34e6], "inference": [41e6] * 3, "format": [42e6, 43e6, 44e6]}
    slow = results[0] | {"ns": ns | {"NextAppKernel": [1.0]}}
    assert next_app.part_us(slow) == {"retrieval": 2000, "features": 31_000, "inference": 7000, "format": 2000}
    told = [row[-1] for row in report.tables({"next-app": [slow]})[0].rows]
    assert told == ["at most 20: met", "at most 30: missed", "at most 40: met", "at most 10: met", ""]


def test_the_latency_of_unlocks_is_shown_beside_its_target() -> None:
    figures = latency.quantiles(np.arange(1000) / 1e6)
    found = {"unlocks_s": 5000, "family": "trees", "users": 20_000, "redis_ms": figures | {"p99": 50.0}, "committed_ms": figures,
             "producer_late_ms": figures, "void": "", "cores": {"job": 0.5, "broker": 0.25, "Redis": 0.125},
             "checkpoint_ms": {"avg": 90.0}}  # fmt: skip
    (table,) = report.tables({"next-app-latency": [found]})
    assert [len(row) for row in table.rows] == [len(table.columns)] * 2
    assert [row[-1] for row in table.rows] == ["p99 at most 50: met", ""]
    missed = found | {"redis_ms": figures | {"p99": 51.0}}
    assert report.tables({"next-app-latency": [missed]})[0].rows[0][-1] == "p99 at most 50: missed"
    assert {row[-1] for row in report.tables({"next-app-latency": [missed | {"void": "void: 1 restarts. "}]})[0].rows} == {
        "void: 1 restarts. "
    }


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
