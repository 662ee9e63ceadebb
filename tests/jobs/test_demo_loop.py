"""The demo's loop as files: what its policy makes of its events and answers, what is counted, and how it looks. No server is started."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from keepline.features.churn import CHURN
from keepline.jobs.demo import afterwards, crm, dataset, drive, report, tables
from keepline.jobs.demo.consents import consents
from keepline.jobs.demo.dataset import DAY_MS, DAYS, END_MS
from keepline.jobs.demo.summary import got_nothing, holds, outcomes, summary
from keepline.jobs.replay import retention
from keepline.jobs.settings import PRETRAINED, RetentionSettings
from keepline.models.contact.arms import arm_of
from keepline.models.contact.document import load as load_policy
from keepline.models.contact.names import names_of
from keepline.models.contact.rules import Policy
from keepline.models.manifest import load as load_model
from keepline.operators.spec import CHANNELS

Record = dict[str, Any]


@pytest.fixture(scope="module")
def policy() -> Policy:
    return load_policy(drive.POLICY, names_of(load_model(PRETRAINED, CHURN)))


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return dataset.customers("held-back").head(250)


def test_the_policy_lets_the_crm_answer_the_whole_history(policy: Policy) -> None:
    assert policy.landing_ms >= drive.HISTORY_DAYS * DAY_MS
    assert policy.landing_ms < DAYS * DAY_MS, "or no row would land within the month"
    assert policy.holdout is not None
    assert policy.holdout.share == 0.1
    assert policy.escalation is not None
    assert policy.quiet
    assert policy.caps
    assert {budget.campaign for budget in policy.budgets} == {offer.campaign for offer in policy.offers if offer.campaign}


def replayed(folder: Path, *parts: Iterable[Record], **settings: Any) -> dict[str, list[Record]]:
    """The outputs of `keepline replay` on these events, merged by time."""
    folder.mkdir()
    with (folder / "events.jsonl").open("w") as file:
        file.writelines(json.dumps(event) + "\n" for event in heapq.merge(*parts, key=lambda event: event["event_time"]))
    retention(RetentionSettings(policy=drive.POLICY, **settings), [folder / "events.jsonl"], folder / "out")
    return {channel: [json.loads(line) for line in (folder / "out" / f"{channel}.jsonl").open()] for channel in CHANNELS}


@pytest.fixture(scope="module")
def loop(table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Record]]:
    """The demo as files: the month, the consents, who leaves; then all of it again with the CRM's answers to the interventions."""
    folder = tmp_path_factory.mktemp("loop")
    last = list(afterwards.leaving(table, dataset.labels("held-back"), END_MS, 15 * DAY_MS))
    parts = [list(dataset.events(table)), list(consents(table)), last]
    made = replayed(folder / "first", *parts, emit="band")["interventions"]
    answered = sorted((each for one in made for each in crm.answers(one)), key=lambda event: event["event_time"])
    return replayed(folder / "second", *parts, answered, emit="band")


def test_the_month_shows_all_that_the_policy_can_do(loop: dict[str, list[Record]], policy: Policy) -> None:
    decisions = loop["decisions"]
    reasons = {(each["result"], each["reason"]) for each in decisions}
    wanted = {"COOLDOWN", "OUTRANKED", "NO_MARKETING_CONSENT", "NO_PROFILING_CONSENT", "CONTROL", "CAP"}
    assert {reason for result, reason in reasons if result == "SUPPRESSED"} >= wanted
    assert ("HELD", "QUIET_HOURS") in reasons
    assert {each["kind"] for each in loop["interventions"]} == {offer.kind for offer in policy.offers} | {"support_ticket"}
    assert {each["reason"] for each in decisions if each["kind"] == "support_ticket"} >= {"STILL_AT_RISK", "DECLINED"}
    in_month = [row for row in loop["labelled-outcomes"] if row["closed_at"] < END_MS]
    assert len(in_month) >= 20
    assert {row["label"] for row in loop["labelled-outcomes"]} == {"RETAINED", "CHURNED"}
    assert not loop["dead-letters"]
    assert not loop["late-events"]


def test_control_records_change_no_score(table: pd.DataFrame, tmp_path: Path) -> None:
    some = table.head(12)
    month, said = list(dataset.events(some)), list(consents(some))
    without = replayed(tmp_path / "without", month, emit="every")
    made = replayed(tmp_path / "with", month, said, emit="every")
    assert [score for score in made["scores"] if score["event_id"]] == [score for score in without["scores"] if score["event_id"]]
    assert len(made["decisions"]) != len(without["decisions"])


def test_the_counts_of_a_replay_add_up(loop: dict[str, list[Record]], policy: Policy, table: pd.DataFrame) -> None:
    found = summary(policy, table.index.tolist(), loop["interventions"], loop["decisions"], loop["labelled-outcomes"])
    assert found["interventions"] == len(loop["interventions"]) == sum(found["interventions_by_kind"].values())
    assert found["decisions"] == len(loop["decisions"]) == sum(found["decisions_by_result"].values())
    assert found["decisions_by_result"]["EMITTED"] == found["interventions"]
    assert found["decisions_by_result"]["SUPPRESSED"] == sum(found["suppressed_by_reason"].values())
    assert found["tickets"] == found["interventions_by_kind"]["support_ticket"] == sum(found["tickets_by_reason"].values())
    held = found["holds"]
    assert found["decisions_by_result"]["HELD"] == held["held"] > 0
    ends = held["released"] + held["refused_by_budget"] + held["still_held"] + sum(held["cancelled_by_reason"].values())
    assert ends == held["held"]
    control = found["control_group"]
    assert control["customers"] == sum(arm_of(name, policy.holdout) == "CONTROL" for name in table.index)
    assert 0 < control["customers_with_decisions"] <= control["customers"]
    contacted = {made["customer_id"] for made in loop["interventions"] if not made["escalation_of"] and made["kind"] != "care_call"}
    assert not {name for name in contacted if arm_of(name, policy.holdout) == "CONTROL"}
    assert found["labelled"]["rows"] == len(loop["labelled-outcomes"])
    assert set(found["labelled"]["outcomes_joined"]) <= {"DELIVERED", "FAILED", "ACCEPTED", "DECLINED", "COMPLAINED"}
    assert found["labelled"]["outcomes_joined"]["DELIVERED"] > found["labelled"]["outcomes_joined"]["ACCEPTED"] > 0


def decision(told: str | None, result: str, reason: str, customer: str = "c") -> Record:
    return {"intervention_id": told, "result": result, "reason": reason, "customer_id": customer}


def test_what_became_of_holds() -> None:
    made = [
        decision("a", "HELD", "QUIET_HOURS"),
        decision("b", "HELD", "QUIET_HOURS"),
        decision("c", "HELD", "QUIET_HOURS"),
        decision("d", "HELD", "QUIET_HOURS"),
        decision("e", "EMITTED", "AT_RISK"),
        decision(None, "SUPPRESSED", "COOLDOWN"),
        decision("a", "EMITTED", "AT_RISK"),
        decision("b", "CANCELLED", "ENDED"),
        decision("c", "SUPPRESSED", "BUDGET"),
    ]
    assert holds(made) == {"held": 4, "released": 1, "cancelled_by_reason": {"ENDED": 1}, "refused_by_budget": 1, "still_held": 1}


def row(
    arm: str, label: str | None, status: str = "LANDED", *, programme: str = "demo", escalation: bool = False, said: str = ""
) -> Record:
    told = [{"outcome": said, "event_time": 1}] if said else []
    return {"arm": arm, "label": label, "status": status, "programme": programme, "escalation": escalation, "outcomes": told}


def test_labelled_rows_are_counted_by_arm() -> None:
    rows = [
        row("CONTROL", "CHURNED"),
        row("CONTROL", "RETAINED"),
        row("TREATMENT", "RETAINED", said="ACCEPTED"),
        row("TREATMENT", "CHURNED", said="DECLINED"),
        row("TREATMENT", "CHURNED", escalation=True),
        row("TREATMENT", "CHURNED", programme=""),
        row("TREATMENT", "CHURNED", "LATE", said="ACCEPTED"),
        row("TREATMENT", None, "UNKNOWN"),
    ]
    assert outcomes(rows) == {
        "rows": 8,
        "by_status": {"LANDED": 6, "LATE": 1, "UNKNOWN": 1},
        "landed_by_label": {"CHURNED": 4, "RETAINED": 2},
        "outcomes_joined": {"ACCEPTED": 1, "DECLINED": 1},
        "offers_by_arm": {"CONTROL": {"CHURNED": 1, "RETAINED": 1}, "TREATMENT": {"CHURNED": 1, "RETAINED": 1}},
    }


def test_who_is_explained_got_nothing() -> None:
    made = [{"customer_id": "with"}]
    decisions = [
        decision(None, "SUPPRESSED", "NO_PROFILING_CONSENT", "with"),
        decision(None, "SUPPRESSED", "NO_PROFILING_CONSENT", "erased"),
        decision(None, "SUPPRESSED", "CONTROL", "one"),
        decision(None, "SUPPRESSED", "COOLDOWN", "two"),
        decision(None, "SUPPRESSED", "NO_MARKETING_CONSENT", "three"),
        decision(None, "SUPPRESSED", "ENDED", "three"),
    ]
    assert got_nothing(made, decisions, "erased") == "one"
    assert got_nothing(made, decisions[:1]) == ""
    assert got_nothing(made, decisions[3:5], "three") == "two"


def printed(*parts: Any, width: int = 100) -> list[str]:
    console = Console(width=width, record=True, file=Path("/dev/null").open("w"))  # noqa: SIM115 — closed with the process
    for part in parts:
        console.print(part)
    return [line.rstrip() for line in console.export_text().splitlines()]


def test_tables_fit_into_100_columns(loop: dict[str, list[Record]]) -> None:
    company = crm.SimulatedCrm()
    for made in loop["interventions"]:
        company.take(made)
    company.due(END_MS)
    others = [each for each in loop["decisions"] if each["result"] != "EMITTED"]
    not_made = tables.one_of_each(others, "result", "reason")
    newest = tables.one_of_each(loop["interventions"], "kind")
    lines = printed(tables.interventions("made", newest, company), tables.held_back("not made", not_made))
    assert max(map(len, lines)) <= 100
    assert "simulated CRM" in "\n".join(lines)
    for each in [*newest, *not_made]:
        assert any(each["customer_id"] in line and tables.day(each["decided_at"]) in line for line in lines), each
    for each in not_made:
        assert any(f"{each['result']:<10} {each['reason']}" in line and tables.meaning(each) in line for line in lines), each


def test_every_decision_that_sends_nothing_is_put_into_words(loop: dict[str, list[Record]]) -> None:
    others = [each for each in loop["decisions"] if each["result"] != "EMITTED"]
    assert all(tables.meaning(each) for each in others)
    held = next(each for each in others if each["result"] == "HELD" and '"time_zone":"Europe/Athens"' in each["made_from"])
    assert tables.meaning(held).endswith("08:00 there")


def test_the_newest_of_each_comes_once_and_by_time() -> None:
    records = [{"a": 1, "decided_at": 5}, {"a": 2, "decided_at": 4}, {"a": 1, "decided_at": 3}, {"a": 3, "decided_at": 6}]
    assert tables.one_of_each(records, "a") == [records[1], records[0], records[3]]


def test_the_report_says_what_is_simulated(loop: dict[str, list[Record]], policy: Policy, table: pd.DataFrame) -> None:
    figures: Record = {
        "customers": len(table),
        **summary(policy, table.index.tolist(), loop["interventions"], loop["decisions"], loop["labelled-outcomes"]),
        "simulated_crm": {"outcomes_sent": {"DELIVERED": 1_234}, "interventions_repeated": 0},
    }
    told = dict(report.decided(figures))
    assert told["outcomes"] == "SIMULATED, by a hash: DELIVERED 1,234"
    assert "what differs is chance" in told["CHURNED"]
    assert told["held"].startswith(f"{figures['holds']['held']} for quiet hours")
