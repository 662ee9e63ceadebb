"""The kernel of `next_app` against its naive twin: kept apps, screen, and every row of every candidate."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from phone_histories import circumstances, histories, long_history, steps

from keepline.features.next_app import kernel, oracle
from keepline.features.next_app.constants import Constants
from keepline.features.next_app.layout import APPS, CONTEXT, FEATURES, SIZE
from keepline.features.next_app.single import User
from keepline.schemas.catalog import event_type
from keepline.schemas.status import Reason

pytestmark = pytest.mark.timeout(300)
fuzz = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
Rows = Mapping[str, Mapping[str, float]]


def check(got: Rows, want: Rows, where: str) -> None:
    """The same candidates in the same order, and equal to 1e-9, relative (absolute below 1); the contract asks for 1e-6."""
    assert list(got) == list(want), where
    for app, row in want.items():
        assert list(row) == list(FEATURES)
        for name, expected in row.items():
            value = got[app][name]
            assert math.isfinite(value), f"{where}: {name} of {app} is {value}"
            assert abs(value - expected) <= 1e-9 * max(1.0, abs(expected)), f"{where}: {name} of {app} is {value}, expected {expected}"


def compare(user: User, accepted: list[dict[str, Any]], unlock: dict[str, Any], later: int = 0) -> None:
    known = oracle.phone(accepted, user.constants)
    assert user.apps == [app.name for app in known.apps]
    assert user.screen == known.screen
    now = max(known.now, unlock["event_time"]) + later
    before = user.state
    check(user.candidates(unlock, now), oracle.rows(known, now, unlock), f"{len(accepted)} records, now {now}")
    assert user.opens(now) == pytest.approx(oracle.opens(known, now), rel=1e-9, abs=1e-9)
    assert user.state == before


@fuzz
@given(histories(), st.data())
def test_histories(records: list[dict[str, Any]], data: st.DataObject) -> None:
    """The fate of each record, and the rows now and then, at the state's `now` and after."""
    constants = data.draw(st.sampled_from([Constants(), Constants(1 / 24, 0.5, 3.0, 1.0, 0.25)]))
    user, fate = User(constants), oracle.accept(records)
    accepted: list[dict[str, Any]] = []
    asked = set(data.draw(st.lists(st.integers(0, max(len(records) - 1, 0)), max_size=4))) | {len(records) - 1}
    for i, record in enumerate(records):
        want = Reason.DUPLICATE if i in fate.duplicates else Reason.LATE if i in fate.late else Reason.OK
        assert user.apply(record) == want, f"record {i}"
        if want == Reason.OK:
            accepted.append(record)
        if i in asked:
            unlock = {"type": "Unlock", "event_time": user.now} | data.draw(circumstances())
            compare(user, accepted, unlock, later=abs(data.draw(steps())))


@pytest.mark.parametrize("seed", range(3))
def test_a_long_life(seed: int) -> None:
    """Thousands of events of 120 apps: what is kept, what was forgotten on the way, and the rows."""
    records = long_history(seed, 3000)
    user, accepted = User(), list[dict[str, Any]]()
    most, followed = 0, 0
    for i, record in enumerate(records):
        if user.apply(record) == Reason.OK:
            accepted.append(record)
        most = max(most, len(user.apps)) if i % 50 == 0 else most
        if i % 300 == 299:
            followed = max(followed, *(len(app.successors) for app in oracle.phone(accepted).apps))
            compare(user, accepted, {"type": "Unlock", "event_time": user.now, "city_hash": "home", "network": "G5", "charging": True})
    assert accepted == oracle.accept(records).accepted
    assert len(records) - len(accepted) > 50
    assert (most, followed) == (64, 8)
    assert len({record["app"] for record in accepted if "app" in record}) > 100


def test_full_counters() -> None:
    """The same pair back and forth: hours stop at 255 opens, counts of successors and of the profile are halved, and all agree."""
    user, accepted = User(), list[dict[str, Any]]()
    for i in range(1800):
        record = {"type": "AppOpen", "event_id": f"e{i}", "event_time": 1_750_000_000_000 + 3000 * i, "app": "a" if i % 3 else f"b{i % 30}"}
        assert user.apply(record) == Reason.OK
        accepted.append(record)
        if i % 100 == 99:
            compare(user, accepted, {"type": "Unlock", "event_time": user.now})
    rows = user.candidates({"type": "Unlock", "event_time": user.now})
    assert rows["b0"]["log_opens_24h"] == pytest.approx(math.log1p(60))


@fuzz
@given(st.lists(histories(most=25), min_size=2, max_size=4), st.randoms(use_true_random=False))
def test_users_in_one_block(lives: list[list[dict[str, Any]]], chance: Any) -> None:
    """Whoever else is in the block, and in whatever order their events come between, each state is what it is alone."""
    alone = [User() for _ in lives]
    block = np.zeros(len(lives) * SIZE // 8, np.int64)
    constants = Constants().array()
    turns = [i for i, records in enumerate(lives) for _ in records]
    chance.shuffle(turns)
    at = [0] * len(lives)
    scratch = User()
    for i in turns:
        record = lives[i][at[i]]
        at[i] += 1
        event = event_type(record["type"])
        texts = scratch._registers(event, record)
        t, id_hash = record["event_time"], int(scratch._ri[1])
        status = kernel.admit(block, SIZE * i, t, id_hash)
        assert alone[i].apply(record) == status
        if status == Reason.OK:
            kernel.update(block, SIZE * i, event.id, t, id_hash, scratch._ri, scratch._rn, scratch._rs, texts, constants)
        assert block[SIZE // 8 * i : SIZE // 8 * (i + 1)].tobytes() == alone[i].state
    where, out, places = np.zeros(CONTEXT, np.int64), np.zeros((APPS, len(FEATURES))), np.zeros(APPS, np.int64)
    for i, user in enumerate(alone):
        n = kernel.candidates(block, SIZE * i, user.now, where, constants, out, places)
        assert n == len(user.apps) - (user.screen is not None)
        for place in places[:n]:
            start, length = kernel.name_at(block, SIZE * i, int(place))
            assert block.view(np.uint8)[start : start + length].tobytes().decode() in user.apps


@example(["mail"], 0)
@given(st.lists(st.sampled_from(["mail", "maps", "chat"]), min_size=1, max_size=30), st.integers(0, 10))
@settings(deadline=None)
def test_repeats_change_only_the_last_use(names: list[str], gap: int) -> None:
    """Each open doubled a moment later: the same rows, but for the moment of the last use."""
    once, twice = User(), User()
    for i, name in enumerate(names):
        event = {"type": "AppOpen", "event_id": f"e{i}", "event_time": 1000 * i, "app": name}
        once.apply(event)
        twice.apply(event)
        twice.apply(event | {"event_id": f"r{i}", "event_time": 1000 * i + gap})
    now = 1000 * len(names) + 10
    unlock = {"type": "Unlock", "event_time": now}
    for (app, row), (other, same) in zip(once.candidates(unlock).items(), twice.candidates(unlock).items(), strict=True):
        assert app == other
        for name in FEATURES[1:]:
            assert row[name] == pytest.approx(same[name], rel=1e-9, abs=1e-9)
