"""Servers that outlive a world."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from keepline.jobs.stack.zookeeper import EmbeddedZooKeeper


@contextmanager
def zookeeper() -> Iterator[str]:
    """Where the JobManagers of all worlds keep what the next one needs."""
    with EmbeddedZooKeeper() as server:
        yield server.connect
