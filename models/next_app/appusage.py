"""Rows of the CSV that the Android app "App Usage (PRO)" exports: App name, Date, Time, Duration.

    cells of a row ──► Row (an open or an unlock), or the reason why there is none

- A date is month first (12/27/18, 01-02-2019: 2 January, as the file's own footer says) or ISO (2019-01-02); formats may change in a file.
- Times are the phone's, without a zone: taken as UTC with offset 0, so that the hour of the day is the local one.
- "Screen on (unlocked)" is an unlock. Other rows of the screen are states that nobody chose, and are no events.
- "Device boot" and "Device shutdown" are opens like any other: the published figures of the shared log count them so (docs/next-app.md).
- The duration is not read. Two rows of the same second and name are one event.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from keepline.models.next_app.log import OPEN, UNLOCK, Row

HEADER = ("App name", "Date", "Time")
"""How the first line begins."""
USER = "1"
"""A file is of one user, whose name it does not tell."""
DEVICE_ROWS = ("Device boot", "Device shutdown")
_SCREEN, _UNLOCKED = "Screen o", "Screen on (unlocked)"
_DATES = ("%m/%d/%y", "%m/%d/%Y", "%m-%d-%Y", "%Y-%m-%d")


def is_header(cells: Sequence[str]) -> bool:
    """Is this the first line of such a file?"""
    return tuple(cell.strip().removeprefix("\ufeff") for cell in cells[: len(HEADER)]) == HEADER


def row_of(cells: Sequence[str]) -> Row | str:
    """A row, or the code of a reason (jobs/next_app_files.py) why it is none."""
    name, date, clock, *_ = *(cell.strip() for cell in cells), "", "", ""
    if not date and not clock:
        return "FOOTER"
    moment = _moment(date, clock)
    if not name or moment is None:
        return "MALFORMED"
    if name.startswith(_SCREEN) and name != _UNLOCKED:
        return "SCREEN"
    time = int(moment.timestamp()) * 1000
    kind, app = (UNLOCK, "") if name == _UNLOCKED else (OPEN, name)
    return Row(USER, (time, kind, app), time, kind, app)


def _moment(date: str, clock: str) -> datetime | None:
    for form in _DATES:
        try:
            return datetime.strptime(f"{date} {clock}", f"{form} %H:%M:%S").replace(tzinfo=UTC)
        except ValueError:
            continue
    return None
