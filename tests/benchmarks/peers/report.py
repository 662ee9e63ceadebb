"""All that a session found, as tables on the terminal and as the section `peers` of docs/benchmarks.md. It explains nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.benchmarks import events
from tests.benchmarks.peers import table as throughput
from tests.benchmarks.peers.journal import Journal
from tests.benchmarks.peers.ratios import Range, Runs, figure, paired, valid
from tests.benchmarks.peers.scaling import VARIANTS
from tests.benchmarks.peers.system import System
from tests.benchmarks.peers.targets import Target, targets
from tests.benchmarks.report import Table

SHARES = ("p50", "p90", "p99", "p99.9", "max")
METHOD = """### How the sides are measured

- **One broker, the same bytes.** All systems read the same topics: {mix}; 65 bytes each, {day} a day and customer, one in
  fifty up to ten minutes out of order. Each makes the whole feature set, the committed model's score with three reasons, and keeps the
  state that its guarantee needs. Everything runs on cores {cores}, the broker and the harness too.
- **Rounds are interleaved** (A B C A B C …), and ratios taken within a round: whatever the machine does meanwhile, it does to all.
  Figures are medians with the least and the largest. Where the ranges of two systems touch, no ratio is given.
- **Keepline is the job that users run**, with its contact policy, which decides on every complaint and every rise of a score and writes
  decisions beside the scores. No other system does that. "Without its contact policy" it does what they do.
- **The number of processes** (or Flink's parallelism) is the one that did most in a run before the rounds.
- **The steady part counts.** The input stands in Kafka before the start, the first third is warm-up. CPU is that of all the system's
  processes with their children, the broker's is beside it. Slow systems run fewer events, as the table says. The longest pause is the
  longest time in which the broker was given no output, by the times at which it appended.
- **The gate.** After a run the committed output is read back. Unless each event has exactly one score, of the right customer, equal to
  the kernel's without Flink to 1e-9, with the same reasons, the run is void and counts nowhere. A system that promises less than
  exactly once may double, but not miss.
- **Latency** runs open loop: an event counts from when it was due. Redis: to the acknowledgement of the write. Committed: to a reader of
  committed records. Producer and reader share the cores.

### To add a system

Write `tests/benchmarks/peers/systems/NAME.py` with `SYSTEM = System(name="NAME", …)`;
[system.py](../tests/benchmarks/peers/system.py) says what it is given and what it has to do. It reads `run.source` from the beginning
and writes a Score for each event to `run.sink`. Its pinned packages get an environment of their own.
`python -m tests.benchmarks.peers --only NAME --events 1e5 --rounds 1` tells whether it passes the gate.
"""


def _ms(value: float | None) -> str:
    return "-" if value is None or value != value else f"{value:,.0f}"


def _text(found: Range | None, digits: int = 0) -> str:
    return found.text(digits) if found else "-"


def latency(rows: Runs) -> Table:
    """Both ends, in ms."""
    cells = []
    for row in rows:
        share = f", {row['share']:.0%} of the drain rate" if row.get("share") else ""
        if row["void"]:
            cells.append([f"{row['rate']:,}{share}", throughput.brief(row["void"]), *["-"] * len(SHARES)])
            continue
        for name, field in (("Redis", "redis_ms"), ("committed", "committed_ms")):
            if field in row:
                cells.append([f"{row['rate']:,}{share}", f"{row['system']}, created → {name}", *(_ms(row[field].get(s)) for s in SHARES)])
    return Table("Latency, 20,000 customers, checkpoints each 1 s, ms", ["events/s", "", *SHARES], cells)


def customers(rows: Runs) -> Table:
    """What an event costs."""
    cells = []
    for row in rows:
        figures = [throughput.brief(row["void"]), "-", "-", "-"]
        if not row["void"]:
            figures = [f"{row['events_s']:,.0f}", f"{row['cpu_us']:.2f}", f"{row['broker_cpu_us']:.2f}", _ms(row["checkpoint_ms"]["avg"])]
        cells.append([f"{row['customers']:,}", row["backend"], f"{row['events'] / 1e6:g} M", *figures])
    columns = ["customers", "state on", "events", "events/s", "CPU µs/event", "broker's", "a checkpoint, ms"]
    return Table("An event's cost by the number of customers, checkpoints each 10 s", columns, cells)


def scaling(rows: Runs) -> Table:
    """Cores, slots, TaskManagers."""
    runs = {variant.name: [row for row in rows if row["variant"] == variant.name] for variant in VARIANTS}
    one, cells = runs["one core"], []
    for variant in VARIANTS:
        mine = runs[variant.name]
        if not mine:
            continue
        held = paired(mine, one) if mine is not one else None
        void = next((throughput.brief(row["void"]) for row in mine if row["void"]), "")
        rate = figure(mine, "events_s")
        ratio = "-" if mine is one or not valid(mine) or not valid(one) else f"{held.text(2)}×" if held else "ranges touch"
        cells.append([variant.label, rate.text() if rate else void, _text(figure(mine, "cpu_us"), 2), ratio])
    return Table("One core and two, 20,000 customers, checkpoints each 1 s", ["", "events/s", "CPU µs/event", "against one core"], cells)


def aims(found: Sequence[Target]) -> Table:
    """Targets."""
    return Table("Targets", ["", "found", ""], [[target.text, target.found, target.verdict] for target in found])


def tables(journal: Journal, systems: Mapping[str, System]) -> list[Table]:
    """Of the parts that were run."""
    rates = [*journal.of("throughput"), *journal.of("kernel")]
    found = [throughput.table(rates, scenario, systems) for scenario in throughput.scenarios(rates)]
    for part, make in (("latency", latency), ("customers", customers), ("scaling", scaling)):
        rows = journal.of(part)
        if rows:
            found.append(make(rows))
    return [*found, aims(targets(journal))]


def _markdown(table: Table) -> list[str]:
    head = ["| " + " | ".join(table.columns) + " |", "|---" + "|---:" * (len(table.columns) - 1) + "|"]
    return [f"### {table.title}", "", *head, *("| " + " | ".join(row) + " |" for row in table.rows), ""]


def packages(journal: Journal, systems: Mapping[str, System]) -> list[str]:
    """Which packages the peers that ran were given."""
    ran = {row["system"] for row in journal.of("throughput")}
    told = [f"{system.label}: {', '.join(system.packages)}" for name, system in systems.items() if name in ran and system.packages]
    return [f"- {line}" for line in told] + [""] * bool(told)


def name_of(journal: Journal) -> str:
    """The page's section for a session: `curves` where no peer's throughput was measured, so that it leaves those tables alone."""
    return "peers" if journal.of("throughput") else "curves"


def section(journal: Journal, systems: Mapping[str, System], plots: Sequence[tuple[str, str]], cores: str) -> str:
    """The section `peers` or `curves` of the page; `plots` are (title, path from docs/)."""
    session: dict[str, Any] = journal.session
    *results, aim = tables(journal, systems)
    whole = name_of(journal) == "peers"
    if not whole:
        aim = aim._replace(rows=[row for row in aim.rows if row[-1] != "not measured"])
    lines = [
        "## Side by side" if whole else "## Latency, customers, cores", "",
        f"Written by `python -m tests.benchmarks.peers {session['flags']}`.".replace(" `.", "`."), "",
        "| Machine | |", "|---|---|", *(f"| {name} | {value} |" for name, value in session["machine"].items()), "",
        *packages(journal, systems), *_markdown(aim),
    ]  # fmt: skip
    for result in results:
        lines += _markdown(result)
    for title, path in plots:
        lines += [f"![{title}]({path})", ""]
    if not whole:
        return "\n".join([*lines, 'How it is measured: see "Side by side".', ""])
    mix = ", ".join(f"{share:.2%} {name}" for name, share in events.MIX.items())
    return "\n".join([*lines, METHOD.format(mix=mix, day=events.EVENTS_A_DAY, cores=cores)])
