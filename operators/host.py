"""Runs a batched operator without Flink: the JVM shell's part in Python, for `replay` and tests.

Every customer stays resident, so there is no write-back; batches, resumption and ticks are the shell's. Blocks of events
come in (`run_block`), or packed records one by one (`add`); what comes out are buffers full of frames.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from keepline.features.layout import W_NEXT_WAKE
from keepline.operators import layout as at
from keepline.operators.hostkernel import FULL, OVERSIZED, fill, fill_ticks
from keepline.operators.kernels import kernel_of
from keepline.operators.slots import Slots
from keepline.operators.spec import OperatorSpec
from keepline.schemas import packed
from keepline.schemas.blocks import EventBlock
from keepline.schemas.packed import Frame, Record, pack_record

OUT_BYTES = 4 << 20
EVENT_BYTES = 2 << 20
LINE = 64  # bytes of a cache line, on which states begin

Bytes = NDArray[np.uint8]


def _aligned(size: int) -> Bytes:
    block = np.zeros(size + LINE, np.uint8)
    start = -block.ctypes.data % LINE
    return block[start : start + size]


def _oversized(block: EventBlock, i: int) -> tuple[bytes, bytes]:
    """Key and packed record of an event that the source would cut."""
    value, time = block.value(i), int(block.times[i])
    key = packed.peek(value)[0] or b""
    return key, pack_record(Record(key, value, 0, int(block.files[i]), int(block.numbers[i]), time, 0, time))


class HostOperator:
    """A batched operator over NumPy arrays. Give it blocks or records, `advance` the watermark, take the frames they yield."""

    def __init__(self, spec: OperatorSpec, batch: int = 2048, wall_ms: int = 0) -> None:
        """`wall_ms` is the wall clock that FUTURE_TIME is judged by; 0 = no such check."""
        self.kernel = kernel_of(spec)
        self._batch, self._wall = batch, wall_ms
        self._slots = Slots()
        self._size = self.kernel.state_size
        self._block = _aligned(self._slots.capacity * self._size)
        self.kernel.bind(self._block, _aligned(at.io_layout(batch, OUT_BYTES, EVENT_BYTES).total), batch, OUT_BYTES, EVENT_BYTES)
        self._n = self._used = 0
        self._watermark = -(1 << 62)

    def _grow(self) -> None:
        self._slots.grow()
        block = _aligned(self._slots.capacity * self._size)
        block[: len(self._block)] = self._block
        self._block = block
        self.kernel.rebind(block)

    def run_block(self, block: EventBlock) -> Iterator[Bytes]:
        """Runs a block's events; yields buffers of frames, each good until the next is asked for."""
        yield from self._run()
        kernel, first = self.kernel, 0
        columns = (block.buffer, block.offsets, block.lengths, block.times, block.files, block.numbers)
        while first < len(block):
            tables = self._slots.addresses()
            first, self._n, why = fill(*columns, first, *tables, kernel.events, kernel.slots, kernel.offs, kernel.lens)
            yield from self._run()
            if why == OVERSIZED:
                key, record = _oversized(block, first)
                self._add(key, record)
                yield from self._run()
                first += 1
            elif why != FULL:
                self._grow()

    def add(self, key: bytes, record: bytes) -> Iterator[Frame]:
        """One packed record, keyed by its Kafka key; yields what a full batch puts out."""
        if self._used + len(record) > EVENT_BYTES:
            yield from self.flush()
        self._add(key, record)
        if self._n == self._batch:
            yield from self.flush()

    def _add(self, key: bytes, record: bytes) -> None:
        kernel, i = self.kernel, self._n
        slot = self._slots.find(key)
        if slot < 0:
            self._grow()
            slot = self._slots.find(key)
        kernel.events[self._used : self._used + len(record)] = np.frombuffer(record, np.uint8)
        kernel.slots[i], kernel.offs[i], kernel.lens[i] = slot, self._used, len(record)
        self._used += len(record)
        self._n = i + 1

    def flush(self) -> Iterator[Frame]:
        """Runs the pending records."""
        for frames in self._run():
            yield from packed.frames(frames.tobytes())

    def _run(self) -> Iterator[Bytes]:
        kernel, first = self.kernel, 0
        while first < self._n:
            kernel.hdr[at.FIRST] = first
            first += kernel.run(self._n, self._watermark, self._wall)
            yield kernel.out[: int(kernel.hdr[at.OUT_BYTES])]
        self._n = self._used = 0

    def advance_block(self, watermark: int) -> Iterator[Bytes]:
        """Moves event time: what the timers of silent customers put out once the watermark passes."""
        yield from self._run()
        self._watermark = watermark
        kernel, first = self.kernel, 0
        due = np.flatnonzero(self._exist(W_NEXT_WAKE, watermark))
        while first < len(due):
            first, self._n = fill_ticks(due, first, *self._slots.keys(), kernel.events, kernel.slots, kernel.offs, kernel.lens)
            yield from self._run()

    def advance(self, watermark: int) -> Iterator[Frame]:
        """The same, frame by frame."""
        for frames in self.advance_block(watermark):
            yield from packed.frames(frames.tobytes())

    def _states(self) -> NDArray[np.int64]:
        return self._block.view(np.int64).reshape(-1, self._size // 8)[: len(self._slots)]

    def _exist(self, word: int = 0, most: int | None = None) -> NDArray[np.bool_]:
        """Which slots have a state; with `most`, only one of which a part has no more than that in a word."""
        rows, found, at_word = self._states(), np.zeros(len(self._slots), np.bool_), 0
        for size in self.kernel.part_sizes:
            own = rows[:, at_word : at_word + size // 8]
            found |= (own[:, 0] != 0) & (True if most is None else own[:, word] <= most)
            at_word += size // 8
        return found

    def customers(self) -> int:
        """How many customers have a state."""
        return int(np.count_nonzero(self._exist()))

    def states(self) -> dict[bytes, bytes]:
        """The state bytes of every customer that has any."""
        rows = self._states()
        return {self._slots.key(slot): rows[slot].tobytes() for slot in np.flatnonzero(self._exist()).tolist()}
