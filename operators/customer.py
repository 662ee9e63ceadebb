"""The customer operator's Python half: compiles a spec, runs batches through the kernel, and does the rare work after them.

`CustomerKernel` is used alike by the JVM shell (`operators.runtime`, over direct buffers) and by `replay` and tests
(`operators.host`, over NumPy arrays): same arrays, same calls, same bytes out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from keepline.features.plan import P_RETENTION
from keepline.models.contact import carried
from keepline.models.contact.rules import Policy
from keepline.operators import context as k
from keepline.operators import customer_kernel as ck
from keepline.operators import layout as at
from keepline.operators import states, stats
from keepline.operators.code import code_hash
from keepline.operators.frames import SCORE_ROOM, template
from keepline.operators.parts import TAIL_DAY, Part, parts_of
from keepline.operators.signals import SCORE_BYTES, SIGNAL_ROOM
from keepline.operators.spec import MAX_KEY, OperatorSpec
from keepline.operators.watch import Watch, watch, watched_events
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
NOBODY = Policy("nobody", 0, triggers=(), offers=())
"""The policy of a spec that names none: it contacts nobody."""


class CustomerKernel:
    """One operator's tables and, once bound, its buffers."""

    def __init__(self, spec: OperatorSpec, *, ask: bool = False) -> None:
        """Compiles the plan and loads the model; raises KeeplineError with what to do when they do not fit.

        `ask`: unknown schema ids are asked for at the spec's registry, if it names one, and `run` may then have to wait for it.
        """
        self.spec = spec
        self.parts = parts_of(spec)
        self.names = tuple(name for part in self.parts for name in part.names)
        self.state_size = sum(part.size for part in self.parts)
        self.state_version = self.parts[0].feature_set.state_version
        self.state_rules = states.rules(self.parts, spec.min_time_ms, spec.max_time_ms)
        self._regs = registers()
        self.programs = Programs(currency=spec.currency)
        for schema in spec.writer_schemas:
            self.programs.add(schema, reader_of(schema))
        self.ids = _schema_ids(self.programs, spec) if ask and spec.registry_url else None
        self._contexts = np.zeros((len(self.parts), k.WORDS), np.int64)
        self._address = self._contexts.ctypes.data
        self._kept: dict[tuple[int, int], Any] = {}
        policy = carried.from_json(spec.policy) if spec.policy else NOBODY
        control = np.array([kind.control for kind in EVENT_TYPES], np.uint8)
        for word, array in (
            (k.PROGRAMS, self.programs.image), (k.CONTROL, control), (k.WATCH_EVENTS, watched_events(policy)),
            *zip((k.RI, k.RF, k.RS, k.RN), self._regs, strict=True),
        ):  # fmt: skip
            self._point(word, array)
        scores = sum(len(part.scores) for part in self.parts)
        for word, value in (
            (k.STATE, self.state_size), (k.ERASURE, event_type("Erasure").id), (k.AHEAD, spec.ahead_ms),
            (k.MIN_TIME, spec.min_time_ms), (k.MAX_TIME, spec.max_time_ms), (k.SCORES, scores),
            (k.EMIT, ("band", "delta", "every").index(spec.emit)), (k.ASK, int(self.ids is not None)),
            (k.ROOM, SIGNAL_ROOM + scores * (SCORE_ROOM + SCORE_BYTES) + 8 * len(self.names)),
        ):  # fmt: skip
            self._contexts[:, word] = value
        at_byte = 0
        for number, part in enumerate(self.parts):
            last = number + 1 == len(self.parts)
            self._contexts[number, k.NEXT] = 0 if last else self._contexts[number + 1].ctypes.data
            self._contexts[number, k.AT] = at_byte
            at_byte += part.size
            self._part(number, part, watch(policy, part.names, part.scores))

    def _part(self, number: int, part: Part, watched: Watch) -> None:
        """Fills what is a part's own in its context."""
        width, scores = len(part.names), part.scores
        rules = np.zeros((len(scores), k.RULE_WORDS))
        names = [template(score.name, score.model_id, score.version, part.names) for score in scores]
        for row, score in zip(rules, scores, strict=True):
            row[[k.R_LOW, k.R_HIGH]] = score.bands
            row[[k.R_DELTA, k.R_DELTA_SHARE]] = self.spec.delta, not score.probability
        rules[:, [k.R_STEP, k.R_STEP_SHARE]] = watched.steps
        # Where nothing but the set's own events and a new day moves a score, no other event calls for one.
        own = np.array([not part.own or kind.name in part.own for kind in EVENT_TYPES] + [True] * (256 - len(EVENT_TYPES)), np.uint8)
        self._kept[number, k.WORDS] = names
        for word, array in (
            (k.PLAN_INTS, part.plan.ints), (k.PLAN_FLOATS, part.plan.floats), (k.X, np.zeros(width)),
            (k.CONTRIB, np.zeros((len(scores), width))), (k.TOP, np.zeros((len(scores), 3), np.int32)),
            (k.KIND, part.kind), (k.COEF, part.coef), (k.CENTER, part.center), (k.FLOATS, part.floats), (k.TABLE, part.table),
            (k.VALUES, np.zeros(len(scores))), (k.RULES, rules), (k.PLACES, part.places()), (k.OWN, own),
            (k.NAMES, np.array([[each.raw.ctypes.data, each.at.ctypes.data] for each in names], np.int64)),
            (k.WATCH_SOURCE, watched.source), (k.WATCH_NUMBERS, watched.numbers),
        ):  # fmt: skip
            self._point(word, array, number)
        for word, value in (
            (k.TAIL, part.tail), (k.FAMILY, part.family), (k.N_SCORES, len(scores)), (k.FEATURES, width),
            (k.RETENTION, int(part.plan.ints[P_RETENTION])), (k.WATCHES, len(watched.source)), (k.BAND_BIAS, int(part.tail > 0)),
            (k.DAY_AT, part.plan.size + TAIL_DAY if part.own else -1), (k.REGRESSION, int(part.regression)),
        ):  # fmt: skip
            self._contexts[number, word] = value

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

    def describe(self) -> bytes:
        """What is counted, for the shell to export."""
        return stats.describe(((score.name, score.model_id, score.version) for part in self.parts for score in part.scores), code_hash())

    def migrate(self, state: bytes) -> bytes:
        """A stored state of another version, or of other parts, as one of this."""
        return states.migrated(state, self.parts, self.spec.min_time_ms, self.spec.max_time_ms)

    def run(self, n: int, watermark: int, wall: int) -> int:
        """Runs entries hdr[FIRST]…n−1; returns how many were consumed. Frames, timers and counters stand in `hdr`.

        hdr[WAITING] is not 0 where it stopped for a schema that the registry does not tell now: come again a little later.
        """
        hdr = self.hdr
        if self.ids is not None and self.ids.expire():
            self._point(k.PROGRAMS, self.ids.image)
        hdr[at.WAITING] = 0
        hdr[at.OUT_BYTES] = hdr[at.TIMERS] = hdr[at.FRAMES] = hdr[at.REJECTS] = hdr[at.RESERVED_BYTES] = 0
        ck.run(self._address, n, watermark, wall)
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
