"""The operator's Python half against its naive twin: scores, ticks, interventions, whatever the batching."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keepline.features.churn import CHURN
from keepline.models.contact.carried import to_json
from keepline.models.contact.rules import Happens, Level, Policy, Rise, Trigger
from keepline.models.contact.signal import Signal
from keepline.operators import stats
from keepline.operators.host import HostOperator
from keepline.operators.signals import Told, unpack
from keepline.operators.spec import OperatorSpec
from keepline.schemas.encode import Ok, encode
from keepline.schemas.packed import LATE_EVENTS, SCORES, SIGNALS, Frame, Record, pack_record
from keepline.schemas.records import to_record
from tests.features.feature_histories import histories
from tests.jobs.models_for_tests import manifest
from tests.jobs.naive_job import NaiveCustomer

DAY, HOUR = 86_400_000, 3_600_000
MODEL = manifest()
ANY_TIME = {"min_time_ms": 0, "max_time_ms": 1 << 60}
slow = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def in_our_time(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same history some fifty years later, whole hours, days and weeks on: the job takes no times before 1990."""
    shift = 2600 * 7 * DAY if any(record["event_time"] < 10**12 for record in records) else 0
    return [record | {"event_time": record["event_time"] + shift} for record in records]


def signal(frame: Frame) -> Signal:
    """The signal of a frame of these tests' model."""
    return unpack(frame, [Told(CHURN.names, (("churn", "churn-test", 3),))])


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


POLICY = Policy(
    name="told",
    version=1,
    triggers=(
        Trigger("at_risk", Level("score:churn", 0.6)),
        Trigger("unpaid", Level("feature:overdue_bills", 1)),
        Trigger("rising", Rise("score:churn", 0.2, 7 * DAY)),
        Trigger("billed", Happens("Bill")),
        Trigger("dropped", Happens("Call", "outcome", ("DROPPED",))),
    ),
    offers=(),
)
LEVELS = (("score", 0.6), ("overdue_bills", 1.0))
ALLOWED: dict[str, Any] = {"policy": to_json(POLICY), **ANY_TIME}


def told(record: dict[str, Any]) -> bool:
    """Whether POLICY looks at the event itself."""
    match record["type"]:
        case "Call":
            return record["outcome"] == "DROPPED"
        case "SupportContact":
            return record["topic"] in ("COMPLAINT", "CANCELLATION")
        case kind:
            return kind in ("Bill", "Subscription")


@st.composite
def with_controls(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A history with consents, outcomes and erasures among it, of about the time of their neighbours."""
    records = draw(histories().map(in_our_time))
    for number in range(draw(st.integers(0, 5))):
        at = draw(st.integers(0, len(records)))
        time = records[min(at, len(records) - 1)]["event_time"] if records else 1_750_000_000_000
        common = {"customer_id": "c", "event_id": f"control-{number}"}
        common["event_time"] = time + draw(st.sampled_from([0, 1, -HOUR, HOUR, 26 * HOUR, 3 * DAY]))
        kind = draw(
            st.sampled_from(
                [
                    {"type": "Consent", "purpose": "MARKETING", "channel": "SMS", "status": "GRANTED", "time_zone": "Europe/Athens"},
                    {"type": "Consent", "purpose": "PROFILING", "channel": "ALL", "status": "REVOKED", "time_zone": None},
                    {"type": "Outcome", "intervention_id": "ïd", "outcome": "ACCEPTED"},
                    {"type": "Erasure", "request_id": "r-1"},
                ]
            )
        )
        records.insert(at, kind | common)
    return records


@pytest.mark.parametrize("emit", ["every", "delta", "band"])
@slow
@given(records=with_controls(), batch=st.sampled_from([1, 3, 256]), silence=st.sampled_from([0, 3, 40, 399, 500]))
def test_one_customer_as_the_naive_twin_says(emit: str, records: list[dict[str, Any]], batch: int, silence: int) -> None:
    operator = HostOperator(OperatorSpec(MODEL, emit=emit, **ALLOWED), batch=batch)
    twin = NaiveCustomer(MODEL, emit, levels=LEVELS, step=0.05, watched=told)
    frames = feed(operator, records)
    for record in records:
        twin.take(record)
    if records and silence:
        last = max(record["event_time"] for record in records) + silence * DAY
        frames += operator.advance(last)
        twin.ticks(last)

    scores = [to_record(frame.value)[1] for frame in frames if frame.channel == SCORES and frame.value]
    assert [(s["as_of"], s["event_id"], s["band"]) for s in scores] == [(a, e, b) for a, e, _, b in twin.scores]
    assert [s["value"] for s in scores] == pytest.approx([value for _, _, value, _ in twin.scores], abs=1e-9)
    assert all(s["model_id"] == "churn-test" and s["model_version"] == 3 and s["role"] == "CHAMPION" for s in scores)
    made = [signal(frame) for frame in frames if frame.channel == SIGNALS]
    assert [(s.time, s.event_type, s.event_id) for s in made] == [(time, kind, event) for time, kind, event, _, _ in twin.signals]
    assert [{i for i in range(2) if s.active >> i & 1} for s in made] == [active for *_, active in twin.signals]
    for found, (_, _, _, value, _) in zip(made, twin.signals, strict=True):
        assert (found.value is None) == (value is None)
        if value is not None:
            assert found.value == pytest.approx(value, abs=1e-9)
            assert set(found.features) == set(operator.kernel.names)
    for found in made:
        sent = [record for record in records if record["event_id"] == found.event_id and record["type"] == found.event_type]
        # The id of a late record may come again with another event: the signal is of one of them.
        assert bool(found.fields) in {bool(found.event_type and (found.value is None or told(each))) for each in sent or [{}]}
        if found.fields and len(sent) == 1:  # else it is a duplicate's first copy, or one after the memory of ids
            assert {name: sent[0].get(name, value) for name, value in found.fields.items()} == found.fields
    late = [to_record(frame.value)[1] for frame in frames if frame.channel == LATE_EVENTS]
    assert [item["event_time"] for item in late] == twin.late
    assert operator.kernel.stats[stats.DUPLICATES] == twin.duplicates
    assert bool(operator.states()) == bool(twin.accepted)
    tombstones = [frame for frame in frames if frame.channel == SCORES and not frame.value]
    assert [frame.key for frame in tombstones] == [b"c|churn|CHAMPION"] * twin.erased
    assert twin.erased == sum(record["type"] == "Erasure" for record in records)


@slow
@given(crowd=st.lists(histories(most=15).map(in_our_time), min_size=2, max_size=6), batch=st.sampled_from([1, 2, 7, 64]))
def test_batches_and_neighbours_never_show(crowd: list[list[dict[str, Any]]], batch: int) -> None:
    """Customers interleaved in one operator give, each, what it gives alone."""
    mixed: list[dict[str, Any]] = []
    for turn in range(max(len(history) for history in crowd)):
        mixed += [history[turn] | {"customer_id": f"c{i}"} for i, history in enumerate(crowd) if turn < len(history)]
    together = feed(HostOperator(OperatorSpec(MODEL, emit="every", **ALLOWED), batch=batch), mixed)
    for i in range(len(crowd)):
        own = [record for record in mixed if record["customer_id"] == f"c{i}"]
        alone = feed(HostOperator(OperatorSpec(MODEL, emit="every", **ALLOWED), batch=256), own)
        key = f"c{i}".encode()
        for channel in (SCORES, SIGNALS):
            seen = [f for f in together if f.key.split(b"|")[0] == key and f.channel == channel]
            assert seen == [f for f in alone if f.channel == channel]


def test_three_reasons_name_the_largest_contributions() -> None:
    operator = HostOperator(OperatorSpec(MODEL, emit="every", policy=to_json(POLICY)))
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
    spec = OperatorSpec(MODEL, emit="every", policy=to_json(POLICY))
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
    assert [f for f in tight if f.channel == SIGNALS] == [f for f in roomy if f.channel == SIGNALS]
