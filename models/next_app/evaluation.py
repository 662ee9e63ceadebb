"""Compares rankers on a log: every ranker is asked before an event, and told it after.

    Log ──► collapsed? ──► split ──► fit(warm) ──► per event in order: rank (if a target), then update ──► ranks ──► metrics

Users share one clock: an event of one user updates what is known of all before the next event of any.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from keepline.models.errors import TrainingDataError
from keepline.models.next_app.log import NONE, OPEN, Log
from keepline.models.next_app.metrics import Estimate, as_json, metrics
from keepline.models.next_app.ranker import Context, Ranker
from keepline.models.next_app.split import WARM, Split, collapsed, split

_REPORT_EVERY = 1024


@dataclass(frozen=True)
class Options:
    """How opens are counted."""

    collapse: bool = False
    """Consecutive opens of one app count once."""
    exclude_current: bool = False
    """The app on screen is no candidate, and opening it again no target."""
    seed: int = 42
    """Of the bootstrap."""


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found; ranks are of each target in order, by the ranker's name."""

    options: Options
    users: int
    apps: int
    opens: int
    warm: int
    ranks: dict[str, npt.NDArray[np.int64]]
    metrics: dict[str, dict[str, Estimate]]

    @property
    def scored(self) -> int:
        """Number of targets."""
        return len(next(iter(self.ranks.values())))

    def as_json(self) -> dict[str, Any]:
        """All figures, for machines."""
        return {
            "collapse": self.options.collapse,
            "exclude_current": self.options.exclude_current,
            "seed": self.options.seed,
            "users": self.users,
            "apps": self.apps,
            "opens": self.opens,
            "warm": self.warm,
            "scored": self.scored,
            "rankers": {name: as_json(found) for name, found in self.metrics.items()},
        }


def place(ranking: Sequence[int], app: int, excluded: int = NONE) -> int:
    """Place of an app in a ranking without the excluded app, from 1; 0 where it is not in it."""
    found = 0
    for candidate in ranking:
        if candidate != excluded:
            found += 1
            if candidate == app:
                return found
    return 0


def prepared(log: Log, options: Options = Options(), share: tuple[int, int] = WARM) -> Split:
    """The log in two parts, as the options say; TrainingDataError where it has no target."""
    parts = split(collapsed(log) if options.collapse else log, exclude_current=options.exclude_current, share=share)
    if not parts.targets.any():
        msg = f"the log has {len(parts.log)} events and no open to be scored, expected opens of different apps by at least one user."
        raise TrainingDataError(msg)
    return parts


def evaluate(
    log: Log, rankers: Sequence[Ranker], options: Options = Options(), progress: Callable[[int, int], None] | None = None
) -> Evaluation:
    """Ranks every target by every ranker (fresh ones, of different names); TrainingDataError where the log has no target.

    `progress` is called with (events done, of how many).
    """
    return ranked(prepared(log, options), rankers, options, progress)


def ranked(parts: Split, rankers: Sequence[Ranker], options: Options, progress: Callable[[int, int], None] | None = None) -> Evaluation:
    """As `evaluate`, of a log that is `prepared` with the same options."""
    log = parts.log
    for ranker in rankers:
        ranker.fit(parts.warm)
    found: dict[str, list[int]] = {ranker.name: [] for ranker in rankers}
    targets, current = parts.targets.tolist(), parts.current.tolist()
    for i, event in enumerate(log.events()):
        if targets[i]:
            context = Context(event.time, current[i], event.device)
            excluded = current[i] if options.exclude_current else NONE
            for ranker in rankers:
                found[ranker.name].append(place(ranker.rank(event.user, context), event.app, excluded))
        for ranker in rankers:
            ranker.update(event)
        if progress is not None and i % _REPORT_EVERY == 0:
            progress(i, len(log))
    ranks = {name: np.array(places, np.int64) for name, places in found.items()}
    return Evaluation(
        options,
        users=len(log.users),
        apps=len(log.apps),
        opens=int((log.kind == OPEN).sum()),
        warm=int((parts.warm.kind == OPEN).sum()),
        ranks=ranks,
        metrics={name: metrics(places, options.seed) for name, places in ranks.items()},
    )
