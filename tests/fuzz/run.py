"""The fuzzer: runs damaged records through the decoder and the customer operator, among sound ones of other customers.

What has to hold for every batch of cases:

- The decoder reads nothing behind the value, which ends before a page that may not be read; status, type, field and registers make sense.
- The operator writes nothing outside of its buffers: they lie between red zones and before a page that may not be read.
- Each case has exactly the dead letter that its status asks for, with its own bytes, offset and reason; a sound one has none.
- The customers whose sound events lie between the cases put out the same frames, and end in the same state, as without them.
- Nothing raises.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keepline.features.churn import CHURN
from keepline.models.contact.carried import to_json
from keepline.models.contact.document import DEFAULT, load
from keepline.models.contact.names import names_of_all
from keepline.models.contact.rules import DAY_MS
from keepline.operators import layout as at
from keepline.operators.customer import CustomerKernel
from keepline.operators.spec import MAX_TIME_MS, MIN_TIME_MS, OperatorSpec
from keepline.schemas.catalog import EVENT_TYPES
from keepline.schemas.decode import registers
from keepline.schemas.mem import address
from keepline.schemas.programs import default_programs
from keepline.schemas.status import Reason
from tests.fuzz.corpus import NAMES, corpus, witnesses
from tests.fuzz.kernels import PROBLEMS, ROOM, fill, judge, place
from tests.jobs.models_for_tests import manifest

CASES_FILE = Path(__file__).with_name("cases.jsonl")
BATCH = 255
CASES = BATCH - BATCH // 3
SCRATCH = 100
OUT, PAGE = 4 << 20, mmap.PAGESIZE
RED = 0xA5
BEGIN = 1_262_304_000_000
"""2010-01-01, the first witness's time."""
WALL = 1_893_456_000_000
"""2030-01-01, the wall clock."""


class Finding(Exception):
    """Something that has to hold did not."""

    def __init__(self, case: int, what: str, record: bytes = b"") -> None:
        super().__init__(f"case {case}: {what}")
        self.case, self.what, self.record = case, what, record


class Memory:
    """Bytes between a red zone and a page that may be neither read nor written."""

    def __init__(self, size: int) -> None:
        whole = (size + 2 * PAGE - 1) // PAGE * PAGE
        self._map = mmap.mmap(-1, whole + PAGE)
        pages = np.frombuffer(self._map, np.uint8)
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mprotect(ctypes.c_void_p(pages.ctypes.data + whole), ctypes.c_size_t(PAGE), 0) != 0:
            raise OSError(ctypes.get_errno(), "mprotect")
        self._red, self.bytes = pages[: whole - size], pages[whole - size : whole]
        self._red[:] = RED

    def sound(self) -> bool:
        """Whether the red zone is as it was."""
        return bool((self._red == RED).all())


class Operator:
    """A customer operator in such memory."""

    def __init__(self) -> None:
        names = names_of_all([("churn", 0.6, (0.3, 0.6), ())], CHURN.names)
        self.kernel = CustomerKernel(OperatorSpec(manifest(), emit="delta", policy=to_json(load(DEFAULT, names))))
        self.size = self.kernel.state_size
        slots = witnesses()[0].shape[0] + NAMES + SCRATCH
        self.block = Memory(slots * self.size)
        self.events = BATCH * (ROOM + 512) // 64 * 64
        self.io = Memory(at.io_layout(BATCH, OUT, self.events).total)
        self.kernel.bind(self.block.bytes, self.io.bytes, BATCH, OUT, self.events)

    def run(self, packed: Any, used: int, offs: Any, lens: Any, slots: Any, n: int, after: Callable[[int], None]) -> None:
        """Runs a batch whose last record ends where the io buffer does."""
        kernel, shift = self.kernel, self.events - used
        kernel.events[shift:] = packed[:used]
        kernel.offs[:n], kernel.lens[:n], kernel.slots[:n] = offs[:n] + shift, lens[:n], slots[:n]
        first = 0
        while first < n:
            kernel.hdr[at.FIRST] = first
            done = kernel.run(n, -(1 << 62), WALL)
            after(int(kernel.hdr[at.OUT_BYTES]))
            if done <= 0 and not kernel.hdr[at.OUT_BYTES]:
                raise Finding(-1, f"the operator stands still at entry {first}")
            first += done

    def sound(self) -> bool:
        """Whether it stayed in its memory."""
        return self.block.sound() and self.io.sound()


class Verdict(NamedTuple):
    """What a run found."""

    cases: int
    seconds: float
    reasons: Counter[str]


class Fuzzer:
    """Runs cases of one seed. `progress` is int64[2]: the case and the batch under way, for whoever looks after a crash."""

    def __init__(self, seed: int, progress: Any = None) -> None:
        self.seed = seed
        self.progress = np.zeros(2, np.int64) if progress is None else progress
        self._tried, self._alone = Operator(), Operator()
        self._corpus = corpus()
        self._witness, self._digits, self._when = witnesses()
        self._guard = Memory(ROOM)
        self._image, self._regs = default_programs(), registers()
        self._fields = np.array([len(event.fields) for event in EVENT_TYPES], np.int64)
        self._bounds = np.array([MIN_TIME_MS, MAX_TIME_MS, DAY_MS, BEGIN], np.int64)
        self._packed = np.zeros(self._tried.events, np.uint8)
        self._space = np.zeros(3 * ROOM, np.uint8)
        self._offs, self._lens, self._slots = (np.zeros(BATCH, np.int32) for _ in range(3))
        self._turn = 0

    def batch(self, first: int, cases: int) -> Counter[str]:
        """Cases first … first + cases − 1, at most CASES; how often each outcome came. Raises Finding."""
        self.progress[:] = first, first
        statuses = np.zeros(cases, np.int64)
        arrays = (self._packed, self._offs, self._lens, self._slots)
        problem, case, entries, used = self._fill(first, cases, statuses, self.progress, self._turn, arrays)
        if problem:
            raise Finding(case, PROBLEMS[problem], self.remade(case))
        if not self._guard.sound():
            raise Finding(first, "the decoder wrote before the value")
        return self._operate(first, statuses, entries, used)

    def _fill(self, first: int, cases: int, statuses: Any, progress: Any, turn: int, arrays: tuple[Any, ...]) -> Any:
        packed, offs, lens, slots = arrays
        return fill(
            self.seed, first, cases, self._corpus, address_of(self._guard.bytes), progress, address_of(self._image), self._regs,
            self._fields, self._bounds, WALL, self._witness, self._digits, self._when, turn, address_of(packed), offs, lens, slots, NAMES,
            SCRATCH, statuses, self._space,
        )  # fmt: skip

    def _operate(self, first: int, statuses: Any, entries: int, used: int) -> Counter[str]:
        """The packed records through the operator, and the witnesses among them through another."""
        cases = statuses.shape[0]
        seen, reasons, sound = np.zeros(cases, np.int64), np.zeros(cases, np.int64), np.zeros(1, np.int64)
        tried, alone = np.ones(2, np.uint64), np.ones(2, np.uint64)
        mine = slice(self._witness.shape[0] * self._tried.size, None)
        self._tried.block.bytes[mine] = 0  # the cases' customers begin anew

        def frames_of(operator: Operator, digest: Any) -> Callable[[int], None]:
            kernel = operator.kernel

            def read(total: int) -> None:
                wrong = place(
                    kernel.out.ctypes.data, total, first, cases, seen, reasons, sound, digest, kernel.events.ctypes.data, kernel.offs
                )
                if wrong >= 0:
                    raise Finding(first, f"the frame at byte {wrong} is wrong")

            return read

        packed, offs, lens, slots = self._packed, self._offs, self._lens, self._slots
        try:
            self._tried.run(packed, used, offs, lens, slots, entries, frames_of(self._tried, tried))
        except Finding:
            raise
        except Exception as error:
            raise Finding(first, f"the operator raises {type(error).__name__}: {error}") from error
        third = slice(2, entries, 3)
        n = len(offs[third])
        if n:
            self._alone.run(packed, used, offs[third].copy(), lens[third].copy(), slots[third].copy(), n, frames_of(self._alone, alone))
        if not (self._tried.sound() and self._alone.sound()):
            raise Finding(first, "the operator wrote outside of its buffers")
        wrong = judge(statuses, seen, reasons)
        if wrong >= 0:
            found = f"{seen[wrong]} dead letters or late events, of reason {reasons[wrong]}"
            raise Finding(first + wrong, f"status {statuses[wrong]}, but {found}", self.remade(first + wrong))
        if not (tried == alone).all():
            raise Finding(first, f"sound events among the cases put out {int(tried[1])} frames, alone {int(alone[1])}, or others")
        if not (self._tried.block.bytes[: mine.start] == self._alone.block.bytes[: mine.start]).all():
            raise Finding(first, "the state of a customer was changed by another's record")
        self._turn += n
        outcome = np.where(seen > 0, reasons, statuses)
        return Counter({Reason(int(value)).name: int(count) for value, count in zip(*np.unique(outcome, return_counts=True), strict=True)})

    def remade(self, case: int) -> bytes:
        """The packed record of a case."""
        packed, (offs, lens, slots) = np.zeros(self._tried.events, np.uint8), (np.zeros(BATCH, np.int32) for _ in range(3))
        self._fill(case, 1, np.zeros(1, np.int64), np.zeros(2, np.int64), 0, (packed, offs, lens, slots))
        return packed[: int(lens[0])].tobytes()

    def record(self, packed: bytes) -> str:
        """One packed record, kept from an earlier finding, under the same rules; the outcome's name."""
        from tests.fuzz.kernels import expected

        n_key, n_value = (int.from_bytes(packed[p : p + 4], "little") for p in (40, 44))
        value = packed[48 + n_key : 48 + n_key + n_value]
        self._guard.bytes[ROOM - len(value) :] = np.frombuffer(value, np.uint8)
        self._packed[: len(packed)] = np.frombuffer(packed, np.uint8)
        self._packed[8:16] = 0  # its offset is its number
        status = expected(self._packed.ctypes.data, 0, address_of(self._image), self._regs, self._bounds, WALL)
        self._offs[0], self._lens[0], self._slots[0] = 0, len(packed), self._witness.shape[0]
        (outcome,) = self._operate(0, np.array([status], np.int64), 1, len(packed))
        return str(outcome)

    def run(self, first: int, cases: int, tell: Callable[[int], None] = lambda _: None) -> Verdict:
        """So many cases from `first` on."""
        begin, reasons = time.monotonic(), Counter[str]()
        for start in range(first, first + cases, CASES):
            reasons += self.batch(start, min(CASES, first + cases - start))
            tell(start - first)
        return Verdict(cases, time.monotonic() - begin, reasons)


def address_of(array: Any) -> int:
    """Of an array that lives on."""
    return int(array.ctypes.data)


def isolate(fuzzer: Fuzzer, first: int, cases: int) -> tuple[int, str] | None:
    """Which case of a batch fails when it runs alone, each in a process of its own: a crash ends only that."""
    for case in range(first, first + cases):
        pid = os.fork()
        if pid == 0:
            try:
                fuzzer.batch(case, 1)
            except BaseException:  # noqa: BLE001
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        if status:
            return case, f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else "a finding"
    return None


def keep(record: bytes, why: str) -> None:
    """Adds a case to those that every test run tries."""
    with CASES_FILE.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"why": why, "outcome": "", "record": record.hex()}) + "\n")


__all__ = ["BATCH", "CASES", "CASES_FILE", "Finding", "Fuzzer", "address", "isolate", "keep"]
