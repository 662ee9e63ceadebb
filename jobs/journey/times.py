"""Times as journeys write them, to epoch milliseconds and back.

2026-03-01 09:00            local time; 2026-03-01 is its midnight, 09:00:30.250 is exact to the millisecond
2026-03-01T07:00:00Z        with a zone or an offset: that
09:00                       the next time that clocks show it; where something past is meant, the last time
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from keepline.schemas.durations import parse_ms
from keepline.schemas.errors import KeeplineError

When = str | datetime | date
Duration = str | timedelta
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_OF_DAY = re.compile(r"\d\d:\d\d(:\d\d(\.\d{1,6})?)?", re.ASCII)
_EXPECTED = "expected a time such as 2026-03-01 09:00, 2026-03-01, 09:00 or 2026-03-01T07:00:00Z"


class JourneyError(KeeplineError):
    """A journey that cannot be played, or an expectation that cannot be asked, as it is written."""


def moment(when: object, zone: ZoneInfo, now: int | None = None, *, past: bool = False) -> int:
    """Epoch milliseconds of a `When`; a time without a zone is local.

    `now` is what a time of day alone is counted from, onwards, or back (`past`).

    Raises:
        JourneyError: it is no time, or one that clocks there never show.
    """
    if isinstance(when, str):
        if _OF_DAY.fullmatch(when.strip()):
            return _of_day(when, zone, now, past=past)
        try:
            read = datetime.fromisoformat(when.strip())
        except ValueError:
            msg = f"{when!r} is no time: {_EXPECTED}"
            raise JourneyError(msg) from None
    elif isinstance(when, datetime):
        read = when
    elif isinstance(when, date):
        read = datetime.combine(when, time())
    else:
        msg = f"{when!r} is no time: {_EXPECTED}"
        raise JourneyError(msg)
    found = (read if read.tzinfo else _local(read, zone, str(when))) - EPOCH
    return found // _MS


def _of_day(text: str, zone: ZoneInfo, now: int | None, *, past: bool) -> int:
    try:
        clock = time.fromisoformat(text.strip())
    except ValueError:
        msg = f"{text!r} is no time of day: {_EXPECTED}"
        raise JourneyError(msg) from None
    if now is None:
        msg = f"{text!r} is a time of day, and no time has been said before it: begin with a whole one, such as 2026-03-01 {text}"
        raise JourneyError(msg)
    today = local(now, zone).date()
    for days in (0, -1, -2) if past else (0, 1, 2):
        try:
            found = (_local(datetime.combine(today + timedelta(days), clock), zone, text) - EPOCH) // _MS
        except JourneyError:
            continue  # clocks leave it out on that day
        if (found <= now) if past else (found >= now):
            return found
    raise AssertionError(text)  # no clock leaves the same time out twice in a row


def _local(naive: datetime, zone: ZoneInfo, written: str) -> datetime:
    """The local time; of two, when clocks go back, the first."""
    found = naive.replace(tzinfo=zone)
    if found.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != naive:
        msg = f"{written} does not exist in {zone.key}: clocks go past it that day; take another time, or give the offset"
        raise JourneyError(msg)
    return found


def duration_ms(duration: Duration) -> int:
    """Milliseconds of 90m, 3d or a timedelta; JourneyError if it is none, or negative."""
    if isinstance(duration, timedelta):
        if duration < timedelta():
            msg = f"{duration} is negative: time goes on only; expected a duration such as 90m, 12h or 3d"
            raise JourneyError(msg)
        return duration // _MS
    try:
        return parse_ms(duration)
    except ValueError as error:
        raise JourneyError(str(error)) from None


def local(ms: int, zone: ZoneInfo) -> datetime:
    """The local time of a moment."""
    return (EPOCH + ms * _MS).astimezone(zone)


def shown(ms: int, zone: ZoneInfo) -> str:
    """The local time as journeys write it: to the minute, or as exact as it is; with the offset where clocks show it twice.

    >>> shown(1772348400000, ZoneInfo("Europe/Athens"))
    '2026-03-01 09:00'
    """
    found = local(ms, zone)
    exact = "milliseconds" if found.microsecond else "seconds" if found.second else "minutes"
    text = found.replace(tzinfo=None).isoformat(" ", exact)
    twice = found.replace(fold=0).utcoffset() != found.replace(fold=1).utcoffset()
    return f"{text}{found.isoformat()[-6:]}" if twice else text
