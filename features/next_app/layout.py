"""Where each number of a user's `next_app` state lives: 8,192 bytes, little-endian, all zero where there is none.

    0    header, 96 bytes, and 96  the last 32 event ids: as in features/layout.py
    352  screen · newest AppOpen · 4 cities: hashes, when last seen
    432  of the 64 places: name tag (u32) · name length (u8) · last use · frequency · a row of 78 bytes
    6768 names, without gaps, in the order of the places

An app keeps its place until it is evicted; a place is free where its name has length 0. The tag is the lower half of the name's
hash64, and only says where to look: apps are the same where their names are.

A row: opens by hour (25 × u8), opens by day (8 × u16), 42 counters of 4 bits (profile), the places of 8 successors (u8), their counts
(u8; 0 where there is none). The bucket of an hour is the hour since 1970 modulo 25, of a day the day modulo 8; the newest bucket is that
of the app's last use, so buckets need no clock of their own.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from keepline.features.layout import MAGIC, NONE, SECTIONS, W_IDENTITY, W_NEXT_WAKE
from keepline.features.soundness import IDENTITY, NO_RETENTION, Rule
from keepline.features.spec import DAY

SET_ID, STATE_VERSION, VERSION = 3, 1, 1
NAME = "next_app"
SIZE = 8192
KEPT_LAYOUT = Path(__file__).parent / f"layout-{STATE_VERSION}.json"

APPS = 64
SUCCESSORS = 8
CITIES = 4
MAX_NAME = 127
"""Bytes of UTF-8. An app with a longer name is never a candidate: a cut name would be another app's."""
LATENESS = 90 * DAY

W_SCREEN = SECTIONS // 8
"""The place of the app on screen plus 1; 0 if it is not kept."""
W_OPENED = W_SCREEN + 1
"""Time of the newest AppOpen, NONE if there was none."""
W_CITIES = W_OPENED + 1
W_CITY_SEEN = W_CITIES + CITIES

B_TAGS = 8 * (W_CITY_SEEN + CITIES)
B_LENGTHS = B_TAGS + 4 * APPS
B_LAST = B_LENGTHS + APPS
B_FREQUENCY = B_LAST + 8 * APPS
B_ROWS = B_FREQUENCY + 8 * APPS

# Bytes of a row.
HOURS, DAYS = 25, 8
MOST_A_HOUR, MOST_A_DAY, MOST_A_COUNTER, MOST_A_SUCCESSOR = 255, 65_535, 15, 255
R_HOURS = 0
R_DAYS = R_HOURS + HOURS
R_PROFILE = R_DAYS + 2 * DAYS
# Counters of the profile: the first of each group, and how many there are.
HOUR_FIRST, HOUR_SIZE = 0, 24
WEEKEND_FIRST, WEEKEND_SIZE = 24, 2
BATTERY_FIRST, BATTERY_SIZE = 26, 5
NETWORK_FIRST, NETWORK_SIZE = 31, 6
CITY_FIRST, CITY_SIZE = 37, 1 + CITIES  # the first: no city is known
R_SUCCESSORS = R_PROFILE + (CITY_FIRST + CITY_SIZE) // 2
R_COUNTS = R_SUCCESSORS + SUCCESSORS
ROW = R_COUNTS + SUCCESSORS

B_NAMES = B_ROWS + APPS * ROW
NAMES = SIZE - B_NAMES

BATTERY = ("CHARGING", "HIGH", "MEDIUM", "LOW", "UNKNOWN")
OTHER_CITY = CITY_SIZE
"""A city that is not kept; no app has a count of it."""

# Columns of a candidate's row, and of the context of an unlock.
FEATURES = (
    "log_seconds_since_use",
    "log_transition",
    "log_hour",
    "log_opens_24h",
    "log_opens_7d",
    "log_frequency",
    "log_weekend",
    "log_battery",
    "log_network",
    "log_city",
)
F_SINCE, F_TRANSITION, F_HOUR, F_OPENS_24H, F_OPENS_7D, F_FREQUENCY, F_WEEKEND, F_BATTERY, F_NETWORK, F_CITY = range(10)
X_HOUR, X_WEEKEND, X_BATTERY, X_NETWORK, X_CITY = range(5)
CONTEXT = 5

_SECTIONS = (
    ("screen", 8 * W_SCREEN, 1, 8),
    ("opened", 8 * W_OPENED, 1, 8),
    ("cities", 8 * W_CITIES, CITIES, 8),
    ("city_seen", 8 * W_CITY_SEEN, CITIES, 8),
    ("tags", B_TAGS, APPS, 4),
    ("lengths", B_LENGTHS, APPS, 1),
    ("last", B_LAST, APPS, 8),
    ("frequency", B_FREQUENCY, APPS, 8),
    ("rows", B_ROWS, APPS, ROW),
    ("names", B_NAMES, NAMES, 1),
)
_ROW = (
    ("hours", R_HOURS, HOURS, 8),
    ("days", R_DAYS, DAYS, 16),
    ("profile", R_PROFILE, CITY_FIRST + CITY_SIZE, 4),
    ("successors", R_SUCCESSORS, SUCCESSORS, 8),
    ("counts", R_COUNTS, SUCCESSORS, 8),
)


def layout() -> dict[str, Any]:
    """The layout as it is kept: (name, byte offset, items, bytes an item) of the state, (name, byte offset, items, bits) of a row."""
    return {
        "set": SET_ID,
        "state_version": STATE_VERSION,
        "size": SIZE,
        "sections": list(map(list, _SECTIONS)),
        "row": list(map(list, _ROW)),
    }


def dumps() -> str:
    """The text of the kept layout."""
    return json.dumps(layout(), indent=1) + "\n"


def rules(min_time_ms: int, max_time_ms: int) -> tuple[Rule, ...]:
    """What holds for every stored state whose event times lie within these bounds (features/soundness.py).

    Whatever else a damaged state says, the kernel stays within its bytes: places of successors and lengths of names are bounded here, the
    sum of the lengths is bounded where it is made.
    """
    identity = MAGIC | SET_ID << 16 | STATE_VERSION << 32
    none_high = [Rule(B_ROWS + ROW * place + R_SUCCESSORS, _bytes(0xC0), 0, 0) for place in range(APPS)]
    return (
        Rule(8 * W_IDENTITY, IDENTITY, identity, identity),
        Rule(8 * W_NEXT_WAKE, -1, min_time_ms, min(max_time_ms + NO_RETENTION, NO_RETENTION)),
        Rule(8 * W_SCREEN, -1, 0, APPS),
        Rule(8 * W_OPENED, -1, NONE, max_time_ms),
        *(Rule(B_LENGTHS + 8 * word, _bytes(0x80), 0, 0) for word in range(APPS // 8)),
        *none_high,
    )


def _bytes(bits: int) -> int:
    """The bits in each byte of an int64."""
    return int.from_bytes(bytes([bits]) * 8, "little", signed=True)
