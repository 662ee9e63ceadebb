"""Free TCP ports on the loopback address."""

import itertools
import secrets
import socket
from collections.abc import Iterator

HOST = "127.0.0.1"
RANGE = range(10_000, 32_768)
"""Below what Linux and macOS hand out by themselves, as they come. From there any connection, even one that asks
whether our server is up yet, can take a server's port before the server binds it."""


def _in_turn() -> Iterator[int]:
    """The ports of RANGE over and over, from a place that differs between processes: none comes twice soon."""
    start = secrets.choice(RANGE)
    return itertools.cycle([*range(start, RANGE.stop), *range(RANGE.start, start)])


_PORTS = _in_turn()


def free_ports(count: int) -> list[int]:
    """`count` different ports that nobody uses now."""
    return list(itertools.islice(filter(is_free, _PORTS), count))


def is_free(port: int) -> bool:
    """Whether a server could take this port now."""
    with socket.socket() as one:
        try:
            one.bind((HOST, port))
        except OSError:
            return False
    return True


def listening(port: int, host: str = HOST) -> bool:
    """Whether something accepts connections there."""
    try:
        with socket.create_connection((host, port), timeout=0.5):
            return True
    except OSError:
        return False
