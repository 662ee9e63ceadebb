"""Several feature sets in one job: each scores, ticks and forgets as if it were alone; states are carried from one choice to another."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keepline.features.layout import W_TIMER_AT
from keepline.features.spec import FeatureError
from keepline.models.contact.carried import to_json
from keepline.models.contact.rules import Fall, Happens, Level, Policy, Trigger
from keepline.operators import layout, states, stats
from keepline.operators.host import HostOperator
from keepline.operators.parts import TAIL, parts_of
from keepline.operators.signals import Told, unpack
from keepline.operators.spec import OperatorSpec
from keepline.schemas.encode import Ok, encode
from keepline.schemas.packed import SCORES, SIGNALS, Frame, Record, pack_record
from keepline.schemas.records import to_record
from tests.jobs.models_for_tests import clv_manifest, manifest, regression_manifest

DAY, HOUR = 86_400_000, 3_600_000
START = 1_741_564_800_000
CHURN, CLV = ("churn",), ("clv",)
BOTH = (*CHURN, *CLV)
TIMES = {"min_time_ms": 0, "max_time_ms": 1 << 60}
slow = settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))


def spec(sets: tuple[str, ...], **more: Any) -> OperatorSpec:
    return OperatorSpec(manifest=manifest(), clv=clv_manifest(), feature_sets=sets, **({"emit": "every"} | TIMES | more))


@st.composite
def lives(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Calls, orders, refunds, page views, contracts that end, erasures; silences of hours, days and years; some come twice or late."""
    now, records = START, list[dict[str, Any]]()
    for number in range(draw(st.integers(1, 25))):
        now += draw(st.sampled_from([0, 1, HOUR, 30 * HOUR, 9 * DAY, 399 * DAY, 400 * DAY, 401 * DAY]))
        kind = draw(st.sampled_from(["Call", "Purchase", "Purchase", "Refund", "PageView", "Subscription", "Consent", "Erasure", "again"]))
        back = draw(st.sampled_from([0, 0, 0, HOUR, 89 * DAY, 91 * DAY, 200 * DAY]))
        head = {"customer_id": "c", "event_id": f"e{number}", "event_time": now if kind in ("Consent", "Erasure") else now - back}
        amount = draw(st.sampled_from([0.0, 5.0, 99.5]))
        fields: dict[str, Any] = {
            "Call": {"duration_s": 60.0},
            "Purchase": {"order_id": f"o{number}", "amount": amount, "cost": draw(st.sampled_from([None, 3.0]))},
            "Refund": {"type": "Purchase", "order_id": "o", "amount": -1.5},
            "PageView": {"page": "/"},
            "Subscription": {"plan": "p", "started_time": START, "monthly_charge": 9.0, "ended": draw(st.booleans())},
            "Consent": {"purpose": "MARKETING", "status": "GRANTED", "channel": "ALL"},
            "Erasure": {"request_id": "r"},
        }.get(kind, {})
        records.append(records[draw(st.integers(0, len(records) - 1))] if kind == "again" and records else {"type": kind, **head, **fields})
        if records[-1]["type"] == "again":
            records[-1] = {"type": "Message", **head}
    return records


def feed(operator: HostOperator, records: Iterable[dict[str, Any]], silence: int = 0) -> list[Frame]:
    frames: list[Frame] = []
    newest = 0
    for offset, record in enumerate(records):
        event = encode(record)
        assert isinstance(event, Ok), event
        newest = max(newest, event.event_time)
        frames += operator.add(b"c", pack_record(Record(b"c", event.value, 0, 0, offset, event.event_time)))
    frames += operator.flush()
    if silence:
        frames += operator.advance(newest + silence)
    return frames


def scores(frames: Iterable[Frame]) -> dict[str, list[Any]]:
    """By score, its records and tombstones in order; in place of a record's order among others, only its own counts."""
    found: dict[str, list[Any]] = {}
    for frame in frames:
        if frame.channel == SCORES:
            name = frame.key.decode().rsplit("|", 2)[1]
            found.setdefault(name, []).append(to_record(frame.value)[1] if frame.value else ("tombstone", frame.as_of))
    return found


@slow
@given(
    records=lives(),
    batch=st.sampled_from([1, 7, 64]),
    silence=st.sampled_from([0, 3 * DAY, 420 * DAY]),
    emit=st.sampled_from(["band", "delta", "every"]),
)
def test_each_set_scores_as_if_it_were_alone(records: list[dict[str, Any]], batch: int, silence: int, emit: str) -> None:
    # An Erasure's tombstones carry the customer's `now`, which is common.
    def alone(each: dict[str, list[Any]]) -> dict[str, list[Any]]:
        return {name: [one[0] if isinstance(one, tuple) else one for one in made] for name, made in each.items()}

    both = alone(scores(feed(HostOperator(spec(BOTH, emit=emit), batch), records, silence)))
    churn = alone(scores(feed(HostOperator(spec(CHURN, emit=emit), batch), records, silence)))
    clv = alone(scores(feed(HostOperator(spec(CLV, emit=emit), batch), records, silence)))
    assert both == churn | clv


@slow
@given(records=lives(), cut=st.integers(0, 25), before=st.sampled_from([CHURN, CLV, BOTH]), after=st.sampled_from([CHURN, CLV, BOTH]))
def test_a_state_is_carried_to_another_choice(
    records: list[dict[str, Any]], cut: int, before: tuple[str, ...], after: tuple[str, ...]
) -> None:
    """What both choices have goes on as if nothing had been; what is new begins with the next event."""
    first, then = HostOperator(spec(before)), HostOperator(spec(after))
    feed(first, records[:cut])
    state = first.states().get(b"c")
    if state is None:
        return
    carried = then.kernel.migrate(state)
    assert len(carried) == then.kernel.state_size
    then._slots.find(b"c")  # as a restore puts a state into its slot
    then._block[: len(carried)] = np.frombuffer(carried, np.uint8)
    found = scores(feed(then, records[cut:], 3 * DAY))
    whole = HostOperator(spec(after))
    feed(whole, records[:cut])
    wanted = scores(feed(whole, records[cut:], 3 * DAY))
    for name in {"churn"} if "churn" in before and "churn" in after else set():
        assert found.get(name) == wanted.get(name)
    for name in {"p_alive", "clv_bgnbd", "clv_formula"} if "clv" in before and "clv" in after else set():
        assert found.get(name) == wanted.get(name)


def test_a_forgotten_part_leaves_the_timer_to_the_other() -> None:
    operator = HostOperator(spec(BOTH))
    order = {"type": "Purchase", "customer_id": "c", "event_id": "1", "event_time": START, "order_id": "o", "amount": 9.0}
    feed(operator, [order], 401 * DAY)
    (state,) = operator.states().values()
    churn, clv = parts_of(operator.kernel.spec)
    words = np.frombuffer(state, np.int64)
    assert words[0] == 0
    assert words[W_TIMER_AT] > START + 400 * DAY
    assert words[churn.size // 8] != 0
    assert len(state) == churn.size + clv.size
    again = operator.kernel.migrate(state)
    assert again == state
    # Alone, the other part takes the timer with it.
    alone = HostOperator(spec(CLV)).kernel.migrate(state)
    assert np.frombuffer(alone, np.int64)[W_TIMER_AT] == words[W_TIMER_AT]
    assert not any(HostOperator(spec(CHURN)).kernel.migrate(state))


def test_damaged_states_of_several_parts_are_refused() -> None:
    operator = HostOperator(spec(BOTH))
    order = {"type": "Purchase", "customer_id": "c", "event_id": "1", "event_time": START, "order_id": "o", "amount": 9.0}
    feed(operator, [order])
    (state,) = operator.states().values()
    for bad in (state[:-8], state + bytes(64), b"\1" * len(state), state[64:]):
        with pytest.raises(FeatureError, match="Start the job from"):
            operator.kernel.migrate(bad)
    found = states.rules(operator.kernel.parts, 0, 1 << 60)
    assert all(
        rule.low <= int.from_bytes(state[rule.offset : rule.offset + 8], "little", signed=True) & rule.mask <= rule.high for rule in found
    )
    assert max(rule.offset for rule in found) > parts_of(operator.kernel.spec)[0].size


def test_both_sets_fit_into_six_kibibytes() -> None:
    churn, clv = parts_of(spec(BOTH))
    assert churn.size + clv.size <= 6 * 1024
    assert clv.tail == TAIL


def test_one_signal_tells_all_scores_and_features() -> None:
    policy = Policy("p", 1, (Trigger("loyal", Level("score:clv_bgnbd", 1.0)), Trigger("busy", Level("feature:calls_7d", 2.0))), ())
    operator = HostOperator(spec(BOTH, policy=to_json(policy)))
    told = [Told(part.names, tuple((each.name, each.model_id, each.version) for each in part.scores)) for part in operator.kernel.parts]
    call = {"type": "Call", "customer_id": "c", "event_id": "1", "event_time": START, "duration_s": 1.0}
    order = {"type": "Purchase", "customer_id": "c", "event_id": "2", "event_time": START + 1, "order_id": "o", "amount": 9.0}
    frames = feed(operator, [call, order, call | {"event_id": "3", "event_time": START + 2}])
    signals = [unpack(frame, told) for frame in frames if frame.channel == SIGNALS]
    assert [(each.event_id, each.active) for each in signals] == [("2", 1), ("3", 3)]
    last = signals[-1]
    assert (last.score, set(last.others)) == ("churn", {"p_alive", "clv_bgnbd", "clv_formula"})
    assert set(last.features) == {name for part in operator.kernel.parts for name in part.names}
    newest = {name: made[-1] for name, made in scores(frames).items()}
    assert last.value == newest["churn"]["value"]
    assert {name: each.value for name, each in last.others.items()} == {name: newest[name]["value"] for name in last.others}
    for name, each in last.others.items():
        assert [reason.feature for reason in each.reasons] == [reason["feature"] for reason in newest[name]["reasons"]]
        assert ("LOW", "MEDIUM", "HIGH")[each.band] == newest[name]["band"]


def test_a_customer_without_an_order_has_no_lifetime_value() -> None:
    operator = HostOperator(spec(BOTH))
    view = {"type": "PageView", "customer_id": "c", "event_id": "1", "event_time": START, "page": "/"}
    assert set(scores(feed(operator, [view], 5 * DAY))) == {"churn"}
    order = {"type": "Purchase", "customer_id": "c", "event_id": "2", "event_time": START + 6 * DAY, "order_id": "o", "amount": 0.0}
    made = scores(feed(operator, [order]))
    assert set(made) == {"churn", "p_alive", "clv_bgnbd", "clv_formula"}
    assert made["p_alive"][0]["value"] == 1.0
    assert json.dumps(made, allow_nan=False)


def test_other_events_score_lifetime_value_once_a_day() -> None:
    operator = HostOperator(spec(CLV))
    order = {"type": "Purchase", "customer_id": "c", "event_id": "o", "event_time": START, "order_id": "o", "amount": 9.0}
    calls = [
        {"type": "Call", "customer_id": "c", "event_id": f"{n}", "event_time": START + n * HOUR, "duration_s": 1.0} for n in range(1, 50)
    ]
    made = scores(feed(operator, [order, *calls]))["p_alive"]
    assert [each["event_id"] for each in made] == ["o", "24", "48"]


def test_scores_are_counted_by_name_and_band() -> None:
    operator = HostOperator(spec(BOTH))
    order = {"type": "Purchase", "customer_id": "c", "event_id": "o", "event_time": START, "order_id": "o", "amount": 9.0}
    made = scores(feed(operator, [order], 5 * DAY))
    lines = {
        (each["labels"].get("score", "churn"), each["labels"]["band"]): each["at"]
        for each in json.loads(operator.kernel.describe())
        if each["name"] in ("scores_emitted_total", "value_scores_emitted_total")
    }
    assert len(lines) == 4 * 3
    for (name, band), at in lines.items():
        counted = int(operator.kernel.stats[at - layout.STATS])
        assert counted == sum(each["band"] == band for each in made[name])
    assert operator.kernel.stats[stats.TICKS] == 4


def test_a_regression_is_scored_with_the_closed_forms() -> None:
    """Equal to the definition, exp(z) - 1 over the transformed features, to 1e-9; every PageView counts too."""
    raw = regression_manifest()
    policy = Policy("p", 1, (Trigger("any", Level("feature:orders", 1.0)), Trigger("viewed", Happens("PageView"))), ())
    operator = HostOperator(spec(CLV, clv_regression=raw, policy=to_json(policy)))
    (part,) = operator.kernel.parts
    told = [Told(part.names, tuple((each.name, each.model_id, each.version) for each in part.scores))]
    order = {"type": "Purchase", "customer_id": "c", "event_id": "o", "event_time": START, "order_id": "o", "amount": 9.0, "cost": 2.0}
    views = [
        {"type": "PageView", "customer_id": "c", "event_id": f"v{n}", "event_time": START + n * HOUR, "page": "/"} for n in range(1, 30)
    ]
    frames = feed(operator, [order, *views])
    made = scores(frames)["clv_regression"]
    assert [each["event_id"] for each in made] == ["o", *(view["event_id"] for view in views)]
    assert {(each["model_id"], each["model_version"]) for each in made} == {("amount-test", 5)}
    signals = {each.event_id: each for frame in frames if frame.channel == SIGNALS if (each := unpack(frame, told))}
    assert len(signals) == 30
    for record in made:
        row = signals[record["event_id"]].features
        parts = {
            term["name"]: term["coefficient"]
            * (np.log1p(max(row[term["name"]], 0.0)) if term["transform"] == "log1p" else row[term["name"]])
            for term in raw["terms"]
        }
        assert record["value"] == pytest.approx(max(np.expm1(raw["intercept"] + sum(parts.values())), 0.0), rel=1e-9)
        assert record["value"] == signals[record["event_id"]].others["clv_regression"].value
        assert record["band"] == ("LOW" if record["value"] < 5 else "MEDIUM" if record["value"] < 9 else "HIGH")
        assert len(record["reasons"]) == 3


def test_a_fall_is_told_of_a_customer_who_was_told_of_before_the_first_order() -> None:
    """What is told before an order has no lifetime value; the first value counts as a move from nothing, and so do those after it."""
    policy = Policy("p", 1, (Trigger("poorer", Fall("score:p_alive", 0.5, 400 * DAY)), Trigger("viewed", Happens("PageView"))), ())
    operator = HostOperator(spec(CLV, policy=to_json(policy)))
    told = [Told(part.names, tuple((each.name, each.model_id, each.version) for each in part.scores)) for part in operator.kernel.parts]
    view = {"type": "PageView", "customer_id": "c", "event_id": "v", "event_time": START, "page": "/"}
    orders = [
        {"type": "Purchase", "customer_id": "c", "event_id": f"o{n}", "event_time": START + n * DAY, "order_id": f"o{n}", "amount": 9.0}
        for n in range(1, 4)
    ]
    frames = feed(operator, [view, *orders], 300 * DAY)
    values = {each.time: each.value for frame in frames if frame.channel == SIGNALS if (each := unpack(frame, told))}
    made = [(record["as_of"], record["value"]) for record in scores(frames)["p_alive"]]
    assert values.pop(START) is None
    assert values[START + DAY] == 1.0
    # From then on no move of an eighth, a quarter of the fall, goes untold.
    last = None
    for time, value in made:
        last = values.get(time, last)
        assert last is not None
        assert abs(value - last) < 0.125 * last or time in values
    assert min(value for value in values.values() if value is not None) < 0.5
