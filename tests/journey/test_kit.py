"""The kit itself: times as they are written, the score that is set, events and their defaults, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keepline.features.sets import feature_set
from keepline.jobs import replay
from keepline.jobs.journey import times
from keepline.jobs.journey.expect import Expect
from keepline.jobs.journey.journey import Journey
from keepline.jobs.journey.scores import journey_model
from keepline.jobs.journey.times import JourneyError, moment, shown
from keepline.jobs.settings import RetentionSettings
from keepline.models.contact.document import DEFAULT
from keepline.models.manifest import from_mapping
from keepline.schemas.errors import KeeplineError
from tests.journey.test_policies import BASE

ATHENS = ZoneInfo("Europe/Athens")


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


# ── times ──


@pytest.mark.parametrize(
    ("written", "utc"),
    [
        ("2026-03-01 09:00", "2026-03-01T07:00:00+00:00"),
        ("2026-03-01T09:00:30.250", "2026-03-01T07:00:30.250+00:00"),
        (" 2026-03-01 ", "2026-02-28T22:00:00+00:00"),
        ("2026-03-01T09:00:00Z", "2026-03-01T09:00:00+00:00"),
        ("2026-03-01 09:00+01:00", "2026-03-01T08:00:00+00:00"),
        (date(2026, 7, 1), "2026-06-30T21:00:00+00:00"),
        (datetime(2026, 7, 1, 12), "2026-07-01T09:00:00+00:00"),  # noqa: DTZ001
        (datetime(2026, 7, 1, 12, tzinfo=UTC), "2026-07-01T12:00:00+00:00"),
        # Clocks go back at 04:00: half past three comes twice, and the first is meant.
        ("2026-10-25 03:30", "2026-10-25T00:30:00+00:00"),
    ],
)
def test_times(written: Any, utc: str) -> None:
    assert moment(written, ATHENS) == ms(utc)


@pytest.mark.parametrize(
    ("written", "now", "past", "found"),
    [
        ("09:00", "2026-03-01 09:00", False, "2026-03-01 09:00"),
        ("09:00", "2026-03-01 09:00", True, "2026-03-01 09:00"),
        ("08:59", "2026-03-01 09:00", False, "2026-03-02 08:59"),
        ("09:01", "2026-03-01 09:00", True, "2026-02-28 09:01"),
        # On the 29th there is no half past three.
        ("03:30", "2026-03-28 12:00", False, "2026-03-30 03:30"),
        ("03:30", "2026-03-29 12:00", True, "2026-03-28 03:30"),
    ],
)
def test_a_time_of_day_is_the_next_or_the_last(written: str, now: str, past: bool, found: str) -> None:
    assert moment(written, ATHENS, moment(now, ATHENS), past=past) == moment(found, ATHENS)


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("tomorrow", "'tomorrow' is no time: expected a time such as 2026-03-01 09:00"),
        ("25:00", "'25:00' is no time of day"),
        ("09:00", "no time has been said before it: begin with a whole one, such as 2026-03-01 09:00"),
        (1_772_000_000_000, "is no time"),
        ("2026-03-29 03:30", "2026-03-29 03:30 does not exist in Europe/Athens: clocks go past it that day"),
    ],
)
def test_what_is_no_time(written: Any, words: str) -> None:
    with pytest.raises(JourneyError, match=words):
        moment(written, ATHENS)


@pytest.mark.parametrize("duration", ["three days", "-3d", timedelta(seconds=-1)])
def test_what_is_no_duration(journey: Journey, duration: Any) -> None:
    with pytest.raises(JourneyError, match="expected a"):
        journey.after(duration)


@given(
    st.integers(0, 4_000_000_000_000), st.sampled_from(["Europe/Athens", "America/St_Johns", "Australia/Lord_Howe", "UTC", "Pacific/Apia"])
)
def test_what_is_shown_is_read_as_the_same_moment(at: int, zone: str) -> None:
    assert moment(shown(at, ZoneInfo(zone)), ZoneInfo(zone)) == at


def test_times_without_a_zone_are_on_the_customers_clock(journey: Journey) -> None:
    assert journey.at("2026-03-01 09:00").now == ms("2026-03-01T09:00:00+00:00")
    assert journey.consents(time_zone="Europe/Athens").at("2026-03-01 12:00").now == ms("2026-03-01T10:00:00+00:00")
    other = journey.customer("c-2")
    assert other.at("2026-03-01 12:00").zone.key == "UTC"
    other.subscribes(time_zone="Atlantis/Poseidonis")
    assert other.zone.key == "UTC", "as the policy takes it: a name that there is not says nothing"
    other.subscribes(time_zone="Pacific/Auckland").erases()
    assert other.zone.key == "UTC", "forgotten with the rest"


def test_what_comes_before_any_time_comes_at_the_first(journey: Journey) -> None:
    journey.consents(time_zone="Europe/Athens").call(at="2026-03-01 09:00")
    assert [event["event_time"] for event in journey.events] == [ms("2026-03-01T07:00:00+00:00")] * 2
    assert shown(Journey().call().now, ZoneInfo("UTC")) == "2025-01-06 09:00"


def test_time_goes_on_only(journey: Journey) -> None:
    journey.at("2026-03-01 09:00").after("90m").silence(days=1, hours=0.5).after(timedelta(minutes=1))
    assert shown(journey.now, ZoneInfo("UTC")) == "2026-03-02 11:01"
    with pytest.raises(JourneyError, match="2026-03-01 is before 2026-03-02 11:01, which it is by now"):
        journey.at("2026-03-01")


# ── scores ──


@settings(max_examples=40, deadline=None)
@given(st.floats(1e-6, 1 - 1e-6))
def test_the_score_is_what_was_said(value: float) -> None:
    journey = Journey(BASE).score(value)
    assert value <= journey.records("score")[-1]["value"] < value + 1e-8


def test_a_score_stays_until_it_is_set_again(journey: Journey, expect: Expect) -> None:
    journey.policy(BASE).score(0.7).call().subscribes(45).bill().complaint().silence(days=100)
    expect.score(at_least=0.7, below=0.70001)
    journey.ends().subscribes(20)
    expect.score(at_least=0.7, below=0.70001)
    journey.score(0.2)
    expect.score(at_least=0.2, below=0.20001)
    with pytest.raises(AssertionError, match=r"expected a score at least 0\.3\nbut the newest is 0\.2"):
        expect.score(at_least=0.3)
    with pytest.raises(AssertionError, match=r"expected a score at least 0 and below 0\.2\nbut"):
        expect.score(at_least=0, below=0.2)


def test_weights_move_the_score_and_are_its_reasons(journey: Journey) -> None:
    journey.policy(BASE).weights(base=0.2, complaints_7d=1.0, calls_24h=-0.5).complaint().call()
    first, second = (score["value"] for score in journey.records("score"))
    assert first == pytest.approx(1 / (1 + 4 / 2.718281828459045))
    assert second < first
    assert [each["feature"] for each in journey.records("score")[-1]["reasons"]][:2] == ["complaints_7d", "calls_24h"]


def test_a_model_of_ones_own(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps(journey_model(0.3) | {}), encoding="utf-8")
    assert Journey(BASE).model(folder).call().records("score")[0]["value"] == pytest.approx(0.3)
    committed = Journey().model(DEFAULT.parents[1] / "pretrained/churn/1")
    assert committed.call().records("score")[0]["model_id"] == "churn-mlc"
    with pytest.raises(JourneyError, match=r"'churn-mlc', which journey\.score\(\) cannot set"):
        committed.score(0.9)
    with pytest.raises(KeeplineError, match="no model can be read at"):
        Journey(BASE).model(tmp_path / "none").call(at="2026-01-01")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: journey_model(weights={"droped_calls_7d": 1}), "no feature of churn: .* did you mean dropped_calls_7d"),
        (lambda: journey_model(weights={"contract_months": 1}), r"contract_months is what journey\.score\(\) turns"),
        (lambda: journey_model(base=1), "the base is 1: expected a number from 0.001 to 0.999"),
        (lambda: journey_model(threshold=0), "the threshold is 0"),
        (lambda: Journey().score(1.0), "the score is 1.0: expected a number from 1e-06 to 0.999999"),
    ],
)
def test_models_that_there_are_not(make: Callable[[], object], words: str) -> None:
    with pytest.raises(JourneyError, match=words):
        make()


@settings(max_examples=20, deadline=None)
@given(base=st.floats(0.001, 0.999), threshold=st.floats(0.001, 0.999))
def test_the_dial_reaches_every_score(base: float, threshold: float) -> None:
    model = from_mapping(journey_model(base, threshold), feature_set("churn"))
    assert (model.threshold, model.bands) == (threshold, (threshold / 2, (1 + threshold) / 2))
    for value in (1e-6, 1 - 1e-6):
        journey = Journey(BASE, journey_model(base, threshold)).score(value)
        assert abs(journey.events[-1]["contract_months"]) < 2**31
        assert value <= journey.records("score")[-1]["value"] < value + 1e-8


# ── events ──


def test_each_step_is_an_event_with_defaults(journey: Journey) -> None:
    journey.policy(BASE).at("2026-03-01 09:00").call().call(dropped=True).data().message().contact().complaint()
    journey.bill(40).pays().subscribes(25, internet="FIBER").ends().consents(profiling=False).refuses(channel="SMS")
    journey.outcome("FAILED", of="i-1").erases("r-1").event("AppOpen", app="shop", at="10:00", happened="09:30")
    now = ms("2026-03-01T09:00:00+00:00")
    shown_events = [{name: value for name, value in event.items() if name not in ("customer_id", "event_id")} for event in journey.events]
    assert [event.pop("event_time") for event in shown_events] == [*[now] * 15, now + 1_800_000]
    contract = {"plan": "basic", "monthly_charge": 25.0, "ended": False, "internet": "FIBER", "started_time": now}
    bill_id = shown_events[6]["bill_id"]
    assert shown_events == [
        {"type": "Call", "duration_s": 60.0},
        {"type": "Call", "duration_s": 60.0, "outcome": "DROPPED"},
        {"type": "DataSession", "megabytes": 100.0},
        {"type": "Message"},
        {"type": "SupportContact", "topic": "QUESTION"},
        {"type": "SupportContact", "topic": "COMPLAINT"},
        {"type": "Bill", "bill_id": bill_id, "amount": 40.0, "due_time": now + 14 * 86_400_000},
        {"type": "Payment", "bill_id": bill_id, "amount": 40.0},
        {"type": "Subscription", **contract},
        {"type": "Subscription", **contract, "ended": True},
        {"type": "Consent", "purpose": "MARKETING", "channel": "ALL", "status": "GRANTED"},
        {"type": "Consent", "purpose": "PROFILING", "channel": "ALL", "status": "DENIED"},
        {"type": "Consent", "purpose": "MARKETING", "channel": "SMS", "status": "DENIED"},
        {"type": "Outcome", "intervention_id": "i-1", "outcome": "FAILED"},
        {"type": "Erasure", "request_id": "r-1"},
        {"type": "AppOpen", "app": "shop"},
    ]
    assert len({event["event_id"] for event in journey.events}) == len(journey.events)


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (lambda j: j.event("Cal"), "there is no event 'Cal': expected one of Call, .* did you mean Call"),
        (lambda j: j.call(duration=5), "a Call has no field 'duration': expected one of .* did you mean duration_s"),
        (lambda j: j.call(seconds=-1, at="2026-03-01"), "the job refuses this Call: "),
        (lambda j: j.contact("COMPLAIN", at="2026-03-01"), "the job refuses this SupportContact: "),
        (lambda j: j.outcome("ACCEPTED"), "c-1 has had no intervention; name one with of="),
        (lambda j: j.at("2026-03-01").policy(BASE), "chosen before anything happens"),
        (lambda j: j.call().weights(calls_24h=1), "chosen before anything happens"),
    ],
)
def test_steps_that_cannot_be(journey: Journey, step: Callable[[Journey], object], words: str) -> None:
    with pytest.raises(JourneyError, match=words):
        step(journey)


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda e: e.no_intervention("discont"), "kind 'discont': expected one of discount; did you mean discount"),
        (lambda e: e.intervention(channel="FAX"), "channel 'FAX': expected one of SMS, EMAIL, PUSH, CALL"),
        (lambda e: e.decision("SENT"), "result 'SENT': expected one of EMITTED"),
        (lambda e: e.decision(trigger="risk"), "trigger 'risk': expected one of at_risk; did you mean at_risk"),
        (lambda e: e.outcome_row(label="LOST"), "label 'LOST': expected one of CHURNED, RETAINED"),
        (lambda e: e.held("soon"), "'soon' is no time"),
    ],
)
def test_expectations_that_cannot_be(journey: Journey, expect: Expect, ask: Callable[[Expect], object], words: str) -> None:
    journey.policy(BASE)
    with pytest.raises(JourneyError, match=words):
        ask(expect)


def test_a_wrong_policy_is_told_with_its_place(journey: Journey) -> None:
    with pytest.raises(KeeplineError, match=r"policy\.yaml:5:27: unknown key .at_leest"):
        journey.policy(BASE.replace("at_least: 0.8", "at_leest: 0.8")).at("2026-03-01")


def test_each_record_meets_one_expectation(journey: Journey, expect: Expect) -> None:
    journey.policy(BASE).score(0.9, at="2026-03-02 10:00")
    with pytest.raises(AssertionError, match="expected no intervention\nbut there was discount at 2026-03-02 10:00"):
        expect.no_intervention()
    expect.no_intervention(between=("2026-03-01", "2026-03-02 10:00"))
    with pytest.raises(AssertionError, match="between 2026-03-02 10:00 and 2026-03-03\nbut there was discount"):
        expect.no_intervention("discount", between=("2026-03-02 10:00", "2026-03-03"))
    expect.intervention("discount")
    expect.no_intervention()
    with pytest.raises(AssertionError, match="it has met an expectation before"):
        expect.intervention("discount")


def test_a_late_event_is_shown_and_counts_for_nothing(journey: Journey, expect: Expect) -> None:
    journey.policy(BASE).call(at="2026-06-01").event("Call", duration_s=1.0, happened="2026-01-01")
    (late,) = journey.records("late-event")
    assert late["behind_ms"] == ms("2026-06-01T00:00:00+00:00") - ms("2026-01-01T00:00:00+00:00")
    with pytest.raises(AssertionError, match="late-event    too old for the features"):
        expect.held()


def test_the_events_replay_to_the_same_records(journey: Journey, tmp_path: Path) -> None:
    """`keepline replay` on the written file, with every score put out."""
    journey.model(DEFAULT.parents[1] / "pretrained/churn/1").consents(time_zone="Europe/Athens").subscribes(95, at="2025-05-01 09:00")
    journey.bill(92.5, at="2025-06-01 09:00").complaint(at="2025-06-20 23:30").call(at="2025-08-01 09:00")
    settings = RetentionSettings(emit="every")
    replay.retention(settings, [journey.write(tmp_path / "events.jsonl")], tmp_path / "out")
    for kind, name in (("score", "scores"), ("intervention", "interventions"), ("decision", "decisions"), ("outcome", "labelled-outcomes")):
        found = [json.loads(line) for line in (tmp_path / "out" / f"{name}.jsonl").open()]
        assert found == json.loads(json.dumps(journey.records(kind))), kind
        assert found, kind


def test_times_module_shows_offsets_where_clocks_show_an_hour_twice() -> None:
    assert [times.shown(ms(f"2026-10-25T0{hour}:30:00+00:00"), ATHENS) for hour in (0, 1, 2)] == [
        "2026-10-25 03:30+03:00",
        "2026-10-25 03:30+02:00",
        "2026-10-25 04:30",
    ]
