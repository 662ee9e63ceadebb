"""The operator's Python half against its naive twin: scores, ticks, interventions, whatever the batching."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keepline.operators import stats
from keepline.operators.host import HostOperator
from keepline.operators.spec import OperatorSpec
from keepline.schemas.encode import Ok, encode
from keepline.schemas.packed import DECISIONS, INTERVENTIONS, LATE_EVENTS, SCORES, Frame, Record, pack_record
from keepline.schemas.records import to_record
from tests.features.feature_histories import histories
from tests.jobs.models_for_tests import manifest
from tests.jobs.naive_job import NaiveCustomer

DAY = 86_400_000
MODEL = manifest()
ANY_TIME = {"min_time_ms": 0, "max_time_ms": 1 << 60}
slow = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def in_our_time(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same history some fifty years later, whole hours, days and weeks on: the job takes no times before 1990."""
    shift = 2600 * 7 * DAY if any(record["event_time"] < 10**12 for record in records) else 0
    return [record | {"event_time": record["event_time"] + shift} for record in records]


def feed(operator: HostOperator, records: list[dict[str, Any]]) -> list[Frame]:
    """All records, in order, as the source would pack them."""
    frames: list[Frame] = []
    for offset, record in enumerate(records):
        event = encode(record)
        assert isinstance(event, Ok), event
        key = event.customer_id.encode()
        frames += operator.add(key, pack_record(Record(key, event.value, 0, 0, offset, event.event_time)))
    frames += operator.flush()
    return frames


@pytest.mark.parametrize("emit", ["every", "delta", "band"])
@slow
@given(records=histories().map(in_our_time), batch=st.sampled_from([1, 3, 256]), silence=st.sampled_from([0, 3, 40, 399, 500]))
def test_one_customer_as_the_naive_twin_says(emit: str, records: list[dict[str, Any]], batch: int, silence: int) -> None:
    operator = HostOperator(OperatorSpec(MODEL, emit=emit, **ANY_TIME), batch=batch)
    twin = NaiveCustomer(MODEL, emit)
    frames = feed(operator, records)
    for record in records:
        twin.take(record)
    if records and silence:
        last = max(record["event_time"] for record in records) + silence * DAY
        frames += operator.advance(last + operator.kernel.spec.bound_ms)
        twin.ticks(last)

    scores = [to_record(frame.value)[1] for frame in frames if frame.channel == SCORES]
    assert [(s["as_of"], s["event_id"], s["band"]) for s in scores] == [(a, e, b) for a, e, _, b in twin.scores]
    assert [s["value"] for s in scores] == pytest.approx([value for _, _, value, _ in twin.scores], abs=1e-9)
    assert all(s["model_id"] == "churn-test" and s["model_version"] == 3 and s["role"] == "CHAMPION" for s in scores)
    made = [to_record(frame.value)[1] for frame in frames if frame.channel == INTERVENTIONS]
    assert [(i["decided_at"], i["kind"]) for i in made] == twin.interventions
    assert len({i["intervention_id"] for i in made}) == len(made)
    late = [to_record(frame.value)[1] for frame in frames if frame.channel == LATE_EVENTS]
    assert [item["event_time"] for item in late] == twin.late
    assert operator.kernel.stats[stats.DUPLICATES] == twin.duplicates
    assert bool(operator.states()) == bool(twin.accepted)


@slow
@given(crowd=st.lists(histories(most=15).map(in_our_time), min_size=2, max_size=6), batch=st.sampled_from([1, 2, 7, 64]))
def test_batches_and_neighbours_never_show(crowd: list[list[dict[str, Any]]], batch: int) -> None:
    """Customers interleaved in one operator give, each, what it gives alone."""
    mixed: list[dict[str, Any]] = []
    for turn in range(max(len(history) for history in crowd)):
        mixed += [history[turn] | {"customer_id": f"c{i}"} for i, history in enumerate(crowd) if turn < len(history)]
    together = feed(HostOperator(OperatorSpec(MODEL, emit="every", **ANY_TIME), batch=batch), mixed)
    for i in range(len(crowd)):
        own = [record for record in mixed if record["customer_id"] == f"c{i}"]
        alone = feed(HostOperator(OperatorSpec(MODEL, emit="every", **ANY_TIME), batch=256), own)
        key = f"c{i}".encode()
        for channel in (SCORES, INTERVENTIONS, DECISIONS):
            seen = [f for f in together if f.key.split(b"|")[0] == key and f.channel == channel]
            assert seen == [f for f in alone if f.channel == channel]


def test_three_reasons_name_the_largest_contributions() -> None:
    operator = HostOperator(OperatorSpec(MODEL, emit="every"))
    record = {"type": "Call", "customer_id": "c", "event_id": "e", "event_time": 1_760_000_000_000, "duration_s": 600.0}
    (frame,) = [f for f in feed(operator, [record]) if f.channel == SCORES]
    reasons = to_record(frame.value)[1]["reasons"]
    sizes = [abs(reason["contribution"]) for reason in reasons]
    assert len(reasons) == 3
    assert sizes == sorted(sizes, reverse=True)
    for reason in reasons:
        term = next(term for term in MODEL["terms"] if term["name"] == reason["feature"])
        import math

        value = math.log1p(reason["value"]) if term["transform"] == "log1p" else reason["value"]
        assert reason["contribution"] == pytest.approx(term["coefficient"] * (value - term["center"]), abs=1e-12)


def test_a_full_output_buffer_ends_the_call_early_and_loses_nothing() -> None:
    """400 silent days between two events are 400 ticks in one entry; with `every` they cannot fit a small buffer."""
    spec = OperatorSpec(MODEL, emit="every", cooldown_ms=DAY)
    first = {"type": "Call", "customer_id": "c", "event_id": "a", "event_time": 1_700_000_000_000, "duration_s": 6.0}
    second = first | {"event_id": "b", "event_time": first["event_time"] + 399 * DAY}
    import keepline.operators.host as host

    roomy = feed(HostOperator(spec), [first, second])
    before, host.OUT_BYTES = host.OUT_BYTES, 20_000
    try:
        tight = feed(HostOperator(spec), [first, second])
    finally:
        host.OUT_BYTES = before
    assert len([f for f in roomy if f.channel == SCORES]) == 400
    assert [f for f in tight if f.channel == SCORES] == [f for f in roomy if f.channel == SCORES]
    assert [f for f in tight if f.channel == INTERVENTIONS] == [f for f in roomy if f.channel == INTERVENTIONS]
