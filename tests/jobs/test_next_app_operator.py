"""The next-app operator against a naive twin: predictions, refusals, erasures, forgetting, whatever the batching and the neighbours."""

from __future__ import annotations

import functools
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keepline.features.next_app import layout
from keepline.features.next_app.single import User
from keepline.features.spec import FeatureError
from keepline.models.next_app import manifest
from keepline.models.next_app.manifest import Loaded
from keepline.models.next_app.predict import predict
from keepline.operators import layout as at
from keepline.operators import stats
from keepline.operators.host import HostOperator
from keepline.operators.spec import NEXT_APP, OperatorSpec
from keepline.schemas.encode import Ok, encode
from keepline.schemas.packed import (
    APP_PREDICTIONS,
    DEAD_LETTERS,
    ERASED_SEQUENCE,
    ERASURE_RECEIPTS,
    LATE_EVENTS,
    Frame,
    Record,
    pack_record,
)
from keepline.schemas.records import to_record
from keepline.schemas.status import Reason
from tests.features.next_app.phone_histories import histories, long_history
from tests.models.next_app.models import made_up

DAY, HOUR, MINUTE = 86_400_000, 3_600_000, 60_000
ANY_TIME: dict[str, Any] = {"min_time_ms": 0, "max_time_ms": 1 << 60, "ahead_ms": 1 << 60}
slow = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@functools.cache
def model(family: str = "logistic", seed: int = 0) -> Loaded:
    return manifest.from_json(manifest.dump(made_up(family, seed)))


def spec(loaded: Loaded, **more: Any) -> OperatorSpec:
    return OperatorSpec(feature_sets=NEXT_APP, next_app=json.loads(manifest.dump(loaded.manifest)), **{**ANY_TIME, **more})


def feed(operator: HostOperator, records: list[dict[str, Any]]) -> list[Frame]:
    """All records, in order, as the source would pack them."""
    frames: list[Frame] = []
    for offset, record in enumerate(records):
        event = encode(record)
        assert isinstance(event, Ok), event
        key = event.customer_id.encode()
        frames += operator.add(key, pack_record(Record(key, event.value, 0, 0, offset, event.event_time, 7, event.event_time)))
    frames += operator.flush()
    return frames


class NaiveUser:
    """What the job does with the records of one user, from the definitions."""

    def __init__(self, loaded: Loaded, apps: int = 5, answer_within: int = MINUTE) -> None:
        self.model, self.apps, self.answer_within = loaded, apps, answer_within
        self.user: User | None = None
        self.ids: list[str] = []
        self.newest = self.sequence = 0
        self.predictions: list[tuple[str, int, int, list[tuple[str, float]]]] = []
        self.late: list[int] = []
        self.receipts: list[tuple[str, int, int]] = []
        self.duplicates = self.unanswered = 0

    def take(self, record: dict[str, Any]) -> None:
        t = record["event_time"]
        if record["type"] == "Erasure":
            self.receipts.append((record["request_id"], t, int(self.user is not None)))
            self.user = None
        if record["type"] in ("Erasure", "Consent", "Outcome"):
            return
        if self.user is not None and t - self.newest >= 400 * DAY:
            self.user = None
        if self.user is None:
            self.user, self.ids, self.newest, self.sequence = User(self.model.constants), [], t, 0
        if record["event_id"] in self.ids[-32:]:
            self.duplicates += 1
        elif self.newest - t > 90 * DAY:
            self.late.append(t)
        else:
            assert self.user.apply(record) == Reason.OK
            self.ids.append(record["event_id"])
            self.newest, self.sequence = max(self.newest, t), self.sequence + 1
            if record["type"] == "Unlock" and self.newest - t <= self.answer_within:
                told = predict(self.model, self.user, record, self.apps)
                self.predictions.append((record["event_id"], self.newest, self.sequence, told))
            elif record["type"] == "Unlock":
                self.unanswered += 1


def in_our_time(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same history whole weeks on: no time is before 1970."""
    shift = 2600 * 7 * DAY if any(record["event_time"] < 10**12 for record in records) else 0
    return [record | {"event_time": record["event_time"] + shift} for record in records]


@st.composite
def lives(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A history with more unlocks, consents and erasures among it, of about the time of their neighbours."""
    records = draw(histories(most=40).map(in_our_time))
    for number in range(draw(st.integers(0, 8))):
        place = draw(st.integers(0, len(records)))
        time = records[min(place, len(records) - 1)]["event_time"] if records else 1_750_000_000_000
        common = {
            "customer_id": "c",
            "event_id": f"more-{number}",
            "event_time": time + draw(st.sampled_from([0, 1, -MINUTE, -MINUTE - 1, HOUR])),
        }
        kinds: list[dict[str, Any]] = [
            {"type": "Unlock", "battery_percent": 40, "network": "WIFI"},
            {"type": "Unlock"},
            {"type": "Consent", "purpose": "PROFILING", "channel": "ALL", "status": "REVOKED", "time_zone": None},
            {"type": "Erasure", "request_id": f"r-{number}"},
        ]
        records.insert(place, draw(st.sampled_from(kinds)) | common)
    return records


def predicted(frames: list[Frame]) -> list[tuple[str, int, int, list[tuple[str, float]]]]:
    found = []
    for frame in frames:
        if frame.channel == APP_PREDICTIONS and frame.value:
            name, record = to_record(frame.value)
            assert name == "AppPrediction"
            assert frame.key.decode() == record["customer_id"]
            assert (frame.as_of, frame.created_ms) == (record["as_of"], 7)
            assert (record["model_id"], record["model_version"]) == ("next-app", 3)
            apps = [(each["app"], each["probability"]) for each in record["apps"]]
            found.append((record["event_id"], record["as_of"], frame.sequence, apps))
    return found


@pytest.mark.parametrize("family", ["logistic", "trees", "ensemble"])
@slow
@given(records=lives(), batch=st.sampled_from([1, 3, 256]), apps=st.integers(3, 5), seed=st.integers(0, 3))
def test_one_user_as_the_naive_twin_says(family: str, records: list[dict[str, Any]], batch: int, apps: int, seed: int) -> None:
    loaded = model(family, seed)
    operator, twin = HostOperator(spec(loaded, apps=apps), batch=batch), NaiveUser(loaded, apps)
    frames = feed(operator, records)
    for record in records:
        twin.take(record)

    assert predicted(frames) == twin.predictions
    assert all(len(told) == apps for *_, told in twin.predictions)
    late = [to_record(frame.value)[1]["event_time"] for frame in frames if frame.channel == LATE_EVENTS]
    assert late == twin.late
    receipts = [(frame.key, to_record(frame.value)[1]) for frame in frames if frame.channel == ERASURE_RECEIPTS]
    assert [(r["request_id"], r["erased_at"], r["counts"]["next_app_state"]) for _, r in receipts] == twin.receipts
    assert all(key.decode() == r["request_id"] for key, r in receipts)
    tombstones = [frame for frame in frames if frame.channel == APP_PREDICTIONS and not frame.value]
    assert [(frame.key, frame.sequence) for frame in tombstones] == [(b"c", ERASED_SEQUENCE)] * len(twin.receipts)
    assert operator.kernel.stats[stats.DUPLICATES] == twin.duplicates
    assert operator.kernel.stats[stats.PREDICTIONS] == len(twin.predictions)
    assert operator.kernel.stats[stats.UNANSWERED] == twin.unanswered
    kept = operator.states()
    assert bool(kept) == (twin.user is not None)
    if twin.user is not None:
        assert kept[b"c"][layout.B_LENGTHS :] == twin.user.state[layout.B_LENGTHS :]


@slow
@given(crowd=st.lists(histories(most=15).map(in_our_time), min_size=2, max_size=5), batch=st.sampled_from([1, 2, 7, 64]))
def test_batches_and_neighbours_never_show(crowd: list[list[dict[str, Any]]], batch: int) -> None:
    """Users interleaved in one operator give, each, what it gives alone."""
    loaded = model()
    users = [[record | {"customer_id": f"u{i}"} for record in records] for i, records in enumerate(crowd)]
    mixed = [records[i] for i in range(max(map(len, users))) for records in users if i < len(records)]
    together = feed(HostOperator(spec(loaded), batch=batch), mixed)
    for i, records in enumerate(users):
        alone = feed(HostOperator(spec(loaded)), records)
        assert [f for f in together if f.key == f"u{i}".encode() and f.channel == APP_PREDICTIONS] == [
            f for f in alone if f.channel == APP_PREDICTIONS
        ]


def test_a_long_life_and_its_end() -> None:
    loaded = model()
    records = long_history(5, 3000)
    operator, twin = HostOperator(spec(loaded, apps=3)), NaiveUser(loaded, 3)
    for record in records:
        twin.take(record)
    assert predicted(feed(operator, records)) == twin.predictions
    assert len(twin.predictions) > 300
    wake = -(-(twin.newest + 400 * DAY) // HOUR) * HOUR
    assert list(operator.advance(wake - 1)) == []
    assert operator.customers() == 1
    before = operator.kernel.stats[stats.FORGOTTEN]
    list(operator.advance(wake))
    assert operator.customers() == 0
    assert operator.kernel.stats[stats.FORGOTTEN] == before + 1


def test_a_new_user_gets_the_prior() -> None:
    loaded = model(seed=2)
    (found,) = predicted(feed(HostOperator(spec(loaded)), [unlock("c", 0)]))
    shares = {each.app: each.share for each in loaded.manifest.prior}
    assert [app for app, _ in found[3]] == list(loaded.prior[:5])
    assert [p for _, p in found[3]] == pytest.approx([shares[app] for app in loaded.prior[:5]])


def unlock(customer: str, number: int, t: int = 1_750_000_000_000) -> dict[str, Any]:
    return {"type": "Unlock", "customer_id": customer, "event_id": f"e{number}", "event_time": t + number * 1000}


def is_receipt(frame: Frame) -> bool:
    return frame.channel == ERASURE_RECEIPTS


def test_a_full_buffer_takes_several_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = model()
    records = [unlock(f"user{i % 7}", i) | {"event_id": f"e{i}" + "x" * 900} for i in range(400)]
    records += [
        {"type": "Erasure", "customer_id": f"user{i}", "event_id": "x", "event_time": 1_750_000_000_000, "request_id": "r"}
        for i in range(7)
    ]
    roomy = feed(HostOperator(spec(loaded)), records)
    monkeypatch.setattr("keepline.operators.host.OUT_BYTES", 1 << 14)
    tight = HostOperator(spec(loaded))
    # Receipts come behind what the kernel wrote in the same call, so their place among other users' frames may differ.
    assert sorted(feed(tight, records), key=is_receipt) == sorted(roomy, key=is_receipt)
    assert len([frame for frame in roomy if frame.channel == APP_PREDICTIONS and frame.value]) == 400
    assert tight.customers() == 0


def test_what_is_refused_is_a_letter_and_the_state_stays() -> None:
    operator = HostOperator(spec(model(), max_time_ms=1_760_000_000_000))
    frames = feed(operator, [unlock("c", 0), unlock("c", 1, 1_770_000_000_000), unlock("c", 2)])
    letters = [to_record(frame.value)[1] for frame in frames if frame.channel == DEAD_LETTERS]
    assert [letter["reason"] for letter in letters] == ["OUT_OF_BOUNDS_TIME"]
    assert len(predicted(frames)) == 2


def test_stored_states_are_taken_whole_or_not_at_all() -> None:
    operator = HostOperator(spec(model()))
    feed(operator, [unlock("c", 0)])
    (state,) = operator.states().values()
    kernel = operator.kernel
    assert kernel.migrate(state) == state
    assert kernel.migrate(bytes(layout.SIZE)) == bytes(layout.SIZE)
    with pytest.raises(FeatureError, match="3072 bytes, expected 8192"):
        kernel.migrate(bytes(3072))
    damaged = bytearray(state)
    damaged[8 * layout.W_SCREEN] = 65
    with pytest.raises(FeatureError, match="damaged"):
        kernel.migrate(bytes(damaged))
    foreign = bytearray(state)
    foreign[2] = 1
    with pytest.raises(FeatureError, match="damaged"):
        kernel.migrate(bytes(foreign))


def test_the_rules_hold_for_every_state_that_the_operator_makes() -> None:
    operator = HostOperator(spec(model()))
    feed(operator, in_our_time(long_history(8, 500)))
    (state,) = operator.states().values()
    words = np.frombuffer(state, np.int64)
    for offset, mask, low, high in operator.kernel.state_rules:
        found = int.from_bytes(state[offset : offset + 8], "little", signed=True) & mask
        assert low <= found <= high, offset
    assert len(words) * 8 == operator.kernel.state_size == layout.SIZE


def test_what_is_counted_is_told() -> None:
    told = json.loads(HostOperator(spec(model())).kernel.describe())
    names = [line["name"] for line in told]
    assert {"events_accepted_total", "predictions_total", "unlocks_unanswered_total", "customers_erased_total", "model_info"} <= set(names)
    assert "ticks_total" not in names
    assert all(line["at"] < at.HDR + at.STATS_WORDS for line in told if "at" in line)
