"""Rises and falls of a score: what of its past they need, and whether there is one now.

Of the numbers within a rise's window only the lowest counts. So of all that were signalled those are kept that are lower than all after
them: whenever older ones leave the window, the lowest that is left is among them. Of falls likewise the higher ones.
"""

from __future__ import annotations

from keepline.models.contact.rules import Fall, Rise
from keepline.models.contact.state import MOST_POINTS, Point, Trail


def longer(trails: tuple[Trail, ...], source: str, falls: bool, new: Point, since: int) -> tuple[Trail, ...]:
    """The trails with one more number of a source, and without its numbers before `since` (epoch ms)."""
    kept = tuple(
        each for each in points(trails, source, falls) if each.at >= since and (each.value > new.value if falls else each.value < new.value)
    )
    trail = Trail(source, falls, (*kept[: MOST_POINTS - 1], new))
    return (*(each for each in trails if each.source != source or each.falls != falls), trail)


def points(trails: tuple[Trail, ...], source: str, falls: bool) -> tuple[Point, ...]:
    """The numbers that are remembered of a source, for rises or for falls."""
    return next((each.points for each in trails if each.source == source and each.falls == falls), ())


def moved(trails: tuple[Trail, ...], move: Rise | Fall, value: float, now: int) -> bool:
    """Whether the number, signalled at `now` (epoch ms), has risen or fallen by as much as is waited for."""
    falls = isinstance(move, Fall)
    window = [each.value for each in points(trails, move.source, falls) if each.at >= now - move.within_ms]
    if falls:
        highest = max(window, default=value)
        return highest - value >= move.by * highest > 0
    return value - min(window, default=value) >= move.by
