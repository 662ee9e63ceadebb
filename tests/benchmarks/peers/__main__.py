"""`python -m tests.benchmarks.peers`: Keepline beside its peers."""

from __future__ import annotations

import argparse
import json

from tests.benchmarks.__main__ import progress
from tests.benchmarks.peers.system import discover


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.peers",
        description="Keepline beside its peers, on the same events and one broker.",
        epilog="example: python -m tests.benchmarks.peers --only keepline --events 1e6 --customers 20000 --rounds 1",
    )
    parser.add_argument("--only", default="", help="systems, comma-separated (default: all)")
    parser.add_argument("--events", type=float, default=8e6, help="events of a run of the fastest systems (default: 8e6)")
    parser.add_argument("--customers", type=int, default=20_000, help="(default: 20000)")
    parser.add_argument("--checkpoint", type=float, default=1.0, help="seconds between checkpoints (default: 1)")
    parser.add_argument("--rounds", type=int, default=5, help="(default: 5)")
    return parser.parse_args(given)


def main() -> None:
    """Runs what is asked for."""
    options, systems = arguments(), discover()
    from tests.benchmarks.peers.bench import Bench
    from tests.benchmarks.peers.runner import run_once

    names = options.only.split(",") if options.only else list(systems)
    with progress() as say, Bench(say) as bench:
        for _ in range(options.rounds):
            for name in names:
                system = systems[name]
                for backend in system.backends or ("",):
                    for processes in system.processes:
                        found = run_once(
                            bench, system, backend=backend, processes=processes, customers=options.customers,
                            checkpoint_s=options.checkpoint, n=int(options.events * system.share),
                        )  # fmt: skip
                        print(json.dumps(found))


if __name__ == "__main__":
    main()
