"""A tiny kernel for the operator's tests: it counts each customer's events, in plain Python over the operator's two buffers.

It speaks the same ``entry`` as ``keepline.operators.runtime``. The value of an event is a command: ``count`` (or anything unknown) adds
one and emits the count on channel 0; ``timer:T`` asks for a timer at T, ``untimer:T`` to delete that one; ``clear`` drops the state;
``big:N`` emits N bytes; ``stall`` is never consumed; ``wait:N`` is consumed after N calls that say that they wait; ``raise`` raises,
``raise-once:PATH`` only while the file PATH is not there, which it then is.

A tick emits the count on channel 1, and asks for a timer ``again`` milliseconds later if the spec says so. Each frame's value is
"count batch-size watermark", as text; with ``"avro": true`` in the spec it is a framed Avro record {customer_id: string, count: long},
and as_of is the count.
"""

from __future__ import annotations

import ctypes
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

STATE = 128
MAGIC = 0x4C4B
COUNT_AT = 96
TICK = 4
OPEN, STATE_SIZE, MAP, RUN, CLOSE, MIGRATE, DESCRIBE, WAITING_FOR = range(8)
WAITING = 14
METRICS = [{"kind": "counter", "name": "events_total", "at": 16, "labels": {"kernel": "counting"}}]

_kernels: dict[int, Kernel] = {}


def _align(n: int) -> int:
    return (n + 63) & ~63


def _bytes_at(address: int, size: int) -> Any:
    return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))


def _varint(n: int) -> bytes:
    n <<= 1
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes([*out, n])


class Kernel:
    """One operator instance: its spec and its views of the slab and of the batch buffer."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.version = int(spec.get("version", 1))
        self.again = int(spec.get("again", 0))
        self.avro = bool(spec.get("avro", False))
        self.waited = 0

    def map(self, slab: int, io: int, n: int, sizes: bytes) -> None:
        """Views of the two buffers at these addresses; `sizes` as in `PythonKernel.map`."""
        capacity, events, out, total, self.bound = struct.unpack("<5q", sizes)
        self.slab = _bytes_at(slab, capacity * STATE)
        b = _bytes_at(io, total)
        at = 0

        def section(size: int, kind: Any) -> Any:
            nonlocal at
            view = b[at : at + size].view(kind)
            at = _align(at + size)
            return view

        self.hdr = section(128, np.int64)
        self.stats = section(512, np.int64)
        self.slot = section(4 * n, np.int32)
        self.off = section(4 * n, np.int32)
        self.len = section(4 * n, np.int32)
        self.touched = section(n, np.uint8)
        self.timer_slot = section(4 * n, np.int32)
        self.timer_at = section(8 * n, np.int64)
        self.out = section(out, np.uint8)
        self.events = section(events, np.uint8)

    def run(self, end: int, watermark: int) -> int:
        """Entries hdr[0] to `end`; returns how many were consumed."""
        first = int(self.hdr[0])
        used = timers = frames = 0
        self.hdr[WAITING] = 0
        for i in range(first, end):
            slot = int(self.slot[i])
            base = slot * STATE
            state = self.slab[base : base + STATE]
            count = int.from_bytes(bytes(state[COUNT_AT : COUNT_AT + 8]), "little")
            event = bytes(self.events[self.off[i] : self.off[i] + self.len[i]])
            created, time, kn, vn = struct.unpack_from("<qqii", event, 24)
            key, command = event[48 : 48 + kn], event[48 + kn : 48 + kn + vn]
            tick = bool(event[0] & TICK)
            if tick:
                time = watermark
            if tick and count == 0:
                continue
            if command == b"stall":
                break
            if command.startswith(b"wait:") and self.waited < int(command[5:]):
                self.waited += 1
                self.hdr[WAITING] = end - i
                break
            if command == b"raise":
                message = "the kernel was told to raise"
                raise ValueError(message)
            if command.startswith(b"raise-once:") and not Path(command[11:].decode()).exists():
                Path(command[11:].decode()).touch()
                message = "the kernel was told to raise once"
                raise ValueError(message)
            if not tick:
                count += 1
                self.stats[0] += 1
            value = f"{count} {end} {watermark}".encode()
            if self.avro:
                time, value = count, b"\xc3\x01" + bytes(8) + _varint(len(key)) + key + _varint(count)
            if command.startswith(b"big:"):
                value = b"x" * int(command[4:])
            frame = struct.pack("<IBBHqqqii", 40 + len(key) + len(value), int(tick), 0, 0, count, time, created, len(key), len(value))
            frame += key + value
            if used + len(frame) > self.out.size:
                break
            self.out[used : used + len(frame)] = np.frombuffer(frame, np.uint8)
            used += len(frame)
            frames += 1
            due = int(command[6:]) if command.startswith(b"timer:") else watermark + self.again if tick and self.again else 0
            if command.startswith(b"untimer:"):
                due = -int(command[8:])
            if due:
                self.timer_slot[timers], self.timer_at[timers] = slot, due
                timers += 1
            if command == b"clear":
                state[:] = 0
            elif not tick:
                state[:] = 0
                state[:2] = np.frombuffer(struct.pack("<H", MAGIC), np.uint8)
                state[4:6] = np.frombuffer(struct.pack("<H", self.version), np.uint8)
                state[COUNT_AT : COUNT_AT + 8] = np.frombuffer(struct.pack("<q", count), np.uint8)
            if not tick:
                self.touched[i] = 1
        else:
            i = end
        self.hdr[1:4] = used, timers, frames
        return i - first


def entry(op: int, a: int, b: int, c: int, d: int, data: bytes | None) -> Any:
    """The one function the operator calls; see the operations in ``PythonKernel.java``."""
    if op == OPEN:
        handle = len(_kernels) + 1
        _kernels[handle] = Kernel(json.loads(bytes(data or b"{}")))
        return handle
    kernel = _kernels[a]
    if op == STATE_SIZE:
        if b:  # one rule: mark and version
            identity = MAGIC | kernel.version << 32
            return struct.pack("<4q", 0, (1 << 48) - 1, identity, identity)
        return kernel.version << 32 | STATE
    if op == MAP:
        kernel.map(b, c, d, bytes(data or b""))
    elif op == RUN:
        return kernel.run(b, c)
    elif op == CLOSE:
        del kernel.slab, kernel.hdr, kernel.stats, kernel.out, kernel.events
    elif op == WAITING_FOR:
        return b"what the test says"
    elif op == DESCRIBE:
        return json.dumps(METRICS).encode()
    elif op == MIGRATE:
        old = bytes(data or b"")
        if old[4] > kernel.version:
            message = f"a state of version {old[4]}; run the release that wrote it"
            raise ValueError(message)
        state = bytearray(old.ljust(STATE, b"\0")[:STATE])
        state[4:6] = struct.pack("<H", kernel.version)
        state[COUNT_AT : COUNT_AT + 8] = struct.pack("<q", struct.unpack_from("<q", old, COUNT_AT)[0] + 1000)
        return bytes(state)
    return 0
