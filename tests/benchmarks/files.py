"""`features` and `replay` from files: events per CPU second from Avro, Parquet and JSON Lines.

The same synthetic telemetry in every format, one file a type (six files, which are merged by time), Avro and Parquet also compressed.
Each command runs twice in a process of its own, over few events and over all, and what counts is the difference: starting Python and
loading compiled code is not part of it. CPU time is that of all threads.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq

from keepline.schemas.catalog import EVENT_TYPES, event_type
from keepline.schemas.encode import varint
from keepline.schemas.records import to_json, to_record
from tests.benchmarks import events

BLOCK = 1000  # records of an Avro block
SYNC = bytes(range(16))
FORMATS = ("avro", "avro, deflate", "parquet", "json lines")
KEEPLINE = Path(sys.executable).with_name("keepline")
_TIMED = """
import json, resource, sys, time
from keepline.jobs.cli.main import main
sys.argv = ["keepline", *json.loads(sys.argv[1])]
try:
    main()
finally:
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({"cpu": time.process_time(), "rss": used.ru_maxrss}), file=sys.stderr)
"""


def by_type(made: events.Events) -> dict[str, list[bytes]]:
    """The framed values of each type, in order."""
    names = {event.fingerprint: event.name for event in EVENT_TYPES}
    found: dict[str, list[bytes]] = {}
    data = made.buffer.tobytes()
    for start, end in zip(made.at[:-1].tolist(), made.at[1:].tolist(), strict=True):
        found.setdefault(names[data[start + 2 : start + 10]], []).append(data[start:end])
    return found


def write_avro(path: Path, name: str, values: list[bytes], codec: str) -> None:
    """An Avro container file of values that are encoded already."""
    import zlib

    with path.open("wb") as file:
        fastavro.writer(file, event_type(name).schema, [], codec=codec, sync_marker=SYNC)
        for first in range(0, len(values), BLOCK):
            part = values[first : first + BLOCK]
            data = b"".join(value[10:] for value in part)
            if codec == "deflate":
                made = zlib.compressobj(6, zlib.DEFLATED, -15)
                data = made.compress(data) + made.flush()
            file.write(varint(len(part)) + varint(len(data)) + data + SYNC)


def write_parquet(path: Path, values: list[bytes]) -> None:
    """A Parquet file as pandas would write it: times as timestamps, enums as dictionaries."""
    table = pa.Table.from_pylist([to_record(value)[1] for value in values])
    for column in ("event_time", "due_time"):
        if column in table.column_names:
            table = table.set_column(table.column_names.index(column), column, table[column].cast(pa.timestamp("ms", "UTC")))
    pq.write_table(table, path, compression="zstd")


def write(folder: Path, format_: str, made: events.Events) -> Path:
    """A folder of one file a type."""
    folder.mkdir()
    for name, values in by_type(made).items():
        if format_.startswith("avro"):
            write_avro(folder / f"{name}.avro", name, values, "deflate" if "deflate" in format_ else "null")
        elif format_ == "parquet":
            write_parquet(folder / f"{name}.parquet", values)
        else:
            lines = (to_json({"type": name, **to_record(value)[1]}) + "\n" for value in values)
            (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    return folder


def run(args: list[str]) -> dict[str, Any]:
    """A command in a process of its own: CPU seconds and the largest memory, KiB."""
    done = subprocess.run([sys.executable, "-c", _TIMED, json.dumps(args)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    found: dict[str, Any] = json.loads(done.stderr.splitlines()[-1])
    return found


def commands(source: Path, at: int, out: Path) -> dict[str, list[str]]:
    """What is timed: rows of every customer at one time; the job's outputs with each rule of emission."""
    replay = ["replay", "retention", "--events", str(source), "--out", str(out)]
    return {
        "features": ["features", "churn", "--events", str(source), "--at", str(at), "--out", str(out) + ".parquet"],
        "replay": replay,
        "replay --emit every": [*replay, "--emit", "every"],
    }


def measure(customers: int, n: int, say: Callable[[str], None], formats: tuple[str, ...] = FORMATS) -> list[dict[str, Any]]:
    """One line a format and command: events per CPU second, µs an event, and the largest memory."""
    stream, few = events.Stream(customers), n // 10
    found = []
    with tempfile.TemporaryDirectory(prefix="keepline-bench-") as name:
        for format_ in formats:
            say(f"files: {format_}")
            folder = Path(name) / format_.replace(", ", "-").replace(" ", "-")
            all_, part = (
                write(folder, format_, events.make(stream, 0, n)),
                write(Path(f"{folder}-few"), format_, events.make(stream, 0, few)),
            )
            size = sum(path.stat().st_size for path in all_.iterdir())
            ends = [events.START_MS + count * stream.step_us() // 1000 for count in (n, few)]
            pairs = zip(
                commands(all_, ends[0], Path(name) / "out").items(), commands(part, ends[1], Path(name) / "few").values(), strict=True
            )
            for (command, long), short in pairs:
                say(f"files: {format_}, {command}")
                whole, start = run(long), run(short)
                us = (whole["cpu"] - start["cpu"]) / (n - few) * 1e6
                found.append(
                    {"format": format_, "command": command, "events": n, "customers": customers, "us": us, "events_s": 1e6 / us,
                     "mb": size / 1e6, "rss_mb": whole["rss"] / 1024, "start_s": whole["cpu"] - us * n / 1e6}
                )  # fmt: skip
    return found
