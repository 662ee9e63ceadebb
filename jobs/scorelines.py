"""Score frames to lines of JSON, compiled: the one output of which there are many.

Two passes over a buffer of frames. The first notes where the scores are and takes out their seven numbers; orjson writes those as text,
as Python would (what Python writes with an exponent is put in by Python). The second puts each line together. The line is what
`to_json(to_record(frame)[1])` gives, byte for byte; frames of other channels are left to that.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from keepline.schemas.catalog import output_schema
from keepline.schemas.decode import get_long
from keepline.schemas.jit import njit
from keepline.schemas.mem import address, copy_bytes, load_f64, load_i32, load_u8, store_u8
from keepline.schemas.packed import OUT_HEADER, SCORES

Bytes = NDArray[np.uint8]

REASONS = 3
NUMBERS = 1 + 2 * REASONS
_HEAD = 10  # bytes of framing
_LINE = 512  # an upper bound of a line's bytes beside its texts and numbers
_ESCAPED = 6  # bytes of \u001f
_PLAIN_FROM, _PLAIN_TO = 1e-4, 1e15
"""Between these Python and orjson write a number alike, without an exponent."""
_COMMA, _QUOTE, _BACKSLASH, _SPACE = 44, 34, 92, 32


def _table(texts: list[str]) -> tuple[Bytes, NDArray[np.int64]]:
    raw = [text.encode() for text in texts]
    return np.frombuffer(bytearray().join(raw), np.uint8), np.cumsum([0, *map(len, raw)])


def _symbols(name: str) -> list[str]:
    schema = output_schema("Score")
    found: list[str] = next(field["type"]["symbols"] for field in schema["fields"] if field["name"] == name)
    return found


_SCORE, _BAND, _ROLE = (_symbols(name) for name in ("score", "band", "role"))
# Pieces of a line in their order, then the symbols of the three enums.
_PIECES, _ENDS = _table(
    [
        '{"customer_id":"', '","score":"', '","value":', ',"band":"', '","as_of":', ',"event_id":"', '","model_id":"',
        '","model_version":', ',"role":"', '","reasons":[', '{"feature":"', '","value":', ',"contribution":', "}", "]}\n",
        *_SCORE, *_BAND, *_ROLE,
    ]
)  # fmt: skip
_FIRST_SCORE = 15
_FIRST_BAND = _FIRST_SCORE + len(_SCORE)
_FIRST_ROLE = _FIRST_BAND + len(_BAND)
_HEX = np.frombuffer(bytearray(b"0123456789abcdef"), np.uint8)


@njit
def _skip_text(buf: int, pos: int, end: int) -> int:
    size, pos = get_long(buf, pos, end)
    return int(pos + size)


@njit
def _note(out: Any, used: int, numbers: Any, starts: Any, others: Any) -> Any:
    """(scores, other frames) of a buffer of frames; notes where the values of scores start, and where other frames start."""
    buf = address(out)
    p, n, m = 0, 0, 0
    while p < used:
        length = load_i32(buf, p)
        end = p + length
        if load_u8(buf, p + 4) != SCORES or load_i32(buf, p + 36) == 0:  # no score, or the tombstone of one
            others[m] = p
            m += 1
            p = end
            continue
        value = p + OUT_HEADER + load_i32(buf, p + 32)
        starts[n] = value
        pos = _skip_text(buf, value + _HEAD, end)
        _, pos = get_long(buf, pos, end)
        numbers[n, 0] = load_f64(buf, pos)
        pos += 8
        _, pos = get_long(buf, pos, end)
        _, pos = get_long(buf, pos, end)
        pos = _skip_text(buf, _skip_text(buf, pos, end), end)
        _, pos = get_long(buf, pos, end)
        _, pos = get_long(buf, pos, end)
        given = load_u8(buf, pos) >> 1
        pos += 1
        for reason in range(REASONS):
            numbers[n, 1 + 2 * reason] = numbers[n, 2 + 2 * reason] = 0.0
            if reason < given:
                pos = _skip_text(buf, pos, end)
                numbers[n, 1 + 2 * reason] = load_f64(buf, pos)
                numbers[n, 2 + 2 * reason] = load_f64(buf, pos + 8)
                pos += 16
        n += 1
        p = end
    return n, m


@njit
def _piece(target: int, p: int, pieces: int, ends: Any, number: int) -> int:
    end: int = copy_bytes(target, p, pieces, ends[number], ends[number + 1] - ends[number])
    return end


@njit
def _whole(target: int, p: int, value: int) -> int:
    """A whole number in decimal."""
    if value < 0:
        store_u8(target, p, 45)
        p += 1
    digits, rest = 1, abs(value) // 10
    while rest > 0:
        digits += 1
        rest //= 10
    rest = abs(value)
    for place in range(digits - 1, -1, -1):
        store_u8(target, p + place, 48 + rest % 10)
        rest //= 10
    return p + digits


@njit
def _text(target: int, p: int, buf: int, pos: int, end: int, hexes: int) -> Any:
    """An Avro string as the inside of a JSON string, escaped as Python does: (end in the target, position behind it)."""
    size, pos = get_long(buf, pos, end)
    for at in range(pos, pos + size):
        byte = load_u8(buf, at)
        if byte >= _SPACE and byte not in (_QUOTE, _BACKSLASH):
            store_u8(target, p, byte)
            p += 1
            continue
        store_u8(target, p, _BACKSLASH)
        short = byte
        if byte == 10:
            short = 110  # n
        elif byte == 13:
            short = 114  # r
        elif byte == 9:
            short = 116  # t
        elif byte == 8:
            short = 98  # b
        elif byte == 12:
            short = 102  # f
        elif byte < _SPACE:
            short = 117  # u
        store_u8(target, p + 1, short)
        p += 2
        if short == 117 and byte < _SPACE:
            store_u8(target, p, 48)
            store_u8(target, p + 1, 48)
            store_u8(target, p + 2, load_u8(hexes, byte >> 4))
            store_u8(target, p + 3, load_u8(hexes, byte & 15))
            p += 4
    return p, pos + size


@njit
def _number(target: int, p: int, text: int, at: int) -> Any:
    """The next number of a text of numbers with commas: (end in the target, start of the one after it)."""
    while True:
        byte = load_u8(text, at)
        at += 1
        if byte == _COMMA:
            return p, at
        store_u8(target, p, byte)
        p += 1


@njit
def _lines(out: Any, starts: Any, n: int, text: Any, pieces: Any, ends: Any, hexes: Any, target: Any) -> int:
    """Writes n lines; returns their bytes. `text` holds NUMBERS numbers a line, each with a comma behind it."""
    buf, numbers, parts, line, digits = address(out), address(text), address(pieces), address(target), address(hexes)
    end = out.shape[0]
    p, at = 0, 0
    for i in range(n):
        p = _piece(line, p, parts, ends, 0)
        p, pos = _text(line, p, buf, starts[i] + _HEAD, end, digits)
        p = _piece(line, p, parts, ends, 1)
        symbol, pos = get_long(buf, pos, end)
        p = _piece(line, p, parts, ends, _FIRST_SCORE + symbol)
        p = _piece(line, p, parts, ends, 2)
        p, at = _number(line, p, numbers, at)
        p = _piece(line, p, parts, ends, 3)
        symbol, pos = get_long(buf, pos + 8, end)
        p = _piece(line, p, parts, ends, _FIRST_BAND + symbol)
        p = _piece(line, p, parts, ends, 4)
        number, pos = get_long(buf, pos, end)
        p = _whole(line, p, number)
        p = _piece(line, p, parts, ends, 5)
        p, pos = _text(line, p, buf, pos, end, digits)
        p = _piece(line, p, parts, ends, 6)
        p, pos = _text(line, p, buf, pos, end, digits)
        p = _piece(line, p, parts, ends, 7)
        number, pos = get_long(buf, pos, end)
        p = _whole(line, p, number)
        p = _piece(line, p, parts, ends, 8)
        symbol, pos = get_long(buf, pos, end)
        p = _piece(line, p, parts, ends, _FIRST_ROLE + symbol)
        p = _piece(line, p, parts, ends, 9)
        given = load_u8(buf, pos) >> 1
        pos += 1
        for reason in range(REASONS):
            if reason >= given:  # its numbers stand in the text all the same
                _, at = _number(line, p, numbers, at)
                _, at = _number(line, p, numbers, at)
                continue
            if reason > 0:
                store_u8(line, p, _COMMA)
                p += 1
            p = _piece(line, p, parts, ends, 10)
            p, pos = _text(line, p, buf, pos, end, digits)
            pos += 16
            p = _piece(line, p, parts, ends, 11)
            p, at = _number(line, p, numbers, at)
            p = _piece(line, p, parts, ends, 12)
            p, at = _number(line, p, numbers, at)
            p = _piece(line, p, parts, ends, 13)
        p = _piece(line, p, parts, ends, 14)
    return p


def _as_text(numbers: NDArray[np.float64]) -> Bytes:
    """The numbers one after the other, each with a comma behind it, as Python's repr writes them."""
    flat = numbers.reshape(-1)
    text = bytearray(orjson.dumps(flat, option=orjson.OPT_SERIALIZE_NUMPY))
    size = np.abs(flat)
    odd = np.flatnonzero(~((size >= _PLAIN_FROM) & (size < _PLAIN_TO) | (size == 0.0)))
    if len(odd):
        parts = bytes(text[1:-1]).split(b",")
        for place in odd.tolist():
            parts[place] = repr(float(flat[place])).encode()
        text = bytearray(b"[" + b",".join(parts) + b"]")
    text[-1] = _COMMA
    return np.frombuffer(text, np.uint8)[1:]


class ScoreLines:
    """Reused arrays for buffers of frames of any size."""

    def __init__(self) -> None:
        self._numbers = np.empty((0, NUMBERS))
        self._starts = self._others = np.empty(0, np.int64)
        self._target = np.empty(0, np.uint8)

    def take(self, frames: Bytes) -> tuple[memoryview, int, list[int]]:
        """(lines of the scores, how many, where the other frames start); the lines are good until the next call."""
        most = len(frames) // OUT_HEADER + 1
        if most > len(self._starts):
            self._numbers, self._starts, self._others = np.empty((most, NUMBERS)), np.empty(most, np.int64), np.empty(most, np.int64)
        n, m = _note(frames, len(frames), self._numbers, self._starts, self._others)
        others: list[int] = self._others[:m].tolist()
        if n == 0:
            return memoryview(b""), 0, others
        text = _as_text(self._numbers[:n])
        room = n * _LINE + _ESCAPED * len(frames) + len(text)
        if room > len(self._target):
            self._target = np.empty(room, np.uint8)
        size = _lines(frames, self._starts, n, text, _PIECES, _ENDS, _HEX, self._target)
        return self._target[:size].data, n, others
