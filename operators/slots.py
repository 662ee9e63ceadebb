"""Which slot of a block of states belongs to which key, in compiled code: for a host that keeps every customer.

An open-addressed table of (hash, slot + 1) pairs, at most half full, over keys that lie one behind the other. Slots are numbered in
the order in which keys come. A full table is grown by `Slots.grow`, so kernels stop with −1 where they need one more.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from keepline.schemas.decode import hash64, same_bytes
from keepline.schemas.jit import njit
from keepline.schemas.mem import address, copy_bytes, load_i64, store_i64

MAX_KEY = 128
"""A longer key is no customer's; its first bytes do."""
FIRST = 1024


@njit
def slot_of(table: int, mask: int, keys: int, ends: int, count: int, capacity: int, buf: int, pos: int, n: int) -> int:
    """The slot of the key buf[pos:pos + n], new if need be; −1 if there is no room for a new one. Addresses; `ends` and `count` int64."""
    n = min(n, MAX_KEY)
    key = np.int64(hash64(buf, pos, n))
    place = key & mask
    while True:
        found = load_i64(table, 16 * place + 8) - 1
        if found < 0:
            break
        if load_i64(table, 16 * place) == key:
            start = load_i64(ends, 8 * found)
            if same_bytes(buf, pos, n, keys, start, load_i64(ends, 8 * found + 8) - start):
                return int(found)
        place = (place + 1) & mask
    slot: int = load_i64(count, 0)
    if slot == capacity:
        return -1
    start = load_i64(ends, 8 * slot)
    store_i64(ends, 8 * slot + 8, copy_bytes(keys, start, buf, pos, n))
    store_i64(table, 16 * place, key)
    store_i64(table, 16 * place + 8, slot + 1)
    store_i64(count, 0, slot + 1)
    return slot


@njit
def _find(table: Any, mask: int, keys: Any, ends: Any, count: Any, capacity: int, buf: Any, n: int) -> int:
    return slot_of(address(table), mask, address(keys), address(ends), address(count), capacity, address(buf), 0, n)


@njit
def _rehash(old: Any, new: Any, mask: int) -> None:
    for line in range(old.shape[0]):
        if old[line, 1] > 0:
            place = old[line, 0] & mask
            while new[place, 1] > 0:
                place = (place + 1) & mask
            new[place, 0], new[place, 1] = old[line, 0], old[line, 1]


class Slots:
    """The table; `arrays()` are what `slot_of` takes."""

    def __init__(self) -> None:
        self.capacity = FIRST
        self._table = np.zeros((4 * FIRST, 2), np.int64)
        self._keys = np.zeros(FIRST * MAX_KEY, np.uint8)
        self._ends = np.zeros(FIRST + 1, np.int64)
        self._count = np.zeros(1, np.int64)

    def __len__(self) -> int:
        return int(self._count[0])

    def key(self, slot: int) -> bytes:
        """The key of a slot."""
        return self._keys[self._ends[slot] : self._ends[slot + 1]].tobytes()

    def addresses(self) -> tuple[int, int, int, int, int, int]:
        """Table, mask, keys, ends, count, capacity; good until the next `grow`."""
        keys, ends, count = self._keys.ctypes.data, self._ends.ctypes.data, self._count.ctypes.data
        return self._table.ctypes.data, len(self._table) - 1, keys, ends, count, self.capacity

    def keys(self) -> tuple[int, Any]:
        """Address of the keys, and where each ends."""
        return self._keys.ctypes.data, self._ends

    def find(self, key: bytes) -> int:
        """The slot of a key, new if need be; −1 where the table must grow first."""
        buf = np.frombuffer(bytearray(key) + bytes(8), np.uint8)
        return _find(self._table, len(self._table) - 1, self._keys, self._ends, self._count, self.capacity, buf, len(key))

    def grow(self) -> None:
        """Room for twice as many."""
        self.capacity *= 2
        table = np.zeros((4 * self.capacity, 2), np.int64)
        _rehash(self._table, table, len(table) - 1)
        self._table = table
        keys, ends, used = np.zeros(self.capacity * MAX_KEY, np.uint8), np.zeros(self.capacity + 1, np.int64), int(self._ends[len(self)])
        keys[:used], ends[: len(self._ends)] = self._keys[:used], self._ends
        self._keys, self._ends = keys, ends
