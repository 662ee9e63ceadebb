"""Durations as people write them: "500ms", "10s", "5m", "1h", "30d"."""

from __future__ import annotations

import re

UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
LONGEST_MS = 36_500 * UNITS["d"]
"""A century: longer is a slip, and sums of it with times would not fit 64 bits."""


def parse_ms(text: object) -> int:
    """Milliseconds of a duration; ValueError if it is none.

    >>> parse_ms("1s"), parse_ms("30d"), parse_ms("250 ms")
    (1000, 2592000000, 250)
    """
    match = re.fullmatch(r"\s*(\d+)\s*(ms|s|m|h|d)\s*", text, re.ASCII) if isinstance(text, str) else None
    if match is None:
        msg = f"{text!r} is not a duration: expected a whole number and a unit, such as 500ms, 10s, 5m, 1h or 30d"
        raise ValueError(msg)
    digits, unit = match.groups()
    value = int(digits) * UNITS[unit] if len(digits) < 20 else LONGEST_MS + 1
    if value > LONGEST_MS:
        msg = f"{str(text)[:40]!r} is too long: expected at most {LONGEST_MS // UNITS['d']}d"
        raise ValueError(msg)
    return value


def shown(ms: int) -> str:
    """The shortest text that `parse_ms` reads as these milliseconds, in one unit.

    >>> shown(2_592_000_000), shown(5_400_000), shown(0)
    ('30d', '90m', '0s')
    """
    if ms == 0:
        return "0s"
    unit = next(unit for unit, size in reversed(UNITS.items()) if ms % size == 0)
    return f"{ms // UNITS[unit]}{unit}"
