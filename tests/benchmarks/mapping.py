"""Events a second of the mapping alone, on one core: `python -m tests.benchmarks.mapping`. CPU time, best of five.

The records are those of docs/examples/mapping: what the ingest job runs for each packed record, and what `produce --mapping` reads.
"""

from __future__ import annotations

import io
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import fastavro

from keepline.jobs.mapping.files import read_mapped
from keepline.jobs.mapping.frames import Ingest
from keepline.jobs.mapping.load import load
from keepline.jobs.stack.java import ROOT
from keepline.schemas.packed import Record, pack_record

EXAMPLE = ROOT / "docs" / "examples" / "mapping"
RECORDS = 20_000
TIMES = 5
START = 1_772_371_800


def voice(number: int) -> bytes:
    start = time.strftime("%d.%m.%Y %H:%M:%S", time.gmtime(START + number))
    record = {
        "record_id": f"v-{number}", "kind": "MOC", "subscriber": {"msisdn": f"49170{number % 5000}"}, "start": start,
        "duration_ms": 1000 + number, "cause": 16, "visited_network": "26201",
    }  # fmt: skip
    return json.dumps(record).encode()


def session(number: int) -> bytes:
    out = io.BytesIO()
    row = {"msisdn": f"49170{number % 5000}", "charging_id": number, "start": START + number, "seconds": 3, "rat": 6}
    fastavro.schemaless_writer(out, SCHEMA, row | {"bytes_up": 10 * number, "bytes_down": 5 * number + 1})
    return out.getvalue()


def invoice(number: int) -> bytes:
    record = json.loads((EXAMPLE / "invoices.jsonl").read_bytes().splitlines()[0])
    return json.dumps(record | {"number": f"R-{number}"}).encode()


SCHEMA = fastavro.parse_schema(json.loads((EXAMPLE / "session.avsc").read_bytes()))
KINDS: list[tuple[str, Callable[[int], bytes]]] = [
    ("JSON, local times by a pattern", voice),
    ("Avro, epoch seconds, hashed ids", session),
    ("JSON, two events a record", invoice),
]


def best(work: Callable[[], int]) -> float:
    """Events a second of CPU time."""
    rates = []
    for _ in range(TIMES):
        begin = time.process_time()
        events = work()
        rates.append(events / (time.process_time() - begin))
    return max(rates)


def main(records: int = RECORDS) -> dict[str, float]:
    mapping = load(EXAMPLE / "cdr.yaml")
    ingest = Ingest(mapping.bundle, None)
    found = {}
    for topic, (name, make) in enumerate(KINDS):
        packed = [pack_record(Record(b"k", make(number), topic, 0, number, START * 1000)) for number in range(records)]
        found[f"ingest, {name}"] = best(lambda packed=packed: sum(len(ingest.frames(record)) for record in packed))  # type: ignore[misc]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "voice.jsonl"
        file.write_bytes(b"\n".join(voice(number) for number in range(records)))
        found["files, JSON Lines"] = best(lambda: sum(len(block) for block in read_mapped([file], mapping).blocks))
    for name, rate in found.items():
        print(f"{name:42} {rate / 1000:8.1f} k events/s")
    return found


if __name__ == "__main__":
    main()
