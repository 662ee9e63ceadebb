"""From blocks of framed events to batches of packed records with their slots, compiled: the source's and the shell's work in `replay`."""

from __future__ import annotations

from typing import Any

from keepline.operators.slots import slot_of
from keepline.schemas.decode import get_long
from keepline.schemas.framekernel import HEAD
from keepline.schemas.jit import njit
from keepline.schemas.mem import address, copy_bytes, store_i32, store_i64
from keepline.schemas.packed import IN_HEADER, MAX_VALUE, NO_TIME, TICK_FLAG

FULL, OVERSIZED, NO_SLOT = range(3)


@njit
def _head(out: int, p: int, flags: int, file: int, number: int, time: int, key: int, value: int) -> None:
    """The header of a PACKED_IN record (schemas/packed.py), without a time of sending."""
    store_i32(out, p, flags)
    store_i32(out, p + 4, file)
    store_i64(out, p + 8, number)
    store_i64(out, p + 16, 0 if flags & TICK_FLAG else time)
    store_i64(out, p + 24, 0)
    store_i64(out, p + 32, time)
    store_i32(out, p + 40, key)
    store_i32(out, p + 44, value)


@njit
def fill(
    buffer: Any, offsets: Any, lengths: Any, times: Any, files: Any, numbers: Any, first: int,
    table: int, mask: int, keys: int, ends: int, count: int, capacity: int,
    events: Any, slots: Any, offs: Any, lens: Any,
) -> Any:  # fmt: skip
    """Packs events from `first` on until the batch or the block is full; (the next event, entries, why it stopped before the end).

    A value over MAX_VALUE stops it (OVERSIZED), and so does a customer without a slot (NO_SLOT).
    """
    source, target = address(buffer), address(events)
    room, batch = events.shape[0], slots.shape[0]
    used, n, i = 0, 0, first
    while i < offsets.shape[0] and n < batch:
        start, length = offsets[i], lengths[i]
        if length > MAX_VALUE:
            return i, n, OVERSIZED
        size, pos = get_long(source, start + HEAD, start + length)
        if pos < 0 or size < 0 or size > start + length - pos:
            size, pos = 0, start
        if used + IN_HEADER + size + length > room:
            break
        slot = slot_of(table, mask, keys, ends, count, capacity, source, pos, size)
        if slot < 0:
            return i, n, NO_SLOT
        _head(target, used, 0, files[i], numbers[i], times[i], size, length)
        value = copy_bytes(target, used + IN_HEADER, source, pos, size)
        slots[n], offs[n], lens[n] = slot, used, value + length - used
        used = copy_bytes(target, value, source, start, length)
        n += 1
        i += 1
    return i, n, FULL


@njit
def fill_ticks(due: Any, first: int, keys: int, ends: Any, events: Any, slots: Any, offs: Any, lens: Any) -> Any:
    """Packs the fired timers of slots due[first:] until the batch is full; (the next place in `due`, entries)."""
    target, used, n, i = address(events), 0, 0, first
    while i < due.shape[0] and n < slots.shape[0]:
        slot = due[i]
        start, size = ends[slot], ends[slot + 1] - ends[slot]
        if used + IN_HEADER + size > events.shape[0]:
            break
        _head(target, used, TICK_FLAG, 0, 0, NO_TIME, size, 0)
        slots[n], offs[n], lens[n] = slot, used, IN_HEADER + size
        used = copy_bytes(target, used + IN_HEADER, keys, start, size)
        n += 1
        i += 1
    return i, n
