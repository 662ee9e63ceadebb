"""Where things lie in the blocks that the JVM shell and the kernel share.

The JVM class `io.keepline.CustomerOperator` is the other side of every number here.
"""

from __future__ import annotations

from typing import NamedTuple

# hdr: int64[16] at the start of the io buffer.
FIRST = 0
"""In: the first entry to run (the entries before it were consumed by an earlier call)."""
OUT_BYTES = 1
TIMERS = 2
FRAMES = 3
CONSUMED = 10
"""Entries consumed by this call, counted from FIRST."""
REJECTS = 11
RESERVED_BYTES = 13
"""Room in `out` that the rejects of this call will need."""
WAITING = 14
"""Not 0 where the call ended because records wait for something outside, a writer's schema from the registry: how many of the batch."""
HDR = 16
STATS = HDR
"""The first word of the section behind it: counts since open (operators/stats.py)."""
STATS_WORDS = 64


class IoLayout(NamedTuple):
    """Byte offsets of the sections of the io buffer."""

    stats: int
    slot: int
    off: int
    length: int
    touched: int
    timer_slot: int
    timer_at: int
    out: int
    events: int
    total: int


def io_layout(entries: int, out_bytes: int, event_bytes: int) -> IoLayout:
    """The io buffer for batches of `entries`: each section starts on a 64-byte line.

    >>> io_layout(256, 1 << 20, 1 << 20).slot
    640
    """
    position = HDR * 8
    offsets = []
    for size in (8 * STATS_WORDS, 4 * entries, 4 * entries, 4 * entries, entries, 4 * entries, 8 * entries, out_bytes, event_bytes):
        offsets.append(position)
        position = (position + size + 63) & ~63
    offsets.append(position)
    return IoLayout(*offsets)
