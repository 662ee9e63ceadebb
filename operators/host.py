"""Runs the customer operator without Flink: the JVM shell's part in Python, for `replay` and tests.

Every customer stays resident, so there is no write-back; batches, resumption and ticks are the shell's.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from keepline.features.layout import W_NEXT_WAKE
from keepline.operators import layout as at
from keepline.operators.customer import CustomerKernel
from keepline.operators.spec import OperatorSpec
from keepline.schemas import packed
from keepline.schemas.packed import Frame

OUT_BYTES = 4 << 20
EVENT_BYTES = 4 << 20
FIRST_CUSTOMERS = 1024


class HostOperator:
    """A customer operator over NumPy arrays. `add` packed records, `advance` the watermark, read the frames they yield."""

    def __init__(self, spec: OperatorSpec, batch: int = 256, wall_ms: int = 0) -> None:
        """`wall_ms` is the wall clock that FUTURE_TIME is judged by; 0 = no such check."""
        self.kernel = CustomerKernel(spec)
        self._batch, self._wall = batch, wall_ms
        self._slots: dict[bytes, int] = {}
        self._size = self.kernel.state_size
        self._block = np.zeros(FIRST_CUSTOMERS * self._size, np.uint8)
        io = np.zeros(at.io_layout(batch, OUT_BYTES, EVENT_BYTES).total, np.uint8)
        self.kernel.bind(self._block, io, batch, OUT_BYTES, EVENT_BYTES)
        self._n = self._used = 0
        self._watermark = -(1 << 62)

    def _slot(self, key: bytes) -> int:
        slot = self._slots.get(key)
        if slot is None:
            slot = len(self._slots)
            if (slot + 1) * self._size > self._block.shape[0]:
                self._block = np.concatenate([self._block, np.zeros_like(self._block)])
                self.kernel.rebind(self._block)
            self._slots[key] = slot
        return slot

    def add(self, key: bytes, record: bytes) -> Iterator[Frame]:
        """One packed record, keyed by its Kafka key; yields what a full batch puts out."""
        if self._used + len(record) > EVENT_BYTES:
            yield from self.flush()
        kernel, i = self.kernel, self._n
        kernel.events[self._used : self._used + len(record)] = np.frombuffer(record, np.uint8)
        kernel.slots[i], kernel.offs[i], kernel.lens[i] = self._slot(key[:128]), self._used, len(record)
        self._used += len(record)
        self._n = i + 1
        if self._n == self._batch:
            yield from self.flush()

    def flush(self) -> Iterator[Frame]:
        """Runs the pending entries."""
        kernel, first = self.kernel, 0
        while first < self._n:
            kernel.hdr[at.FIRST] = first
            first += kernel.run(self._n, self._watermark, self._wall)
            yield from packed.frames(kernel.out[: int(kernel.hdr[at.OUT_BYTES])].tobytes())
        self._n = self._used = 0

    def advance(self, watermark: int) -> Iterator[Frame]:
        """Moves event time: what the timers of silent customers would put out once the watermark passes."""
        yield from self.flush()
        self._watermark = watermark
        states = self._block.view(np.int64).reshape(-1, self._size // 8)
        keys = list(self._slots)
        due = np.flatnonzero((states[: len(keys), 0] != 0) & (states[: len(keys), W_NEXT_WAKE] + self.kernel.spec.bound_ms <= watermark))
        for slot in due.tolist():
            yield from self.add(keys[slot], packed.tick_record(keys[slot]))
        yield from self.flush()

    def states(self) -> dict[bytes, bytes]:
        """The state bytes of every customer that has any."""
        rows = self._block.reshape(-1, self._size)
        return {key: rows[slot].tobytes() for key, slot in self._slots.items() if rows[slot, 0]}
