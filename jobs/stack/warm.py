"""Compiles the kernels once, so that the first job does not wait for it: `python -m keepline.jobs.stack.warm`.

It uses the commands that use them, on a few events. numba keeps the result in its cache (schemas/jit.py).
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

KEEPLINE = Path(sys.executable).with_name("keepline")
EVENTS = (
    '{"type": "Subscription", "customer_id": "a", "event_id": "1", "event_time": "2026-01-01T00:00:00Z", "plan": "p",'
    ' "started_time": "2026-01-01T00:00:00Z", "monthly_charge": 10.0}\n'
    '{"type": "Unlock", "customer_id": "a", "event_id": "3", "event_time": "2026-01-03T00:00:00Z"}\n'
    '{"type": "Call", "customer_id": "a", "event_id": "2", "event_time": "2026-01-03T00:00:00Z", "duration_s": 60.0}\n'
)


def main() -> int:
    """Runs `keepline features` and `keepline replay` of both jobs; exit status 1, with what they said, if one fails."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="keepline-warm-") as name:
        events = Path(name) / "events.jsonl"
        events.write_text(EVENTS, encoding="utf-8")
        for command in (
            ["features", "churn", "--events", str(events), "--at", "2026-01-04T00:00:00Z", "--out", f"{name}/rows.csv"],
            ["replay", "retention", "--events", str(events), "--out", f"{name}/out"],
            ["replay", "next-app", "--events", str(events), "--out", f"{name}/next-app"],
        ):
            done = subprocess.run([str(KEEPLINE), *command], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
            if done.returncode:
                sys.stderr.write(f"compiling the kernels failed in `keepline {command[0]}`:\n{done.stdout}{done.stderr[-2000:]}")
                return 1
    sys.stdout.write(f"setup: kernels compiled in {time.monotonic() - start:.0f} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
