"""`replay`: a job over files. The same kernels and policy in the order of the files, without Flink or Kafka.

Writes what the live job's topics hold, one JSON Lines file each: of the retention job scores, interventions, decisions, labelled outcomes,
receipts, dead letters, late events; of the next-app job predictions, receipts, dead letters, late events. In dead letters and late events
the topic is the file's name and the offset the line's number.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keepline.features.query import QueryError, parse_time
from keepline.jobs.next_app_settings import NextAppSettings
from keepline.jobs.next_app_spec import next_app_spec
from keepline.jobs.operator_spec import operator_spec
from keepline.jobs.scorelines import ScoreLines
from keepline.jobs.settings import RetentionSettings
from keepline.operators import stats
from keepline.operators.host import HostOperator
from keepline.operators.hostpolicy import HostPolicy
from keepline.operators.spec import CHANNELS, NEXT_APP_CHANNELS, OperatorSpec
from keepline.schemas import packed
from keepline.schemas.blocks import EventBlock, RejectedLine
from keepline.schemas.errors import KeeplineError
from keepline.schemas.files import read_blocks
from keepline.schemas.packed import DEAD_LETTERS, LATE_EVENTS, MAX_VALUE, SCORES, Frame
from keepline.schemas.records import to_json, to_record
from keepline.schemas.sources import Progress

BATCH = 2048
"""Events of one call of the kernel."""


class ReplayError(KeeplineError):
    """A replay that cannot be begun as asked."""


class Outputs:
    """A file for each kind of output, JSON Lines; dead letters and late events name their file and line in place of topic and offset."""

    def __init__(self, folder: Path, names: Sequence[str], policy: HostPolicy, channels: Sequence[str] = CHANNELS) -> None:
        """`names` are those of the event files, by the partition that their records carry; `policy` makes decisions of signals."""
        folder.mkdir(parents=True, exist_ok=True)
        self.policy = policy
        self._channels = channels
        self.written = {name: 0 for name in channels if name}
        self._names = names
        self._scores = ScoreLines()
        with ExitStack() as stack:
            self._files = {name: stack.enter_context((folder / f"{name}.jsonl").open("wb")) for name in self.written}
            self._stack = stack.pop_all()

    def __enter__(self) -> Outputs:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def frames(self, buffer: NDArray[np.uint8]) -> None:
        """A buffer full of frames."""
        lines, count, others = self._scores.take(buffer)
        if count:
            self._files[CHANNELS[SCORES]].write(lines)
            self.written[CHANNELS[SCORES]] += count
        for start in others:
            frame = next(packed.frames(buffer[start : start + int(buffer[start : start + 4].view("<u4")[0])].tobytes()))
            self.decided(self.policy.take((frame,)))

    def decided(self, frames: Iterable[Frame]) -> None:
        """Frames one by one. Files have no tombstones: what was written of a customer before an erasure stays."""
        for frame in frames:
            if not frame.value:
                continue
            record = to_record(frame.value)[1]
            if frame.channel in (DEAD_LETTERS, LATE_EVENTS):
                record["topic"], record["partition"] = self._names[record["partition"]], 0
            self.record(frame.channel, record)

    def record(self, channel: int, record: dict[str, Any]) -> None:
        """One record."""
        name = self._channels[channel]
        self._files[name].write(to_json(record).encode() + b"\n")
        self.written[name] += 1


class Replay:
    """Blocks of events in, records out. Files are numbered, and travel as partitions through the operator."""

    def __init__(self, spec: OperatorSpec, names: Sequence[str], out: Outputs, wall_ms: int = 0, batch: int = BATCH) -> None:
        """As HostOperator; `names` as Outputs."""
        self.operator = HostOperator(spec, batch, wall_ms)
        self._names, self._out = names, out
        self._bound = spec.bound_ms
        # Event times that move the watermark, as in the live job: those that an event may have.
        self._oldest, self._end = spec.min_time_ms, spec.max_time_ms
        if wall_ms:
            self._end = min(self._end, wall_ms + spec.ahead_ms + 1)
        self._newest = -(1 << 62)
        self.events = 0

    def block(self, block: EventBlock) -> None:
        """Events and, in their places, the lines that are none."""
        times = block.times[(block.times >= self._oldest) & (block.times < self._end)]
        self._newest = max(self._newest, int(times.max(initial=self._newest)))
        self.events += len(block)
        done = 0
        for line in block.rejected:
            if line.at > done:
                self._run(block.select(slice(done, line.at)))
                done = line.at
            self._out.record(DEAD_LETTERS, dead_line(self._names[line.file], line))
        self._run(block.select(slice(done, None)) if done else block)

    def _run(self, block: EventBlock) -> None:
        for frames in self.operator.run_block(block):
            self._out.frames(frames)

    def end(self) -> None:
        """The end of the input: what the last watermark lets out of silent customers."""
        last = self._newest - self._bound - 1
        for frames in self.operator.advance_block(last):
            self._out.frames(frames)
        self._out.decided(self._out.policy.advance(last))


def dead_line(name: str, line: RejectedLine) -> dict[str, Any]:
    """The dead letter of a line of a file that is no event."""
    why = line.why
    return {
        "topic": name,
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
    return _replayed(lambda: operator_spec(settings), CHANNELS, paths, out, wall_clock, type_name, progress)


def next_app(
    settings: NextAppSettings,
    paths: Sequence[Path],
    out: Path,
    wall_clock: str = "none",
    type_name: str | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """As `retention`, by the next-app job."""
    return _replayed(lambda: next_app_spec(settings), NEXT_APP_CHANNELS, paths, out, wall_clock, type_name, progress)


def _replayed(
    spec_of: Callable[[], OperatorSpec],
    channels: Sequence[str],
    paths: Sequence[Path],
    out: Path,
    wall_clock: str,
    type_name: str | None,
    progress: Progress | None,
) -> dict[str, Any]:
    wall = wall_clock_ms(wall_clock)
    events = read_blocks(paths, type_name, progress)  # a wrong path is told before anything is written
    spec = spec_of()
    with Outputs(out, events.names, HostPolicy(spec), channels) as outputs:
        replay = Replay(spec, events.names, outputs, wall)
        for block in events.blocks:
            replay.block(block)
        replay.end()
    return {
        "events": replay.events,
        "customers": replay.operator.customers(),
        "duplicate": int(replay.operator.kernel.stats[stats.DUPLICATES]),
        "written": outputs.written,
    }
