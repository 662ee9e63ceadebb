"""A consumed batch through the kernel: bytes in, (position, length) of each score out, nothing of an event becomes a Python object."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from keepline.operators import layout as at
from keepline.operators.customer import CustomerKernel
from keepline.operators.spec import OperatorSpec
from keepline.schemas.jit import njit
from keepline.schemas.mem import copy_bytes, load_i64, load_u8, store_i32, store_i64

ENTRIES = 20_000
"""Events a call: what one `consume` may return."""
IN_BYTES, OUT_BYTES = ENTRIES * 256, ENTRIES * 512


@njit
def pack(keys: Any, key_at: Any, values: Any, value_at: Any, first: int, events: Any, offs: Any, lens: Any) -> int:
    """PACKED_IN records (schemas/packed.py) of events first…; how many of them found room."""
    p, n = 0, 0
    for k in range(first, key_at.shape[0] - 1):
        key_len, value_len = key_at[k + 1] - key_at[k], value_at[k + 1] - value_at[k]
        total = 48 + key_len + value_len
        if p + total > events.shape[0] or n == offs.shape[0]:
            break
        for word in range(5):
            store_i64(events, p + 8 * word, 0)
        store_i32(events, p + 40, key_len)
        store_i32(events, p + 44, value_len)
        copy_bytes(events, p + 48, keys, key_at[k], key_len)
        copy_bytes(events, p + 48 + key_len, values, value_at[k], value_len)
        offs[n], lens[n] = p, total
        p += total
        n += 1
    return n


@njit
def score_places(out: Any, end: int, places: Any) -> int:
    """Begin and end of each score's value among the frames; how many there are. (Other frames are no scores: left out.)"""
    p, n = 0, 0
    while p < end:
        head = load_i64(out, p) & 0xFFFFFFFF
        if load_u8(out, p + 4) == 0:
            places[n, 0] = p + 40 + (load_i64(out, p + 32) & 0xFFFFFFFF)
            places[n, 1] = p + head
            n += 1
        p += head
    return n


class Batches:
    """The kernel over states of its own; customer number i (of this process) has slot i."""

    def __init__(self, manifest: Path, capacity: int) -> None:
        self.kernel = CustomerKernel(OperatorSpec(json.loads(manifest.read_bytes()), emit="every"))
        self.size = self.kernel.state_size
        block = np.zeros(capacity * self.size + 64, np.uint8)  # pages are taken when touched
        self.states = block[-block.ctypes.data % 64 :][: capacity * self.size]
        io = np.zeros(at.io_layout(ENTRIES, OUT_BYTES, IN_BYTES).total + 64, np.uint8)
        self.kernel.bind(self.states, io[-io.ctypes.data % 64 :], ENTRIES, OUT_BYTES, IN_BYTES)
        self._places = np.zeros((2 * ENTRIES, 2), np.int64)

    def run(self, slots: Any, keys: list[bytes], values: list[bytes]) -> list[bytes]:
        """Scores of these events, in their order."""
        kernel, found, first = self.kernel, [], 0
        key_at, value_at = _ends(keys), _ends(values)
        raw_keys, raw_values = np.frombuffer(b"".join(keys), np.uint8), np.frombuffer(b"".join(values), np.uint8)
        while first < len(keys):
            n, done = pack(raw_keys, key_at, raw_values, value_at, first, kernel.events, kernel.offs, kernel.lens), 0
            kernel.slots[:n] = slots[first : first + n]
            while done < n:
                kernel.hdr[at.FIRST] = done
                done += kernel.run(n, -(1 << 62), 0)
                end = int(kernel.hdr[at.OUT_BYTES])
                count = score_places(kernel.out, end, self._places)
                out = kernel.out[:end].tobytes()
                found += [out[begin:stop] for begin, stop in self._places[:count].tolist()]
            first += n
        return found

    def state(self, slot: int) -> bytes:
        """A customer's state, for the changelog."""
        return self.states[slot * self.size : (slot + 1) * self.size].tobytes()

    def restore(self, slot: int, state: bytes) -> None:
        """What `state` gave, back in its place."""
        self.states[slot * self.size : (slot + 1) * self.size] = np.frombuffer(state, np.uint8)


def _ends(parts: list[bytes]) -> Any:
    ends = np.zeros(len(parts) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, parts), np.int64, len(parts)), out=ends[1:])
    return ends
