"""The compiled scorer against a naive twin: z, softmax, the prior's part, and the order, ties included."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keepline.features.next_app import oracle
from keepline.features.next_app.constants import Constants
from keepline.features.next_app.layout import FEATURES
from keepline.features.next_app.single import User
from keepline.models.errors import ModelError
from keepline.models.next_app import scorer
from keepline.models.next_app.manifest import FAMILIES, NextAppManifest, checked
from keepline.models.next_app.predict import predict, told
from keepline.models.trees.forest import LEAF, Forest
from keepline.schemas.jit import njit
from keepline.schemas.mem import address
from tests.models.next_app.models import APPS, made_up

fuzz = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
MODELS = {(family, seed): made_up(family, seed) for family in FAMILIES for seed in range(3)}
START = 1_750_000_000_000


def logit(forest: Forest, row: dict[str, float]) -> float:
    """The trees walked one by one."""
    z = forest.baseline
    for start in forest.offsets[:-1]:
        node = start
        while forest.feature[node] != LEAF:
            left = row[forest.inputs[forest.feature[node]].name] <= forest.threshold[node]
            node = start + (forest.left if left else forest.right)[node]
        z += forest.value[node]
    return z


def naive(model: NextAppManifest, accepted: list[dict[str, Any]], unlock: dict[str, Any]) -> dict[str, float]:
    """The probability of each app that can be told, kept apps first, from the definitions alone."""
    known = oracle.phone(accepted, Constants.of(model.constants))
    now = max(known.now, unlock["event_time"])
    rows = oracle.rows(known, now, unlock)
    z = {}
    for app, row in rows.items():
        linear = sum(term.coefficient * (row[term.name] - term.center) for term in model.linear or [])
        trees = 0.0 if model.forest is None else logit(model.forest, row)
        z[app] = (1 - model.trees_weight) * linear + model.trees_weight * trees
    top = max(z.values(), default=0.0)
    own = {app: math.exp(value - top) for app, value in z.items()}
    prior = {each.app: each.share for each in model.prior if each.app != known.screen}
    opens = oracle.opens(known, now)
    weight = model.prior_opens / (model.prior_opens + opens) if own else 1.0
    names = [*own, *(app for app in prior if app not in own)]
    return {
        app: (1 - weight) * own.get(app, 0.0) / (sum(own.values()) or 1.0) + weight * prior.get(app, 0.0) / sum(prior.values())
        for app in names
    }


events = st.lists(
    st.tuples(
        st.sampled_from([1, 1000, 60_000, 3_600_000, 40_000_000, 700_000_000]),
        st.sampled_from([*APPS[:12], *APPS[:3] * 4, "", "ü" * 70, None]),
        st.sampled_from([None, "c1", "c2"]),
        st.sampled_from([None, 5, 30, 80]),
    ),
    max_size=40,
)


def records_of(made: list[tuple[int, str | None, str | None, int | None]]) -> list[dict[str, Any]]:
    t, out = START, list[dict[str, Any]]()
    for i, (step, app, city, battery) in enumerate(made):
        t += step
        own = {"type": "Unlock"} if app is None else {"type": "AppOpen", "app": app}
        out.append({"event_id": f"e{i}", "event_time": t, "city_hash": city, "battery_percent": battery, **own})
    return out


@fuzz
@given(events, st.sampled_from(list(MODELS)), st.floats(1e-3, 1e3), st.permutations(APPS[:12]), st.integers(6, 12), st.integers(0, 10**9))
def test_probabilities_and_order(made: Any, which: Any, prior_opens: float, names: list[str], size: int, later: int) -> None:
    shares = sorted((each.share for each in MODELS[which].prior[:6]), reverse=True)
    shares = [*shares, *[shares[-1]] * (size - 6)]
    prior = [{"app": name, "share": share / sum(shares)} for name, share in zip(names, shares, strict=False)]
    manifest = NextAppManifest.model_validate(MODELS[which].model_dump() | {"prior": prior, "prior_opens": prior_opens})
    model, accepted = checked(manifest), records_of(made)
    user = User(model.constants)
    for record in accepted:
        user.apply(record)
    unlock = {"type": "Unlock", "event_time": user.now + later, "city_hash": "c1", "battery_percent": 30}
    before, want = user.state, naive(manifest, accepted, unlock)
    got = predict(model, user, unlock, scorer.MOST)
    assert user.state == before
    assert set(dict(got)) == set(want)
    assert len(got) == len(want) >= 5
    for app, p in got:
        assert p == pytest.approx(want[app], rel=1e-9, abs=1e-12)
    assert math.fsum(p for _, p in got) == pytest.approx(1.0, abs=1e-12)
    order = {app: i for i, app in enumerate(want)}
    for (one, p), (other, q) in pairwise(got):
        assert p > q or (p == q and order[one] < order[other])
    assert predict(model, user, unlock, 5) == got[:5]


def test_a_new_user_gets_the_prior() -> None:
    manifest = made_up(names=APPS[:7])
    model = checked(manifest)
    user = User(model.constants)
    want = [(each.app, each.share) for each in manifest.prior]
    assert predict(model, user, {"type": "Unlock", "event_time": START}, 9) == [(app, pytest.approx(p)) for app, p in want]
    # The app on screen is not told, and the others share its part.
    user.apply({"type": "AppOpen", "event_id": "e", "event_time": START, "app": want[0][0]})
    got = predict(model, user, {"type": "Unlock", "event_time": START}, 9)
    assert got == [(app, pytest.approx(p / (1 - want[0][1]))) for app, p in want[1:]]


def test_each_open_takes_from_the_prior() -> None:
    """With m = 3 and n opens of today, an app that only the prior knows has 3 / (3 + n) of its share."""
    model = checked(made_up(names=APPS[:6], prior_opens=3.0))
    user, stranger = User(model.constants), model.manifest.prior[0]
    for n in range(1, 30):
        user.apply({"type": "AppOpen", "event_id": f"e{n}", "event_time": START, "app": f"own{n % 2}"})
        if n > 1:
            got = dict(predict(model, user, {"type": "Unlock", "event_time": START}, 20))
            assert got[stranger.app] == pytest.approx(stranger.share * 3 / (3 + n))


def test_ties_are_broken_by_places_then_by_the_prior() -> None:
    """No weights, so that all candidates are equal; equal shares, so that all others are."""
    manifest = made_up(names=APPS[:8])
    flat = [term.model_copy(update={"coefficient": 0.0}) for term in manifest.linear or []]
    prior = [each.model_copy(update={"share": 1 / 8}) for each in manifest.prior]
    model = checked(manifest.model_copy(update={"linear": flat, "prior": prior}))
    user = User(model.constants)
    for i, app in enumerate(["z", "app3", "b", "app1", "a", "screen"]):
        user.apply({"type": "AppOpen", "event_id": f"e{i}", "event_time": START + i, "app": app})
    got = [app for app, _ in predict(model, user, {"type": "Unlock", "event_time": START + 9}, 50)]
    assert got == ["app3", "app1", "z", "b", "a", "app0", "app2", "app4", "app5", "app6", "app7"]


@njit
def _name(state: Any, table: Any, place: int) -> tuple[int, int, int, int]:
    start, length = scorer.name_of(address(state), address(table), place)
    return start, length, address(state), address(table)


def test_names_of_places() -> None:
    model = checked(made_up(names=[*APPS[:6], "größe", "x" * 127]))
    user, table = User(model.constants), model.table()
    for i, app in enumerate(["a", "ü", "app2"]):
        user.apply({"type": "AppOpen", "event_id": f"e{i}", "event_time": START + i, "app": app})
    state, now, context = user.moment({"type": "Unlock", "event_time": START + 9})
    places, probabilities = np.zeros(50, np.int64), np.zeros(50)
    n = told(state, now, context, table, np.zeros(scorer.WORK_WORDS), places, probabilities)
    got = []
    for place in places[:n].tolist():
        start, length, at_state, at_table = _name(state, table, place)
        memory, base = (state, at_state) if place >= 0 else (table, at_table)
        got.append(memory.view(np.uint8)[start - base : start - base + length].tobytes().decode())
    assert set(got) == {"a", "ü", *model.prior} - {"app2"}
    assert got == [app for app, _ in predict(model, user, {"type": "Unlock", "event_time": START + 9}, 50)]


def test_a_damaged_state_gives_finite_numbers() -> None:
    dice = np.random.default_rng(1)
    for family in FAMILIES:
        table = checked(MODELS[family, 0]).table()
        for _ in range(200):
            state = np.frombuffer(dice.bytes(8192), np.int64).copy()
            # What layout.rules bound: places of successors, lengths of names, the screen.
            from keepline.features.next_app.layout import APPS as PLACES
            from keepline.features.next_app.layout import B_LENGTHS, B_ROWS, R_SUCCESSORS, ROW, SUCCESSORS, W_SCREEN

            state[W_SCREEN] = dice.integers(0, 65)
            memory = state.view(np.uint8)
            memory[B_LENGTHS : B_LENGTHS + PLACES] &= 0x7F
            for place in range(PLACES):
                at = B_ROWS + ROW * place + R_SUCCESSORS
                memory[at : at + SUCCESSORS] &= 0x3F
            places, probabilities = np.zeros(5, np.int64), np.zeros(5)
            n = told(state, START, np.zeros(5, np.int64), table, np.zeros(scorer.WORK_WORDS), places, probabilities)
            assert n == 5
            assert np.isfinite(probabilities).all()
            assert (probabilities >= 0).all()


def test_a_state_of_another_half_life_is_refused() -> None:
    with pytest.raises(ModelError, match=r"half-life of 7 days, expected the model's 3"):
        predict(checked(made_up(constants=Constants(half_life_days=3))), User(), {"type": "Unlock", "event_time": START})


def test_the_columns_are_those_of_the_kernel() -> None:
    assert [term.name for term in made_up().linear or []] == list(FEATURES)
