"""Rises and falls of a score: what of its past they need, and whether there is one now.

Of the numbers within a rise's window only the lowest counts. So of all that were signalled those are kept that are lower than all after
them: whenever older ones leave the window, the lowest that is left is among them. Of falls likewise the higher ones.
"""

from __future__ import annotations

from keepline.models.contact.compiled import Compiled
from keepline.models.contact.rules import Fall, Rise
from keepline.models.contact.signal import Signal, number
from keepline.models.contact.state import MOST_POINTS, Point, Trail


def longer(trails: tuple[Trail, ...], source: str, falls: bool, new: Point, since: int) -> tuple[Trail, ...]:
    """The trails with one more number of a source, and without its numbers before `since` (epoch ms)."""
    kept = tuple(
        each for each in points(trails, source, falls) if each.at >= since and (each.value > new.value if falls else each.value < new.value)
    )
    trail = Trail(source, falls, (*kept[: MOST_POINTS - 1], new))
    return (*(each for each in trails if each.source != source or each.falls != falls), trail)


def heard(trails: tuple[Trail, ...], signal: Signal, rules: Compiled, now: int) -> tuple[Trail, ...]:
    """The trails with what the signal says at `now` (epoch ms) of the sources that the policy's rises and falls look at."""
    for (source, falls), kept_ms in rules.trail_ms.items():
        value = number(signal, source)
        if value is not None:
            trails = longer(trails, source, falls, Point(now, value), now - kept_ms)
    return trails


def has_moved(trails: tuple[Trail, ...], move: Rise | Fall, signal: Signal, now: int) -> bool:
    """Whether the signal, one at `now` (epoch ms), says of the move's source a number that has risen or fallen."""
    value = number(signal, move.source)
    return value is not None and moved(trails, move, value, now)


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
