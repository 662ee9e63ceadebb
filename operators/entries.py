"""What all batched kernels do with an entry, whatever they keep of it: decode and check it, refuse it, ask for a timer.

`c` is the address of the kernel's context (operators/context.py), of which only the common words are read here.
"""

from __future__ import annotations

from typing import Any

from keepline.features.words import get, put, put_count
from keepline.operators import context as k
from keepline.operators import layout as at
from keepline.operators import stats
from keepline.operators.stats import count
from keepline.schemas.decode import NOT_ASKED, check_time, decode_at, same_bytes
from keepline.schemas.jit import njit
from keepline.schemas.mem import load_u8
from keepline.schemas.status import DUPLICATE, KEY_MISMATCH, LATE, OK, OVERSIZED, UNKNOWN_SCHEMA

AHEAD_ENTRIES = 4
"""How far ahead a state is fetched into the cache: memory latency is half of an event's cost."""

REJECT_ROOM = 1536
"""An upper bound of the frame that Python writes for a reject, apart from key and value."""


@njit
def room_for(c: int, hdr: int, need: int) -> bool:
    """Whether `out` can still take `need` bytes beside all that is written or promised."""
    return get(hdr, at.OUT_BYTES) + get(hdr, at.RESERVED_BYTES) + need <= get(c, k.OUT_SIZE)


@njit
def ask_timer(c: int, slot: int, at_time: int) -> None:
    """One timer for the shell to set; a negative time: to delete."""
    hdr = get(c, k.HDR)
    number = get(hdr, at.TIMERS)
    put_count(get(c, k.TIMER_SLOT), 4 * number, slot)
    put(get(c, k.TIMER_TIME), number, at_time)
    put(hdr, at.TIMERS, number + 1)


@njit
def validate(c: int, key_pos: int, key_len: int, value_len: int, oversized: bool, wall: int) -> Any:
    """(status, event type, field) of one record; the registers hold the event when the status is OK."""
    if oversized:
        return OVERSIZED, -1, -1
    buf, ri, rs = get(c, k.EVENTS), get(c, k.RI), get(c, k.RS)
    start = key_pos + key_len
    status, etype, reg = decode_at(buf, start, start + value_len, get(c, k.PROGRAMS), ri, get(c, k.RF), rs, get(c, k.RN))
    if status != OK:
        return status, etype, reg
    if not same_bytes(buf, key_pos, key_len, buf, get(rs, 0), get(rs, 1)):
        return KEY_MISMATCH, etype, 0
    return check_time(get(ri, 2), get(c, k.MIN_TIME), get(c, k.MAX_TIME), wall, get(c, k.AHEAD)), etype, 2


@njit
def reject(c: int, entry: int, status: int, etype: int, reg: int, newest: int, need: int) -> None:
    """Leaves a dead letter or a late event for Python, which writes its frame in the room promised here."""
    count(get(c, k.HDR), stats.LATE_EVENTS if status == LATE else stats.DEAD_LETTERS + status)
    leave(c, entry, status, etype, reg, newest, need)


@njit
def leave(c: int, entry: int, status: int, etype: int, reg: int, newest: int, need: int) -> None:
    """A line for Python, which writes a frame of at most `need` bytes after the call."""
    hdr = get(c, k.HDR)
    put(hdr, at.RESERVED_BYTES, get(hdr, at.RESERVED_BYTES) + need)
    number = get(hdr, at.REJECTS)
    put(hdr, at.REJECTS, number + 1)
    line = get(c, k.REJECTS) + 8 * k.REJECT_WORDS * number
    put(line, 0, entry)
    put(line, 1, status)
    put(line, 2, etype)
    put(line, 3, reg)
    put(line, 4, newest)
    put(line, 5, get(get(c, k.RI), 2))


@njit
def turned_away(c: int, entry: int, status: int, etype: int, reg: int, newest: int, key_pos: int, key_len: int, value_len: int) -> bool:
    """A record that was not taken: counted, and if it is no duplicate a line of REJECTS. False: the call ends before it.

    It ends where `out` is full, and where the schema id was never seen and there is a registry: that is asked first.
    """
    hdr = get(c, k.HDR)
    if status == DUPLICATE:
        count(hdr, stats.DUPLICATES)
        return True
    if status == UNKNOWN_SCHEMA and reg == NOT_ASKED and get(c, k.ASK) and load_u8(get(c, k.EVENTS), key_pos + key_len) == 0:
        put(hdr, at.WAITING, 1)
        return False
    need = REJECT_ROOM + 2 * (key_len + value_len)
    if not room_for(c, hdr, need):
        return False
    reject(c, entry, status, etype, reg, newest, need)
    return True
