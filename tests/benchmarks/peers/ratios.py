"""Medians with their ranges, and ratios that hold: taken within rounds, and none where the ranges touch."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

Runs = Sequence[Mapping[str, Any]]


class Range(NamedTuple):
    """A median with the least and the largest value."""

    median: float
    low: float
    high: float
    count: int

    def text(self, digits: int = 0) -> str:
        """`1,234 (1,200–1,300)`; the value alone where there is but one."""
        if math.isnan(self.median):
            return "-"
        middle = f"{self.median:,.{digits}f}"
        return middle if self.count == 1 else f"{middle} ({self.low:,.{digits}f}–{self.high:,.{digits}f})"

    def touches(self, other: Range) -> bool:
        """Whether the ranges have a value in common."""
        return self.low <= other.high and other.low <= self.high


def over(values: Iterable[float | None]) -> Range | None:
    """The range of what is there; None where nothing is."""
    found = [value for value in values if value is not None and not math.isnan(value)]
    return Range(statistics.median(found), min(found), max(found), len(found)) if found else None


def valid(runs: Runs) -> list[Mapping[str, Any]]:
    """Those that passed the gate."""
    return [run for run in runs if not run["void"]]


def figure(runs: Runs, field: str) -> Range | None:
    """A field over the valid runs."""
    return over(run.get(field) for run in valid(runs))


def paired(ours: Runs, theirs: Runs, field: str = "events_s") -> Range | None:
    """Ours over theirs, round by round; None where no round has both, or the two systems' ranges touch.

    One round gives a ratio too: its range is a single value, and `count` says so.
    """
    one, other = figure(ours, field), figure(theirs, field)
    if one is None or other is None or one.touches(other):
        return None
    by_round = {run["round"]: run[field] for run in valid(theirs)}
    return over(run[field] / by_round[run["round"]] for run in valid(ours) if by_round.get(run["round"]))
