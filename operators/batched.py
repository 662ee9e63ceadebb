"""What every batched operator's Python half does: tables by address, batches through a compiled kernel, and the rare work after them.

A `BatchKernel` is used alike by the JVM shell (`operators.runtime`, over direct buffers) and by `replay` and tests (`operators.host`, over
NumPy arrays): same arrays, same calls, same bytes out. `CustomerKernel` (operators/customer.py) and `NextAppKernel` (operators/next_app.py)
say what a state is and which kernel runs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from keepline.features.soundness import Rule
from keepline.operators import context as k
from keepline.operators import layout as at
from keepline.operators.spec import MAX_KEY, OperatorSpec
from keepline.schemas import packed
from keepline.schemas.catalog import EVENT_TYPES, event_type
from keepline.schemas.decode import registers
from keepline.schemas.framing import CONFLUENT
from keepline.schemas.messages import message
from keepline.schemas.programs import Programs
from keepline.schemas.records import from_record
from keepline.schemas.resolve import reader_of
from keepline.schemas.status import Reason

if TYPE_CHECKING:  # loads the registry's client
    from keepline.operators.schema_ids import SchemaIds

Bytes = npt.NDArray[np.uint8]


class BatchKernel(ABC):
    """One operator's tables and, once bound, its buffers."""

    state_version: int

    def __init__(
        self, spec: OperatorSpec, part_sizes: Sequence[int], state_rules: Sequence[Rule], words: int = k.WORDS, *, ask: bool = False
    ) -> None:
        """`part_sizes`: bytes of each part of a state; `words` of the context of each. `ask`: unknown schema ids are asked for.

        They are asked for at the spec's registry, if it names one, and `run` may then have to wait for it.
        """
        self.spec = spec
        self.part_sizes = tuple(part_sizes)
        self.state_size = sum(part_sizes)
        self.state_rules = tuple(state_rules)
        self._regs = registers()
        self.programs = Programs(currency=spec.currency)
        for schema in spec.writer_schemas:
            self.programs.add(schema, reader_of(schema))
        self.ids = _schema_ids(self.programs, spec) if ask and spec.registry_url else None
        self._contexts = np.zeros((len(self.part_sizes), words), np.int64)
        self._address = self._contexts.ctypes.data
        self._kept: dict[tuple[int, int], Any] = {}
        control = np.array([kind.control for kind in EVENT_TYPES], np.uint8)
        arrays = (self.programs.image, control, *self._regs)
        for word, array in zip((k.PROGRAMS, k.CONTROL, k.RI, k.RF, k.RS, k.RN), arrays, strict=True):
            self._point(word, array)
        for word, value in (
            (k.STATE, self.state_size), (k.ERASURE, event_type("Erasure").id), (k.AHEAD, spec.ahead_ms),
            (k.MIN_TIME, spec.min_time_ms), (k.MAX_TIME, spec.max_time_ms), (k.ASK, int(self.ids is not None)),
        ):  # fmt: skip
            self._contexts[:, word] = value

    @abstractmethod
    def _compiled(self, n: int, watermark: int, wall: int) -> None:
        """Runs entries hdr[FIRST]…n−1 in compiled code, as far as `out` has room."""

    @abstractmethod
    def describe(self) -> bytes:
        """What is counted, for the shell to export."""

    @abstractmethod
    def migrate(self, state: bytes) -> bytes:
        """A stored state of another version, or of other parts, as one of this."""

    def _point(self, word: int, array: Any, part: int = -1) -> None:
        """Puts an array's address into the context of a part, or of all; the array lives as long as that."""
        self._kept[part, word] = array
        if part < 0:
            self._contexts[:, word] = array.ctypes.data
        else:
            self._contexts[part, word] = array.ctypes.data

    def bind(self, block: Bytes, io: Bytes, entries: int, out_bytes: int, event_bytes: int) -> None:
        """Maps the states (`block`, a multiple of the state size) and the io buffer, and compiles the kernel for them."""
        layout = at.io_layout(entries, out_bytes, event_bytes)
        if io.shape[0] < layout.total:
            msg = f"the io buffer has {io.shape[0]} bytes, {layout.total} expected for batches of {entries}"
            raise ValueError(msg)

        def section(start: int, size: int, dtype: Any) -> Any:
            return io[start : start + size].view(dtype)

        self.hdr = section(0, 8 * at.HDR, np.int64)
        self.stats = section(layout.stats, 8 * at.STATS_WORDS, np.int64)
        self.slots = section(layout.slot, 4 * entries, np.int32)
        self.offs = section(layout.off, 4 * entries, np.int32)
        self.lens = section(layout.length, 4 * entries, np.int32)
        self.out = section(layout.out, out_bytes, np.uint8)
        self.events = section(layout.events, event_bytes, np.uint8)
        self._rejects = np.zeros((entries, k.REJECT_WORDS), np.int64)
        for word, array in (
            (k.HDR, self.hdr), (k.SLOTS, self.slots), (k.OFFS, self.offs), (k.TOUCHED, section(layout.touched, entries, np.uint8)),
            (k.TIMER_SLOT, section(layout.timer_slot, 4 * entries, np.int32)),
            (k.TIMER_TIME, section(layout.timer_at, 8 * entries, np.int64)),
            (k.OUT, self.out), (k.EVENTS, self.events), (k.REJECTS, self._rejects),
        ):  # fmt: skip
            self._point(word, array)
        self._contexts[:, k.OUT_SIZE] = out_bytes
        self.rebind(block)
        self.run(0, 0, 0)

    def rebind(self, block: Bytes) -> None:
        """Maps another block of states (a host that grows its block calls this)."""
        self._point(k.BLOCK, block)

    def run(self, n: int, watermark: int, wall: int) -> int:
        """Runs entries hdr[FIRST]…n−1; returns how many were consumed. Frames, timers and counters stand in `hdr`.

        hdr[WAITING] is not 0 where it stopped for a schema that the registry does not tell now: come again a little later.
        """
        hdr = self.hdr
        if self.ids is not None and self.ids.expire():
            self._point(k.PROGRAMS, self.ids.image)
        hdr[at.WAITING] = 0
        hdr[at.OUT_BYTES] = hdr[at.TIMERS] = hdr[at.FRAMES] = hdr[at.REJECTS] = hdr[at.RESERVED_BYTES] = 0
        self._compiled(n, watermark, wall)
        for line in range(int(hdr[at.REJECTS])):
            self._reject(line)
        if hdr[at.WAITING] and self.ids is not None:
            entry = int(hdr[at.FIRST] + hdr[at.CONSUMED])
            hdr[at.WAITING] = n - entry
            if self.ids.settle(self._schema_id(entry)):
                hdr[at.WAITING] = 0
                self._point(k.PROGRAMS, self.ids.image)
                if hdr[at.CONSUMED] == hdr[at.OUT_BYTES] == hdr[at.TIMERS] == 0:  # nothing to hand over first
                    return self.run(n, watermark, wall)
        return int(hdr[at.CONSUMED])

    def waiting_for(self) -> str:
        """What `run` waits for, and why."""
        return self.ids.waiting if self.ids is not None else ""

    def _schema_id(self, entry: int) -> int:
        record = int(self.offs[entry])
        value = record + packed.IN_HEADER + int(self.events[record + 40 : record + 44].view(np.int32)[0])
        return int.from_bytes(self.events[value + 1 : value + 5].tobytes(), "big")

    def _put(self, channel: int, key: bytes, value: bytes, sequence: int = 0, as_of: int = 0, created: int = 0) -> None:
        frame = packed.pack_frame(packed.Frame(channel, sequence, as_of, created, key, value))
        start = int(self.hdr[at.OUT_BYTES])
        self.out[start : start + len(frame)] = np.frombuffer(frame, np.uint8)
        self.hdr[at.OUT_BYTES] = start + len(frame)
        self.hdr[at.FRAMES] += 1

    def _text(self, position: int, length: int) -> str:
        return bytes(self.events[position : position + length]).decode()

    def _reject(self, line: int) -> None:
        entry, status, etype, field, newest, event_time = map(int, self._rejects[line])
        offset = int(self.offs[entry])
        record = packed.unpack_record(self.events[offset : offset + int(self.lens[entry])].tobytes())
        topics = self.spec.topics
        where = {
            # A source that was restored from another list of topics reads on in those it no longer names.
            "topic": topics[record.topic] if record.topic < len(topics) else "",
            "partition": record.partition,
            "offset": record.offset,
            "timestamp": record.timestamp,
            "key": record.key,
            "value": record.value,
        }
        if status == Reason.LATE:
            late = where | {
                "customer_id": record.key.decode(),
                "event_time": event_time,
                "newest_time": newest,
                "behind_ms": newest - event_time,
            }
            self._put(packed.LATE_EVENTS, record.key, from_record("LateEvent", late), created=record.created_ms)
            return
        # As received: none where the source derived it. Kafka's key of the letter is then null.
        key = b"" if record.flags & packed.NULL_KEY_FLAG else record.key[:MAX_KEY]
        dead = where | {
            "key": key,
            "value_length": record.value_length,
            "value_sha256": record.value_sha256,
            "reason": Reason(status).name,
            "message": self._message(status, etype, field, record),
        }
        self._put(packed.DEAD_LETTERS, key, from_record("DeadLetter", dead), created=record.created_ms)

    def _message(self, status: int, etype: int, field: int, record: packed.Unpacked) -> str:
        spec = self.spec
        return message(
            status, etype, field, record.value,
            key=record.key, bounds=(spec.min_time_ms, spec.max_time_ms), ahead_ms=spec.ahead_ms,
            value_length=record.value_length, image=self._kept[-1, k.PROGRAMS], programs=self.programs, unknown=self._why(record.value),
        )  # fmt: skip

    def _why(self, value: bytes) -> str:
        return self.ids.why(int.from_bytes(value[1:5], "big")) if self.ids is not None and value[:1] == CONFLUENT else ""


def _schema_ids(programs: Programs, spec: OperatorSpec) -> SchemaIds:
    from keepline.operators.schema_ids import SchemaIds
    from keepline.schemas.registry import Registry

    return SchemaIds(programs, Registry(spec.registry_url, spec.registry), spec.unknown_id_ms / 1000)
