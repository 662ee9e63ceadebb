"""A rare operator without Flink: the JVM shell's part in Python, for `replay`, journeys and tests.

Every key's state stays here, with its one wake. What comes out of `take` and `advance` is, for a key, in the order in which a job puts it
out; the order among keys is that of their wakes, which a job does not promise.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from keepline.operators.rare import NO_WAKE, SAME_WAKE, RareKernel, Step
from keepline.schemas.packed import Frame


class HostRare:
    """States and wakes of one kernel. Give it frames, `advance` the watermark, take the frames they yield."""

    def __init__(self, kernel: RareKernel) -> None:
        """No key has a state yet."""
        self.kernel = kernel
        self.states: dict[bytes, bytes] = {}
        self.wakes: dict[bytes, int] = {}
        self._due: list[tuple[int, bytes]] = []

    def take(self, frame: Frame) -> list[Frame]:
        """One frame of a key; what it puts out."""
        return self._left(frame.key, self.kernel.run(frame.key, self.states.get(frame.key), frame))

    def advance(self, watermark: int) -> Iterator[Frame]:
        """Fires what is due up to the watermark, in the order of time."""
        while self._due and self._due[0][0] <= watermark:
            due, key = heapq.heappop(self._due)
            if self.wakes.get(key) == due:
                del self.wakes[key]
                yield from self._left(key, self.kernel.fire(key, self.states.get(key), due))

    def _left(self, key: bytes, step: Step) -> list[Frame]:
        if step.changed:
            if step.state is None:
                self.states.pop(key, None)
            else:
                self.states[key] = step.state
        if step.wake == NO_WAKE:
            self.wakes.pop(key, None)
        elif step.wake not in (SAME_WAKE, self.wakes.get(key)):
            self.wakes[key] = step.wake
            heapq.heappush(self._due, (step.wake, key))
        return list(step.frames)
