"""`replay`: the retention job over files. The same kernels and policy in the order of the files, without Flink or Kafka.

Writes what the live job's topics hold: scores, interventions, decisions, dead letters, late events, one JSON Lines file
each. In dead letters and late events the topic is the file's name and the offset the line's number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TextIO

from keepline.jobs.operator_spec import operator_spec
from keepline.jobs.settings import RetentionSettings
from keepline.operators import layout as at
from keepline.operators.host import HostOperator
from keepline.operators.spec import CHANNELS, OperatorSpec
from keepline.schemas.encode import Ok, Rejected
from keepline.schemas.files import Line, read_events
from keepline.schemas.packed import DEAD_LETTERS, LATE_EVENTS, MAX_VALUE, Frame, Record, pack_record
from keepline.schemas.records import to_json, to_record
from keepline.schemas.times import from_rfc3339


class Replay:
    """Lines in, (channel, record) out. `names` numbers the files, which travel as partitions through the operator."""

    def __init__(self, spec: OperatorSpec, batch: int = 256, wall_ms: int = 0) -> None:
        """As HostOperator."""
        self.operator = HostOperator(spec, batch, wall_ms)
        self._spec = spec
        self._files: dict[str, int] = {}
        self._names: list[str] = []
        self._newest = -(1 << 62)
        self.events = 0
        self.unreadable = 0

    def _file(self, name: str) -> int:
        if name not in self._files:
            self._files[name] = len(self._names)
            self._names.append(name)
        return self._files[name]

    def line(self, line: Line) -> Iterator[tuple[int, dict[str, Any]]]:
        """One line of a file."""
        result = line.event
        if isinstance(result, Rejected):
            self.unreadable += 1
            yield from self._out(self.operator.flush())
            yield DEAD_LETTERS, dead_line(line, result)
            return
        yield from self.value(line.file, line.number, result)

    def value(self, file: str, number: int, event: Ok) -> Iterator[tuple[int, dict[str, Any]]]:
        """One event that could be read."""
        self.events += 1
        spec = self._spec
        if spec.min_time_ms <= event.event_time <= spec.max_time_ms:
            self._newest = max(self._newest, event.event_time)
        key = event.customer_id.encode()
        record = pack_record(Record(key, event.value, 0, self._file(file), number, event.event_time))
        yield from self._out(self.operator.add(key, record))

    def end(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """The end of the input: what the last watermark lets out of silent customers."""
        yield from self._out(self.operator.advance(self._newest - self._spec.bound_ms - 1))

    def _out(self, frames: Iterable[Frame]) -> Iterator[tuple[int, dict[str, Any]]]:
        for frame in frames:
            record = to_record(frame.value)[1]
            if frame.channel in (DEAD_LETTERS, LATE_EVENTS):
                record["topic"], record["partition"] = self._names[record["partition"]], 0
            yield frame.channel, record


def dead_line(line: Line, why: Rejected) -> dict[str, Any]:
    """The dead letter of a line that is no event."""
    import hashlib  # noqa: PLC0415

    return {
        "topic": line.file,
        "partition": 0,
        "offset": line.number,
        "timestamp": 0,
        "key": b"",
        "value": line.raw[:MAX_VALUE],
        "value_length": len(line.raw),
        "value_sha256": hashlib.sha256(line.raw).digest(),
        "reason": why.reason.name,
        "message": why.message,
    }


def retention(
    settings: RetentionSettings, paths: Sequence[Path], out: Path, wall_clock: str = "none", type_name: str | None = None
) -> dict[str, Any]:
    """Replays the files into `out`; returns counts: events, customers, duplicate, written by file."""
    wall = 0 if wall_clock == "none" else from_rfc3339(wall_clock)
    replay = Replay(operator_spec(settings), wall_ms=wall)
    out.mkdir(parents=True, exist_ok=True)
    written: Counter[str] = Counter({name: 0 for name in CHANNELS})
    with ExitStack() as stack:
        files: list[TextIO] = [stack.enter_context((out / f"{name}.jsonl").open("w", encoding="utf-8")) for name in CHANNELS]

        def write(records: Iterable[tuple[int, dict[str, Any]]]) -> None:
            for channel, record in records:
                files[channel].write(to_json(record) + "\n")
                written[CHANNELS[channel]] += 1

        for line in read_events(paths, type_name):
            write(replay.line(line))
        write(replay.end())
    counters = replay.operator.kernel.hdr
    return {
        "events": replay.events,
        "customers": len(replay.operator.states()),
        "duplicate": int(counters[at.DUPLICATES]),
        "written": dict(written),
    }


