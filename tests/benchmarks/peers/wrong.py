"""A system for the tests of the gate: right scores from the kernel, except for what it is told to do wrong.

python -m tests.benchmarks.peers.wrong SERVERS SINK CUSTOMERS N [missing] [doubled] [different]
"""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np
from confluent_kafka import Producer

from keepline.schemas.packed import frames
from tests.benchmarks import events
from tests.benchmarks.kernel import Feed
from tests.benchmarks.peers.launch import launch
from tests.benchmarks.peers.system import PARTITIONS, Run, System

SPOILED = 100
"""The event that is treated wrongly, the first of three."""


def system(*wrongs: str) -> System:
    """One that does these things wrong."""

    def start(run: Run) -> Any:
        return launch(run, "-m", "tests.benchmarks.peers.wrong", run.bootstrap_servers, run.sink, str(run.customers), str(run.n), *wrongs)

    return System(name="wrong", label="A wrong system", guarantee="exactly once", start=start)


def scores(customers: int, n: int) -> list[tuple[bytes, bytes]]:
    """Key and value of all scores, right."""
    found: list[tuple[bytes, bytes]] = []

    def take(out: Any, end: int) -> None:
        found.extend((frame.key, frame.value) for frame in frames(out[:end].tobytes()) if frame.channel == 0)

    Feed(customers).run(events.make(events.Stream(customers), 0, n, packed=True), take)
    return found


def main(servers: str, sink: str, customers: str, n: str, *wrongs: str) -> None:
    """Produces, and then stays, as a streaming job does."""
    found = scores(int(customers), int(n))
    if "different" in wrongs:
        key, value = found[SPOILED]
        other = np.frombuffer(value[-9:-1], "<f8")[0] + 1.0  # the last reason's contribution: only the end of the list is behind it
        found[SPOILED] = key, value[:-9] + np.float64(other).tobytes() + value[-1:]
    if "doubled" in wrongs:
        found.append(found[SPOILED + 1])
    if "missing" in wrongs:
        del found[SPOILED + 2]
    producer = Producer({"bootstrap.servers": servers, "enable.idempotence": True})
    for number, (key, value) in enumerate(found):
        producer.produce(sink, value, key, partition=number % PARTITIONS)
        if number % 5000 == 0:
            producer.flush()
            time.sleep(0.3)  # so that there are samples
    producer.flush()
    time.sleep(3600)


if __name__ == "__main__":
    main(*sys.argv[1:])
