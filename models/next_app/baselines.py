"""The four rankers that a model has to beat: counts and last uses, with nothing to fit.

Ties are broken by the app's number, so that an order depends on the events alone. All but Popularity rank only what the user has opened.
"""

from __future__ import annotations

from collections import Counter, defaultdict

from keepline.models.next_app.log import OPEN, Event, Log
from keepline.models.next_app.ranker import Context, Ranker


class _Counting:
    """A ranker whose parameters are none."""

    def fit(self, warm: Log) -> None:
        """Nothing to fit."""


class Popularity(_Counting):
    """Global popularity: by the opens of all users so far."""

    name = "popularity"

    def __init__(self) -> None:
        self._opens: Counter[int] = Counter()

    def rank(self, user: int, context: Context) -> list[int]:  # noqa: ARG002  the interface
        """All apps that anybody has opened."""
        return _by_count(self._opens)

    def update(self, event: Event) -> None:
        """Counts an open."""
        if event.kind == OPEN:
            self._opens[event.app] += 1


class Mfu(_Counting):
    """Most frequently used: by the user's own opens so far."""

    name = "MFU"

    def __init__(self) -> None:
        self._opens: defaultdict[int, Counter[int]] = defaultdict(Counter)

    def rank(self, user: int, context: Context) -> list[int]:  # noqa: ARG002  the interface
        """The user's apps by number of opens."""
        return _by_count(self._opens[user])

    def update(self, event: Event) -> None:
        """Counts an open."""
        if event.kind == OPEN:
            self._opens[event.user][event.app] += 1


class Mru(_Counting):
    """Most recently used: by the time of the user's last open of each."""

    name = "MRU"

    def __init__(self) -> None:
        self._last: defaultdict[int, dict[int, int]] = defaultdict(dict)

    def rank(self, user: int, context: Context) -> list[int]:  # noqa: ARG002  the interface
        """The user's apps by last use; two of the same time are a tie, whatever the order of their rows."""
        last = self._last[user]
        return sorted(last, key=lambda app: (-last[app], app))

    def update(self, event: Event) -> None:
        """Notes an open."""
        if event.kind == OPEN:
            self._last[event.user][event.app] = event.time


class Markov(_Counting):
    """Markov-1: by the user's transitions from the app on screen; what never followed it comes after, by the user's opens (back-off)."""

    name = "Markov-1"

    def __init__(self) -> None:
        self._opens: defaultdict[int, Counter[int]] = defaultdict(Counter)
        self._next: defaultdict[tuple[int, int], Counter[int]] = defaultdict(Counter)
        self._current: dict[int, int] = {}

    def rank(self, user: int, context: Context) -> list[int]:
        """The user's apps by transitions from `context.current`, then by number of opens."""
        opens, after = self._opens[user], self._next[user, context.current]
        return sorted(opens, key=lambda app: (-after[app], -opens[app], app))

    def update(self, event: Event) -> None:
        """Counts an open, and the transition that it ends."""
        if event.kind == OPEN:
            self._opens[event.user][event.app] += 1
            if event.user in self._current:
                self._next[event.user, self._current[event.user]][event.app] += 1
            self._current[event.user] = event.app


def _by_count(opens: Counter[int]) -> list[int]:
    return sorted(opens, key=lambda app: (-opens[app], app))


def baselines() -> list[Ranker]:
    """Fresh ones, for one evaluation."""
    return [Popularity(), Mfu(), Mru(), Markov()]
