"""`make fuzz CASES=10000000 SEED=1`: a long run. A failing case is printed, kept in tests/fuzz/cases.jsonl, and ends the run with status 1.

The cases run in child processes, one for each part of the work, so that a crash is a finding too.
"""

from __future__ import annotations

import argparse
import multiprocessing
import secrets
import sys
import tempfile
import time
from collections import Counter
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tests.fuzz.child import work
from tests.fuzz.run import CASES, Fuzzer, isolate, keep


def main() -> int:
    """Runs the cases; 1 if one fails."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 31))
    parser.add_argument("--first", type=int, default=0, help="number of the first case, to make a part of a run again")
    given = parser.parse_args()
    print(f"fuzz: {given.cases:,} cases from {given.first:,}, seed {given.seed}", flush=True)
    begin, context = time.monotonic(), multiprocessing.get_context("spawn")
    total: Counter[str] = Counter()
    part = 500_000
    columns = (TextColumn("fuzz"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("", total=given.cases)
        for first in range(given.first, given.first + given.cases, part):
            cases = min(part, given.first + given.cases - first)
            answer = _child(context, given.seed, first, cases, lambda case: bar.update(task, completed=case - given.first))
            if isinstance(answer, tuple):
                return _tell(given.seed, *answer)
            total += answer
            if not sys.stderr.isatty():
                done = first + cases - given.first
                print(f"fuzz: {done:,} cases, {time.monotonic() - begin:.0f} s", file=sys.stderr, flush=True)
    seconds = time.monotonic() - begin
    outcomes = ", ".join(f"{name} {count:,}" for name, count in total.most_common())
    print(f"fuzz: {given.cases:,} cases, no finding, {seconds:.0f} s ({given.cases / seconds:,.0f}/s), seed {given.seed}\nfuzz: {outcomes}")
    return 0


def _child(context: Any, seed: int, first: int, cases: int, tell: Any) -> Any:
    with tempfile.NamedTemporaryFile() as file:
        file.write(bytes(16))
        file.flush()
        answers = context.SimpleQueue()
        child = context.Process(target=work, args=(seed, first, cases, file.name, answers))
        child.start()
        view = np.memmap(file.name, np.int64, "r", shape=(2,))
        while child.is_alive() and answers.empty():
            time.sleep(0.1)
            tell(int(view[0]))
        if answers.empty():
            child.join()
            what = f"the process ended with status {child.exitcode}"
            return int(view[0]), what, b"", int(view[1])
        answer = answers.get()
        child.join()
        return answer


def _tell(seed: int, case: int, what: str, record: bytes, batch: int) -> int:
    """Narrows a finding down to its case, prints and keeps it."""
    fuzzer = Fuzzer(seed)
    if not record:
        alone = isolate(fuzzer, batch, CASES)
        if alone is not None:
            case, what = alone[0], f"{what}; alone: {alone[1]}"
            record = fuzzer.remade(case)
    print(f"fuzz: FINDING, seed {seed}, case {case}, batch {batch}: {what}\n{record.hex()}")
    if record:
        keep(record, f"seed {seed}, case {case}: {what}")
        print("kept in tests/fuzz/cases.jsonl: mend it, and commit the case with its outcome")
    print(f"again: python -m tests.fuzz --seed {seed} --first {batch} --cases {CASES}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
