"""`make chaos [ROUNDS=100] [SEED=1] [ONLY=fault,…]`: rounds of faults, one after the other; stops at the first that is wrong.

Rounds number `SEED`, `SEED + 1` …: each draws its moments from its own number, so one can be run again alone. Every few rounds begin a new
world, RocksDB and heap by turns. Exit status 1 where a round was wrong; the report is written after each round.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import takewhile
from pathlib import Path
from random import Random

from rich.console import Console

from tests.benchmarks.machine import ROOT, describe
from tests.chaos import report
from tests.chaos.faults import FAULTS
from tests.chaos.rounds import Result, play
from tests.chaos.servers import zookeeper
from tests.chaos.world import Shape, World, installation

ROUNDS_A_WORLD = 7
BACKENDS = ("rocksdb", "hashmap")
PAGE = ROOT / "docs" / "faults.md"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--rounds", type=int, default=100, help="how many")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 1_000_000, help="the first round's number")
    parser.add_argument("--only", default="", help=f"some of the faults, comma-separated: {', '.join(FAULTS)}")
    parser.add_argument("--backend", choices=BACKENDS, default=None, help="one state backend instead of both by turns")
    parser.add_argument("--parallelism", type=int, choices=(1, 2), default=None, help="instead of both by turns")
    parser.add_argument("--minutes", type=float, default=0.0, help="begin no round after this; 0: no limit")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "chaos", help="folder of the report")
    parser.add_argument("--add", action="store_true", help="add to the rounds that the report of this folder has")
    parser.add_argument("--page", action="store_true", help=f"write the figures into {PAGE.relative_to(ROOT)}")
    given = parser.parse_args()
    unknown = [name for name in given.only.split(",") if name and name not in FAULTS]
    if unknown:
        parser.error(f"--only {','.join(unknown)}: expected some of {', '.join(FAULTS)}")
    return given


def order(rounds: int, seed: int, only: str) -> list[str]:
    """A fault for each round: all of them in a random order, then again in another; those of which one is enough, once."""
    names = only.split(",") if only else list(FAULTS)
    draw, found = Random(f"{seed} order"), list[str]()
    while len(found) < rounds:
        some = [name for name in names if only or not FAULTS[name].once or name not in found]
        found += draw.sample(some, len(some))
    return found[:rounds]


def together(names: list[str]) -> list[str]:
    """As many of these, from the first on, as can share a world."""
    if FAULTS[names[0]].shape:
        return names[:1]
    return list(takewhile(lambda name: not FAULTS[name].shape, names))


def shapes(given: argparse.Namespace) -> Iterator[Shape]:
    """Worlds without end: backend and parallelism by turns."""
    for number in range(sys.maxsize):
        turn = number + given.seed
        backend = given.backend or BACKENDS[turn % 2]
        yield Shape(backend, given.parallelism or 1 + turn // 2 % 2, seed=given.seed + 1000 * number)


def main() -> int:
    given, console = arguments(), Console(highlight=False, width=None if sys.stdout.isatty() else 140)
    out = given.out
    done = report.load(out / "rounds.json") if given.add and (out / "rounds.json").exists() else []
    facts = describe() | {"Installation": installation(), "Checkpoint folder": "not used"}
    names = order(given.rounds, given.seed, given.only)
    begun, round_, worlds = time.monotonic(), 0, shapes(given)
    console.print(f"{given.rounds} rounds from seed {given.seed}, {facts['Installation']}; report: {out}")
    with zookeeper() as address:
        while round_ < len(names) and not _late(begun, given.minutes):
            some = together(names[round_ : round_ + ROUNDS_A_WORLD])
            shape = next(worlds)
            own = FAULTS[some[0]].shape
            shape = own(shape) if own else shape
            with ExitStack() as open_world:
                with console.status(f"starting Kafka, Redis and Flink ({shape.backend}, parallelism {shape.parallelism})"):
                    world = open_world.enter_context(World(shape, address))
                facts["Checkpoint folder"] = world.store.kind if shape.disk else facts["Checkpoint folder"]
                for name in some:
                    if _late(begun, given.minutes):
                        break
                    title = f"{round_ + 1}/{len(names)} {name} ({shape.backend}, parallelism {shape.parallelism})"
                    with console.status(title) as status:
                        result = play(world, FAULTS[name], given.seed + round_, lambda say, t=title, s=status: s.update(f"{t}: {say}"))
                    done.append(result)
                    report.write(out, done, FAULTS, facts)
                    console.print(_line(title, result), soft_wrap=True)
                    if not result.sound:
                        return _wrong(console, result, out)
                    round_ += 1
    console.print(report.table(done), markup=False)
    if given.page:
        report.into_page(PAGE, done, facts)
    return 0


def _late(begun: float, minutes: float) -> bool:
    return bool(minutes) and time.monotonic() - begun > 60 * minutes


def _line(title: str, result: Result) -> str:
    mark = "[green]equal[/]" if result.sound else "[red]WRONG[/]"
    first = f"first new score {result.first_score:.1f} s" if result.first_score is not None else "no new score"
    return f"{mark} {title}: {first}, {result.records:,} records, {result.seconds:.0f} s; {result.saw}"


def _wrong(console: Console, result: Result, out: Path) -> int:
    console.print(f"[red]{result.failed or 'live and replay differ'}[/]", soft_wrap=True)
    for note in result.notes[:6]:
        console.print(note[:6000], markup=False, soft_wrap=True)
    console.print(f"seed {result.seed}; again, alone:\n  {report.repeat(result)}\nall of it: {out / 'report.md'}", markup=False)
    return 1


if __name__ == "__main__":
    sys.exit(main())
