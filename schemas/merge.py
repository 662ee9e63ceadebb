"""Merge the blocks of several files by (event_time, file name, line), also where they do not fit the memory.

Blocks come file after file. While they fit the budget, one stable sort by time puts all in order. Beyond it, sorted runs go to unnamed
temporary files and are merged from there, a piece of each run in memory. Files that are sorted already cost no more than others.

A rejected line has no time of its own: it follows the last event before it in its file, or precedes everything.
"""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import BinaryIO, cast

import numpy as np

from keepline.schemas.blocks import BEFORE_ALL, EventBlock, concatenate, empty, pieces
from keepline.schemas.framekernel import gather

BUDGET = 256 * 1024 * 1024
"""Bytes of events held while merging; sorting them takes as much again."""
PIECE = 1 << 16
"""Events of a block that is put out, and of a piece of a run."""


def merged(blocks: Iterable[EventBlock], budget: int = BUDGET, piece: int = PIECE) -> Iterator[EventBlock]:
    """All events of the blocks in order."""
    runs: list[BinaryIO] = []
    held: list[EventBlock] = []
    room = budget
    try:
        for block in blocks:
            held.append(block)
            room -= block.nbytes()
            if room < 0:
                runs.append(_spill(_sorted(held), piece))
                held, room = [], budget
        last = _sorted(held)
        del held
        if runs:
            yield from _merge([*(_load(run) for run in runs), pieces(last, piece)])
        else:
            yield from pieces(last, piece)
    finally:
        for run in runs:
            run.close()


def _sorted(blocks: Sequence[EventBlock]) -> EventBlock:
    """One block in order of time; of equal times the earlier block's come first. The values stay where they are."""
    block = concatenate(blocks)
    order = np.argsort(block.times, kind="stable")
    ordered, lines = block.select(order), []
    times, files, numbers = ordered.times, ordered.files, ordered.numbers
    for line in sorted(block.rejected, key=lambda line: (line.time, line.file, line.number)):
        # Its place by (time, file, line) among the events.
        first, last = np.searchsorted(times, line.time, "left"), np.searchsorted(times, line.time, "right")
        first, last = first + np.searchsorted(files[first:last], [line.file, line.file + 1])
        lines.append(line._replace(at=int(first + np.searchsorted(numbers[first:last], line.number))))
    return replace(ordered, rejected=lines)


def _compact(block: EventBlock) -> EventBlock:
    """The block with its own values alone in the buffer."""
    out, offsets = np.empty(int(block.lengths.sum()), np.uint8), np.empty(len(block), np.int64)
    gather(block.buffer, block.offsets, block.lengths, out, offsets)
    return replace(block, buffer=out, offsets=offsets)


def _spill(block: EventBlock, piece: int) -> BinaryIO:
    run = cast(BinaryIO, tempfile.TemporaryFile(prefix="keepline-merge-"))  # noqa: SIM115  closed by merged()
    for part in pieces(block, piece):
        pickle.dump(_compact(part), run, pickle.HIGHEST_PROTOCOL)
    run.seek(0)
    return run


def _load(run: BinaryIO) -> Iterator[EventBlock]:
    while True:
        try:
            block: EventBlock = pickle.load(run)  # noqa: S301  our own unnamed file
        except EOFError:
            return
        yield block


def _merge(runs: Sequence[Iterator[EventBlock]]) -> Iterator[EventBlock]:
    """Sorted runs as one; of equal times those of the earlier run come first."""
    held = [empty() for _ in runs]
    open_ = [True] * len(runs)
    frontier = BEFORE_ALL
    while True:
        for i, run in enumerate(runs):
            # What ends at the frontier may go on at the same time in its next piece.
            while open_[i] and (not len(held[i]) or held[i].times[-1] == frontier):
                following = next(run, None)
                open_[i] = following is not None
                if following is not None:
                    held[i] = concatenate([_compact(held[i]), following])
                    break
        waiting = [block for block, more in zip(held, open_, strict=True) if more]
        if not waiting:
            yield _sorted(held)
            return
        if not all(map(len, waiting)):
            continue
        # Nothing of an earlier time can come any more.
        frontier = min(int(block.times[-1]) for block in waiting)
        taken = [int(np.searchsorted(block.times, frontier, "left")) for block in held]
        yield _sorted([_before(block, n, frontier) for block, n in zip(held, taken, strict=True)])
        held = [_after(block, n, frontier) for block, n in zip(held, taken, strict=True)]


def _before(block: EventBlock, n: int, frontier: int) -> EventBlock:
    return _compact(block.select(slice(n), [line for line in block.rejected if line.time < frontier]))


def _after(block: EventBlock, n: int, frontier: int) -> EventBlock:
    return block.select(slice(n, None), [line for line in block.rejected if line.time >= frontier])
