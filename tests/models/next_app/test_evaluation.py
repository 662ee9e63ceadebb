"""What is scored, in which order rankers are asked and told, and that nothing of the last 30 % reaches what is fitted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from keepline.models.errors import TrainingDataError
from keepline.models.next_app.baselines import baselines
from keepline.models.next_app.evaluation import Options, evaluate
from keepline.models.next_app.log import OPEN, Event, Log
from keepline.models.next_app.ranker import Context
from keepline.models.next_app.split import collapsed, split
from tests.models.next_app.logs import entries, log_of, rows_of, same

Made = list[tuple[int, int, str]]
OPTIONS = st.builds(Options, st.booleans(), st.booleans())


class Spy:
    """Keeps all that it is given; ranks nothing."""

    name = "spy"

    def __init__(self) -> None:
        self.warm: Log | None = None
        self.calls: list[Any] = []

    def fit(self, warm: Log) -> None:
        assert self.warm is None
        assert not self.calls
        self.warm = warm

    def rank(self, user: int, context: Context) -> list[int]:
        self.calls.append((user, context))
        return []

    def update(self, event: Event) -> None:
        self.calls.append(event)


def plain(made: Made, *, collapse: bool) -> tuple[list[tuple[int, int, str]], list[int]]:
    """The opens by time, collapsed on demand, and which of them come after 70 % of their user's."""
    kept: list[tuple[int, int, str]] = []
    for user, time, app in sorted((row for row in made if row[2]), key=lambda row: row[1]):
        last = [row[2] for row in kept if row[0] == user][-1:]
        if not collapse or last != [app]:
            kept.append((user, time, app))
    number = [sum(row[0] == user for row in kept[:i]) for i, (user, _, _) in enumerate(kept)]
    all_of = {user: sum(row[0] == user for row in kept) for user, _, _ in kept}
    return kept, [i for i, row in enumerate(kept) if 10 * (number[i] + 1) > 7 * all_of[row[0]] and number[i] >= all_of[row[0]] * 7 // 10]


def changed_tail(made: Made, names: list[str], *, after: int) -> tuple[Made, Made]:
    """Rows in order of time, and the same with other apps in each user's last 30 % of opens, and at most from place `after` on."""
    made = sorted(made, key=lambda row: row[1])
    kept, tail = plain(made, collapse=False)
    where = [i for i, row in enumerate(made) if row[2]]
    other = list(made)
    for n, i in enumerate(tail):
        if n >= after:
            user, time, _ = kept[i]
            other[where[i]] = (user, time, names[n % len(names)])
    return made, other


@given(entries(), OPTIONS)
def test_what_is_scored(made: Made, options: Options) -> None:
    kept, tail = plain(made, collapse=options.collapse)
    expected = []
    for i in tail:
        user, time, app = kept[i]
        before = [row[2] for row in kept[:i] if row[0] == user][-1:]
        if not (options.exclude_current and before == [app]):
            expected.append((f"u{user}", time, app, before))
    spy = Spy()
    if not expected:
        with pytest.raises(TrainingDataError, match="no open to be scored"):
            evaluate(log_of(made), [spy], options)
        return
    assert evaluate(log_of(made), [spy], options).scored == len(expected)
    log = split(log_of(made)).log  # numbers differ from those of the evaluation only where collapsing moves the border
    if not options.collapse:
        asked = [(log.users[c[0]], c[1].time, [log.apps[c[1].current]] if c[1].current >= 0 else []) for c in spy.calls if len(c) == 2]
        assert asked == [(user, time, before) for user, time, _, before in expected]


@given(entries(), OPTIONS)
def test_a_ranker_is_told_every_event_once_and_asked_before(made: Made, options: Options) -> None:
    assume(any(app for _, _, app in made))
    log = collapsed(log_of(made)) if options.collapse else log_of(made)
    parts, spy = split(log, exclude_current=options.exclude_current), Spy()
    assume(parts.targets.any())
    evaluate(log_of(made), [spy], options)
    assert [call for call in spy.calls if isinstance(call, Event)] == list(parts.log.events())
    expected: list[Any] = []
    for i, event in enumerate(parts.log.events()):
        if parts.targets[i]:
            expected.append((event.user, Context(event.time, int(parts.current[i]), event.device)))
        expected.append(event)
    assert spy.calls == expected
    assert spy.warm is not None
    assert same(spy.warm, parts.warm)


@given(entries(), st.lists(st.sampled_from(["a", "b", "A-new", "zz-new", "m-new"]), min_size=1, max_size=9))
def test_the_last_30_percent_changes_nothing_that_is_fitted(made: Made, names: list[str]) -> None:
    assume(any(app for _, _, app in made))
    before, after = (split(log_of(rows)) for rows in changed_tail(made, names, after=0))
    assert same(before.warm, after.warm)
    assert np.array_equal(before.targets, after.targets)
    assert set(before.warm.apps) == {row[2] for i, row in enumerate(plain(made, collapse=False)[0]) if row[2] and not _in_tail(made, i)}


def _in_tail(made: Made, i: int) -> bool:
    return i in plain(made, collapse=False)[1]


@given(entries())
def test_nor_where_opens_are_collapsed(made: Made) -> None:
    """New apps, each once: none is collapsed, so that the border stays."""
    made, _ = plain(made, collapse=True)
    assume(made)
    before, after = changed_tail(made, [f"{i % 7}new{i}" for i in range(len(made))], after=0)
    one, other = (split(collapsed(log_of(rows)), exclude_current=True) for rows in (before, after))
    assert len(one.warm) < len(one.log)
    assert same(one.warm, other.warm)


@given(entries(), st.integers(0, 10), st.booleans())
def test_a_rank_depends_on_nothing_that_comes_later(made: Made, after: int, exclude: bool) -> None:
    before, changed = changed_tail(made, ["b", "A-new", "zz-new", "a"], after=after)
    spies = Spy(), Spy()
    try:
        one, other = (
            evaluate(log_of(rows), [*baselines(), spy], Options(False, False)) for rows, spy in zip((before, changed), spies, strict=True)
        )
    except TrainingDataError:
        assume(False)
    for name, ranks in one.ranks.items():
        assert ranks[:after].tolist() == other.ranks[name][:after].tolist()


def test_a_perfect_and_a_useless_ranker() -> None:
    class Oracle(Spy):
        name = "oracle"

        def __init__(self, apps: list[int]) -> None:
            super().__init__()
            self.left = iter(apps)

        def rank(self, user: int, context: Context) -> list[int]:
            return [context.current, next(self.left)]

    log = log_of([(0, t, "abcd"[t * t % 4 - t % 3]) for t in range(30)])
    parts = split(log, exclude_current=True)
    oracle = Oracle(parts.log.app[parts.targets].tolist())
    found = evaluate(log, [oracle, Spy()], Options(exclude_current=True))
    assert [one.value for one in found.metrics["oracle"].values()] == [1, 1, 1, 1]
    assert [one.value for one in found.metrics["spy"].values()] == [0, 0, 0, 0]


def test_names_are_in_no_repr() -> None:
    log = log_of([(0, 1, "secret-app"), (0, 2, "other-app")])
    assert "secret" not in repr(log)
    assert "u0" not in repr(log)
    assert "secret" not in repr(split(log))


def test_a_log_without_targets_is_refused() -> None:
    log = log_of([(0, 1, "a"), (0, 2, "a")])
    with pytest.raises(TrainingDataError, match="no open to be scored"):
        evaluate(log, baselines(), Options(exclude_current=True))
    assert [row.kind for row in rows_of([(0, 1, "")])] != [OPEN]
