"""Writes a split of the demo's data set as files, as a company would bring them: events, the moments to look at, labels.

    python -m keepline.jobs.demo.export --split train --out build/pretrained
      → events.jsonl.gz (canonical events, by time), queries.csv (customer_id,at), labels.csv (customer_id,label)

`at` is a customer's newest event: the row at which the stream last scores the customer.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
from pathlib import Path

from keepline.jobs.demo import dataset

COMPRESSION = 3


def export(split: dataset.Split, out: Path, end_ms: int = dataset.END_MS) -> int:
    """Write the three files into `out`; returns the number of events."""
    out.mkdir(parents=True, exist_ok=True)
    table = dataset.customers(split)
    newest: dict[str, int] = dict.fromkeys(table.index, end_ms)
    count = 0
    # No time in the gzip header, so that the same data gives the same bytes.
    with (
        (out / "events.jsonl.gz").open("wb") as raw,
        gzip.GzipFile("", "wb", COMPRESSION, raw, mtime=0) as packed,
        io.TextIOWrapper(io.BufferedWriter(packed), encoding="utf-8") as file,
    ):
        for event in dataset.events(table, end_ms):
            file.write(json.dumps(event, separators=(",", ":")) + "\n")
            newest[event["customer_id"]] = event["event_time"]
            count += 1
    queries = table.index.to_frame(name="customer_id")
    queries["at"] = [_rfc3339(newest[name]) for name in table.index]
    queries.to_csv(out / "queries.csv", index=False)
    dataset.labels(split).to_csv(out / "labels.csv")
    return count


def _rfc3339(moment: int) -> str:
    from keepline.schemas.times import to_rfc3339

    return to_rfc3339(moment)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", choices=("train", "held-back"), default="train")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    print(f"{given.out}: {export(given.split, given.out)} events")
