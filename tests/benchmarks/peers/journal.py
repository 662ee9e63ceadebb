"""Each finished run is a line of a file, so a session that was stopped goes on, and the report can be drawn anew.

A session begins with a line of its own: machine, versions, commit, flags. Later lines are its runs, until the next session's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

IDENTITY = ("part", "scenario", "variant", "system", "backend", "processes", "customers", "checkpoint_s", "events", "round")
"""What tells a run from the others of its session."""


def identity(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """The run's name within its session."""
    return tuple(row.get(field) for field in IDENTITY)


class Journal:
    """The newest session of a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.session: dict[str, Any] = {}
        self.rows: list[dict[str, Any]] = []
        for line in path.read_text().splitlines() if path.exists() else ():
            try:
                row = json.loads(line)
            except ValueError:  # the line that was being written when the session was killed
                continue
            if row.get("part") == "session":
                self.session, self.rows = row, []
            else:
                self.rows.append(row)

    def begin(self, machine: Mapping[str, str], flags: str) -> None:
        """A new session."""
        self.session, self.rows = {"part": "session", "machine": dict(machine), "flags": flags}, []
        self._write(self.session)

    def add(self, row: dict[str, Any]) -> dict[str, Any]:
        """Appends a run."""
        self.rows.append(row)
        self._write(row)
        return row

    def find(self, row: Mapping[str, Any]) -> dict[str, Any] | None:
        """The run of this identity, if it is done."""
        wanted = identity(row)
        return next((found for found in self.rows if identity(found) == wanted), None)

    def of(self, part: str) -> list[dict[str, Any]]:
        """The runs of a part."""
        return [row for row in self.rows if row["part"] == part]

    def _write(self, row: Mapping[str, Any]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a+b") as file:
            if file.seek(0, 2) and (file.seek(-1, 2), file.read(1))[1] != b"\n":
                file.write(b"\n")  # behind a torn line
            file.write(json.dumps(row).encode() + b"\n")
