"""Which opens warm a ranker up, which it is asked for, and how the two are kept apart.

Log ──► collapsed (on demand) ──► split: the first 70 % of each user's opens | the rest, whose opens are the targets
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from keepline.models.next_app.log import NONE, OPEN, Log

WARM = (7, 10)
"""Share of each user's opens, rounded down, before the first target."""

_NAMED = (("user", "users"), ("app", "apps"), ("city", "cities"))
"""Columns of numbers, and where their names are."""

Mask = npt.NDArray[np.bool_]


class Split(NamedTuple):
    """A log parted in two. Its numbers are given anew: what the warm part names comes first, so that the rest changes none of them."""

    log: Log
    warm: Log
    """The events before each user's first target, unlocks too, with the names that occur in them and no others."""
    targets: Mask  # of the log's events
    current: npt.NDArray[np.int64]  # the app on screen before each event: the user's last open, or NONE


def on_screen(log: Log) -> npt.NDArray[np.int64]:
    """The app of the user's last open before each event, NONE before the first; an unlock changes nothing."""
    found = np.full(len(log), NONE, np.int64)
    last: dict[int, int] = {}
    for i, (user, kind, app) in enumerate(zip(log.user.tolist(), log.kind.tolist(), log.app.tolist(), strict=True)):
        found[i] = last.get(user, NONE)
        if kind == OPEN:
            last[user] = app
    return found


def collapsed(log: Log) -> Log:
    """The log with consecutive opens of one app by one user as one open, the first; unlocks in between do not part them."""
    return log.select((log.kind != OPEN) | (log.app != on_screen(log)))


def split(log: Log, *, exclude_current: bool = False, share: tuple[int, int] = WARM) -> Split:
    """Parts a log by each user's own count of opens n: the targets are the opens from number ⌊0.7 n⌋ + 1 on (or by another share).

    With `exclude_current` an open of the app that is on screen is no target, since it is no candidate; it still warms up.
    """
    warm = warm_events(log, share)
    for column, names in _NAMED:
        log = replace(log, **_warm_first(log, warm, column, names))
    current = on_screen(log)
    targets = (log.kind == OPEN) & ~warm
    if exclude_current:
        targets &= log.app != current
    part = log.select(warm)
    known = {names: getattr(log, names)[: _count(getattr(part, column))] for column, names in _NAMED}
    return Split(log, replace(part, **known), targets, current)


def warm_events(log: Log, share: tuple[int, int] = WARM) -> Mask:
    """The events of each user before the first target: the open after the first `share` (a fraction) of the user's opens, rounded down."""
    opens = np.bincount(log.user[log.kind == OPEN], minlength=len(log.users))
    left = (opens * share[0] // share[1]).tolist()
    over: set[int] = set()
    found = np.zeros(len(log), np.bool_)
    for i, (user, kind) in enumerate(zip(log.user.tolist(), log.kind.tolist(), strict=True)):
        if kind == OPEN and not left[user]:
            over.add(user)
        left[user] -= kind == OPEN
        found[i] = user not in over
    return found


def _count(numbers: npt.NDArray[np.int64]) -> int:
    return len(np.unique(numbers[numbers != NONE]))


def _warm_first(log: Log, warm: Mask, column: str, names: str) -> dict[str, Any]:
    """Numbers in which the warm part's come first, each part in its old order."""
    numbers, old = getattr(log, column), getattr(log, names)
    used = np.unique(numbers[warm & (numbers != NONE)])
    order = np.concatenate([used, np.setdiff1d(np.arange(len(old)), used)]).astype(np.int64)
    new = np.full(len(old) + 1, NONE, np.int64)  # the last entry stands for NONE
    new[order] = np.arange(len(old))
    return {column: new[numbers], names: tuple(old[i] for i in order.tolist())}
