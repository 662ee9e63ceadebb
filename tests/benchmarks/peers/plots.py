"""The plots of docs/plots: SVG, the same bytes from the same figures.

Colours are Okabe and Ito's, which the colour-blind tell apart; what a colour says is said by a mark or a place too.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks.peers import table as throughput
from tests.benchmarks.peers.journal import Journal
from tests.benchmarks.peers.ratios import figure, valid
from tests.benchmarks.peers.scaling import VARIANTS
from tests.benchmarks.peers.system import System

BLUE, ORANGE, GREEN, RED, PURPLE, SKY, BLACK = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#333333"
COLOURS = {"exactly once": GREEN, "at least once": ORANGE, "none": PURPLE, throughput.LIMITS: "#999999"}
SHARES = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p99.9": 99.9}
STYLE = {
    "svg.hashsalt": "keepline", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 10, "axes.spines.top": False,
    "axes.spines.right": False, "figure.constrained_layout.use": True, "axes.titlelocation": "left", "axes.titlesize": 12,
}  # fmt: skip
Draw = Callable[[Any, Journal, Mapping[str, System]], None]


def source(journal: Journal) -> str:
    """The machine and commit, for the foot of a plot."""
    machine = journal.session["machine"]
    return f"{machine['Processor']}, {machine['Cores']} cores · commit {machine['Commit']}"


def save(pyplot: Any, figure_: Any, journal: Journal, path: Path) -> None:
    """As SVG without a date."""
    figure_.supxlabel(source(journal), fontsize=7.5, color="#666666", x=0.01, ha="left")
    figure_.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
    pyplot.close(figure_)
    # One trailing space a path line would be a change at every tool that trims them.
    path.write_text("\n".join(line.rstrip() for line in path.read_text().splitlines()) + "\n")


def bars(pyplot: Any, journal: Journal, systems: Mapping[str, System], scenario: str) -> Any:
    """Events a second of every system, grouped by guarantee; the whisker is min–max. (The kernel alone would dwarf the others.)"""
    found = [line for line in throughput.lines(journal.of("throughput"), scenario, systems) if line.rate]
    figure_, axes = pyplot.subplots(figsize=(9.5, 1.3 + 0.36 * (len(found) + len({line.group for line in found}))))
    y, ticks, labels, group = 0.0, [], [], ""
    widest = max(line.rate.high for line in found if line.rate)
    for line in found:
        assert line.rate is not None
        if line.group != group:
            y, group = y + 1.0, line.group
            axes.text(widest * 0.006, y - 0.75, throughput.GROUPS[group], fontsize=9, fontweight="bold", color=COLOURS[group], va="center")
        middle, low, high = line.rate.median, line.rate.low, line.rate.high
        ours = line.system == throughput.OURS
        axes.barh(y, middle, height=0.62, color=BLUE if ours else COLOURS[group], alpha=1.0 if ours else 0.75)
        axes.errorbar(middle, y, xerr=[[middle - low], [high - middle]], color=BLACK, capsize=3, linewidth=1)
        cpu = figure(line.runs, "cpu_us")
        told = f"{middle / 1000:,.1f} k" if middle < 100_000 else f"{middle / 1000:,.0f} k"
        axes.text(high + widest * 0.012, y, f"{told}, {cpu.median:.1f} µs" if cpu else told, va="center", fontsize=8.5)
        ticks.append(y)
        labels.append(textwrap.fill(line.label, 38))
        y += 0.85
    axes.set_yticks(ticks, labels, fontsize=8.5)
    axes.set_ylim(y - 0.4, -0.05)
    axes.set_xlim(0, widest * 1.22)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value / 1000:,.0f} k")
    axes.set_xlabel("events/s (median; whisker: min–max), and CPU µs/event")
    customers, _, checkpoint = scenario.partition("/")
    axes.set_title(f"{int(customers):,} customers, checkpoints or transactions each {checkpoint} s")
    axes.tick_params(axis="y", length=0)
    return figure_


def latency(pyplot: Any, journal: Journal) -> Any:
    """Quantiles at each rate, to Redis and to the commit."""
    rows = sorted(valid(journal.of("latency")), key=lambda row: (row["system"], row["rate"]))
    ends = (("redis_ms", "created → Redis"), ("committed_ms", "created → committed"))
    figure_, both = pyplot.subplots(1, 2, figsize=(9.5, 4.2), sharey=True)
    colours, marks = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY), "osD^vP"
    for axes, (field, title) in zip(both, ends, strict=True):
        for place, row in enumerate(row for row in rows if field in row):
            points = [(number, row[field].get(share)) for number, share in enumerate(SHARES)]
            points = [(x, value) for x, value in points if value is not None and value == value]
            share = f" ({row['share']:.0%} of the drain rate)" if row.get("share") else ""
            who = "" if row["system"] == throughput.OURS else f"{row['system']}, "
            style = {"color": colours[place % len(colours)], "marker": marks[place % len(marks)]}
            axes.plot(*zip(*points, strict=True), linewidth=1.6, label=f"{who}{row['rate'] / 1000:,.0f} k events/s{share}", **style)
        axes.set_xticks(range(len(SHARES)), list(SHARES))
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.grid(axis="y", which="both", color="#dddddd", linewidth=0.6)
        axes.set_title(title)
    told = [value for row in rows for field, _ in ends for share in SHARES if (value := row.get(field, {}).get(share)) and value == value]
    both[0].set_ylim(10 ** math.floor(math.log10(min(told))), 10 ** math.ceil(math.log10(max(told) * 1.01)))
    both[0].set_ylabel("ms (logarithmic)")
    both[1].legend(fontsize=8, loc="lower right")
    return figure_


def growth(pyplot: Any, journal: Journal) -> Any:
    """CPU an event against the number of customers."""
    figure_, axes = pyplot.subplots(figsize=(7.5, 4.2))
    for backend, colour, mark in (("heap", BLUE, "o"), ("rocksdb", RED, "s")):
        rows = sorted((row for row in valid(journal.of("customers")) if row["backend"] == backend), key=lambda row: row["customers"])
        if rows:
            label = f"state on {'the heap' if backend == 'heap' else 'RocksDB'}"
            axes.plot([r["customers"] for r in rows], [r["cpu_us"] for r in rows], color=colour, marker=mark, label=label)
        for row in rows:
            axes.annotate(
                f"{row['cpu_us']:.1f}", (row["customers"], row["cpu_us"]), (0, 7), textcoords="offset points", fontsize=8, ha="center"
            )
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.margins(y=0.15)
    axes.set_xticks([10**k for k in range(3, 7)] + [5 * 10**6], ["1 k", "10 k", "100 k", "1 M", "5 M"])
    axes.minorticks_off()
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    axes.set_xlabel("customers (logarithmic)")
    axes.set_ylabel("CPU µs/event, all of the job's processes")
    axes.set_title("What an event costs, checkpoints each 10 s")
    axes.legend(frameon=False)
    return figure_


def scaling(pyplot: Any, journal: Journal) -> Any:
    """Events a second on one core and two."""
    rows = journal.of("scaling")
    found = [(v.label, rate) for v in VARIANTS if (rate := figure([row for row in rows if row["variant"] == v.name], "events_s"))]
    figure_, axes = pyplot.subplots(figsize=(7.5, 1.2 + 0.42 * len(found)))
    for y, (_, rate) in enumerate(found):
        axes.barh(y, rate.median, height=0.6, color=SKY if y == 0 else BLUE)
        axes.errorbar(rate.median, y, xerr=[[rate.median - rate.low], [rate.high - rate.median]], color=BLACK, capsize=3, linewidth=1)
        axes.annotate(f"{rate.median / 1000:,.0f} k", (rate.high, y), (6, 0), textcoords="offset points", va="center", fontsize=9)
    axes.set_yticks(range(len(found)), [label for label, _ in found])
    axes.invert_yaxis()
    axes.set_xlim(0, max(rate.high for _, rate in found) * 1.12)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value / 1000:,.0f} k")
    axes.set_xlabel("events/s (median; whisker: min–max)")
    axes.set_title("One core and two, 20,000 customers")
    axes.tick_params(axis="y", length=0)
    return figure_


def draw(journal: Journal, systems: Mapping[str, System], folder: Path) -> list[tuple[str, Path]]:
    """Writes the plots of what was measured; (title, file) of each."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot

    folder.mkdir(parents=True, exist_ok=True)
    drawn: list[tuple[str, Path]] = []
    with mpl.rc_context(STYLE):
        rates = journal.of("throughput")
        for scenario in throughput.scenarios(rates):
            if valid([row for row in rates if row["scenario"] == scenario]):
                name = f"throughput-{scenario.replace('/', '-')}.svg"
                save(pyplot, bars(pyplot, journal, systems, scenario), journal, folder / name)
                drawn.append((f"Events per second by guarantee, {scenario.partition('/')[0]} customers", folder / name))
        parts: Sequence[tuple[str, str, Any]] = (
            ("latency", "Latency quantiles by rate", latency),
            ("customers", "Cost per event against the number of customers", growth),
            ("scaling", "One core and two", scaling),
        )
        for part, title, make in parts:
            if valid(journal.of(part)):
                save(pyplot, make(pyplot, journal), journal, folder / f"{part}.svg")
                drawn.append((title, folder / f"{part}.svg"))
    return drawn
