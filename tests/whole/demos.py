"""A demo as a user starts it, and all processes that it started."""

from __future__ import annotations

import subprocess
from pathlib import Path

import psutil

from tests.whole.support import KEEPLINE, environment

MARK = "DEMO_TEST_MARK"
"""A variable that all processes of a demo inherit, to find them by."""


def of_mark(mark: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def start(folder: Path, mark: str, *arguments: str) -> subprocess.Popen[bytes]:
    (folder / "tmp").mkdir()
    variables = {MARK: mark, "TMPDIR": str(folder / "tmp")}
    with (folder / "out.txt").open("wb") as out:
        words = [str(KEEPLINE), "demo", *arguments]
        return subprocess.Popen(words, stdout=out, stderr=out, stdin=subprocess.DEVNULL, env=environment(**variables))
