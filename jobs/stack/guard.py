"""A small watcher between a process and its parent: when the parent ends, however it ends, the process ends too.

Run as a script (`python -I -S guard.py FD GRACE FOLDER -- COMMAND…` or `… -- --adopt PID`), standard library only. FD is our end of a
socket pair whose other end only the parent holds. The kernel closes that end when the parent dies, `kill -9` included, and we
read end of file. PR_SET_PDEATHSIG alone would not do: it fires when the *thread* that forked ends, and spares grandchildren.

    parent ──socket──► guard (own session: Ctrl-C at the terminal does not reach it) ──fork──► COMMAND (own process group)

The guard writes the command's process id to the socket and ends with its exit status. After an orphaning it also removes FOLDER
("" for none): nobody else is left to do so. With --adopt it looks after a process that something else has started.
"""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

PR_SET_PDEATHSIG = 1


def _die_with_guard() -> None:
    """In the child, before exec: on Linux the kernel kills it should the guard itself be killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass


def _wait_for_end_of_file(line: socket.socket) -> None:
    try:
        while line.recv(64):
            pass
    except OSError:
        pass


def _remove(folder: str) -> None:
    if folder:
        shutil.rmtree(folder, ignore_errors=True)


def run(line: socket.socket, folder: str, command: list[str]) -> int:
    """Runs the command to its end, or kills its group at the parent's end."""
    child = subprocess.Popen(command, preexec_fn=_die_with_guard, process_group=0)  # noqa: PLW1509 - one thread so far
    line.sendall(b"%d\n" % child.pid)
    orphaned = threading.Event()

    def watch() -> None:
        _wait_for_end_of_file(line)
        orphaned.set()
        _kill_group(child.pid)

    threading.Thread(target=watch, daemon=True).start()
    status = child.wait()
    _kill_group(child.pid)  # what the command may have left in its group
    if orphaned.is_set():
        _remove(folder)
    return status


def adopt(line: socket.socket, grace: float, folder: str, pid: int) -> int:
    """Waits for the parent's end, leaves the process `grace` seconds to end by itself, then kills it."""
    # A handle and not the number: the number may belong to another process by then.
    handle = os.pidfd_open(pid) if sys.platform == "linux" else None
    line.sendall(b"%d\n" % pid)
    _wait_for_end_of_file(line)
    deadline = time.monotonic() + grace
    try:
        while time.monotonic() < deadline:
            signal.pidfd_send_signal(handle, 0) if handle is not None else os.kill(pid, 0)
            time.sleep(0.05)
        signal.pidfd_send_signal(handle, signal.SIGKILL) if handle is not None else os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    _remove(folder)
    return 0


def main(arguments: list[str]) -> int:
    """Entry of the script; returns its exit status (128 + n after signal n, as a shell does)."""
    line = socket.socket(fileno=int(arguments[0]))
    line.set_inheritable(False)  # the command must not hold our end
    grace, folder, command = float(arguments[1]), arguments[2], arguments[4:]
    if command[0] == "--adopt":
        return adopt(line, grace, folder, int(command[1]))
    status = run(line, folder, command)
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
