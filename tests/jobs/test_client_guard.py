"""Whoever submits a job and is killed on the way takes Flink's client along: it must not submit behind the back of who tries again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from keepline.jobs.cluster import client
from keepline.jobs.cluster.rest import ClusterError

SUBMITTING = """
import sys
from pathlib import Path
from keepline.jobs.cluster import client
client.flink_home = lambda: Path(sys.argv[1])
client.link_lib = lambda folder: folder
client.flink_run("job.py", settings={})
"""


def fake_flink(folder: Path, script: str) -> Path:
    """A Flink whose client is this script."""
    (folder / "bin").mkdir()
    (folder / "bin" / "flink").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "bin" / "flink").chmod(0o755)
    return folder


def soon(ready: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 60
    while not ready() and time.monotonic() < deadline:
        time.sleep(0.05)
    return ready()


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
def test_the_client_ends_with_who_submits(tmp_path: Path) -> None:
    home = fake_flink(tmp_path, f"echo $$ > {tmp_path}/pid.new; mv {tmp_path}/pid.new {tmp_path}/pid; sleep 300; echo Job submitted")
    with subprocess.Popen([sys.executable, "-c", SUBMITTING, str(home)]) as submitting:
        assert soon((tmp_path / "pid").exists)
        pid = int((tmp_path / "pid").read_text())
        assert lives(pid)
        os.kill(submitting.pid, signal.SIGKILL)
    assert soon(lambda: not lives(pid)), "Flink's client goes on without who started it"


def test_what_the_client_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = "0123456789abcdef" * 2
    home = fake_flink(
        tmp_path, f'case "$*" in *good*) echo "JobID {job}"; exit 1;; *slow*) sleep 300;; *) echo "error: no topic"; exit 2;; esac'
    )
    monkeypatch.setattr(client, "flink_home", lambda: home)
    monkeypatch.setattr(client, "link_lib", lambda folder: folder)
    assert client.flink_run("good.py", settings={}) == job
    with pytest.raises(ClusterError, match=r"^no topic$"):
        client.flink_run("bad.py", settings={})
    with pytest.raises(ClusterError, match="did not end within 1 s"):
        client.flink_run("slow.py", settings={}, timeout=1)
