"""The `next_app` state as bytes: its kept layout, size and header, the rules of a sound one, and what damage cannot do."""

import hashlib
import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from phone_histories import histories

from keepline.features.layout import MAGIC
from keepline.features.next_app import kernel, layout
from keepline.features.next_app.constants import Constants
from keepline.features.next_app.single import User
from keepline.features.soundness import Rule, damage
from keepline.features.spec import DAY, FeatureError
from keepline.schemas.catalog import event_type
from keepline.schemas.status import Reason
from keepline.schemas.text import hash64_of

T = 20_000 * DAY
RULES = layout.rules(-(1 << 45), 1 << 45)
fuzz = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def opened(event_id: str, t: int, app: str = "mail", **fields: Any) -> dict[str, Any]:
    """An AppOpen."""
    return {"type": "AppOpen", "event_id": event_id, "event_time": t, "app": app} | fields


def test_the_layout_is_the_kept_one() -> None:
    assert layout.dumps() == layout.KEPT_LAYOUT.read_text(encoding="utf-8")
    assert hashlib.sha256(layout.KEPT_LAYOUT.read_bytes()).hexdigest().startswith("9a564946dfc1d66c")


def test_the_layout_has_no_overlaps() -> None:
    kept = json.loads(layout.dumps())
    end = layout.SECTIONS
    for name, at, items, size in kept["sections"]:
        assert at == end, name
        end = at + items * size
    assert end == kept["size"] == 8192 == len(User().state)
    end = 0
    for name, at, items, bits in kept["row"]:
        assert at == end, name
        assert items * bits % 8 == 0
        end = at + items * bits // 8
    assert end == layout.ROW


def test_header() -> None:
    user = User()
    assert not any(user.state)
    user.apply(opened("a", T))
    user.apply(opened("b", T - DAY))
    magic, set_id, version, flags, wake, newest, now, timer, sequence = struct.unpack_from("<4H5q", user.state)
    assert (magic, set_id, version, flags) == (MAGIC, 3, 1, 0)
    assert (wake, newest, now, timer, sequence) == (0, T, T, 0, 0)
    assert struct.unpack_from("<di", user.state, 48) == (0.0, -1)


def test_duplicates_late_events_and_years_of_silence() -> None:
    user = User()
    assert user.apply(opened("a", T)) == Reason.OK
    before = user.state
    assert user.apply(opened("a", T + 1, "other")) == Reason.DUPLICATE
    assert user.apply(opened("b", T - 90 * DAY - 1)) == Reason.LATE
    assert user.state == before
    assert user.apply(opened("b", T - 90 * DAY)) == Reason.OK
    for i in range(31):
        assert user.apply({"type": "Call", "event_id": f"c{i}", "event_time": T, "duration_s": 1.0}) == Reason.OK
    assert user.apply(opened("a", T)) == Reason.OK, "33 events ago"
    assert user.apply(opened("d", T + 5000 * DAY, "maps")) == Reason.OK
    assert user.apps == ["mail", "maps"]


@fuzz
@given(histories())
def test_sound_states_keep_the_rules(records: list[dict[str, Any]]) -> None:
    user = User()
    for record in records:
        user.apply(record)
    if records:
        state = bytearray(user.state)
        damage(bytes(state), [rule for rule in RULES if rule.offset != 8], "next_app")  # the first tick is the operator's
        state[8:16] = T.to_bytes(8, "little")
        damage(bytes(state), RULES, "next_app")


@pytest.mark.parametrize("rule", RULES[:5] + RULES[5:7] + RULES[-2:], ids=lambda rule: f"byte {rule.offset}")
def test_a_damaged_state_is_told(rule: Rule) -> None:
    user = User()
    user.apply(opened("a", T))
    state = bytearray(user.state)
    state[8:16] = T.to_bytes(8, "little")
    state[rule.offset : rule.offset + 8] = (b"\xc0" if rule.low == rule.high else b"\x40") * 8
    with pytest.raises(FeatureError, match=f"'next_app' is damaged: byte {rule.offset} holds .* Start the job from an older"):
        damage(bytes(state), RULES, "next_app")


@fuzz
@given(st.binary(min_size=64, max_size=64), st.integers(0, 2**32 - 1), histories(most=8))
def test_damage_stays_inside(noise: bytes, seed: int, records: list[dict[str, Any]]) -> None:
    """Whatever bytes a state has that keeps the rules, the kernel ends and writes nowhere else."""
    block = np.full(3 * layout.SIZE // 8, 0x5A5A5A5A5A5A5A5A, np.int64)
    chance = np.random.default_rng(seed)
    state = chance.integers(0, 256, layout.SIZE, np.uint8)
    state[chance.integers(0, layout.SIZE, 64)] = np.frombuffer(noise, np.uint8)
    for rule in RULES:
        if rule.low == rule.high:
            word = state[rule.offset : rule.offset + 8]
            old = int.from_bytes(word.tobytes(), "little", signed=True)
            word[:] = np.frombuffer((old & ~rule.mask | rule.low).to_bytes(8, "little", signed=True), np.uint8)
    words = state.view(np.int64)
    words[layout.W_SCREEN] %= layout.APPS + 1
    block[layout.SIZE // 8 : 2 * layout.SIZE // 8] = words
    scratch, constants = User(), Constants().array()
    where, out, places = np.zeros(layout.CONTEXT, np.int64), np.full((layout.APPS + 1, 10), 7.0), np.full(layout.APPS + 1, 7)
    for record in [*records, opened("x", T, "q" * 100), opened("y", T + DAY, "new")]:
        event = event_type(record["type"])
        texts = scratch._registers(event, record)
        kernel.update(block, layout.SIZE, event.id, record["event_time"], 1, scratch._ri, scratch._rn, scratch._rs, texts, constants)
        n = kernel.candidates(block, layout.SIZE, record["event_time"], where, constants, out, places)
        assert 0 <= n <= layout.APPS
        for place in range(layout.APPS):
            start, length = kernel.name_at(block, layout.SIZE, place)
            assert layout.SIZE + layout.B_NAMES <= start <= start + length <= 2 * layout.SIZE
    assert (block[: layout.SIZE // 8] == 0x5A5A5A5A5A5A5A5A).all()
    assert (block[2 * layout.SIZE // 8 :] == 0x5A5A5A5A5A5A5A5A).all()
    assert (out[layout.APPS :] == 7).all()
    assert (places[layout.APPS :] == 7).all()


def test_names_are_what_tells_apps_apart() -> None:
    """Two names of one tag (the lower half of their hashes) are two apps; names come back as they were."""
    one, other = "app023479", "app083089"
    assert hash64_of(one) & 0xFFFFFFFF == hash64_of(other) & 0xFFFFFFFF
    user = User()
    names = [one, other, "ü" * 5, "y" * 127, "z" * 127]
    for i, name in enumerate(names):
        user.apply(opened(f"e{i}", T + i, name))
    assert user.apps == names
    user.apply(opened("again", T + 10, other))
    assert user.apps == names
    assert user.screen == other


@pytest.mark.parametrize("name", ["", "y" * 128, "ü" * 64])
def test_a_name_that_does_not_fit_is_nobody(name: str) -> None:
    """It takes the screen and is no candidate: what comes after it followed nothing."""
    user = User()
    user.apply(opened("a", T, "mail"))
    user.apply(opened("b", T + 1, name))
    assert (user.apps, user.screen) == (["mail"], None)
    user.apply(opened("c", T + 2, "mail"))
    rows = user.candidates({"type": "Unlock", "event_time": T + 2})
    assert (user.screen, rows) == ("mail", {})


def test_the_least_useful_goes() -> None:
    user = User()
    for i in range(8):
        user.apply(opened(f"a{i}", T + i, f"short{i}"))
    for i in range(56):
        user.apply(opened(f"b{i}", T + 100 + i, f"app{i}"))
    user.apply(opened("again", T + 200, "short0"))
    assert len(user.apps) == 64
    user.apply(opened("one more", T + 300, "new"))
    assert user.apps[0] == "short0"
    assert user.apps[1] == "new", "in the place of short1, opened the longest ago of those opened once"
    assert "short1" not in user.apps


def test_names_that_are_too_long_together_cost_places() -> None:
    user = User()
    for i in range(30):
        user.apply(opened(f"e{i}", T + i, f"{i:02}" + "n" * 98))
    assert len(user.apps) == layout.NAMES // 100
    assert sorted(name[:2] for name in user.apps) == [f"{i:02}" for i in range(16, 30)]


def test_constants() -> None:
    assert Constants.of({}) == Constants()
    assert Constants.of({"half_life_days": 3}).array()[0] == 3 * DAY
    with pytest.raises(FeatureError, match="Unknown constant 'half_live_days' of next_app: did you mean 'half_life_days'"):
        Constants.of({"half_live_days": 3})
    for wrong in (0, -1.0, float("nan"), float("inf"), True, "1"):
        with pytest.raises(FeatureError, match=r"'hour_smoothing' of next_app is .* expected a number above 0"):
            Constants.of({"hour_smoothing": wrong})
