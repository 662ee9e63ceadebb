"""`python -m tests.benchmarks.peers`: all systems and parts, or some of them; tables, page and plots from what was measured."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from typing import Any

from tests.benchmarks import machine, page
from tests.benchmarks.peers import options as flags
from tests.benchmarks.peers import plots, report
from tests.benchmarks.peers.journal import Journal
from tests.benchmarks.peers.system import System, discover
from tests.benchmarks.report import show

WIDTH = 170
"""Columns of the widest table."""


@contextlib.contextmanager
def progress() -> Iterator[Any]:
    """`say(text)` for what goes on now, `step(text)` for what begins; a live line on a terminal, one line a step elsewhere."""
    from rich.console import Console

    console = Console(stderr=True)
    if console.is_terminal:
        with console.status("…") as status:
            yield status.update, lambda text: console.print(f"[dim]{text}[/dim]", highlight=False)
        return
    yield (lambda _: None), lambda text: print(text, file=sys.stderr, flush=True)


def chosen(names: list[str]) -> list[System]:
    """The systems to run. Exits with the known names if one is unknown."""
    systems = discover()
    unknown = [name for name in names if name not in systems]
    if unknown:
        sys.exit(f"--only {','.join(unknown)}: expected some of {', '.join(systems)}")
    return [systems[name] for name in names] if names else list(systems.values())


def measure(given: Any, journal: Journal) -> None:
    """Runs what the journal does not hold yet."""
    from tests.benchmarks.peers import curves, growth, rounds, scaling
    from tests.benchmarks.peers.bench import Bench

    sizes, systems = flags.sizes(given), chosen(given.only)
    cores = {int(core) for core in given.cores.split(",")}
    # Whatever is started from here on is pinned with us: broker, systems, readers.
    os.sched_setaffinity(0, cores)
    with progress() as (say, step):
        if {"throughput", "latency", "customers"} & set(given.parts):
            with Bench(say, step) as bench:
                if "throughput" in given.parts:
                    rounds.measure(bench, journal, systems, sizes)
                if "latency" in given.parts:
                    curves.measure(bench, journal, sizes, systems)
                if "customers" in given.parts:
                    growth.measure(bench, journal, sizes)
        if "scaling" in given.parts:
            scaling.measure(lambda: Bench(say, step), journal, sizes)


def main() -> None:
    """Measures, prints and writes."""
    given = flags.parse()
    journal = Journal(given.journal)
    if not given.report:
        here = machine.describe()
        if not (given.resume and journal.session):
            journal.begin(here, page.measured_with(sys.argv[1:]))
        elif here["Commit"] != journal.session["machine"]["Commit"]:
            sys.exit(
                f"--resume: the session was measured at commit {journal.session['machine']['Commit']}, this is {here['Commit']}: go there, "
                "or start anew without --resume"
            )
        measure(given, journal)
    if not journal.session:
        sys.exit(f"{given.journal} holds no session: run without --report first")
    if given.json:
        given.json.write_text(json.dumps({**journal.session, "runs": journal.rows}, indent=2) + "\n")
    systems = discover()
    *results, aims = report.tables(journal, systems)
    aims = aims._replace(rows=[row for row in aims.rows if row[-1] != "not measured"])
    show([table for table in (*results, aims) if table.rows], journal.session["machine"], WIDTH)
    if given.markdown:
        drawn = plots.draw(journal, systems, page.PAGE.parent / "plots")
        shown = [(title, path.relative_to(page.PAGE.parent).as_posix()) for title, path in drawn]
        page.put(report.name_of(journal), report.section(journal, systems, shown, given.cores))
    if any(row.get("void") for row in journal.rows):
        sys.exit("a run is void: see the tables")


if __name__ == "__main__":
    main()
