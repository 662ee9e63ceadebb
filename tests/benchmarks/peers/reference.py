"""What every system must put out: each event's score and reasons, by the kernel without Flink, in files that readers map.

Where the states of all customers would not fit into memory, the customers are taken in slices, one pass over the events each.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keepline.operators import layout as at
from tests.benchmarks import events
from tests.benchmarks.kernel import BATCH, EVENT_BYTES, Feed
from tests.benchmarks.peers import scorebytes

SLICE = 1_000_000
"""Customers whose states are held at a time: 3 GB."""
STEP = 200_000


class Reference(NamedTuple):
    """By event number."""

    score: Any
    part: Any
    name: Any

    def save(self, folder: Path) -> None:
        """Writes it for `load`."""
        folder.mkdir(parents=True)
        for field, values in self._asdict().items():
            np.save(folder / field, values)


def load(folder: Path) -> Reference:
    """Maps what `save` wrote."""
    return Reference(*(np.load(folder / f"{field}.npy", mmap_mode="r") for field in Reference._fields))


def make(customers: int, n: int, say: Callable[[str], None]) -> Reference:
    """Events 0…n − 1. Raises RuntimeError if one of them gets no score, or two."""
    stream, slices = events.Stream(customers), -(-customers // SLICE)
    found = Reference(np.full(n, np.nan), np.zeros((n, scorebytes.REASONS)), np.zeros((n, scorebytes.REASONS), np.uint32))
    seen = np.zeros(n, np.int32)
    for part in range(slices):
        feed = Feed(-(-customers // slices))

        def note(out: Any, end: int) -> None:
            scorebytes.note_frames(out, end, *found, seen)

        for first in range(0, n, STEP):
            say(f"reference for {customers:,} customers: {(part * n + first) / (slices * n):.0%}")
            made = events.make(stream, first, min(STEP, n - first), packed=True)
            if slices == 1:
                feed.run(made, note)
            else:
                _run_slice(feed, made, part, slices, note)
    if not (seen == 1).all():
        msg = f"{int((seen != 1).sum())} of {n} synthetic events have not exactly one score: the stream is not what it should be"
        raise RuntimeError(msg)
    return found


def _run_slice(feed: Feed, made: events.Events, part: int, slices: int, each: Callable[[Any, int], None]) -> None:
    """The events of the customers of one slice (customer number modulo slices), in their order."""
    kernel, window = feed.kernel, EVENT_BYTES // (events.LONGEST + 64)
    for first in range(0, made.customer.shape[0], window):
        last = min(first + window, made.customer.shape[0])
        begin = made.at[first]
        kernel.events[: made.at[last] - begin] = made.buffer[begin : made.at[last]]
        mine = first + np.flatnonzero(made.customer[first:last] % slices == part)
        for k in range(0, len(mine), BATCH):
            batch = mine[k : k + BATCH]
            n = len(batch)
            kernel.offs[:n] = made.at[batch] - begin
            kernel.lens[:n] = made.at[batch + 1] - made.at[batch]
            kernel.slots[:n] = made.customer[batch] // slices
            done = 0
            while done < n:
                kernel.hdr[at.FIRST] = done
                done += kernel.run(n, -(1 << 62), 0)
                each(kernel.out, int(kernel.hdr[at.OUT_BYTES]))
