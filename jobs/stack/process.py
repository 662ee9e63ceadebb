"""Starting servers so that none is ever left behind: each runs under a guard (guard.py) and ends with this Python process.

`Child` is one server process with its log file; `tie` does the same for a process that something else has started, such as the
JVM that PyFlink opens for a local run. No signal handlers and no exit hooks: the guard sees our end whatever its cause.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Self

from keepline.schemas.errors import KeeplineError

GUARD = Path(__file__).with_name("guard.py")
LOG_LINES = 30  # of a server's log in an error message


class StackError(KeeplineError):
    """A server of the embedded stack that did not start, or died; the message holds the end of its log."""


def folder(name: str) -> Path:
    """A fresh temporary folder, for this user alone."""
    return Path(tempfile.mkdtemp(prefix=f"keepline-{name}-"))


def _guard(arguments: Sequence[str], **popen: object) -> tuple[subprocess.Popen[bytes], socket.socket, int]:
    """Starts a guard; returns it, our end of the line, and the process id it looks after."""
    ours, theirs = socket.socketpair()
    with theirs:
        command = [sys.executable, "-I", "-S", str(GUARD), str(theirs.fileno()), *arguments]
        guard = subprocess.Popen(  # type: ignore[call-overload]
            command, pass_fds=[theirs.fileno()], start_new_session=True, stdin=subprocess.DEVNULL, **popen
        )
    told = ours.recv(32)
    if not told:
        ours.close()
        msg = f"cannot start {arguments[3:]}: the guard ended with status {guard.wait()}"
        raise StackError(msg)
    return guard, ours, int(told)


class Tie:
    """A hold on a process started elsewhere; see `tie`."""

    def __init__(self, pid: int, grace: float) -> None:
        self._guard, self._line, _ = _guard([str(grace), "", "--", "--adopt", str(pid)])

    def cut(self) -> None:
        """Ends the process now, if it is still there, `grace` seconds allowed."""
        self._line.close()
        self._guard.wait()


def tie(pid: int, grace: float = 2.0) -> Tie:
    """Makes process `pid` end with this one, `grace` seconds allowed; keep the result as long as the process is wanted."""
    return Tie(pid, grace)


class Child:
    """One server process.

    Args:
        name: for messages and the log's name.
        command: program and arguments.
        log: file that receives stdout and stderr (appended).
        env: additions to the environment.
        owned: folder to remove should this process be killed before it can do so itself.

    Raises:
        StackError: the program cannot be run.
    """

    def __init__(
        self, name: str, command: Sequence[str | Path], log: Path, *, env: Mapping[str, str] | None = None, owned: Path | None = None
    ) -> None:
        self.name, self.log = name, log
        log.parent.mkdir(parents=True, exist_ok=True)
        stream: IO[bytes]
        with log.open("ab") as stream:
            arguments = ["0", str(owned or ""), "--", *map(str, command)]
            try:
                self._guard, self._line, self.pid = _guard(arguments, stdout=stream, stderr=stream, env={**os.environ, **(env or {})})
            except StackError as error:
                msg = f"{error}\n{self.tail()}"
                raise StackError(msg) from None

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._guard.poll() is None

    @property
    def status(self) -> int | None:
        """Exit status, 128 + n after signal n; None while it runs."""
        return self._guard.poll()

    def wait(self, timeout: float | None = None) -> int:
        """Waits for its end; the exit status. Raises subprocess.TimeoutExpired."""
        return self._guard.wait(timeout)

    def wait_until(self, ready: Callable[[], bool], timeout: float) -> None:
        """Polls `ready` until it is true. Raises StackError if the process ends or time runs out."""
        deadline = time.monotonic() + timeout
        while not ready():
            if not self.running:
                msg = f"{self.name} ended with status {self.status} while starting. The end of {self.log}:\n{self.tail()}"
                raise StackError(msg)
            if time.monotonic() > deadline:
                msg = f"{self.name} was not ready after {timeout:.0f} s. The end of {self.log}:\n{self.tail()}"
                raise StackError(msg)
            time.sleep(0.03)

    def tail(self, lines: int = LOG_LINES) -> str:
        """The last lines of its log."""
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""

    def stop(self, grace: float = 10.0) -> None:
        """Asks it to end (SIGTERM), and kills it after `grace` seconds. Nothing if it has ended."""
        self._signal(signal.SIGTERM)
        try:
            self._guard.wait(grace)
        except subprocess.TimeoutExpired:
            self.kill()
        self._line.close()

    def kill(self) -> None:
        """Kill -9, and waits for the end."""
        self._signal(signal.SIGKILL)
        self._guard.wait()
        self._line.close()

    def _signal(self, number: signal.Signals) -> None:
        if self.running:  # so the guard has not reaped the process, or ends this instant
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
