"""Times of foreign records to epoch milliseconds: `rfc3339`, `epoch_s` … `epoch_ns`, or a pattern such as `%d.%m.%Y %H:%M:%S`.

A pattern without `%z` gives local times, and needs a `time_zone`. In the hour that comes twice in autumn the `ambiguous` rule decides; a
time that the clocks skip in spring is no time. Avro's timestamps arrive as datetimes and need no format.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from keepline.jobs.mapping.kinds import Wrong, number
from keepline.schemas.times import TimeError, from_rfc3339

EPOCHS = {"epoch_s": (1000, 1), "epoch_ms": (1, 1), "epoch_us": (1, 1000), "epoch_ns": (1, 1_000_000)}
FORMATS = ("rfc3339", *EPOCHS)
AMBIGUOUS = ("earlier", "later", "reject")
_DIRECTIVES = "YymbBdHIpMSfjz%"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SAMPLE = datetime(2024, 10, 27, 14, 35, 56, 789000, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_FURTHEST = 2**62

ToTime = Callable[[Any], int]


class FormatError(ValueError):
    """A time format that cannot be used; the message says what was expected."""


@cache
def zones() -> frozenset[str]:
    """The names of all time zones."""
    return frozenset(available_timezones())


def needs_zone(format_: str) -> bool:
    """Whether a format gives local times."""
    return format_ not in FORMATS and "%z" not in format_


def check(format_: str) -> None:
    """FormatError for what is neither a name nor a pattern that gives day and time."""
    if format_ in FORMATS:
        return
    found = re.findall(r"%(.?)", format_, re.DOTALL)
    if not found:
        msg = f"expected one of {', '.join(FORMATS)}, or a pattern such as %d.%m.%Y %H:%M:%S"
        raise FormatError(msg)
    odd = [f"%{letter}" for letter in found if not letter or letter not in _DIRECTIVES]
    if odd:
        msg = f"{', '.join(odd)} is not read: expected {' '.join(f'%{letter}' for letter in _DIRECTIVES)}"
        raise FormatError(msg)
    day = {"Y", "y"} & set(found) and ("j" in found or ({"m", "b", "B"} & set(found) and "d" in found))
    if not day or ("I" in found) != ("p" in found) or not {"H", "I"} & set(found):
        msg = "the pattern does not give day and hour: expected a year, a month, a day and %H (or %I with %p)"
        raise FormatError(msg)
    try:
        datetime.strptime(_SAMPLE.strftime(format_), format_)  # noqa: DTZ007  the zone is not looked at
    except (ValueError, re.error) as error:
        msg = f"the pattern cannot be read back ({error}): expected each part once"
        raise FormatError(msg) from None


def reader(format_: str | None, zone: str | None, ambiguous: str) -> ToTime:
    """From a record's value to epoch milliseconds. None is RFC 3339, and with a zone also the local times and dates of Avro and Parquet."""
    local = _local(zone, ambiguous) if zone else None
    if format_ in EPOCHS:
        return _with_datetimes(_epoch(*EPOCHS[format_], format_), local)
    if format_ is None or format_ == "rfc3339":
        return _with_datetimes(_rfc3339, local)
    return _pattern(format_, local)


def _rfc3339(value: Any) -> int:
    if type(value) is str:
        try:
            return from_rfc3339(value)
        except TimeError:
            pass
    hint = "; for a number give format: epoch_s or epoch_ms" if isinstance(value, int | float) else "; for another form give format:"
    raise Wrong(f"a time in RFC 3339 with its zone, such as 2026-03-01T12:30:00Z{hint}")  # noqa: EM102, TRY003


def _epoch(times: int, divided: int, name: str) -> ToTime:
    def read(value: Any) -> int:
        if type(value) is not int:
            try:
                value = number(value)
            except Wrong:
                raise Wrong(f"a number of {name}") from None  # noqa: EM102, TRY003
        # To whole milliseconds: what is finer is cut off, but 0.1 s in a float is 100 ms.
        ms = (
            value * times // divided
            if type(value) is int
            else int((Decimal(str(value)) * times / divided).to_integral_value("ROUND_FLOOR"))
        )
        if not -_FURTHEST < ms < _FURTHEST:
            raise Wrong(f"a number of {name} that is a time")  # noqa: EM102, TRY003
        return ms

    return read


def _pattern(format_: str, local: Callable[[datetime], datetime] | None) -> ToTime:
    def read(value: Any) -> int:
        if type(value) is int:
            value = str(value)  # 20260301123000, without quotes
        if type(value) is not str:
            raise Wrong(f"a time as {format_}")  # noqa: EM102, TRY003
        try:
            moment = datetime.strptime(value, format_)  # noqa: DTZ007  the zone follows
        except ValueError:
            raise Wrong(f"a time as {format_}") from None  # noqa: EM102, TRY003
        if moment.tzinfo is None:
            assert local is not None  # noqa: S101  the check at load saw to it
            moment = local(moment)
        return (moment - _EPOCH) // _MS

    return read


def _with_datetimes(other: ToTime, local: Callable[[datetime], datetime] | None) -> ToTime:
    def read(value: Any) -> int:
        if isinstance(value, datetime):
            moment = value
        elif type(value) is date:
            moment = datetime(value.year, value.month, value.day)  # noqa: DTZ001  the zone follows
        else:
            return other(value)
        if moment.tzinfo is None:
            if local is None:
                raise Wrong("a time with its zone; give time_zone: for local times and dates")  # noqa: EM101, TRY003
            moment = local(moment)
        return (moment - _EPOCH) // _MS

    return read


def _local(name: str, ambiguous: str) -> Callable[[datetime], datetime]:
    """Local time in a zone, in UTC. Of two possible times (clocks set back) the `ambiguous` one."""
    zone = ZoneInfo(name)

    def read(moment: datetime) -> datetime:
        first = moment.replace(tzinfo=zone)
        one, two = first.utcoffset(), first.replace(fold=1).utcoffset()
        if one != two and one is not None and two is not None:
            if one < two:
                raise Wrong(f"a time that {name} has: the clocks were set forward over it")  # noqa: EM102, TRY003
            if ambiguous == "reject":
                raise Wrong(f"a time that {name} has once: the clocks were set back; ambiguous: says which to take")  # noqa: EM102, TRY003
            if ambiguous == "later":
                first = first.replace(fold=1)
        return first.astimezone(UTC)

    return read
