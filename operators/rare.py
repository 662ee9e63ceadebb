"""What happens rarely, in plain Python: a kernel keeps a few bytes and one wake a key, and is called for each frame and each due time.

`io.keepline.RareOperator` is the shell in a job: it holds states and timers, calls `open_kernel` once and `call` for each step. `replay`
and tests call a kernel's `run` and `fire` themselves, under the same rules. A kernel is named in the spec, JSON such as
`{"kind": "contacts", …}`: a name of `KINDS`, or "module:Class" of one's own; the class is called with the whole spec.

    call:   i32 key length, key, i32 state length (-1: none), state, frame (none for a due time)
    answer: i32 state length (-1: drop it, -2: unchanged), state, i64 wake (0: none, SAME_WAKE: unchanged), frames
"""

from __future__ import annotations

import importlib
import json
import struct
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keepline.schemas.errors import KeeplineError
from keepline.schemas.packed import Frame, frames, pack_frame

KINDS = {"contacts": "contacts:Contacts", "budgets": "budgets:Budgets"}
"""Kernels of this package: module beside this one, and class. Imported when a job opens one."""
ELEMENT, TIMER = range(2)
NO_WAKE = 0
SAME_WAKE = -(2**63)
"""A step's wake: the one before stays."""
_DROP, _UNCHANGED = -1, -2
_LENGTH = struct.Struct("<i")
_WAKE = struct.Struct("<q")


class RareKernelError(KeeplineError):
    """A spec that names no kernel; the message says which there are."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one call leaves behind."""

    state: bytes | None
    """The key's state from now on; None: it has none any more."""
    wake: int = SAME_WAKE
    """When the key is to be woken, in epoch ms of event time; NO_WAKE never, SAME_WAKE as before. There is one wake a key."""
    frames: Sequence[Frame] = ()
    """What is put out, in this order."""
    changed: bool = True
    """False: the state is as it was, and `state` does not matter."""


class RareKernel(ABC):
    """The work of one rare operator: pure functions of state, frame and due time, the same in a job and in replay.

    A KeeplineError out of `run` or `fire`, such as one for a state of a newer version, ends the job with its message and without restarts,
    for a restart would meet the same. Any other exception restarts the job from its newest checkpoint.
    """

    @abstractmethod
    def run(self, key: bytes, state: bytes | None, frame: Frame) -> Step:
        """A frame of this key. What is due before the frame's own time is the kernel's to do first."""

    @abstractmethod
    def fire(self, key: bytes, state: bytes | None, due: int) -> Step:
        """The key's wake is due: event time has passed `due`, in epoch ms.

        Does all that is due at that time: the wake it leaves is NO_WAKE or later than `due`, and any other ends the job. The wake that
        fires is gone, so SAME_WAKE is NO_WAKE here.
        """

    def describe(self) -> Sequence[Mapping[str, Any]]:
        """Metrics beside the shell's own.

        `{"kind": "frames", "name": "decisions_total", "channel": 2}` counts the frames of a channel that are put out;
        `{"kind": "info", "name": …, "labels": {…}}` is a constant 1 with labels.
        """
        return ()


def open_kernel(spec: bytes) -> RareKernel:
    """The kernel that a spec (JSON) names.

    Raises:
        RareKernelError: the spec names none.
    """
    try:
        told = json.loads(spec)
        kind = told["kind"]
    except (ValueError, KeyError, TypeError):
        msg = f'the spec of a rare operator is {spec[:200]!r}: expected JSON such as {{"kind": "contacts"}}'
        raise RareKernelError(msg) from None
    module, colon, name = KINDS.get(kind, kind).partition(":")
    if not colon:
        msg = f"no rare operator is of kind {kind!r}: expected one of {', '.join(KINDS)}, or 'module:Class'"
        raise RareKernelError(msg)
    # Named by this package's own name: a job's own code lives under another (operators/code.py).
    home = f"{__name__.rpartition('.')[0]}." if kind in KINDS else ""
    kernel: RareKernel = getattr(importlib.import_module(home + module), name)(told)
    return kernel


def described(kernel: RareKernel) -> bytes:
    """The kernel's metrics as the shell reads them."""
    return json.dumps(list(kernel.describe())).encode()


def call(kernel: RareKernel, what: int, due: int, data: bytes) -> bytes | str:
    """One step from and to the shell's bytes; text where the kernel refuses (KeeplineError)."""
    key, at = _sized(data, 0)
    state, at = _sized(data, at)
    try:
        if what == TIMER:
            step = kernel.fire(key or b"", state, due)
        else:
            (frame,) = frames(data[at:])
            step = kernel.run(key or b"", state, frame)
    except KeeplineError as error:
        return str(error)
    return packed(step)


def _sized(data: bytes, at: int) -> tuple[bytes | None, int]:
    """Bytes behind their length, None for a negative one; and the place behind them."""
    (length,) = _LENGTH.unpack_from(data, at)
    end = at + _LENGTH.size + max(length, 0)
    return (data[at + _LENGTH.size : end] if length >= 0 else None), end


def packed(step: Step) -> bytes:
    """A step as the shell takes it."""
    state = step.state if step.changed else None
    length = _UNCHANGED if not step.changed else _DROP if state is None else len(state)
    return b"".join((_LENGTH.pack(length), state or b"", _WAKE.pack(step.wake), *map(pack_frame, step.frames)))
