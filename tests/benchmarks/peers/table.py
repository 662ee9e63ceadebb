"""The part `throughput` as tables: one a scenario, rows grouped by guarantee, the fastest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tests.benchmarks.peers.ratios import Range, Runs, figure, paired
from tests.benchmarks.peers.system import System
from tests.benchmarks.report import Table

OURS = "keepline"
LIMITS = "limit"
GROUPS = {"exactly once": "exactly once", "at least once": "at least once", "none": "no guarantee", LIMITS: "limits"}
BACKENDS = {"heap": "heap", "rocksdb": "RocksDB"}
COLUMNS = ("", "processes", "events", "events/s", "CPU µs/event", "broker's", "longest pause, ms", "Keepline is faster by")


class Line(NamedTuple):
    """All rounds of one system on one backend."""

    system: str
    backend: str
    label: str
    group: str
    runs: Runs

    @property
    def rate(self) -> Range | None:
        """Events a second."""
        return figure(self.runs, "events_s")


def scenarios(rows: Runs) -> list[str]:
    """In the order in which they were run."""
    return list(dict.fromkeys(row["scenario"] for row in rows if row["part"] == "throughput"))


def lines(rows: Runs, scenario: str, systems: Mapping[str, System]) -> list[Line]:
    """One a system and backend, grouped, the fastest first; `rows` are those of the parts `throughput` and `kernel`."""
    found: dict[tuple[str, str], list[Any]] = {}
    customers = int(scenario.partition("/")[0])
    for row in rows:
        if row.get("scenario") == scenario or (row["part"] == "kernel" and row["customers"] == customers):
            found.setdefault((row["system"], row.get("backend") or ""), []).append(row)
    made = []
    for (name, backend), runs in found.items():
        system = systems.get(name)
        label, group = (system.label, system.guarantee) if system else ("The kernel alone, one thread", LIMITS)
        if system and system.puts == "copies":
            group = LIMITS
        made.append(Line(name, backend, f"{label}, {BACKENDS[backend]}" if backend else label, group, runs))
    order = list(GROUPS)
    return sorted(made, key=lambda line: (order.index(line.group), -line.rate.median if line.rate else 0.0))


def ours(found: Sequence[Line], other: Line) -> Line | None:
    """Keepline on the same backend; on the heap where the other has no backends."""
    backend = other.backend or "heap"
    return next((line for line in found if line.system == OURS and line.backend == backend), None)


def ratio(found: Sequence[Line], other: Line) -> str:
    """How many times as fast Keepline is, round by round."""
    base = ours(found, other)
    if base is None or other.system == OURS or other.rate is None or base.rate is None:
        return "-"
    held = paired(base.runs, other.runs)
    return f"{held.text(2)}×" if held else "ranges touch"


def _text(found: Range | None, digits: int = 0) -> str:
    return found.text(digits) if found else "-"


def table(rows: Runs, scenario: str, systems: Mapping[str, System]) -> Table:
    """One scenario."""
    found, cells, group = lines(rows, scenario, systems), [], ""
    for line in found:
        if line.group != group:
            group = line.group
            cells.append([f"**{GROUPS[group]}**", *[""] * (len(COLUMNS) - 1)])
        run, void = line.runs[0], [row["void"] for row in line.runs if row["void"]]
        rate = _text(line.rate) if line.rate else ""
        if void:
            rate = f"{rate} [{len(void)} of {len(line.runs)} runs {brief(void[0])}]".strip()
        cells.append(
            [
                line.label, str(run.get("processes") or 1), f"{run['events'] / 1e6:g} M" if run.get("events") else "-", rate,
                _text(figure(line.runs, "cpu_us"), 2), _text(figure(line.runs, "broker_cpu_us"), 2),
                _text(figure(line.runs, "pause_ms")), ratio(found, line),
            ]
        )  # fmt: skip
    customers, _, checkpoint = scenario.partition("/")
    return Table(f"Side by side: {int(customers):,} customers, checkpoints each {checkpoint} s", COLUMNS, cells)


def brief(void: str) -> str:
    """The first line, for a table."""
    first = void.partition("\n")[0].replace("|", "/")
    return first if len(first) <= 120 else f"{first[:117]}…"
