"""The demo of the next app without servers: made-up phones, what unlocks led to, the board, its comparisons, how it looks."""

from __future__ import annotations

import copy
import itertools
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from keepline.features.next_app.single import User
from keepline.jobs.demo import next_app_drive, next_app_export, next_app_report, next_app_tables, phones
from keepline.jobs.demo.next_app_asked import TOP, Asked, asked, shares
from keepline.jobs.demo.next_app_board import ORDERS, Apps, Board, rank
from keepline.jobs.demo.next_app_drive import LIVE_MS, NEW, NextAppOutputs, sent_events
from keepline.jobs.demo.next_app_judge import Verdict, is_prior, judge
from keepline.jobs.demo.phones import DAY_MS, HOUR_MS, START_MS
from keepline.jobs.next_app_files import read_log
from keepline.jobs.next_app_settings import PRETRAINED_NEXT_APP
from keepline.models.next_app.log import OPEN
from keepline.models.next_app.manifest import Loaded, load
from keepline.models.next_app.predict import predict
from keepline.schemas.encode import Ok, encode
from keepline.schemas.records import from_record

Record = dict[str, Any]
SOME = 8


@pytest.fixture(scope="module")
def events() -> list[Record]:
    return sent_events(SOME)


@pytest.fixture(scope="module")
def model() -> Loaded:
    return load(PRETRAINED_NEXT_APP)


# --- made-up phones


def test_a_persons_events_depend_on_the_seed_and_the_number_alone() -> None:
    few, more = phones.people(2, "a"), phones.people(3, "a")
    assert few == more[:2]
    assert few != phones.people(2, "b")
    mine = list(phones.events(few, 5))
    assert mine == list(phones.events(few, 5)), "making events uses nothing up"
    assert mine == [event for event in phones.events(more, 5) if event["customer_id"] != "user-003"]
    assert [event for event in phones.events(few, 9) if event in mine] == mine, "more days change no earlier one"


def test_events_are_canonical_in_order_and_opens_belong_to_an_unlock(events: list[Record]) -> None:
    assert all(isinstance(encode(json.loads(json.dumps(event))), Ok) for event in events)
    assert len({event["event_id"] for event in events}) == len(events)
    times = [event["event_time"] for event in events]
    assert times == sorted(times)
    assert START_MS - DAY_MS / 4 < times[0] < times[-1] < next_app_drive.END_MS + DAY_MS / 2
    for user in {event["customer_id"] for event in events}:
        mine = [event for event in events if event["customer_id"] == user]
        assert mine[0]["type"] == "Unlock"
        assert len({event["event_time"] for event in mine}) == len(mine)
        last: Record = {}
        for event in mine:
            said = {name: event[name] for name in ("battery_percent", "charging", "network", "city_hash", "utc_offset_minutes")}
            if event["type"] == "Unlock":
                assert last.get("type") != "Unlock", "something is always opened"
                unlock = said
            else:
                assert said == unlock
                assert event["app"] in phones.APPS
            last = event


def test_habits_are_there() -> None:
    """Routines at their hours, and what follows, as often as the person says."""
    people = phones.people(40, "habits")
    days, made = 28, list(phones.events(people, 28))
    kept = wanted = followed = expected = cases = 0.0
    for person in people:
        mine = [event for event in made if event["customer_id"] == person.name]
        for routine in person.routines:
            hours = [
                (event["event_time"] - START_MS) / HOUR_MS + person.offset / 60
                for event in mine
                if event["type"] == "AppOpen" and event["app"] == routine.app
            ]
            for day in range(days):
                if day % 7 in routine.days:
                    wanted += routine.kept
                    kept += any(abs(hour - day * 24 - routine.hour) < 1 for hour in hours)
        for before, after in itertools.pairwise(mine):
            if before["type"] == after["type"] == "AppOpen" and before["app"] in person.follows:
                then, share = person.follows[before["app"]]
                cases += 1
                followed += after["app"] == then
                expected += share
    assert kept / wanted == pytest.approx(1, abs=0.15)
    assert cases > 2000
    assert expected / cases <= followed / cases < expected / cases + 0.15, "favourites may follow, too"


def test_somebody_new_comes_last_and_nobody_of_the_training_is_there(events: list[Record], tmp_path: Path) -> None:
    users = {event["customer_id"] for event in events}
    assert len(users) == SOME + 1
    assert min(event["event_time"] for event in events if event["customer_id"] == NEW) >= LIVE_MS - DAY_MS / 4
    assert next_app_export.SEED not in {next_app_drive.SEED, next_app_drive.NEW_SEED}
    trained = phones.people(SOME, next_app_export.SEED, "user")
    assert not {json.dumps(dict(each.apps)) for each in trained} & {json.dumps(dict(each.apps)) for each in phones.people(SOME, "demo")}


def test_the_committed_model_is_of_the_exported_file(tmp_path: Path, model: Loaded) -> None:
    count = next_app_export.export(tmp_path)
    log = read_log(tmp_path / "phones.jsonl").log
    data = model.manifest.data
    assert len(log) == count
    assert (data.users, data.apps, data.unlocks) == (next_app_export.PEOPLE, len(log.apps), int((log.kind != OPEN).sum()))
    assert {each.app for each in model.manifest.prior} <= set(phones.APPS)
    assert model.model_id == "next-app-made-up"


# --- what unlocks led to

steps = st.lists(st.tuples(st.sampled_from("uv"), st.sampled_from(["", *"abcdefgh"])), max_size=60)


def history(made: list[tuple[str, str]]) -> list[Record]:
    return [
        {"type": "AppOpen" if app else "Unlock", "customer_id": user, "event_id": f"{i}", "event_time": 1000 * i}
        | ({"app": app} if app else {})
        for i, (user, app) in enumerate(made)
    ]


def naive(made: list[Record], since: int) -> Iterator[Asked]:
    """From the whole list, anew for each unlock."""
    for i, event in enumerate(made):
        if event["type"] != "Unlock":
            continue
        user = event["customer_id"]
        before = [each["app"] for each in made[:i] if each["customer_id"] == user and each["type"] == "AppOpen"]
        opens = [app for app, _ in itertools.groupby(before)]
        screen = opens[-1] if opens else ""
        after = next((each for each in made[i + 1 :] if each["customer_id"] == user), {"type": ""})
        opened = after["app"] if after["type"] == "AppOpen" and after["app"] != screen else ""
        found = Asked(event["event_id"], user, event["event_time"], screen, opened, after["event_time"] if opened else 0)
        if opened and event["event_time"] >= since:
            others = sorted(set(opens) - {screen})
            mfu = sorted(others, key=lambda app: -opens.count(app))
            mru = sorted(others, key=opens[::-1].index)
            found.ranks = {name: order.index(opened) + 1 if opened in order[:TOP] else 0 for name, order in (("MFU", mfu), ("MRU", mru))}
        yield found


@given(steps, st.integers(0, 60_000))
@settings(max_examples=200)
def test_what_unlocks_led_to_equals_a_naive_search(made: list[tuple[str, str]], since: int) -> None:
    assert asked(history(made), since) == list(naive(history(made), since))


@given(st.lists(st.integers(0, TOP), min_size=1, max_size=30))
def test_shares_are_their_definition(ranks: list[int]) -> None:
    found = shares(ranks)
    assert found["HR@3"] == pytest.approx(sum(0 < rank <= 3 for rank in ranks) / len(ranks))
    assert found["MRR@5"] == pytest.approx(sum(1 / rank for rank in ranks if rank) / len(ranks))
    assert list(found) == ["HR@1", "HR@3", "HR@5", "MRR@5"]
    assert shares([]) == dict.fromkeys(found, 0.0)


# --- the board

predictions = st.lists(
    st.tuples(st.integers(0, 59), st.lists(st.sampled_from("abcdefgh"), min_size=3, max_size=5, unique=True)), max_size=40
)


@given(steps, predictions, st.integers(0, 60_000))
@settings(max_examples=60)
def test_the_board_equals_a_naive_one(made: list[tuple[str, str]], came: list[tuple[int, list[str]]], since: int) -> None:
    unlocks = asked(history(made), since)
    board = Board(unlocks, since)
    whose = {each.event_id: each.user for each in unlocks}
    wanted: dict[str, list[int]] = {name: [] for name in ORDERS}
    seen: dict[str, list[str]] = {}
    for unlock, apps in came:
        board.take(prediction(str(unlock), whose.get(str(unlock), "x"), [(app, 0.1) for app in apps]))
        mine = next((each for each in unlocks if each.event_id == str(unlock)), None)
        if mine is not None and mine.opened and mine.time >= since and mine.event_id not in seen:
            wanted["Keepline"].append(apps.index(mine.opened) + 1 if mine.opened in apps else 0)
            wanted["MFU"].append(mine.ranks["MFU"])
            wanted["MRU"].append(mine.ranks["MRU"])
        seen.setdefault(str(unlock), apps)
    assert board.ranks == wanted
    assert board.count == Counter(str(unlock) for unlock, _ in came)
    for user in "uv":
        newest = [str(unlock) for unlock, _ in came if whose.get(str(unlock)) == user][-1:]
        last = board.last(user)
        assert (last is None) is (not newest)
        if last is not None:
            assert last[0].event_id == newest[0]
            assert [app for app, _ in last[1]] == seen[newest[0]]


def prediction(unlock: str, user: str, apps: Apps) -> Record:
    told = [{"app": app, "probability": probability} for app, probability in apps]
    return {"customer_id": user, "event_id": unlock, "as_of": 1, "apps": told, "model_id": "m", "model_version": 1}


# --- comparisons


@pytest.fixture(scope="module")
def made(events: list[Record], model: Loaded) -> dict[str, Apps]:
    users = {event["customer_id"]: User(model.constants) for event in events}
    found = {}
    for event in events:
        user = users[event["customer_id"]]
        user.apply(event)
        if event["type"] == "Unlock":
            found[event["event_id"]] = predict(model, user, event, TOP)
    return found


@pytest.fixture
def board(events: list[Record], made: dict[str, Apps]) -> Board:
    """As the topic fills it, by its own bytes."""
    found = Board(asked(events, LIVE_MS), LIVE_MS)
    outputs: Any = object.__new__(NextAppOutputs)
    outputs.board = found
    for unlock in asked(events, LIVE_MS):
        record = prediction(unlock.event_id, unlock.user, made[unlock.event_id])
        outputs.take("app-predictions", from_record("AppPrediction", record))
    return found


def test_the_same_predictions_are_found_the_same(events: list[Record], board: Board, model: Loaded) -> None:
    unlocks = sum(event["type"] == "Unlock" for event in events)
    assert judge(events, board.made, board.count, model) == Verdict(unlocks, unlocks, 0, 0, 0, 0, 0.0)


@pytest.mark.parametrize("wrong", ["lost", "doubled", "foreign", "order", "app", "probability", "other user"])
def test_what_is_wrong_is_found(wrong: str, events: list[Record], board: Board, model: Loaded) -> None:
    one = events[len(events) // 2]["customer_id"]
    unlock = next(each.event_id for each in board.asked.values() if each.user == one and each.time >= LIVE_MS)
    apps = list(board.made[unlock])
    if wrong == "lost":
        del board.made[unlock], board.count[unlock]
    elif wrong == "doubled":
        board.count[unlock] += 1
    elif wrong == "foreign":
        board.count["nobody's"] += 1
    elif wrong == "order":
        board.made[unlock] = [apps[1], apps[0], *apps[2:]]
    elif wrong == "app":
        board.made[unlock] = [*apps[:-1], ("no such app", apps[-1][1])]
    elif wrong == "probability":
        board.made[unlock] = [(app, probability + 1e-8) for app, probability in apps]
    else:
        other = next(each.event_id for each in board.asked.values() if each.user != one and each.time >= LIVE_MS)
        board.made[unlock] = board.made[other]
    verdict = judge(events, board.made, board.count, model)
    assert verdict.once is (wrong not in {"lost", "doubled", "foreign"})
    assert verdict.equal is (wrong in {"lost", "doubled", "foreign"})
    assert (verdict.lost, verdict.doubled, verdict.foreign) == (wrong == "lost", wrong == "doubled", wrong == "foreign")


def test_the_first_prediction_of_somebody_new_is_the_prior(board: Board, model: Loaded) -> None:
    first = next_app_report.first_of(board, NEW)
    assert is_prior(first, model)
    assert [app for app, _ in first] == [each.app for each in model.manifest.prior[:TOP]]
    assert not is_prior(first[::-1], model)
    assert not is_prior([(app, probability + 1e-6) for app, probability in first], model)
    second = [each.event_id for each in board.asked.values() if each.user == NEW][1]
    assert not is_prior(board.made[second], model), "what was opened counts at once"


def test_the_model_ranks_better_than_use_alone(board: Board) -> None:
    found = board.figures()
    assert len(board.ranks["Keepline"]) > 400
    assert all(found["Keepline"][name] > max(found["MFU"][name], found["MRU"][name]) for name in found["MFU"])


def drive_of(board: Board, model: Loaded, events: list[Record], **changes: Any) -> Any:
    wanted = {"board": board, "model": model, "events": events, "people": SOME, "in_view": SOME + 1}
    state = {
        "progress": SimpleNamespace(clock=next_app_drive.END_MS + DAY_MS, stage="x"),
        "shown": [NEW],
        "outputs": SimpleNamespace(refused=0),
    }
    return SimpleNamespace(**(wanted | state | {"latency": {"count": 9.0, "p50_ms": 1.0, "p99_ms": 2.0, "max_ms": 3.0}} | changes))


@pytest.mark.parametrize("wrong", ["", "lost", "difference", "view", "refused", "prior", "latency"])
def test_the_demo_succeeds_only_where_all_holds(wrong: str, board: Board, model: Loaded, events: list[Record]) -> None:
    changes: Record = {}
    if wrong == "view":
        changes["in_view"] = SOME
    if wrong == "refused":
        changes["outputs"] = SimpleNamespace(refused=1)
    if wrong == "latency":
        changes["latency"] = {}
    if wrong == "prior":
        first = next(each.event_id for each in board.asked.values() if each.user == NEW)
        board.made[first] = copy.copy(board.made[first])[::-1]
    unlocks = len(board.asked)
    verdict = Verdict(unlocks, unlocks, int(wrong == "lost"), 0, 0, 0, 1e-3 if wrong == "difference" else 0.0)
    found = next_app_report.figures(drive_of(board, model, events, verdict=verdict, **changes), 1.0)
    assert found["all_comparisons_hold"] is (wrong == "")
    assert json.loads(json.dumps(found)) == found, "plain data"
    lines = [f"{name} {text}" for name, text in next_app_report.compared(found)]
    assert any("NOT" in line or "NONE" in line for line in lines) is (wrong != "")


# --- how it looks


def printed(*parts: Any) -> list[str]:
    console = Console(width=100, record=True, file=Path("/dev/null").open("w"))  # noqa: SIM115 — closed with the process
    for part in parts:
        console.print(part)
    return [line.rstrip() for line in console.export_text().splitlines()]


def test_the_screen_shows_unlocks_and_fits(board: Board, model: Loaded, events: list[Record]) -> None:
    users = sorted({each.user for each in board.asked.values()})
    drive = drive_of(board, model, events, shown=users)
    lines = printed(next_app_tables.screen(drive, "bars"))
    assert max(map(len, lines)) <= 100
    for user in users:
        last = board.last(user)
        assert last is not None
        asked_, apps = last
        line = next(line for line in lines if line.startswith((f" {user}", user)))
        assert f"{apps[0][0]} {100 * apps[0][1]:.0f}" in line
        if asked_.opened:
            assert line.endswith(str(rank(apps, asked_.opened) or "none"))
            assert asked_.opened in line
    rates = board.figures()["Keepline"]
    assert any("Keepline" in line and f"{rates['HR@1']:.3f}" in line and f"{rates['MRR@5']:.3f}" in line for line in lines)


def test_what_is_opened_later_is_not_shown_yet(board: Board) -> None:
    user, opened = next((each.user, each) for each in board.asked.values() if each.opened and each.user != NEW)
    board.newest[user] = opened.event_id
    before = printed(next_app_tables.unlocks("t", [board.last(user)], opened.opened_at - 1))
    after = printed(next_app_tables.unlocks("t", [board.last(user)], opened.opened_at))
    assert before[-1] != after[-1]
    assert before[-1] == after[-1][: len(before[-1])]
