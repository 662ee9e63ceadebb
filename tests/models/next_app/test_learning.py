"""What a model learns from, how it is chosen, that nothing later reaches it, and that it is above the baselines where there are habits."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from keepline.features.next_app.constants import Constants
from keepline.features.next_app.layout import FEATURES
from keepline.features.next_app.single import User
from keepline.jobs.next_app_files import read_log
from keepline.models.errors import TrainingDataError
from keepline.models.next_app.baselines import baselines
from keepline.models.next_app.evaluation import Options, evaluate, prepared, ranked
from keepline.models.next_app.families import examples, fit_logistic
from keepline.models.next_app.learn import Learned, learn, log_likelihood, own_probability
from keepline.models.next_app.log import NONE, OPEN, Event, Log, make_log
from keepline.models.next_app.manifest import FAMILIES, Loaded
from keepline.models.next_app.metrics import METRICS
from keepline.models.next_app.model_ranker import ModelRanker
from keepline.models.next_app.moments import moments
from keepline.models.next_app.papers import bare
from keepline.models.next_app.predict import predict
from keepline.models.next_app.ranker import Context
from tests.models.next_app.habits import KINDS, people
from tests.models.next_app.logs import entries, log_of
from tests.models.next_app.models import APPS, made_up

fuzz = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
BOTH = Options(collapse=True, exclude_current=True)
NETWORKS = ("UNKNOWN", "WIFI", "G2", "G3", "G4", "G5")


def record(log: Log, event: Event, number: int) -> dict[str, Any]:
    """The event as the stream would have it."""
    battery, charging, network, city, offset = event.device
    own: dict[str, Any] = {"type": "AppOpen", "app": log.apps[event.app]} if event.kind == OPEN else {"type": "Unlock"}
    return own | {
        "event_id": f"e{number}",
        "event_time": event.time,
        "battery_percent": None if battery == NONE else battery,
        "charging": charging,
        "network": NETWORKS[network],
        "city_hash": None if city == NONE else log.cities[city],
        "utc_offset_minutes": offset,
    }


def check_moments(log: Log) -> int:
    """The moments of all opens are what a `User` says event by event; how many there are."""
    found, users, questions = moments(log, log.kind == OPEN, Constants()), dict[int, User](), dict[int, Any]()
    want = {}
    for i, event in enumerate(log.events()):
        user = users.setdefault(event.user, User())
        this = record(log, event, i)
        asked = questions.pop(event.user, this) if event.kind == OPEN else None
        if asked is not None and log.apps[event.app] != user.screen:
            want[i] = (user.candidates(asked), user.screen, user.opens(max(user.now, asked["event_time"])), asked is not this)
        if event.kind != OPEN:
            questions[event.user] = this
        user.apply(this)
    assert sorted(found.event.tolist()) == list(want)
    for k, i in enumerate(found.event.tolist()):
        rows, screen, opens, unlocked = want[i]
        which = slice(found.first[k], found.first[k + 1])
        assert [log.apps[app] for app in found.app[which].tolist()] == list(rows)
        np.testing.assert_array_equal(found.rows[which], np.array([list(row.values()) for row in rows.values()]).reshape(-1, len(FEATURES)))
        opened = log.apps[log.app[i]]
        assert found.opened[k] == log.app[i]
        assert (found.chosen[k] != NONE) == (opened in rows)
        assert found.chosen[k] == NONE or log.apps[found.app[found.chosen[k]]] == opened
        assert (NONE if screen is None else log.apps.index(screen)) == found.screen[k]
        assert (found.opens[k], bool(found.unlocked[k])) == (opens, unlocked)
    return len(want)


@fuzz
@given(entries(users=2))
def test_moments_are_what_the_stream_sees(made: list[tuple[int, int, str]]) -> None:
    log = log_of(made)
    assume(log.apps)
    check_moments(log)


def test_moments_of_long_lives_with_many_apps() -> None:
    log = people("mixed", 3, 80)
    renamed = tuple(name + "x" * (40 * i % 130) for i, name in enumerate(log.apps))  # long names: apps are evicted, some never kept
    assert check_moments(replace(log, apps=renamed)) > 150


def test_probabilities_are_those_of_the_scorer() -> None:
    log, manifest = people("mixed", 3, 60), made_up(seed=3, names=[f"org.app{i:02}" for i in range(7)], prior_opens=4.0)
    model = Loaded(manifest)
    found = moments(log, log.kind == OPEN, model.constants)
    coef = np.array([term.coefficient for term in manifest.linear or []])
    prior = np.zeros(len(log.apps))
    for each in manifest.prior:
        prior[log.apps.index(each.app)] = each.share
    own = own_probability(found, found.rows @ coef)
    got = np.exp(log_likelihood(found, own, prior, 4.0))
    users, asked, want = dict[int, User](), dict[int, Any](), {}
    for i, event in enumerate(log.events()):
        user, this = users.setdefault(event.user, User()), record(log, event, i)
        if event.kind == OPEN:
            want[i] = dict(predict(model, user, asked.pop(event.user, this), 99)).get(log.apps[event.app], 1.0)
        else:
            asked[event.user] = this
        user.apply(this)
    np.testing.assert_allclose(got, [want[i] for i in found.event.tolist()], rtol=1e-9)


def same(one: Learned, other: Learned) -> bool:
    return bare(one) == bare(other)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_comes_later_changes_nothing_that_is_learnt(family: str) -> None:
    """The last 30 % of each user replaced: other apps (new ones too), circumstances and times."""
    log = people("mixed", 4, 120)
    parts = prepared(log, Options(exclude_current=True))
    late = _late(log)
    dice = np.random.default_rng(1)
    other = {name: getattr(log, name).copy() for name in ("app", "battery_percent", "network")}
    other["app"][late & (log.kind == OPEN)] = dice.integers(0, len(log.apps), int((late & (log.kind == OPEN)).sum()))
    other["battery_percent"][late], other["network"][late] = 5, 1
    changed = prepared(replace(log, **other), Options(exclude_current=True))
    assert not np.array_equal(parts.log.app, changed.log.app)
    assert same(learn(parts.warm, family), learn(changed.warm, family))


def _late(log: Log) -> np.ndarray[Any, np.dtype[np.bool_]]:
    late, seen = np.zeros(len(log), np.bool_), dict[int, int]()
    for i, event in enumerate(log.events()):
        all_of = int(((log.user == event.user) & (log.kind == OPEN)).sum())
        late[i] = seen.get(event.user, 0) >= all_of * 7 // 10 and (event.kind == OPEN or late[:i][log.user[:i] == event.user][-1:].any())
        seen[event.user] = seen.get(event.user, 0) + (event.kind == OPEN)
    return late


def test_columns_of_noise_are_left_out() -> None:
    """Random tastes: neither hour nor transition says anything; hours: they do."""
    for kind, told in (("random", False), ("hour", True)):
        log = people(kind, 6, 200)
        fitted = fit_logistic(examples(moments(log, log.kind == OPEN, Constants()), np.ones(_targets(log), np.bool_)))
        assert fitted.coef is not None
        assert (fitted.coef[FEATURES.index("log_hour")] > 0.3) == told
        assert fitted.coef[FEATURES.index("log_frequency")] > 0.5
        assert set(fitted.importance) == {name for name, value in zip(FEATURES, fitted.coef.tolist(), strict=True) if value}


def _targets(log: Log) -> int:
    return len(moments(log, log.kind == OPEN, Constants()).event)


def test_nothing_to_tell_apart_leaves_the_shares() -> None:
    log = log_of([(0, t, "ab"[t % 2]) for t in range(20)])
    learned = learn(log, "trees", least=1)
    assert learned.family == "logistic"
    assert learned.linear is not None
    assert learned.linear.coef is not None
    assert np.flatnonzero(learned.linear.coef).tolist() == [FEATURES.index("log_frequency")]
    with pytest.raises(TrainingDataError, match="opens of 2 apps, expected at least 6"):
        learn(log, "logistic")


@pytest.mark.parametrize("kind", KINDS)
def test_above_every_baseline(kind: str) -> None:
    """Forty people: in MRR above each baseline. Trees know a share only in steps: where Markov-1 is the truth, they come within .005."""
    log = people(kind, 40, 60)
    parts = prepared(log, BOTH)
    found = ranked(parts, [*baselines(), *(ModelRanker(family, parts.log.apps) for family in ("logistic", "trees"))], BOTH)
    mrr = {name: metrics["MRR"].value for name, metrics in found.metrics.items()}
    best = max(value for name, value in mrr.items() if name not in FAMILIES)
    assert mrr["logistic"] > best, mrr
    assert mrr["trees"] > best - (0.005 if kind == "markov" else 0.0), mrr


def test_the_known_log(shared_data: Path) -> None:
    log = read_log(shared_data / "apps" / "appusagepro_1user_6days.csv.gz").log
    parts = prepared(log, BOTH)
    found = ranked(parts, [*baselines(), ModelRanker("logistic", parts.log.apps), ModelRanker("trees", parts.log.apps)], BOTH)
    figures = {name: [metrics[m].value for m in METRICS] for name, metrics in found.metrics.items()}
    assert found.scored == 535
    assert figures["logistic"] == pytest.approx([0.602, 0.755, 0.836, 0.708], abs=0.03)
    assert min(figures["logistic"][3], figures["trees"][3]) > max(figures[name][3] for name in ("MFU", "MRU", "Markov-1")) + 0.015


@fuzz
@given(entries(users=2), st.sampled_from(range(3)))
def test_ranks_are_those_of_predict(made: list[tuple[int, int, str]], seed: int) -> None:
    """Event by event: what `predict` says of a `User`; the app on screen by its counted share of repeats."""
    log = log_of(made)
    assume(log.apps)
    model = Loaded(made_up(seed=seed, names=["a", "b", "c", "zz", "app1", "app2"]))
    ranker, users, opens = ModelRanker("logistic", log.apps, trained=model), dict[int, User](), dict[int, list[int]]()
    ranker.fit(log)
    pairs = list[tuple[int, int]]()
    for one in range(2):
        own = [event.app for event in log.events() if event.user == one and event.kind == OPEN]
        pairs += pairwise(own)
    warm = sum(a == b for a, b in pairs) / max(len(pairs), 1)
    for i, event in enumerate(log.events()):
        user, own, this = users.setdefault(event.user, User()), opens.setdefault(event.user, []), record(log, event, i)
        p = {app: q for app, q in predict(model, user, this, 99) if app in log.apps}
        got = [log.apps[app] for app in ranker.rank(event.user, Context(event.time, own[-1] if own else NONE, event.device))]
        if own:
            screen = log.apps[own[-1]]
            after = [(own[k] == own[k + 1], own[k] == own[-1]) for k in range(len(own) - 1)]
            of_user = (sum(a for a, _ in after) + 5 * warm) / (len(after) + 5)
            again = (sum(a and b for a, b in after) + 5 * of_user) / (sum(b for _, b in after) + 5)
            place = got.index(screen)
            assert all(p[app] * (1 - again) > again - 1e-12 for app in got[:place])
            assert all(p[app] * (1 - again) <= again + 1e-12 for app in got[place + 1 :])
            got = [app for app in got if app != screen]
        assert got == list(p)
        ranker.update(event)
        user.apply(this)
        if event.kind == OPEN:
            own.append(event.app)


def test_a_trained_model_is_not_fitted_again() -> None:
    log = people("mixed", 3, 40)
    model = Loaded(made_up(names=APPS[:6]))
    parts = prepared(log, BOTH)
    ranker = ModelRanker("logistic", parts.log.apps, trained=model, name="mine")
    found = ranked(parts, [ranker], BOTH)
    assert ranker.model is model.manifest
    assert list(found.metrics) == ["mine"]
    assert not math.isnan(found.metrics["mine"]["MRR"].value)


def test_repeats_may_be_targets() -> None:
    """Where an app is mostly opened again, the model says so first, and is above the baselines that know it."""
    rows = [(0, t, app) for t, app in enumerate("aaabbbbaaaccccaaabbbaaacccbbbb" * 8)]
    log = make_log(list(_rows(rows))).log
    parts = prepared(log)
    found = ranked(parts, [*baselines(), ModelRanker("logistic", parts.log.apps)], Options())
    mrr = {name: metrics["MRR"].value for name, metrics in found.metrics.items()}
    assert mrr["logistic"] >= max(mrr["MFU"], mrr["MRU"], mrr["Markov-1"]) - 0.02
    assert evaluate(log, baselines()).ranks.keys() <= found.ranks.keys()


def _rows(made: list[tuple[int, int, str]]) -> Any:
    from tests.models.next_app.logs import rows_of

    return rows_of([(user, 60_000 * time, app) for user, time, app in made])
