"""The demo of lifetime value without servers: its data, the board of scores, its policy over a replay, its comparisons, how it looks."""

from __future__ import annotations

import copy
import gzip
import heapq
import json
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from keepline.jobs import job_models
from keepline.jobs.clv import read_purchases
from keepline.jobs.demo import clv_data, clv_drive, clv_judge, clv_report, clv_tables, tables
from keepline.jobs.demo.clv_data import END_MS, START_MS, DemoDataError
from keepline.jobs.demo.clv_export import export
from keepline.jobs.demo.clv_scores import BANDS, Board, Head, head
from keepline.jobs.demo.consents import consents
from keepline.jobs.replay import retention
from keepline.jobs.settings import PRETRAINED_CLV, RetentionSettings
from keepline.models.clv.gamma_gamma import GammaGamma
from keepline.models.clv.manifest import ClvModel, load
from keepline.models.clv.scorer import SCORES
from keepline.models.contact.document import load as load_policy
from keepline.models.contact.rules import Policy
from keepline.operators.spec import CHANNELS
from keepline.schemas.encode import Ok, encode
from keepline.schemas.records import from_record

Record = dict[str, Any]
DAY_MS = 86_400_000
HOUR_MS = 3_600_000
SOME = 250


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return clv_data.purchases()


@pytest.fixture(scope="module")
def published() -> pd.DataFrame:
    return clv_data.published()


@pytest.fixture(scope="module")
def model() -> ClvModel:
    return load(PRETRAINED_CLV)


@pytest.fixture(scope="module")
def policy() -> Policy:
    names = job_models.load(RetentionSettings.model_validate({"scores": ("clv",)})).names
    return load_policy(clv_drive.POLICY, names)


def test_the_package_has_the_shared_data(shared_data: Path) -> None:
    for name in ("cdnow_sample.txt", "cdnow_customers_summary.csv"):
        ours = clv_data._file(name.replace("cdnow_sample", "CDNOW_sample")).read_bytes()
        assert gzip.decompress((shared_data / "clv" / f"{name}.gz").read_bytes()) == ours


def test_purchases_are_the_samples_with_a_time_of_day(table: pd.DataFrame) -> None:
    lines = [line.split() for line in clv_data._file("CDNOW_sample.txt").read_text().splitlines()]
    assert len(lines) == len(table) == 6_919
    for row, customer, line, time, amount in table.itertuples(index=False):
        _, number, date, _, dollars = lines[line - 1]
        assert (row, customer, amount) == (int(number), f"cdnow-{number}", float(dollars))
        moment = pd.Timestamp(time, unit="ms")
        assert moment.strftime("%Y%m%d") == date
        assert 8 <= moment.hour < 20
    assert table["time"].is_monotonic_increasing
    of_a_day = table.assign(day=table["time"] // DAY_MS).groupby(["customer_id", "day"])["line"]
    assert of_a_day.apply(lambda each: each.is_monotonic_increasing).all(), "the earlier line has the earlier time"
    assert len(table[table["time"] < START_MS]) == 0


def test_events_are_canonical_and_each_has_its_own_id(table: pd.DataFrame) -> None:
    made = list(clv_data.events(table))
    assert len({each["event_id"] for each in made}) == len(made)
    assert all(isinstance(encode(json.loads(json.dumps(each))), Ok) for each in made[::17])


def test_the_summary_is_whole(published: pd.DataFrame) -> None:
    assert len(published) == 2_357
    assert (published["frequency"] > 0).sum() == 946
    assert published.loc["cdnow-0001"].tolist() == [1, 2, 30.43, 38.86, 22.35]


def test_the_packages_code_is_never_imported() -> None:
    code = (
        "import sys; from keepline.jobs.demo import clv_data; clv_data.purchases(); clv_data.published(); print('lifetimes' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"


def test_a_package_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clv_data, "PACKAGE", "no-such-package-here")
    with pytest.raises(DemoDataError, match="make setup"):
        clv_data.purchases()


def test_the_committed_model_is_of_this_data(tmp_path: Path, model: ClvModel) -> None:
    assert export(tmp_path) == 6_919
    found, _ = read_purchases([tmp_path / "cdnow.jsonl"], END_MS - 1)
    assert model.manifest.data.purchases_sha256 == found.purchases.sha256()
    assert (model.manifest.data.customers, model.manifest.data.until) == (2_357, clv_data.UNTIL)
    assert np.round(model.bgnbd, 4) == pytest.approx(clv_judge.PUBLISHED, abs=1.01e-4)
    assert np.round(model.gamma_gamma, 4) == pytest.approx((6.2496, 3.7442, 15.4435), abs=1.01e-4)


NAMES = ("churn", *SCORES, "clv_regression")
reasons = st.fixed_dictionaries({"feature": st.text(max_size=4), "value": st.floats(allow_nan=False), "contribution": st.just(0.5)})
scores = st.fixed_dictionaries(
    {
        "customer_id": st.text(min_size=1, max_size=80),
        "score": st.sampled_from(NAMES),
        "value": st.floats(allow_nan=False),
        "band": st.sampled_from(BANDS),
        "as_of": st.integers(-(1 << 60), 1 << 60),
        "event_id": st.text(max_size=80),
        "model_id": st.text(max_size=5),
        "model_version": st.integers(1, 9),
        "role": st.just("CHAMPION"),
        "reasons": st.lists(reasons, max_size=3),
    }
)


@given(scores)
def test_the_head_of_a_score_is_the_records(record: Record) -> None:
    found = head(from_record("Score", record))
    assert found._replace(band=0) == Head(*(record[name] for name in Head._fields))._replace(band=0)
    assert BANDS[found.band] == record["band"]


few = st.builds(
    lambda customer, score, band, as_of, event: {
        "customer_id": customer, "score": score, "value": 1.0, "band": band, "as_of": as_of, "event_id": event, "model_id": "m",
        "model_version": 1, "role": "CHAMPION", "reasons": [],
    },
    st.sampled_from("ab"), st.sampled_from(SCORES), st.sampled_from(BANDS), st.integers(0, 20), st.sampled_from(("", "e1", "e2")),
)  # fmt: skip


@given(st.lists(few, max_size=40))
@settings(max_examples=60)
def test_the_board_equals_a_naive_one(records: list[Record]) -> None:
    board = Board(5, 15)
    for record in records:
        board.take(from_record("Score", record))
    for score in SCORES:
        mine = [each for each in records if each["score"] == score]
        newest = {each["customer_id"]: each["band"] for each in mine}
        assert board.segments(score) == [list(newest.values()).count(band) for band in BANDS]
        moved = []
        for customer in "ab":
            own = [each for each in mine if each["customer_id"] == customer]
            moved += [(a["band"], b["band"]) for a, b in pairwise(own) if a["band"] != b["band"] and b["as_of"] >= 10]
        assert {(BANDS[a], BANDS[b]): n for (a, b), n in board.moved(score, 10).items()} == Counter(moved)
    last = {(each["customer_id"], each["score"]): each for each in records if 5 <= each["as_of"] < 15}
    assert board.of_the_day() == last
    assert board.complete(2) is (len(last) == 6)
    assert board.scores == len(records)
    assert board.clock == max((each["as_of"] for each in records), default=0)
    assert board.of_ticks == sum(not each["event_id"] for each in records)


def replayed(folder: Path, table: pd.DataFrame, some: pd.DataFrame, **settings: Any) -> dict[str, list[Record]]:
    """The demo as files, of some customers: consents, purchases, and the first purchase after the last day."""
    mine = table[table["customer_id"].isin(some.index)]
    after = mine[mine["time"] >= END_MS + clv_drive.PASSED_MS].head(1)
    bought = clv_data.events(pd.concat([mine[mine["time"] < END_MS], after]))
    said = consents(some, START_MS + 30 * DAY_MS)
    with (folder / "events.jsonl").open("w") as file:
        file.writelines(json.dumps(event) + "\n" for event in heapq.merge(said, bought, key=lambda event: event["event_time"]))
    wanted = RetentionSettings.model_validate({"scores": ("clv",), **settings})
    retention(wanted, [folder / "events.jsonl"], folder / "out")
    return {channel: [json.loads(line) for line in (folder / "out" / f"{channel}.jsonl").open()] for channel in CHANNELS}


@pytest.fixture(scope="module")
def played(table: pd.DataFrame, published: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Record]]:
    return replayed(tmp_path_factory.mktemp("clv"), table, published.head(SOME), policy=clv_drive.POLICY, emit="every")


def test_the_committed_policy_makes_all_its_offers(table: pd.DataFrame, published: pd.DataFrame, tmp_path: Path) -> None:
    found = replayed(tmp_path, table, published.head(80), emit="band")
    assert {each["kind"] for each in found["interventions"]} == {"loyalty_reward", "re_engagement", "win_back"}
    assert {each["policy"] for each in found["decisions"]} == {"value"}
    rewarded = {each["customer_id"] for each in found["interventions"] if each["kind"] == "loyalty_reward"}
    orders = Counter(each["customer_id"] for each in clv_data.events(table[table["time"] < END_MS]))
    assert all(orders[customer] > 1 for customer in rewarded), "no reward for a single order"


@pytest.fixture(scope="module")
def board(played: dict[str, list[Record]]) -> Board:
    found = Board(END_MS - DAY_MS, END_MS)
    for score in played["scores"]:
        found.take(from_record("Score", score))
    return found


@pytest.fixture(scope="module")
def day(board: Board) -> dict[tuple[str, str], Record]:
    assert board.complete(SOME), "every customer has each score once a day, and so on the last one"
    return dict(board.of_the_day())


def test_the_streamed_scores_equal_what_was_published(day: dict[tuple[str, str], Record], published: pd.DataFrame, model: ClvModel) -> None:
    verdict = clv_judge.judge(day, published.head(SOME), model)
    assert verdict.holds
    assert verdict.equal == SOME
    assert (verdict.rfm.frequency > 0).sum() == (published.head(SOME)["frequency"] > 0).sum() > 10
    assert 0 < verdict.rfm.solved_monetary.sum() < SOME / 5, "some are solved, most are told"
    assert 0 < verdict.p_alive_published < 1e-4, "the printed digits are not the fitted parameters"


def changed(day: dict[tuple[str, str], Record], customer: str, score: str) -> tuple[dict[tuple[str, str], Record], Record]:
    found = dict(day)
    found[customer, score] = copy.deepcopy(found[customer, score])
    return found, found[customer, score]


@pytest.mark.parametrize(("feature", "named"), [("frequency", "frequency"), ("recency_days", "recency"), ("t_days", "T")])
def test_a_wrong_feature_is_found(
    day: dict[tuple[str, str], Record], published: pd.DataFrame, model: ClvModel, feature: str, named: str
) -> None:
    found = dict(day)
    for score in SCORES:
        found, record = changed(found, "cdnow-0001", score)
        for reason in record["reasons"]:
            reason["value"] += reason["feature"] == feature
    verdict = clv_judge.judge(found, published.head(SOME), model)
    assert verdict.differences[named] == ["cdnow-0001"]
    assert verdict.equal == SOME - 1
    assert not verdict.holds


def test_a_wrong_score_is_found(day: dict[tuple[str, str], Record], published: pd.DataFrame, model: ClvModel) -> None:
    some = published.head(SOME)
    verdict = clv_judge.judge(day, some, model)
    told = next(name for name, solved in zip(verdict.customers, verdict.rfm.solved_monetary, strict=True) if not solved)
    solved = verdict.customers[int(np.flatnonzero(verdict.rfm.solved_monetary)[0])]
    for score, by in (("p_alive", 1e-8), ("clv_bgnbd", 1e-6)):
        found, record = changed(day, told, score)
        record["value"] *= 1 - by
        assert not clv_judge.judge(found, some, model).holds, score
    found, record = changed(day, solved, "clv_bgnbd")
    record["value"] *= 1.01
    assert clv_judge.judge(found, some, model).differences["monetary_value"] == [solved], "the published value judges it"


def test_a_score_outside_the_printed_digits_is_found(day: dict[tuple[str, str], Record], published: pd.DataFrame, model: ClvModel) -> None:
    found, record = changed(day, "cdnow-0001", "p_alive")
    record["value"] *= 1.001
    assert clv_judge.judge(found, published.head(SOME), model).outside == ["cdnow-0001"]


def test_a_customer_without_a_score_is_named(day: dict[tuple[str, str], Record], published: pd.DataFrame, model: ClvModel) -> None:
    found = dict(day)
    del found["cdnow-0007", "clv_bgnbd"]
    with pytest.raises(DemoDataError, match="cdnow-0007 has no clv_bgnbd"):
        clv_judge.judge(found, published.head(SOME), model)
    found = dict(day)
    for score in SCORES:
        found, record = changed(found, "cdnow-0007", score)
        record["reasons"] = []
    with pytest.raises(DemoDataError, match="cdnow-0007"):
        clv_judge.judge(found, published.head(SOME), model)


def test_the_closed_forms_give_the_papers_figures(published: pd.DataFrame) -> None:
    """Fader, Hardie and Lee (2005): the first customer's expectation over 39 weeks is 1.226, of all customers 1,653."""
    x, t_x, t = (np.round(published[name] * 7) / 7 if name != "frequency" else published[name] for name in ("frequency", "recency", "T"))
    found = clv_judge.expected(clv_judge.PUBLISHED, x.to_numpy(float), t_x.to_numpy(), t.to_numpy(), 39.0)
    assert round(found[0], 3) == 1.226
    assert round(found.sum()) == 1_653


@given(st.integers(1, 40), st.floats(0, 200), st.floats(0, 60), st.floats(0.5, 900))
def test_what_is_solved_gives_the_score_again(repeats: int, t_x: float, silent: float, monetary: float) -> None:
    x, last, t = np.array([float(repeats)]), np.array([t_x]), np.array([t_x + silent])
    alive = clv_judge.p_alive(clv_judge.PUBLISHED, x, last, t)
    if alive[0] > 1e-6:
        assert clv_judge.solve_t(clv_judge.PUBLISHED, x, last, alive) == pytest.approx(t, rel=1e-6, abs=1e-6)
    amounts = GammaGamma(6.2496, 3.7442, 15.4435)
    mean = clv_judge.mean_amount(amounts, x, np.array([monetary]))
    assert clv_judge.solve_monetary(amounts, x, mean) == pytest.approx(np.array([monetary]), rel=1e-9)


def test_nine_months_show_all_that_the_policy_can_do(played: dict[str, list[Record]], policy: Policy) -> None:
    assert {each["kind"] for each in played["interventions"]} == {offer.kind for offer in policy.offers}
    assert {each["score"] for each in played["interventions"]} == {"p_alive", "clv_bgnbd"}
    reasons = {(each["result"], each["reason"]) for each in played["decisions"]}
    wanted = {"COOLDOWN", "OUTRANKED", "NO_MARKETING_CONSENT", "NO_PROFILING_CONSENT", "CONTROL"}
    assert {reason for result, reason in reasons if result == "SUPPRESSED"} >= wanted
    assert ("HELD", "QUIET_HOURS") in reasons
    assert not played["dead-letters"]
    assert not played["late-events"]
    for each in played["decisions"]:
        assert each["result"] == "EMITTED" or tables.meaning(each), each


def test_every_purchase_is_scored_once(board: Board, table: pd.DataFrame, published: pd.DataFrame) -> None:
    mine = table[table["customer_id"].isin(published.head(SOME).index)]
    count = int((mine["time"] < END_MS).sum()) + 1
    assert clv_report.scored_once(board, count)
    assert not clv_report.scored_once(board, count + 1)
    assert sum(clv_report.moves(board, "clv_bgnbd").values()) == sum(each.head.score == "clv_bgnbd" for each in board.moves)


@pytest.mark.parametrize("wrong", ["", "redis", "refused", "scored", "rfm"])
def test_the_demo_succeeds_only_where_all_holds(
    wrong: str,
    board: Board,
    day: dict[tuple[str, str], Record],
    played: dict[str, list[Record]],
    published: pd.DataFrame,
    model: ClvModel,
    policy: Policy,
) -> None:
    records = dict(day)
    if wrong == "rfm":
        for score in SCORES:
            records, record = changed(records, "cdnow-0001", score)
            for reason in record["reasons"]:
                reason["value"] += reason["feature"] == "t_days"
    outputs = SimpleNamespace(
        interventions=played["interventions"],
        decisions=played["decisions"],
        labelled=played["labelled-outcomes"],
        refused=wrong == "refused",
    )
    purchases = len({event for event, _ in board.of_events})
    drive: Any = SimpleNamespace(
        outputs=outputs, board=board, policy=policy, progress=SimpleNamespace(total=purchases + (wrong == "scored")), live_seconds=2.0,
        in_view=3 * SOME - (wrong == "redis"),
    )  # fmt: skip
    found = clv_report.figures(drive, clv_judge.judge(records, published.head(SOME), model), "", 1.0)
    assert found["all_comparisons_hold"] is (wrong == "")
    assert json.loads(json.dumps(found)) == found, "plain data"
    assert found["interventions"] == len(played["interventions"])
    assert sum(found["segments"]["p_alive"].values()) == SOME
    lines = [f"{name} {text}" for name, text in (*clv_report.decided(found), *clv_report.compared(found))]
    assert any(word in line for line in lines for word in ("NOT all", "NOT e", "NONE")) is (wrong != "")


def printed(*parts: Any) -> list[str]:
    console = Console(width=100, record=True, file=Path("/dev/null").open("w"))  # noqa: SIM115 — closed with the process
    for part in parts:
        console.print(part)
    return [line.rstrip() for line in console.export_text().splitlines()]


def test_tables_fit_into_100_columns(board: Board, played: dict[str, list[Record]]) -> None:
    newest = tables.one_of_each(played["interventions"], "kind", "channel")
    others = tables.one_of_each([each for each in played["decisions"] if each["result"] != "EMITTED"], "result", "reason")
    moved = clv_tables.newest_moves(board, 5)
    lines = printed(
        clv_tables.segments(board), clv_tables.moves("moved", moved), clv_tables.interventions("made", newest),
        clv_tables.not_sent("not made", others),
    )  # fmt: skip
    assert max(map(len, lines)) <= 100
    for each in (*newest, *others):
        assert any(each["customer_id"] in line and tables.day(each["decided_at"]) in line for line in lines), each
    for each in others:
        assert any(each["reason"] in line and tables.meaning(each) in line for line in lines), each
    for each in moved:
        assert any(each.head.customer_id in line and each.head.score in line and BANDS[each.before] in line for line in lines), each
    low, _, high = board.segments("clv_bgnbd")
    assert any("clv_bgnbd" in line and f"{low:,} " in line and f"{high:,} " in line for line in lines)


def test_the_report_says_what_was_compared() -> None:
    found: Record = {
        "customers": 9, "purchases": 30, "every_purchase_scored_once": True, "scores_of_silent_customers": 7, "scores_per_s": 5,
        "rfm_equal_published": 8, "rfm_differences": {"frequency": 1, "T": 0}, "rfm_solved": {"T": 1, "monetary_value": 2},
        "p_alive_largest_difference_to_scipy": 1e-12, "expected_largest_relative_difference_to_scipy": 1e-3,
        "p_alive_largest_difference_to_published_parameters": 1e-5, "expected_largest_difference_to_published_parameters": 1e-4,
        "outside_the_printed_digits": ["c"], "newest_scores": 27, "newest_scores_in_redis": 27, "dead_letters_and_late_events": 0,
        "seconds": 1.0,
    }  # fmt: skip
    told = dict(clv_report.compared(found))
    assert told["RFM"].startswith("8 of 9 customers equal to the published summary, NOT equal: frequency 1: ")
    assert "T of 1 and monetary value of 2 are not among them" in told["RFM"]
    assert told["P(alive)"].startswith("equal to scipy")
    assert "NOT equal to scipy" in told["expected"]
    assert "1 customers NOT within" in told["as published"]
