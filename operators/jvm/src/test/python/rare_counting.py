"""A kernel for the tests of RareOperator, straight from the call's bytes: it counts each key's frames. State: the count, an int64.

The value of a frame is a command: ``count`` (or anything unknown) adds one; ``wake:T`` adds one and sets the wake to T; ``sleep`` adds one
and wants none; ``look`` leaves the state unchanged; ``drop`` drops it; ``quiet`` adds one and emits nothing; ``many`` emits frames on the
channels 1, 1 and 7; ``raise`` raises, ``refuse`` answers with a text, ``number`` and ``short`` answer what is no answer.

Frames go out on channel 1, "count". A firing adds 100, emits "count due" on channel 2, and wants the next wake ``again`` ms after its due
time if the spec says so; with ``"same": true`` it answers that state and wake are unchanged.
"""

from __future__ import annotations

import json
import struct
from typing import Any

SAME = -(2**63)
DROP, UNCHANGED = -1, -2
CLOSE, DESCRIBE, OPEN, RUN = 4, 6, 8, 9
METRICS = [
    {"kind": "frames", "name": "seen_total", "channel": 1},
    {"kind": "frames", "name": "woken_total", "channel": 2, "labels": {"by": "timer"}},
    {"kind": "info", "name": "kernel_info", "labels": {"kernel": "rare"}},
]
_specs: dict[int, dict[str, Any]] = {}


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(what)


def _frame(channel: int, key: bytes, value: bytes) -> bytes:
    return struct.pack("<IBBHqqqii", 40 + len(key) + len(value), channel, 0, 0, 0, 0, 0, len(key), len(value)) + key + value


def _answer(count: int | None, wake: int, *frames: bytes) -> bytes:
    state = b"" if count in (None, UNCHANGED) else struct.pack("<q", count)
    length = len(state) or (DROP if count is None else UNCHANGED)
    return struct.pack("<i", length) + state + struct.pack("<q", wake) + b"".join(frames)


def _fire(spec: dict[str, Any], key: bytes, count: int, due: int) -> bytes:
    woken = _frame(2, key, b"%d %d" % (count, due))
    if spec.get("same"):
        return _answer(UNCHANGED, SAME, woken)
    return _answer(count + 100, due + spec["again"] if "again" in spec else 0, woken)


def _run(key: bytes, count: int, frame: bytes) -> Any:
    length, _, _, _, _, _, _, n_key, n_value = struct.unpack_from("<IBBHqqqii", frame)
    _require(length == len(frame) and frame[40 : 40 + n_key] == key, "the frame is not the key's")
    command, _, number = frame[40 + n_key : 40 + n_key + n_value].decode().partition(":")
    if command == "raise":
        message = "the kernel was told to raise"
        raise ValueError(message)
    if command in ("refuse", "number", "short"):
        return {"refuse": "a state of version 9; run the release that wrote it", "number": 5, "short": b"\0\0\0\0"}[command]
    if command == "look":
        return _answer(UNCHANGED, SAME, _frame(1, key, b"%d" % count))
    if command == "drop":
        return _answer(None, 0, _frame(1, key, b"0"))
    counted = _frame(1, key, b"%d" % (count + 1))
    frames = {"quiet": [], "many": [counted, counted, _frame(7, key, b"7")]}.get(command, [counted])
    return _answer(count + 1, {"wake": int(number or 0), "sleep": 0}.get(command, SAME), *frames)


def entry(op: int, a: int, b: int, c: int, _d: int, data: bytes | None) -> Any:
    """The one function the operator calls; see RareKernel.java."""
    data = bytes(data or b"")
    if op == OPEN:
        spec = json.loads(data)
        if "refused" in spec:
            raise ValueError(spec["refused"])
        _specs[len(_specs) + 1] = spec
        return len(_specs)
    if op == DESCRIBE:
        return json.dumps(METRICS).encode()
    if op == RUN:
        (n,) = struct.unpack_from("<i", data)
        key, at = data[4 : 4 + n], 8 + n
        (length,) = struct.unpack_from("<i", data, 4 + n)
        state = data[at : at + max(length, 0)]
        _require(length in (-1, 8), "the state is another's")
        count = struct.unpack("<q", state)[0] if state else 0
        rest = data[at + len(state) :]
        if b:
            _require(not rest, "a timer has no frame")
            return _fire(_specs[a], key, count, c)
        return _run(key, count, rest)
    _require(op == CLOSE, f"no operation is {op}")
    return 0
