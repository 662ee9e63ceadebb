"""Each baseline, before each event, against what the whole history so far says."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given

from keepline.models.next_app.baselines import Markov, Mfu, Mru, Popularity, baselines
from keepline.models.next_app.log import OPEN, Event
from keepline.models.next_app.ranker import Context
from tests.models.next_app.logs import entries, log_of

Made = list[tuple[int, int, str]]


def opens(history: list[Event], user: int | None = None) -> list[Event]:
    return [event for event in history if event.kind == OPEN and user in (None, event.user)]


def popularity(history: list[Event], user: int) -> list[int]:
    apps = [event.app for event in opens(history)]
    return sorted(set(apps), key=lambda app: (-apps.count(app), app))


def mfu(history: list[Event], user: int) -> list[int]:
    apps = [event.app for event in opens(history, user)]
    return sorted(set(apps), key=lambda app: (-apps.count(app), app))


def mru(history: list[Event], user: int) -> list[int]:
    own = opens(history, user)
    return sorted({event.app for event in own}, key=lambda app: (-max(event.time for event in own if event.app == app), app))


def markov(history: list[Event], user: int) -> list[int]:
    apps = [event.app for event in opens(history, user)]
    pairs = list(pairwise(apps))
    return sorted(set(apps), key=lambda app: (-pairs.count((apps[-1], app)), -apps.count(app), app))


@given(entries())
def test_baselines_are_their_definitions(made: Made) -> None:
    naive = {"popularity": popularity, "MFU": mfu, "MRU": mru, "Markov-1": markov}
    rankers = baselines()
    assert [ranker.name for ranker in rankers] == list(naive)
    history: list[Event] = []
    for event in log_of(made).events():
        for user in range(3):
            own = opens(history, user)
            context = Context(event.time, own[-1].app if own else -1)
            for ranker in rankers:
                assert list(ranker.rank(user, context)) == naive[ranker.name](history, user), ranker.name
        for ranker in rankers:
            ranker.update(event)
        history.append(event)


def test_markov_asks_for_the_app_on_screen_of_the_context() -> None:
    ranker = Markov()
    for event in log_of([(0, t, app) for t, app in enumerate("abacbcbab")]).events():
        ranker.update(event)
    a, b, c = 0, 1, 2
    assert ranker.rank(0, Context(9, a)) == [b, c, a]
    assert ranker.rank(0, Context(9, b)) == [a, c, b]
    assert ranker.rank(0, Context(9, c)) == [b, a, c]
    assert ranker.rank(0, Context(9)) == [b, a, c], "nothing on screen: by opens alone"


def test_a_new_user_has_only_what_is_popular() -> None:
    rankers = [Popularity(), Mfu(), Mru(), Markov()]
    for event in log_of([(0, 1, "a"), (0, 2, "b"), (0, 3, "b")]).events():
        for ranker in rankers:
            ranker.update(event)
    assert [ranker.rank(5, Context(9)) for ranker in rankers] == [[1, 0], [], [], []]
