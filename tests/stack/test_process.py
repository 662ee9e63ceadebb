"""Servers end with their parent, however it ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from keepline.jobs.stack.process import Child, StackError, tie

# Starts a shell with a child of its own, tells their numbers, then waits for what the test does to it. Started from a thread that
# ends at once: PR_SET_PDEATHSIG alone would kill the server then.
PARENT = """
import sys, threading, time
from pathlib import Path
from keepline.jobs.stack.process import Child
folder = Path(sys.argv[1])
def start():
    global child
    script = "sleep 600 & echo $$ $! > $0/pids.new; mv $0/pids.new $0/pids; wait"
    child = Child("shell", ["sh", "-c", script, folder], folder / "log", owned=folder)
thread = threading.Thread(target=start); thread.start(); thread.join()
time.sleep(0.2)
assert child.running
print("ready", flush=True)
time.sleep(600)
"""


def gone(pids: list[int], seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def descendants(pid: int) -> list[int]:
    return [each.pid for each in psutil.Process(pid).children(recursive=True)]


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_when_the_parent_ends(end: signal.Signals, tmp_path: Path) -> None:
    folder = tmp_path / "owned"
    folder.mkdir()
    parent = subprocess.Popen([sys.executable, "-c", PARENT, folder], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"ready\n"
    below = descendants(parent.pid)
    told = [int(word) for word in (folder / "pids").read_text().split()]
    assert set(told) <= set(below)
    assert len(below) == 3  # guard, shell, sleep
    parent.send_signal(end)
    parent.wait(10)
    assert gone(below), "a process outlived its parent"
    assert not folder.exists()


def test_ctrl_c_at_the_terminal_leaves_the_order_to_the_parent(tmp_path: Path) -> None:
    """The terminal signals the whole foreground group; servers must not be in it, or they die before the parent can stop them."""
    with Child("sleep", ["sleep", "600"], tmp_path / "log") as child:
        guard = psutil.Process(child.pid).parent()
        assert guard is not None
        assert os.getsid(guard.pid) != os.getsid(0)
        assert os.getpgid(child.pid) not in (os.getpgid(0), os.getpgid(guard.pid))


def test_a_killed_guard_takes_the_server_with_it(tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("needs PR_SET_PDEATHSIG")
    child = Child("sleep", ["sleep", "600"], tmp_path / "log")
    guard = psutil.Process(child.pid).parent()
    assert guard is not None
    guard.kill()
    assert gone([child.pid])


def test_stop_asks_first_and_kills_after_the_grace(tmp_path: Path) -> None:
    wait = "echo up; while :; do sleep 0.05; done"
    with Child("polite", ["sh", "-c", f"trap 'echo bye; exit 3' TERM; {wait}"], tmp_path / "polite") as polite:
        polite.wait_until(lambda: "up" in polite.tail(), 5)
        polite.stop()
        assert (polite.status, polite.tail()) == (3, "up\nbye")
    stubborn = Child("stubborn", ["sh", "-c", f"trap '' TERM; {wait}"], tmp_path / "stubborn")
    stubborn.wait_until(lambda: "up" in stubborn.tail(), 5)
    start = time.monotonic()
    stubborn.stop(grace=0.3)
    assert stubborn.status == 128 + signal.SIGKILL
    assert time.monotonic() - start < 3


def test_errors_carry_the_log(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="No such file"):
        Child("missing", [tmp_path / "missing"], tmp_path / "log")
    failing = Child("failing", ["sh", "-c", "echo out of luck; exit 7"], tmp_path / "log2")
    with pytest.raises(StackError, match=r"failing ended with status 7(.|\n)*out of luck"):
        failing.wait_until(lambda: False, 5)
    with Child("slow", ["sleep", "600"], tmp_path / "log3") as slow, pytest.raises(StackError, match="slow was not ready after"):
        slow.wait_until(lambda: False, 0.1)


def test_a_tied_process_ends_with_its_holder() -> None:
    script = """
import sys, time
from keepline.jobs.stack.process import tie
hold = tie(int(sys.argv[1]), grace=0.2)
print("tied", flush=True)
time.sleep(600)
"""
    other = subprocess.Popen(["sleep", "600"])
    holder = subprocess.Popen([sys.executable, "-c", script, str(other.pid)], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"tied\n"
    assert other.poll() is None
    holder.kill()
    holder.wait()
    assert other.wait(5) == -signal.SIGKILL


def test_cutting_a_tie_ends_the_process() -> None:
    other = subprocess.Popen(["sleep", "600"])
    tie(other.pid, grace=0).cut()
    assert other.wait(5) == -signal.SIGKILL
