"""`replay`: the retention job over files. The same kernels and policy in the order of the files, without Flink or Kafka.

Writes what the live job's topics hold: scores, interventions, decisions, dead letters, late events, one JSON Lines file
each. In dead letters and late events the topic is the file's name and the offset the line's number.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from keepline.features.query import QueryError, parse_time
from keepline.jobs.operator_spec import operator_spec
from keepline.jobs.settings import RetentionSettings
from keepline.operators import stats
from keepline.operators.host import HostOperator
from keepline.operators.spec import CHANNELS, OperatorSpec
from keepline.schemas.encode import Rejected
from keepline.schemas.errors import KeeplineError
from keepline.schemas.files import Line, find_files, read_events
from keepline.schemas.packed import DEAD_LETTERS, LATE_EVENTS, MAX_VALUE, Frame, Record, pack_record
from keepline.schemas.records import to_json, to_record
from keepline.schemas.sources import Progress

Write = Callable[[int, dict[str, Any]], None]
"""Takes a channel and a record for it."""


class ReplayError(KeeplineError):
    """A replay that cannot be begun as asked."""


class Replay:
    """Lines in, records out, through `write(channel, record)`. Files are numbered, and travel as partitions through the operator."""

    def __init__(self, spec: OperatorSpec, write: Write, batch: int = 256, wall_ms: int = 0) -> None:
        """As HostOperator."""
        self.operator = HostOperator(spec, batch, wall_ms)
        self._write = write
        self._bound = spec.bound_ms
        # Event times that move the watermark, as in the live job: those that an event may have.
        self._oldest, self._end = spec.min_time_ms, spec.max_time_ms
        if wall_ms:
            self._end = min(self._end, wall_ms + spec.ahead_ms + 1)
        self._files: dict[str, int] = {}
        self._newest = -(1 << 62)
        self.events = 0
        self.unreadable = 0

    def line(self, line: Line) -> None:
        """One line of a file."""
        event = line.event
        if isinstance(event, Rejected):
            self.unreadable += 1
            self._out(self.operator.flush())
            self._write(DEAD_LETTERS, dead_line(line, event))
            return
        self.events += 1
        time = event.event_time
        if self._newest < time < self._end and time >= self._oldest:
            self._newest = time
        key = event.customer_id.encode()
        file = self._files.setdefault(line.file, len(self._files))
        record = Record(key, event.value, 0, file, line.number, time, 0, time)
        self._out(self.operator.add(key, pack_record(record)))

    def end(self) -> None:
        """The end of the input: what the last watermark lets out of silent customers."""
        self._out(self.operator.advance(self._newest - self._bound - 1))

    def _out(self, frames: Iterable[Frame]) -> None:
        for frame in frames:
            record = to_record(frame.value)[1]
            if frame.channel in (DEAD_LETTERS, LATE_EVENTS):
                record["topic"], record["partition"] = list(self._files)[record["partition"]], 0
            self._write(frame.channel, record)


def dead_line(line: Line, why: Rejected) -> dict[str, Any]:
    """The dead letter of a line that is no event."""
    return {
        "topic": line.file,
        "partition": 0,
        "offset": line.number,
        "timestamp": 0,
        "key": why.customer_id.encode(),
        "value": line.raw[:MAX_VALUE],
        "value_length": len(line.raw),
        "value_sha256": hashlib.sha256(line.raw).digest(),
        "reason": why.reason.name,
        "message": why.message,
    }


def wall_clock_ms(text: str) -> int:
    """The wall clock that a replay is given, epoch ms; 0 for none."""
    if text == "none":
        return 0
    try:
        wall = parse_time(text)
    except QueryError as error:
        msg = f"--wall-clock: {error}"
        raise ReplayError(msg) from None
    if wall <= 0:
        msg = f"--wall-clock: {text!r} is before 1970: expected a time such as 2026-03-01T12:30:00Z, or none"
        raise ReplayError(msg)
    return wall


def retention(
    settings: RetentionSettings,
    paths: Sequence[Path],
    out: Path,
    wall_clock: str = "none",
    type_name: str | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Replays the files into `out`; returns counts: events, customers, duplicate, written by file."""
    wall = wall_clock_ms(wall_clock)
    find_files(paths)  # a wrong path is told before anything is written
    spec = operator_spec(settings)
    out.mkdir(parents=True, exist_ok=True)
    written = dict.fromkeys(CHANNELS, 0)
    with ExitStack() as stack:
        files = [stack.enter_context((out / f"{name}.jsonl").open("w", encoding="utf-8")) for name in CHANNELS]

        def write(channel: int, record: dict[str, Any]) -> None:
            files[channel].write(to_json(record) + "\n")
            written[CHANNELS[channel]] += 1

        replay = Replay(spec, write, wall_ms=wall)
        for line in read_events(paths, type_name, progress):
            replay.line(line)
        replay.end()
    return {
        "events": replay.events,
        "customers": len(replay.operator.states()),
        "duplicate": int(replay.operator.kernel.stats[stats.DUPLICATES]),
        "written": written,
    }
