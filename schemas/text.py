"""Compiled checks and hashes of text: eight bytes at a time while it is ASCII, exact UTF-8 rules where it is not.

The text is in an array or at an address (`mem.py`).
`hash64` is part of the state contract: the duplicate memory holds it. `hash64_of` is the same function in plain Python.
"""

from typing import Any

import numpy as np

from keepline.schemas.jit import njit
from keepline.schemas.mem import load_u8, load_u32, load_u64

_SEED = np.uint64(0x9E3779B97F4A7C15)
_K = np.uint64(0xD6E8FEB86659FD93)
_M = np.uint64(0xFF51AFD7ED558CCD)
_ONES = np.uint64(0x0101010101010101)
_HIGHS = np.uint64(0x8080808080808080)
_SHIFT = np.uint64(32)
_FILL = np.uint64(0x0101010101000000)


@njit(forceinline=True)
def _tail(buf: Any, pos: int, n: int) -> Any:
    """The end of a text of n ≥ 1 bytes as one word: its last 8 bytes, or if there are fewer all of them, some twice, in fixed places."""
    if n >= 8:
        return load_u64(buf, pos + n - 8)
    if n >= 4:
        return np.uint64(load_u32(buf, pos)) | (np.uint64(load_u32(buf, pos + n - 4)) << _SHIFT)
    first = np.uint64(load_u8(buf, pos))
    middle = np.uint64(load_u8(buf, pos + (n >> 1)))
    last = np.uint64(load_u8(buf, pos + n - 1))
    return first | (middle << np.uint64(8)) | (last << np.uint64(16)) | _FILL


@njit(forceinline=True)
def _mix(h: Any, word: Any) -> Any:
    # Each step is one-to-one, so texts of one length that differ in one word never meet. Two multiplications: after one, a difference in
    # a word's last byte reaches so few bits that the next word can cancel it (a quarter of some 12-byte texts that differ in two bytes).
    h = (h ^ word) * _K
    h = (h ^ (h >> _SHIFT)) * _M
    return h ^ (h >> _SHIFT)


@njit
def hash64(buf: Any, pos: int, n: int) -> Any:
    """64-bit hash of buf[pos:pos+n], never 0. Not keyed: for tables and memories, not against an adversary."""
    h = _SEED ^ (np.uint64(n) * _M)
    at = 0
    while at + 8 < n:
        h = _mix(h, load_u64(buf, pos + at))
        at += 8
    if n > 0:
        h = _mix(h, _tail(buf, pos, n))
    h = _mix(h, np.uint64(0))
    return h if h != np.uint64(0) else np.uint64(1)


@njit(forceinline=True)
def hash_text(buf: Any, pos: int, n: int) -> Any:
    """(hash64, whether the bytes are UTF-8 without NUL), in one pass."""
    h = _SEED ^ (np.uint64(n) * _M)
    odd = np.uint64(0)
    at = 0
    while at + 8 < n:
        word = load_u64(buf, pos + at)
        # A high bit is set where a byte is not ASCII, or where taking 1 from it borrows: the byte is NUL.
        odd |= word | (word - _ONES)
        h = _mix(h, word)
        at += 8
    if n > 0:
        word = _tail(buf, pos, n)
        odd |= word | (word - _ONES)
        h = _mix(h, word)
    h = _mix(h, np.uint64(0))
    if h == np.uint64(0):
        h = np.uint64(1)
    sound = True
    if odd & _HIGHS != np.uint64(0):
        sound = is_utf8(buf, pos, n)
    return h, sound


@njit
def is_utf8(buf: Any, pos: int, n: int) -> bool:
    """Whether buf[pos:pos+n] is UTF-8 (Unicode table 3-7: no overlong forms, no surrogates, at most U+10FFFF) without NUL."""
    end = pos + n
    while pos < end:
        lead = load_u8(buf, pos)
        if lead < 0x80:
            if lead == 0:
                return False
            pos += 1
            continue
        low, high = 0x80, 0xBF
        if 0xC2 <= lead <= 0xDF:
            more = 1
        elif 0xE0 <= lead <= 0xEF:
            more = 2
            if lead == 0xE0:
                low = 0xA0
            elif lead == 0xED:
                high = 0x9F
        elif 0xF0 <= lead <= 0xF4:
            more = 3
            if lead == 0xF0:
                low = 0x90
            elif lead == 0xF4:
                high = 0x8F
        else:
            return False
        if pos + more >= end:
            return False
        if not low <= load_u8(buf, pos + 1) <= high:
            return False
        for k in range(2, more + 1):
            if load_u8(buf, pos + k) & 0xC0 != 0x80:
                return False
        pos += more + 1
    return True


@njit
def same_bytes(a: Any, at: int, n: int, b: Any, start: int, m: int) -> bool:
    """Whether a[at:at+n] equals b[start:start+m]."""
    if n != m:
        return False
    done = 0
    while done + 8 <= n:
        if load_u64(a, at + done) != load_u64(b, start + done):
            return False
        done += 8
    while done < n:
        if load_u8(a, at + done) != load_u8(b, start + done):
            return False
        done += 1
    return True


def hash64_of(text: str | bytes) -> int:
    """hash64 in plain Python, as an unsigned integer."""
    data = text.encode() if isinstance(text, str) else text
    n = len(data)
    limit = 0xFFFFFFFFFFFFFFFF
    h = int(_SEED) ^ n * int(_M) & limit
    words = [int.from_bytes(data[at : at + 8], "little") for at in range(0, n - 8, 8)]
    if n >= 8:
        words.append(int.from_bytes(data[-8:], "little"))
    elif n >= 4:
        words.append(int.from_bytes(data[:4] + data[-4:], "little"))
    elif n:
        words.append(data[0] | data[n >> 1] << 8 | data[-1] << 16 | int(_FILL))
    for word in [*words, 0]:
        h = (h ^ word) * int(_K) & limit
        h = (h ^ h >> 32) * int(_M) & limit
        h ^= h >> 32
    return h or 1
