"""Kernels of rare work for the tests, named "tests.operators.rare_kernels:Class" in a spec: they run in the job's interpreter too."""

from __future__ import annotations

import struct
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keepline.operators.rare import NO_WAKE, SAME_WAKE, RareKernel, Step
from keepline.schemas.errors import KeeplineError
from keepline.schemas.packed import Frame

COUNTED, WOKEN, CLAIM = 20, 21, 62
STATE = struct.Struct("<qq")


class Counting(RareKernel):
    """Counts a key's frames; an hour after the first since its last wake, tells the count. What is due before a frame comes first.

    With `claims` each frame also leads to one of the key "all" on channel 62. With `pause` each takes that many seconds. With `fail`, a
    path, it raises once, at the frame `at` of a key, and leaves in PATH.restored how many of its first key it then still knew.
    """

    def __init__(self, spec: Mapping[str, Any]) -> None:
        self.after, self.claims, self.pause = spec.get("after", 3_600_000), spec.get("claims", False), spec.get("pause", 0)
        self.fail, self.at = spec.get("fail"), spec.get("at", 0)

    def run(self, key: bytes, state: bytes | None, frame: Frame) -> Step:
        time.sleep(self.pause)
        count, wake = STATE.unpack(state) if state else (0, NO_WAKE)
        if self.fail:
            self._fail(count)
        frames: list[Frame] = []
        if wake and wake <= frame.as_of:
            frames += self.fire(key, state, wake).frames
            wake = NO_WAKE
        wake = wake or frame.as_of + self.after
        frames.append(Frame(COUNTED, count + 1, frame.as_of, 0, key, b"%d" % (count + 1)))
        if self.claims:
            frames.append(Frame(CLAIM, 0, frame.as_of, 0, b"all", key))
        return Step(STATE.pack(count + 1, wake), wake, frames)

    def fire(self, key: bytes, state: bytes | None, due: int) -> Step:
        count, wake = STATE.unpack(state or b"")
        assert wake == due
        return Step(STATE.pack(count, NO_WAKE), NO_WAKE, [Frame(WOKEN, count, due, 0, key, b"%d" % count)])

    def describe(self) -> Sequence[Mapping[str, Any]]:
        return [{"kind": "frames", "name": "counted_total", "channel": COUNTED}]

    def _fail(self, count: int) -> None:
        if not Path(self.fail).exists():
            if count + 1 == self.at:
                Path(self.fail).touch()
                message = "the kernel was told to raise once"
                raise ValueError(message)
        elif not Path(f"{self.fail}.restored").exists():
            Path(f"{self.fail}.restored").write_text(str(count))


class Told(RareKernel):
    """Does what the frame's value says; for tests of single calls."""

    def __init__(self, spec: Mapping[str, Any]) -> None:
        self.spec = spec

    def run(self, key: bytes, state: bytes | None, frame: Frame) -> Step:
        if frame.value == b"refuse":
            message = "a state of version 9: run the release that wrote it"
            raise KeeplineError(message)
        if frame.value == b"raise":
            raise ZeroDivisionError
        if frame.value == b"same":
            return Step(b"ignored", SAME_WAKE, changed=False)
        if frame.value == b"drop":
            return Step(None, NO_WAKE)
        return Step(b"%r %r" % (key, state), 1234, [frame, frame._replace(channel=9)])

    def fire(self, key: bytes, state: bytes | None, due: int) -> Step:
        return Step(b"", due + 1, [Frame(5, 1, due, 0, key, state or b"none")])
