"""Durations as settings have them; what they are is schemas/durations.py's."""

from __future__ import annotations

from keepline.schemas.durations import LONGEST_MS, UNITS, parse_ms

__all__ = ["LONGEST_MS", "UNITS", "parse_ms"]
