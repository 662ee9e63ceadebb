"""Durations are read as they are shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepline.jobs import durations as of_jobs
from keepline.schemas.durations import LONGEST_MS, UNITS, parse_ms, shown


@given(
    st.one_of(st.integers(0, LONGEST_MS), st.builds(lambda n, unit: n * unit, st.integers(0, 36_500), st.sampled_from([*UNITS.values()])))
)
def test_round_trip(ms: int) -> None:
    text = shown(ms)
    assert parse_ms(text) == ms
    others = [f"{ms // size}{unit}" for unit, size in UNITS.items() if ms % size == 0]
    assert len(text) <= min(map(len, others)) or ms == 0  # no other way to write it is shorter


@pytest.mark.parametrize(("ms", "text"), [(0, "0s"), (1, "1ms"), (1500, "1500ms"), (60_000, "1m"), (86_400_000, "1d"), (90_000_000, "25h")])
def test_shown(ms: int, text: str) -> None:
    assert shown(ms) == text


def test_the_settings_read_the_same() -> None:
    assert of_jobs.parse_ms is parse_ms
