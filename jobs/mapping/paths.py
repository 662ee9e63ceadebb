"""Where a value stands in a foreign record: `subscriber.msisdn`, `legs[0].start`, `legs[-1]`, `extra["odd.name"]`.

A path is relative to the record, or to the item of an event's `each`. `$record.` begins at the whole record again, and `$topic`,
`$partition`, `$offset`, `$timestamp`, `$key` are where the record came from. What is not there is None, as null is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

Step = str | int
_STEP = re.compile(r"""(?P<dot>\.)?(?:(?P<name>[^.\[\]"'\s$][^.\[\]"']*)|\[(?P<index>-?\d{1,6})\]|\["(?P<quoted>[^"]+)"\])""")
PLACES = ("$topic", "$partition", "$offset", "$timestamp", "$key")
_RECORD = "$record"


class Origin(NamedTuple):
    """Where a record came from. In files the topic is the file's name and the offset the line; there is no timestamp and no key."""

    topic: str
    partition: int = 0
    offset: int = 0
    timestamp: int | None = None
    key: str | None = None
    record: Any = None


Getter = Callable[[Any, Origin], Any]
"""From the record (or the item of `each`) and its origin to the value, None where there is none."""


class Path(NamedTuple):
    """A parsed path. `base` is "" (record or item), "$record", or one of PLACES."""

    text: str
    base: str
    steps: tuple[Step, ...]


class PathError(ValueError):
    """A text that is no path; the message says what was expected."""


def parse(text: str) -> Path:
    """The path of a text.

    >>> parse('legs[0].start').steps
    ('legs', 0, 'start')
    """
    base, rest = "", text
    if text.startswith("$"):
        base, dot, rest = text.partition(".")
        if base != _RECORD and (base not in PLACES or dot):
            msg = f"{text!r} is no place of a record: expected one of {', '.join(PLACES)}, or $record.path"
            raise PathError(msg)
        if base == _RECORD and not rest:
            msg = f"{text!r} names the whole record: expected $record.path"
            raise PathError(msg)
    steps: list[Step] = []
    at = 0
    while at < len(rest):
        match = _STEP.match(rest, at)
        # Names are parted by dots; an index follows without one.
        if match is None or (match["dot"] is not None) != (match["name"] is not None and at > 0):
            msg = f'{text!r} is not a path at {rest[at : at + 12]!r}: expected names parted by dots, such as a.b[0].c, or a["odd name"]'
            raise PathError(msg)
        steps.append(int(match["index"]) if match["index"] is not None else (match["name"] or match["quoted"]).strip())
        at = match.end()
    return Path(text, base, tuple(steps))


def getter(path: Path) -> Getter:
    """The path, compiled."""
    if path.base in PLACES:
        field = path.base[1:]
        return lambda _item, origin: getattr(origin, field)
    steps = path.steps
    if path.base == _RECORD:
        return lambda _item, origin: _walk(origin.record, steps)
    if len(steps) == 1 and isinstance(steps[0], str):
        name = steps[0]
        return lambda item, _origin: item.get(name) if type(item) is dict else None
    return lambda item, _origin: _walk(item, steps)


def _walk(value: Any, steps: tuple[Step, ...]) -> Any:
    for step in steps:
        if type(step) is str:
            if not isinstance(value, dict):
                return None
            value = value.get(step)
        else:
            if not isinstance(value, list) or not -len(value) <= step < len(value):  # type: ignore[operator]
                return None
            value = value[step]  # type: ignore[index]
    return value
