"""Times: RFC 3339 text and epoch milliseconds, both ways, always UTC inside.

Strict: the zone must be there, and every part must be in range. Digits beyond milliseconds are cut off. A leap second (:60) is refused,
because epoch time has no place for it.
"""

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

DAY_MS = 86_400_000
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ]([01]\d|2[0-3]):([0-5]\d):([0-5]\d)(?:\.(\d+))?(?:[Zz]|([+-])([01]\d|2[0-3]):([0-5]\d))", re.ASCII
).fullmatch


class TimeError(ValueError):
    """A text that is not a time; the message says what was expected."""


@lru_cache(maxsize=4096)
def _day_ms(text: str) -> int:
    # Only reached with ten characters of the right form; the calendar is checked here.
    return (date(int(text[:4]), int(text[5:7]), int(text[8:])).toordinal() - _EPOCH_DAY) * DAY_MS


def from_rfc3339(text: str) -> int:
    """Epoch milliseconds of an RFC 3339 time such as 2026-03-01T12:30:00.250Z; TimeError if it is not one."""
    match = _RFC3339(text)
    try:
        if match is None:
            raise ValueError  # noqa: TRY301  one message for both
        day, hour, minute, second, fraction, sign, zone_hour, zone_minute = match.groups()
        total = _day_ms(day) + int(hour) * 3_600_000 + int(minute) * 60_000 + int(second) * 1000
    except ValueError:
        message = f"{text[:40]!r} is not a time: expected RFC 3339 with a zone, such as 2026-03-01T12:30:00Z, or epoch milliseconds"
        raise TimeError(message) from None
    if fraction:
        total += int((fraction + "00")[:3])
    if sign:
        offset = int(zone_hour) * 3_600_000 + int(zone_minute) * 60_000
        total += offset if sign == "-" else -offset
    return total


def to_rfc3339(ms: int) -> str:
    """RFC 3339 in UTC of epoch milliseconds, with a fraction only if there is one; TimeError outside the years 1 to 9999."""
    try:
        moment = _EPOCH + timedelta(milliseconds=ms)
    except OverflowError:
        message = f"{ms} ms is outside the years 1 to 9999: expected epoch milliseconds"
        raise TimeError(message) from None
    return moment.isoformat(timespec="milliseconds" if ms % 1000 else "seconds").replace("+00:00", "Z")
