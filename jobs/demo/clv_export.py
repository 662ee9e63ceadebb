"""Writes the CDNOW purchases as an event file, from which the committed model of lifetime value is fitted (models/pretrained/make.sh).

python -m keepline.jobs.demo.clv_export --out build/pretrained-clv
  → cdnow.jsonl (canonical Purchase events, by time)
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from keepline.jobs.demo import clv_data


def export(out: Path) -> int:
    """Write the file into `out`; returns the number of events."""
    out.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(event, separators=(",", ":")) + "\n" for event in clv_data.events(clv_data.purchases())]
    (out / "cdnow.jsonl").write_text("".join(lines), encoding="utf-8")
    return len(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    print(f"{given.out}: {export(given.out)} events")
