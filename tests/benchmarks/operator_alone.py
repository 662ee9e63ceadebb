"""The operator without Kafka: the JVM shell and the kernel in a MiniCluster, records from a file, frames thrown away.

The job runs in a process of its own (`python -m tests.benchmarks.operator_alone RECORDS PROGRESS N INTERVAL`), with the settings
of the retention job; a small Java map in front of the operator notes how far the records have come.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from keepline.jobs.stack.process import Child, folder
from tests.benchmarks import events
from tests.benchmarks.kernel import MANIFEST
from tests.benchmarks.processes import tree_cpu

EVERY = 20_000
STEADY_FROM, STEADY_TO = 1 / 3, 0.97
PATIENCE_S = 120.0


def write_records(path: Path, stream: events.Stream, n: int) -> None:
    """Packed records, each behind its length (i32)."""
    with path.open("wb") as file:
        for first in range(0, n, 200_000):
            made = events.make(stream, first, min(200_000, n - first), packed=True)
            lengths = np.diff(made.at)
            # Room for the length in front of each record.
            out = np.empty(made.buffer.shape[0] + 4 * len(lengths), np.uint8)
            holes = made.at[:-1] + 4 * np.arange(len(lengths))
            whole = np.ones(len(out), bool)
            for byte in range(4):
                out[holes + byte] = lengths >> 8 * byte & 255
                whole[holes + byte] = False
            out[whole] = made.buffer
            file.write(out.tobytes())


def main(records: str, progress: str, n: str, interval: str) -> None:
    """The job itself."""
    from pyflink.common import WatermarkStrategy
    from pyflink.datastream import DataStream, StreamExecutionEnvironment
    from pyflink.datastream.connectors.number_seq import NumberSequenceSource
    from pyflink.java_gateway import get_gateway

    from keepline.jobs.execution import configuration
    from keepline.jobs.settings import RetentionSettings
    from keepline.operators import stream
    from keepline.operators.kafka import watermarks
    from keepline.operators.spec import OperatorSpec

    settings = RetentionSettings(
        job_name="operator-alone", rest_port=0, checkpoint_interval=int(interval), checkpoint_dir=Path(progress).parent.as_uri()
    )  # type: ignore[call-arg]
    conf = configuration(settings, buffer_timeout="2 ms")  # its elements are single records
    env = StreamExecutionEnvironment.get_execution_environment(conf)
    env.set_parallelism(1)
    jvm = get_gateway().jvm
    numbers = env.from_source(NumberSequenceSource(0, int(n) - 1), WatermarkStrategy.no_watermarks(), "numbers")
    packed = numbers._j_data_stream.map(jvm.io.keepline.bench.PackedFile(records, progress, EVERY), stream.packed_type())
    timed = DataStream(packed).assign_timestamps_and_watermarks(watermarks())
    spec = OperatorSpec(json.loads(MANIFEST.read_bytes()), emit="every")
    frames = stream.customer_stream(timed, stream.MODULE, spec.dumps())
    frames._j_data_stream.sinkTo(jvm.org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink())
    env.execute("operator-alone")


def run(stream: events.Stream, n: int, interval_ms: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Events a second and CPU µs an event, checkpoints as given, in the steady part."""
    import shutil

    place = folder("operator-alone")
    records, progress = place / "records", place / "progress"
    say(f"operator without Kafka: {n / 1e6:g} M records to a file")
    write_records(records, stream, n)
    command = [sys.executable, "-m", "tests.benchmarks.operator_alone", str(records), str(progress), str(n), str(interval_ms)]
    samples: list[tuple[float, float]] = []
    child = Child("operator-alone", command, place / "job.log", owned=place)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while child.running:
            samples.append((time.time() * 1000, tree_cpu(child.pid)))
            text = progress.read_text() if progress.exists() else ""
            done = int(text.split()[-2]) if text.count("\n") and len(text.split()) > 1 else 0
            say(f"operator without Kafka: {done / n:.0%}")
            if time.monotonic() > deadline:
                msg = f"the operator's run did not end within {PATIENCE_S:.0f} s. The end of its log:\n{child.tail()}"
                raise RuntimeError(msg)
            time.sleep(0.25)
        if child.status:
            msg = f"the operator's run ended with status {child.status}. The end of its log:\n{child.tail()}"
            raise RuntimeError(msg)
        lines = [tuple(map(float, line.split())) for line in progress.read_text().splitlines()]
    finally:
        child.kill()
        shutil.rmtree(place, ignore_errors=True)
    steady = [(number, at) for number, at in lines if STEADY_FROM * n <= number <= STEADY_TO * n]
    (n0, t0), (n1, t1) = steady[0], steady[-1]
    at, cpu = zip(*samples, strict=True)
    spent = float(np.interp(t1, at, cpu) - np.interp(t0, at, cpu))
    return {
        "customers": stream.customers, "checkpoint": f"{interval_ms} ms", "events": n, "events_s": (n1 - n0) / (t1 - t0) * 1000,
        "cpu_us": spent / (n1 - n0) * 1e6, "seconds": (t1 - t0) / 1000,
    }  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
