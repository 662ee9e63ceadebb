"""Writes made-up phones as an event file, on which the committed model of the next app is trained (models/pretrained/make.sh).

python -m keepline.jobs.demo.next_app_export --out build/pretrained
  → phones.jsonl (canonical Unlock and AppOpen events, by time), of other people than the demo's
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from keepline.jobs.demo import phones

PEOPLE, DAYS, SEED = 60, 28, "training"


def export(out: Path) -> int:
    """Write the file into `out`; returns the number of events."""
    out.mkdir(parents=True, exist_ok=True)
    count = 0
    with (out / "phones.jsonl").open("w", encoding="utf-8") as file:
        for event in phones.events(phones.people(PEOPLE, SEED, "training"), DAYS):
            file.write(json.dumps(event, separators=(",", ":")) + "\n")
            count += 1
    return count


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    print(f"{given.out}: {export(given.out)} events")
