"""`replay` record by record: the twin of the compiled one. Every event is a Python object, every output goes through fastavro and json."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from keepline.jobs.replay import dead_line
from keepline.operators import stats
from keepline.operators.host import HostOperator
from keepline.operators.hostpolicy import HostPolicy
from keepline.operators.spec import CHANNELS, OperatorSpec
from keepline.schemas.blocks import RejectedLine
from keepline.schemas.encode import Ok
from keepline.schemas.files import read_events
from keepline.schemas.packed import DEAD_LETTERS, LATE_EVENTS, Frame, Record, pack_record
from keepline.schemas.records import to_json, to_record


class NaiveReplay:
    """Lines in, lines of the files out (`out`, by name)."""

    def __init__(self, spec: OperatorSpec, batch: int = 256, wall_ms: int = 0) -> None:
        self.operator, self.policy = HostOperator(spec, batch, wall_ms), HostPolicy(spec)
        self.out: dict[str, list[str]] = {name: [] for name in CHANNELS}
        self._end = min(spec.max_time_ms, wall_ms + spec.ahead_ms + 1) if wall_ms else spec.max_time_ms
        self._oldest, self._bound, self._newest = spec.min_time_ms, spec.bound_ms, -(1 << 62)
        self._files: list[str] = []

    def run(self, paths: Sequence[Path], type_name: str | None = None) -> NaiveReplay:
        for line in read_events(paths, type_name):
            if not isinstance(line.event, Ok):
                self._take(list(self.operator.flush()))
                letter = dead_line(line.file, RejectedLine(0, 0, line.number, line.raw, line.event))
                self.out["dead-letters"].append(to_json(letter))
                continue
            time = line.event.event_time
            if self._newest < time < self._end and time >= self._oldest:
                self._newest = time
            if line.file not in self._files:
                self._files.append(line.file)
            key = line.event.customer_id.encode(errors="surrogateescape")
            record = Record(key, line.event.value, 0, self._files.index(line.file), line.number, time, 0, time)
            self._take(list(self.operator.add(key, pack_record(record))))
        last = self._newest - self._bound - 1
        self._take(list(self.operator.advance(last)))
        self._take(list(self.policy.advance(last)))
        return self

    def _take(self, frames: list[Frame]) -> None:
        for frame in self.policy.take(frames):
            if not frame.value:
                continue
            record = to_record(frame.value)[1]
            if frame.channel in (DEAD_LETTERS, LATE_EVENTS):
                record["topic"], record["partition"] = self._files[record["partition"]], 0
            self.out[CHANNELS[frame.channel]].append(to_json(record))

    @property
    def duplicates(self) -> int:
        return int(self.operator.kernel.stats[stats.DUPLICATES])
