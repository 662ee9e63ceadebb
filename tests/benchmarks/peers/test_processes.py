"""CPU time of processes that come and go, and several copies of a system as one."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil

from tests.benchmarks.peers.cpu import TreeCpu
from tests.benchmarks.peers.launch import launch

BURN = "import time\nwhile time.process_time() < {seconds}: pass\n"
PARENT = f"""import subprocess, sys, time
subprocess.run([sys.executable, "-c", {BURN.format(seconds=0.6)!r}])
time.sleep(60)
"""


def test_a_process_that_ends_keeps_its_time() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT]) as parent:
        try:
            tree, told = TreeCpu(parent.pid), 0.0
            deadline = time.monotonic() + 60
            while psutil.Process(parent.pid).children() or told < 0.3:
                told = tree.seconds()
                assert time.monotonic() < deadline
                time.sleep(0.02)
            assert tree.seconds() >= told >= 0.3
        finally:
            parent.kill()


def started(folder: Path, processes: int, program: str) -> Any:
    run = SimpleNamespace(python=Path(sys.executable), processes=processes, name="copies", folder=folder)
    return launch(run, "-c", program)  # type: ignore[arg-type]


def wait(what: Any) -> None:
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_copies_know_their_number_and_end_together(tmp_path: Path) -> None:
    # One write each: both copies write to one file, and print() makes several.
    program = "import os, time; os.write(1, 'copy {PEER_PROCESS} of {PEER_PROCESSES}\\n'.format_map(os.environ).encode()); time.sleep(60)"
    child = started(tmp_path, 2, program)
    try:
        wait(lambda: child.tail().count("copy") == 2)
        assert sorted(child.tail().splitlines()) == ["copy 0 of 2", "copy 1 of 2"]
        copies = psutil.Process(child.pid).children()
        assert len(copies) == 2
    finally:
        child.kill()
    wait(lambda: not any(copy.is_running() and copy.status() != psutil.STATUS_ZOMBIE for copy in copies))


def test_one_copy_that_fails_fails_all(tmp_path: Path) -> None:
    child = started(tmp_path, 2, "import os, sys, time; os.environ['PEER_PROCESS'] == '1' and sys.exit(3); time.sleep(60)")
    wait(lambda: not child.running)
    assert child.status == 3
