"""Quiet hours by the customer's own clock: local times, and the first moment from some time on at which a message may be delivered.

Time zones are those of the IANA database, by `zoneinfo`: of the system, else of the package tzdata.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from keepline.models.contact.rules import DAY_MS, MINUTE_MS

Span = tuple[int, int]
"""Local times of day in minutes, [start, end); start > end spans midnight, start = end is nothing."""
LONGEST_SEARCH_MS = 8 * DAY_MS
"""Quiet hours that leave nothing of eight days leave nothing at all: the nights on which clocks change are past by then."""


@lru_cache(maxsize=1024)
def zone_named(name: str) -> ZoneInfo | None:
    """The zone of an IANA name; None for a name that there is not, whatever characters it is made of."""
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):  # not found; no key; a folder of the database such as "America"
        return None


def offset_ms(zone: ZoneInfo, at: int) -> int:
    """Local time minus UTC at a moment."""
    shift = datetime.fromtimestamp(at // 1000, zone).utcoffset()
    return 0 if shift is None else (shift.days * 86_400 + shift.seconds) * 1000


def local_time(zone: ZoneInfo, at: int) -> str:
    """The local time as people write it, to the minute: 2026-03-29T03:30."""
    return datetime.fromtimestamp(at // 1000, zone).isoformat(timespec="minutes")[:16]


def is_quiet(spans: Sequence[Span], zone: ZoneInfo, at: int) -> bool:
    """Whether the local time at a moment is within one of the spans."""
    return _left(spans, (at + offset_ms(zone, at)) % DAY_MS) > 0


def free_from(spans: Sequence[Span], zone: ZoneInfo, at: int) -> int | None:
    """The first moment from `at` on that is not quiet; None where the spans leave no time of the day.

    Exact on the nights on which clocks change: local time runs evenly between two changes, so a jump to the end of the span is right unless
    the offset there is another one, and then the change itself is the next moment at which anything can differ.
    """
    if not spans:
        return at
    last = at + LONGEST_SEARCH_MS
    while at <= last:
        shift = offset_ms(zone, at)
        left = _left(spans, (at + shift) % DAY_MS)
        if left == 0:
            return at
        at = at + left if offset_ms(zone, at + left) == shift else _change(zone, at, at + left, shift)
    return None


def _left(spans: Sequence[Span], local: int) -> int:
    """How long it is still quiet at a local time of day, in ms; 0 if it is not."""
    longest = 0
    for start, end in spans:
        begin, until = start * MINUTE_MS, end * MINUTE_MS
        if begin <= local < until or (begin > until and local < until):
            longest = max(longest, until - local)
        elif begin > until and local >= begin:
            longest = max(longest, until + DAY_MS - local)
    return longest


def _change(zone: ZoneInfo, before: int, after: int, shift: int) -> int:
    """The first moment of another offset in (before, after], to the second: offsets change on whole seconds."""
    low, high = before // 1000, -(-after // 1000)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if offset_ms(zone, middle * 1000) == shift else (low, middle)
    return high * 1000
