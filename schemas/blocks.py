"""Many events at once, as flat arrays: what every reader of event files yields, and what the kernels take.

Values are framed with the committed schemas whatever the file was, so that the same events give the same bytes from every format. Lines
that are no events travel beside them and know their place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from keepline.schemas.catalog import EVENT_TYPES
from keepline.schemas.encode import Ok, Rejected

BLOCK_EVENTS = 8192
"""Events of a block that is made line by line."""

BEFORE_ALL = -(2**63)
TYPE_IDS = {event.fingerprint: event.id for event in EVENT_TYPES}
"""Of a value, by its bytes 2 to 10."""

Bytes = NDArray[np.uint8]
Int64 = NDArray[np.int64]
Int32 = NDArray[np.int32]


class RejectedLine(NamedTuple):
    """A line that is no event; `at` is the number of the block's events that come before it."""

    at: int
    file: int
    number: int
    raw: bytes
    why: Rejected
    time: int = BEFORE_ALL
    """That of the last event before it in its file: where several files are merged, the line goes with that."""


@dataclass(frozen=True, slots=True)
class EventBlock:
    """Events in order: event i is `buffer[offsets[i] : offsets[i] + lengths[i]]`, line `numbers[i]` of file `files[i]`."""

    buffer: Bytes
    offsets: Int64
    lengths: Int64
    times: Int64  # event_time, epoch ms
    files: Int32  # place among the sources
    numbers: Int64  # line, row or record, counted from 1
    rejected: Sequence[RejectedLine] = ()

    def __len__(self) -> int:
        return len(self.offsets)

    def value(self, i: int) -> bytes:
        """The framed bytes of one event."""
        start = int(self.offsets[i])
        return self.buffer[start : start + int(self.lengths[i])].tobytes()

    def select(self, which: Any, rejected: Sequence[RejectedLine] = ()) -> EventBlock:
        """These events (a slice, places or a mask) over the same buffer."""
        return EventBlock(
            self.buffer, self.offsets[which], self.lengths[which], self.times[which], self.files[which], self.numbers[which], rejected
        )

    def nbytes(self) -> int:
        """Memory that the block takes."""
        return self.buffer.nbytes + 36 * len(self) + sum(len(x.raw) + len(x.why.message) + _LINE_OVERHEAD for x in self.rejected)


_LINE_OVERHEAD = 400  # of one rejected line's Python objects, bytes


def empty() -> EventBlock:
    """No events."""
    none = np.empty(0, np.int64)
    return EventBlock(np.empty(0, np.uint8), none, none, none, np.empty(0, np.int32), none)


def of_lines(entries: Iterable[tuple[int, bytes, Ok | Rejected]], file: int, most: int = BLOCK_EVENTS) -> Iterator[EventBlock]:
    """Blocks of one file's (line, raw bytes, event), each of at most `most` lines."""
    good: list[tuple[int, Ok]] = []
    bad: list[RejectedLine] = []
    for number, raw, event in entries:
        if isinstance(event, Ok):
            good.append((number, event))
        else:
            bad.append(RejectedLine(len(good), file, number, raw, event))
        if len(good) + len(bad) >= most:
            yield _packed(good, bad, file)
            good, bad = [], []
    if good or bad:
        yield _packed(good, bad, file)


def _packed(good: list[tuple[int, Ok]], bad: list[RejectedLine], file: int) -> EventBlock:
    n = len(good)
    lengths = np.fromiter((len(event.value) for _, event in good), np.int64, n)
    return EventBlock(
        np.frombuffer(bytearray().join(event.value for _, event in good), np.uint8),
        np.cumsum(lengths) - lengths,
        lengths,
        np.fromiter((event.event_time for _, event in good), np.int64, n),
        np.full(n, file, np.int32),
        np.fromiter((number for number, _ in good), np.int64, n),
        bad,
    )


def concatenate(blocks: Sequence[EventBlock]) -> EventBlock:
    """Blocks one after the other, as one block in one buffer. Blocks over the same buffer go on sharing it."""
    if len(blocks) == 1:
        return blocks[0]
    if not blocks:
        return empty()
    buffers = {id(block.buffer): block.buffer for block in blocks}
    ends = np.cumsum([0, *(buffer.shape[0] for buffer in buffers.values())]).tolist()
    starts = dict(zip(buffers, ends, strict=False))
    rejected, count = [], 0
    for block in blocks:
        rejected += [line._replace(at=line.at + count) for line in block.rejected]
        count += len(block)
    return EventBlock(
        np.concatenate(list(buffers.values())) if len(buffers) > 1 else blocks[0].buffer,
        np.concatenate([block.offsets + starts[id(block.buffer)] for block in blocks]),
        np.concatenate([block.lengths for block in blocks]),
        np.concatenate([block.times for block in blocks]),
        np.concatenate([block.files for block in blocks]),
        np.concatenate([block.numbers for block in blocks]),
        rejected,
    )


def pieces(block: EventBlock, most: int) -> Iterator[EventBlock]:
    """The block in parts of at most `most` events, each with its rejected lines."""
    n, line = len(block), 0
    for first in range(0, max(n, 1), most):
        last = min(first + most, n)
        end = line
        while end < len(block.rejected) and (block.rejected[end].at < last or last == n):
            end += 1
        lines = [found._replace(at=found.at - first) for found in block.rejected[line:end]]
        line = end
        yield block.select(slice(first, last), lines)
