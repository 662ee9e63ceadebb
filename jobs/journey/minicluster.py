"""The same journey through the real job: its graph on a Flink in this process, between a list of records and a list of frames.

Time goes on in a job because events do. Where the journey says that it goes on, a customer of our own sends a consent, whose event time
moves the watermark to just that moment; what comes of that customer is left out. The job's records are then held against the journey's:
per customer and topic all fields must be the same, so what was expected of the one holds for the other.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from keepline.jobs.journey.times import JourneyError
from keepline.operators.spec import CHANNELS, OperatorSpec
from keepline.schemas.encode import Ok, encode
from keepline.schemas.packed import ERASURE_RECEIPTS, Frame, Record, frames, pack_record
from keepline.schemas.records import to_json, to_record

if TYPE_CHECKING:
    from keepline.jobs.journey.journey import Journey

NAME = "keepline-journey"
CLOCK = "keepline-journey-clock"
"""The customer who moves the watermark; denies all consent, and has no score."""
Outputs = dict[tuple[str, str], list[str]]
"""By channel and key, the records in order as JSON, tombstones as ""."""


def compare(journey: Journey) -> None:
    """Runs the journey on the MiniCluster. AssertionError with the first difference; JourneyError where it cannot be run there."""
    __tracebackhide__ = True
    spec, steps = journey.world.spec, journey.world.steps
    found, wanted = outputs(run(spec, list(packed(spec, steps)))), outputs(journey.world.run.frames)
    for key in sorted(found.keys() | wanted.keys()):
        here, there = found.get(key, []), wanted.get(key, [])
        if here != there:
            place = next((i for i, (a, b) in enumerate(zip(here, there, strict=False)) if a != b), min(len(here), len(there)))
            shown = [side[place] if place < len(side) else "(no more records)" for side in (here, there)]
            msg = f"{key[0]} of {key[1]}, record {place + 1}: the job on the MiniCluster has\n  {shown[0]}\nand the journey\n  {shown[1]}"
            raise AssertionError(msg)


def packed(spec: OperatorSpec, steps: Iterable[dict[str, Any] | int]) -> Iterator[bytes]:
    """The steps as the job's source hands them on."""
    now = 0
    latest = int(time.time() * 1000) + spec.ahead_ms
    for number, step in enumerate(steps):
        if isinstance(step, int):
            # The watermark is the newest event time − bound − 1.
            now, at = step, step + spec.bound_ms + 1
            event: dict[str, Any] = {
                "type": "Consent",
                "customer_id": CLOCK,
                "event_id": f"t-{number}",
                "event_time": at,
                "purpose": "MARKETING",
                "status": "DENIED",
            }
        else:
            event = step
            if event["event_time"] < now:
                msg = "an event of this journey comes late: a job may see it before or after what was due at its time; leave it out there"
                raise JourneyError(msg)
        if event["event_time"] > latest:
            msg = "this journey lies in the future, which the job refuses (FUTURE_TIME): on the MiniCluster it must end by today"
            raise JourneyError(msg)
        made = encode(event)
        assert isinstance(made, Ok)  # noqa: S101  the journey has had it
        yield pack_record(Record(made.customer_id.encode(), made.value, offset=number))


def run(spec: OperatorSpec, records: list[bytes]) -> list[Frame]:
    """What the job puts out."""
    from pyflink.datastream import DataStream, StreamExecutionEnvironment
    from pyflink.java_gateway import get_gateway

    from keepline.jobs.execution import configuration
    from keepline.jobs.retention import RetentionJob
    from keepline.jobs.settings import RetentionSettings
    from keepline.operators.kafka import watermarks
    from keepline.operators.stream import packed_type

    # Without restarts: what fails, fails the test, with the cause.
    conf = configuration(RetentionSettings.model_validate({"job_name": NAME, "rest_port": 0, "flink": {"restart-strategy.type": "none"}}))
    env = StreamExecutionEnvironment.get_execution_environment(conf)
    env.set_parallelism(1)

    def source(env: Any) -> Any:
        values = get_gateway().jvm.java.util.ArrayList()
        for record in records:
            values.add(record)
        listed = DataStream(env._j_stream_execution_environment.fromCollection(values, packed_type()))
        return listed.assign_timestamps_and_watermarks(watermarks(spec.bound_ms))

    found: list[Frame] = []
    with RetentionJob(source, [], spec, name=NAME).build(env).execute_and_collect() as results:
        blocks = results._j_closeable_iterator  # PyFlink's own takes some 40 ms a record
        while blocks.hasNext():
            found += frames(bytes(blocks.next()))
    return found


def outputs(made: Iterable[Frame]) -> Outputs:
    """What the sinks would write, by channel and key, in the order of their sequence: those of a channel come from several operators."""
    found: dict[tuple[str, str], list[tuple[int, str]]] = defaultdict(list)
    for frame in made:
        if frame.channel >= len(CHANNELS) or frame.flags or CLOCK in (key := frame.key.decode()):
            continue
        record = json.loads(to_json(to_record(frame.value)[1])) if frame.value else None
        if record and frame.channel != ERASURE_RECEIPTS:
            key = record["customer_id"]
        text = json.dumps(record, sort_keys=True, ensure_ascii=False) if record else ""
        found[CHANNELS[frame.channel], key].append((frame.sequence, text))
    return {key: [text for _, text in sorted(each, key=lambda one: one[0])] for key, each in found.items()}
