"""Random logs for the tests of this folder."""

from __future__ import annotations

import string

import numpy as np
from hypothesis import strategies as st

from keepline.models.next_app.log import COLUMNS, OPEN, UNLOCK, Log, Row, make_log

APPS = string.ascii_lowercase[:6]


def rows_of(entries: list[tuple[int, int, str]]) -> list[Row]:
    """(user, time, app or "" for an unlock) as rows with keys of their own."""
    return [
        Row(f"u{user}", i, time, OPEN if app else UNLOCK, app, time % 101, time % 2 == 1, time % 6, f"city{time % 3}", 60)
        for i, (user, time, app) in enumerate(entries)
    ]


def entries(users: int = 3, most: int = 60) -> st.SearchStrategy[list[tuple[int, int, str]]]:
    """Few users, apps and moments, so that all of them meet; a tenth or so are unlocks."""
    one = st.tuples(st.integers(0, users - 1), st.integers(0, 40), st.sampled_from([*APPS, ""]))
    return st.lists(one, min_size=1, max_size=most)


def log_of(made: list[tuple[int, int, str]]) -> Log:
    return make_log(rows_of(made)).log


def same(one: Log, other: Log) -> bool:
    """Every column and every name."""
    columns = all(np.array_equal(getattr(one, name), getattr(other, name)) for name in COLUMNS)
    return columns and (one.users, one.apps, one.cities) == (other.users, other.apps, other.cities)
