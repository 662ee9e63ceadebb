"""What the demo makes up: consents, a simulated CRM's answers, and when customers leave."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepline.jobs.demo import afterwards, crm, dataset
from keepline.jobs.demo.consents import ALL_GRANTED, ANSWERS, REVOKED, ZONES, consents
from keepline.jobs.demo.dataset import DAY_MS, DAYS, END_MS
from keepline.models.contact.arms import identifier
from keepline.schemas.encode import Ok, encode

Record = dict[str, Any]
START_MS = END_MS - DAYS * DAY_MS
MINUTE_MS = 60_000


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return dataset.customers("held-back").head(250)


def by_customer(events: Iterable[Record]) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = {}
    for event in events:
        found.setdefault(event["customer_id"], []).append(event)
    return found


def test_consents_depend_on_the_row_alone(table: pd.DataFrame) -> None:
    all_said = by_customer(consents(table))
    for name in table.index[:40]:
        assert list(consents(table.loc[[name]])) == all_said.get(name, [])
    assert by_customer(consents(table, seed=7)) != all_said


def test_consents_are_canonical_in_order_and_behind_the_subscription(table: pd.DataFrame) -> None:
    made = list(consents(table))
    assert all(isinstance(encode(json.loads(json.dumps(event))), Ok) for event in made)
    assert [event["event_time"] for event in made] == sorted(event["event_time"] for event in made)
    assert len({event["event_id"] for event in made}) == len(made)
    for said in by_customer(made).values():
        first, *later = said
        assert START_MS < first["event_time"] < START_MS + 1000
        assert len({event["time_zone"] for event in said}) == 1
        ZoneInfo(first["time_zone"])
        for event in later:
            if event["status"] == "REVOKED":
                assert START_MS + 15 * DAY_MS <= event["event_time"] < END_MS
            else:
                assert first["event_time"] < event["event_time"] < START_MS + 1000


def test_shares_are_those_of_the_tables() -> None:
    everyone = pd.concat([dataset.customers("train"), dataset.customers("held-back")])
    said = by_customer(consents(everyone))
    first = Counter(tuple(_said(event) for event in said.get(name, []) if event["status"] != "REVOKED") for name in everyone.index)
    assert set(first) == {answer for _, answer in ANSWERS}
    for share, answer in ANSWERS:
        assert first[answer] / len(everyone) == pytest.approx(share, abs=0.02), answer
    zones = Counter(events[0]["time_zone"] for events in said.values())
    for share, zone in ZONES:
        assert zones[zone] / len(said) == pytest.approx(share, abs=0.02), zone
    revoked = sum(event["status"] == "REVOKED" for events in said.values() for event in events)
    assert revoked / first[(ALL_GRANTED,)] == pytest.approx(REVOKED, abs=0.015)


def _said(event: Record) -> tuple[str, str, str]:
    return event["purpose"], event["channel"], event["status"]


def intervention(number: int, not_before: int = START_MS) -> Record:
    told = identifier("test", number)
    return {"intervention_id": told, "customer_id": f"c-{number}", "not_before": not_before, "value": number, "kind": "x"}


def test_answers_are_a_function_of_the_id_and_the_time() -> None:
    for number in range(200):
        here, there = crm.answers(intervention(number)), crm.answers(intervention(number, START_MS + 77))
        assert [each["outcome"] for each in here] == [each["outcome"] for each in there]
        assert [each["event_time"] + 77 for each in here] == [each["event_time"] for each in there]
        assert crm.answers({**intervention(number), "value": 0.9, "kind": "other", "customer_id": "c-0"}) == [
            {**each, "customer_id": "c-0"} for each in here
        ]


def test_shares_and_times_of_the_answers() -> None:
    count = 20_000
    all_answers = [crm.answers(intervention(number)) for number in range(count)]
    kinds = Counter(tuple(each["outcome"] for each in answers) for answers in all_answers)
    reached = 1 - crm.SIMULATED_FAILED
    wanted: dict[tuple[str, ...], float]
    wanted = {("FAILED",): crm.SIMULATED_FAILED, ("DELIVERED",): reached * (1 - sum(share for share, _ in crm.SIMULATED_ANSWERS))}
    wanted |= {("DELIVERED", outcome): reached * share for share, outcome in crm.SIMULATED_ANSWERS}
    assert set(kinds) == set(wanted)
    for answer, share in wanted.items():
        assert kinds[answer] / count == pytest.approx(share, abs=0.012), answer
    assert all(MINUTE_MS <= answers[0]["event_time"] - START_MS < 10 * MINUTE_MS for answers in all_answers)
    gaps = [answers[1]["event_time"] - answers[0]["event_time"] for answers in all_answers if len(answers) > 1]
    assert 5 * MINUTE_MS <= min(gaps) < 10 * MINUTE_MS
    assert 350 * MINUTE_MS < max(gaps) < 360 * MINUTE_MS
    assert all(isinstance(encode(each), Ok) for answers in all_answers[:300] for each in answers)
    ids = [each["event_id"] for answers in all_answers for each in answers]
    assert len(set(ids)) == len(ids)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.integers(0, 12), st.integers(0, 10**8)),
        st.tuples(st.just("due"), st.integers(0, 10**8), st.just(0)),
    ),
    max_size=40,
)


@given(steps)
def test_each_intervention_is_taken_once_and_each_answer_given_once(asked: list[tuple[str, int, int]]) -> None:
    """Against a list that is searched anew each time."""
    company, repeated = crm.SimulatedCrm(), 0
    first: dict[int, Record] = {}
    given_out: list[Record] = []
    for what, number, time in asked:
        if what == "take":
            made = intervention(number, time)
            assert company.take(made) == (number not in first)
            repeated += number in first
            first.setdefault(number, made)
            continue
        open_ = [each for made in first.values() for each in crm.answers(made) if each not in given_out and each["event_time"] <= number]
        wanted = sorted(open_, key=lambda each: (each["event_time"], each["event_id"]))
        assert company.due(number) == wanted
        given_out += wanted
    assert company.repeated == repeated
    assert company.counts == Counter(each["outcome"] for each in given_out)
    seen: dict[str, list[str]] = {made["intervention_id"]: [] for made in first.values()}
    for each in given_out:
        seen[each["intervention_id"]].append(each["outcome"])
    assert company.seen == {told: tuple(outcomes_) for told, outcomes_ in seen.items()}


def test_those_who_left_leave_after_the_month(table: pd.DataFrame) -> None:
    labels = dataset.labels("held-back")
    made = list(afterwards.leaving(table, labels, END_MS, 15 * DAY_MS))
    assert {event["customer_id"] for event in made} == set(table.index[labels.loc[table.index] == 1])
    assert len({event["customer_id"] for event in made}) == len(made) > 20
    times = [event["event_time"] for event in made]
    assert times == sorted(times)
    assert END_MS <= times[0] < END_MS + 2 * DAY_MS
    assert END_MS + 13 * DAY_MS < times[-1] < END_MS + 15 * DAY_MS
    before = {event["customer_id"]: event for event in dataset.events(table) if event["type"] == "Subscription"}
    for event in made:
        changed = {"event_id": f"{event['customer_id']}-end", "event_time": event["event_time"], "ended": True}
        assert event == before[event["customer_id"]] | changed
        assert isinstance(encode(event), Ok)
