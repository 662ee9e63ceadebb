"""Durations as people write them: "500ms", "10s", "5m", "1h", "30d"."""

from __future__ import annotations

import re

UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def parse_ms(text: str | int) -> int:
    """Milliseconds of a duration.

    >>> parse_ms("1s"), parse_ms("30d"), parse_ms("250 ms")
    (1000, 2592000000, 250)
    """
    match = re.fullmatch(r"\s*(\d+)\s*(ms|s|m|h|d)\s*", str(text))
    if match is None:
        msg = f"{text!r} is not a duration: expected a whole number and a unit, such as 500ms, 10s, 5m, 1h or 30d"
        raise ValueError(msg)
    return int(match[1]) * UNITS[match[2]]
