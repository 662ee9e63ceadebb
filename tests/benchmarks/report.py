"""The results as tables: on the terminal (rich), and as docs/benchmarks.md."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any, NamedTuple

from tests.benchmarks.kernel import STAGES

INTRODUCTION = """## The job and its parts

Written by `{command}`.
"""
METHOD = """### How it is measured

- **Events** are synthetic telemetry of {mix}, about 65 bytes each, {day} a day and customer, one in fifty up to ten minutes out of order.
  The job is the one users run (`keepline run retention --emit every`), with the committed model; broker and job share the machine.
- **Files** hold those events in each format, one file a type. A command's CPU time is that of its process, all threads, over all events
  less that over the first tenth: starting Python and loading compiled code is not in it.
- **Scorers** go over 4,000 customers' rows of features, each over all of them in turn with the others. The time is CPU time of one thread,
  with the loop over the rows and without reading features from states. Trees are fitted to made-up labels by the options of
  `--family trees`; the logistic model and the closed forms are the committed ones. Contributions come with every score: reasons are the
  three largest of them. The models' numbers stay in the processor's caches, which in a job the states share.
- **Throughput** counts the steady part only: the input stands in Kafka before the job starts, the first third is warm-up. CPU is that of
  all the job's processes; the broker's is beside it. A run is void unless each event has exactly one committed score, bit for bit the one
  that the kernel gives without Flink.
- **Where the time goes** counts each thread's CPU time in the steady part; a thread that ended before its end is not in it. The operator's
  own counts are by the clock: they hold time in which other threads had the core.
- **Latency** runs open loop: an event's latency counts from when it was due. Redis: to the acknowledgement of the write. Committed: to a
  consumer that reads committed records only, hence up to a checkpoint interval more. The warm-up does not count: a backlog of 800,000
  events, then half a minute at the same rate. How late the producer itself was is in the figures, and beside them.
- **Next app**: a visit is an Unlock and the two AppOpens behind it, of a user's 20 to 40 apps, by habit; in the backlog each user opens
  all of them. The logistic model and 100 trees of depth 6 are fitted to the stream. Parts are CPU time of one thread over unlocks alone,
  in batches of 256 that stop after each part in turn; a part's own time is the median of the rounds' differences. Retrieval is decode,
  validate, duplicate, the state found and updated; features the circumstances and the rows of all candidates; inference z, softmax, prior
  and the likeliest five; format the frame. The latency is measured as the scores' is, with 15,000 events/s of which a third are unlocks,
  and after a backlog of 2.4 million events; an AppOpen has no answer. A run is void unless each unlock that is to be answered has exactly
  one committed prediction, byte for byte the kernel's without Flink; an unlock more than 60 s behind the user's newest event is not.
- **Recovery** counts from the kill to the first record in the score topic that was not there before, uncommitted ones included, at 1,000
  events/s. Parts are Flink's own time stamps, all from the kill: the failure noted, then the last task deployed, initializing, running.
- **Longest pause** is how long a barrier held up the operator at the most, in the steady part: the states that were still to be written,
  and Flink's own synchronous part of the newest ten snapshots.
- **Feature sets**: a third of the events are the shop's, 25 % PageView, 4 % Purchase, 4 % PromotionResponse. The sides put out different
  numbers of scores, so progress is counted in events, those that the customer operator has accepted. The ratio is of the two runs of a
  round. A run is void unless each score, by its name and event, is committed once, bit for bit the kernel's. State is what a customer takes
  in memory; a checkpoint holds it without its zeros.
- **Longest silence** is the longest time without a new record in the score topic, uncommitted ones included, in steps of 0.25 s.
"""


class Table(NamedTuple):
    """A title, columns and rows of text."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def _number(value: float, digits: int = 0) -> str:
    return "-" if value != value else f"{value:,.{digits}f}"


def kernel(results: Sequence[dict[str, Any]]) -> Table:
    """ns an event by stage, one column a number of customers."""
    names = [*STAGES, "CustomerKernel"]
    labels = {"CustomerKernel": "all of it, through `CustomerKernel` in batches of 256"}
    rows = [[labels.get(name, name), *(_number(result["ns"][name]) for result in results)] for name in names]
    rows.append(["of that per batch, µs, beside its events", *(_number(result["call_us"], 1) for result in results)])
    return Table("Kernel alone: ns/event, cumulative", ["from bytes, up to", *(f"{r['customers']:,} customers" for r in results)], rows)


def scorers(results: Sequence[dict[str, Any]]) -> Table:
    """ns a row of each model."""
    from tests.benchmarks.scorers import target

    rows = [[r["scorer"], r["shape"], f"{r['rows']:,}", _span(r["ns"]), _span(r["with_reasons_ns"]), target(r)] for r in results]
    columns = ["", "model", "rows", "score", "score and reasons", "target"]
    return Table("Scorers alone: ns/row, min / median / max", columns, rows)


def _span(values: Sequence[float]) -> str:
    return " / ".join(_number(value) for value in (min(values), statistics.median(values), max(values))) if values else "-"


def operator(results: Sequence[dict[str, Any]]) -> Table:
    """The operator without Kafka."""
    rows = [
        [f"{r['customers']:,}", r["checkpoint"], _number(r["events_s"]), _number(r["cpu_us"], 2), _number(r["seconds"], 1)] for r in results
    ]
    return Table("Operator without Kafka", ["customers", "checkpoints", "events/s", "CPU µs/event", "steady part, s"], rows)


def files(results: Sequence[dict[str, Any]]) -> Table:
    """Commands over files."""
    rows = [
        [r["command"], r["format"], _number(r["events_s"]), _number(r["us"], 2), _number(r["mb"]), _number(r["rss_mb"])] for r in results
    ]
    columns = ["", "format", "events per CPU second", "CPU µs/event", "files, MB", "most memory, MB"]
    events, customers = (results[0]["events"], results[0]["customers"])
    return Table(f"Files: {events:,} events of {customers:,} customers, six files merged", columns, rows)


def throughput(results: Sequence[dict[str, Any]]) -> Table:
    """The whole job."""
    rows = [
        [
            f"{r['customers']:,}", r["checkpoint"], r["void"] or _number(r["events_s"]), _number(r["cpu_us"], 2),
            _number(r["broker_cpu_us"], 2),
            _number(r["checkpoint_ms"]["avg"]), _number(r["write_back_ms"] + r["snapshot_ms"]), _number(r["stall_s"], 1),
            _number(r["seconds"], 1),
        ]
        for r in results
    ]  # fmt: skip
    columns = [
        "customers",
        "checkpoints",
        "events/s",
        "CPU µs/event",
        "broker's",
        "a checkpoint, ms",
        "longest pause, ms",
        "longest silence, s",
        "steady part, s",
    ]
    return Table("Whole job, Kafka to Kafka, exactly once", columns, rows)


def stages(results: Sequence[dict[str, Any]]) -> Table:
    """Where the CPU time goes."""
    from tests.benchmarks.stages import COUNTED, REST, STAGES

    runs = [r for r in results if r.get("stages_us")]
    texts = {name: name for name in (*STAGES, REST)} | {name: f"operator's task, by the clock: {text}" for name, text in COUNTED.items()}
    rows = [[text, *(_number(r["stages_us"].get(name, 0), 2) for r in runs)] for name, text in texts.items()]
    return Table("Where the time goes: CPU µs/event", ["", *(f"{r['customers']:,}, {r['checkpoint']}" for r in runs)], rows)


LATENCY = ("", "p50", "p90", "p99", "p99.9", "max", "producer late by: p99, max", "cores: job, broker, Redis")


def _both_ends(r: dict[str, Any]) -> list[list[str]]:
    """The columns LATENCY of a run."""
    rows = []
    for name, field in (("Redis", "redis_ms"), ("committed", "committed_ms")):
        figures = (_number(r[field][share]) for share in LATENCY[1:6])
        late, cores = r["producer_late_ms"], ", ".join(f"{cores:.2f}" for cores in r["cores"].values())
        rows.append([f"created → {name}", *figures, r["void"] or f"{late['p99']:.0f}, {late['max']:.0f}", cores])
    return rows


def latency(results: Sequence[dict[str, Any]]) -> Table:
    """Both ends, in ms."""
    rows = [[f"{r['rate']:,}", *row] for r in results for row in _both_ends(r)]
    return Table("Latency, checkpoints each 1 s, ms", ["events/s", *LATENCY], rows)


def next_app(results: Sequence[dict[str, Any]]) -> Table:
    """Each part of an unlock, against the budget."""
    from tests.benchmarks.next_app import BUDGET_MS, part_us

    rows = []
    for r in results:
        for name, us in part_us(r).items():
            met = f"at most {BUDGET_MS[name]}: {'met' if us <= 1000 * BUDGET_MS[name] else 'missed'}"
            head = r["shape"] if not rows or rows[-1][1].startswith("an unlock") else ""
            rows.append([head, name, _span(r["ns"][name]), _number(us, 2), _number(us / 1000, 5), met])
        whole = r["ns"]["NextAppKernel"]
        us = statistics.median(whole) / 1000
        rows.append(["", "an unlock and two opens, through `NextAppKernel`", _span(whole), _number(us, 2), _number(us / 1000, 5), ""])
    users, (low, _, high), candidates = results[0]["users"], results[0]["kept_apps"], results[0]["candidates"]
    title = f"Next app alone: {users:,} users with {low} to {high} apps, {candidates:.1f} candidates an unlock on average"
    columns = ["model", "part of an unlock", "ns up to its end: min / median / max", "the part alone, µs", "ms", "budget, ms"]
    return Table(title, columns, rows)


def next_app_latency(results: Sequence[dict[str, Any]]) -> Table:
    """Both ends of an unlock, in ms."""
    from tests.benchmarks.next_app import target

    rows = []
    for r in results:
        redis, committed = _both_ends(r)
        checkpoint = _number(r["checkpoint_ms"]["avg"])
        rows.append([f"{r['unlocks_s']:,}", r["family"], *redis, checkpoint, r["void"] or target(r)])
        rows.append([f"{r['unlocks_s']:,}", r["family"], *committed, checkpoint, r["void"]])
    title = f"Next app: {results[0]['users']:,} users, two AppOpens behind each unlock, checkpoints each 5 s (the default), ms"
    return Table(title, ["unlocks/s", "model", *LATENCY, "a checkpoint", "target"], rows)


def recovery(results: Sequence[dict[str, Any]]) -> Table:
    """Seconds after a kill."""
    from tests.benchmarks.recovery import PARTS, summary

    rows = []
    for r in results:
        parts = summary(r)
        told = [" / ".join(_number(value, 1) for value in parts[part]) if part in parts else "-" for part in PARTS]
        rows.append([r["label"], str(len(r["rounds"])), *told])
    return Table("Recovery: seconds after kill -9, min / median / max", ["killed", "rounds", *PARTS], rows)


def settings(results: Sequence[dict[str, Any]]) -> Table:
    """With a value and without it."""
    from tests.benchmarks.settings import spans, verdict

    rows = []
    for r in results:
        without, with_it = spans(r, "without"), spans(r, "with")
        for place, name in enumerate(without):
            digits = 2 if "CPU" in name else 0
            told = [" / ".join(_number(value, digits) for value in side[name]) for side in (without, with_it)]
            head = f"{r['file']}: {r['text']} (without: {r['instead_of']})" if place == 0 else ""
            rows.append([head, name, *told, verdict(without[name], with_it[name])])
    return Table("Values of flink-conf, min / median / max", ["value", "", "without", "with", "effect"], rows)


def policy(results: Sequence[dict[str, Any]]) -> Table:
    """With the contact policy and without it."""
    from tests.benchmarks.policy import SHOWN, effect, spans

    rows = []
    for r in results:
        sides = spans(r, "without"), spans(r, "with")
        for name in SHOWN:
            told = [" / ".join(_number(value, 2 if "CPU" in name else 0) for value in side[name]) for side in sides]
            rows.append([name, *told, r["void"] or effect(r, name)])
    return Table("The contact policy: 20,000 customers, checkpoints each 1 s, min / median / max", ["", "without", "with", "effect"], rows)


def sets(results: Sequence[dict[str, Any]]) -> Table:
    """Both feature sets and each alone."""
    from tests.benchmarks.sets import BOTH, MEASURED, SIDES, ratios, spans, targets

    rows = []
    for r in results:
        figures, ratio, target = {side: spans(r, side) for side in SIDES}, ratios(r), targets(r)
        for name in MEASURED:
            digits = 2 if "CPU" in name else 0
            told = [" / ".join(_number(value, digits) for value in figures[side][name]) for side in SIDES]
            rows.append([name, *told, " / ".join(_number(value, 2) for value in ratio[name]), target.get(name, "")])
        for name, field, digits in (("state, bytes/customer", "state_bytes", 0), ("scores/event", "scores_an_event", 2)):
            values = {side: r["sides"][side][field] for side in SIDES}
            told = [_number(values[side], digits) for side in SIDES]
            rows.append([name, *told, _number(values[BOTH] / values[SIDES[0]], 2), target.get(name, "")])
        if r["void"]:
            rows = [[*row[:-1], r["void"]] for row in rows]
    title = "Feature sets: 20,000 customers, checkpoints each 1 s, no policy, min / median / max"
    return Table(title, ["", *SIDES, f"{BOTH} to {SIDES[0]}", "target"], rows)


def tables(results: dict[str, list[dict[str, Any]]]) -> list[Table]:
    """Those parts that were run."""
    makers = {"kernel": kernel, "scorers": scorers, "files": files, "operator": operator, "throughput": throughput, "latency": latency}
    makers |= {"next-app": next_app, "next-app-latency": next_app_latency}
    makers |= {"recovery": recovery, "settings": settings, "policy": policy, "sets": sets}
    found = [make(results[part]) for part, make in makers.items() if results.get(part)]
    if any(r.get("stages_us") for r in results.get("throughput", ())):
        found.append(stages(results["throughput"]))
    return found


def show(found: Sequence[Table], machine: dict[str, str], least_width: int = 0) -> None:
    """Prints the tables, in lines of at least so many columns."""
    from rich.console import Console
    from rich.table import Table as RichTable

    console = Console()
    console.width = max(console.width, least_width)
    console.print(" · ".join(f"{name} {value}" for name, value in machine.items()), style="dim")
    for table in found:
        rich = RichTable(title=table.title, title_justify="left")
        for place, column in enumerate(table.columns):
            rich.add_column(column, justify="left" if place == 0 else "right")
        for row in table.rows:
            rich.add_row(*(cell.replace("**", "") for cell in row))
        console.print(rich)


def markdown(found: Sequence[Table], machine: dict[str, str], command: str, mix: str, day: int) -> str:
    """The section `parts` of docs/benchmarks.md (page.py)."""
    lines = [
        INTRODUCTION.format(command=command),
        "| Machine | |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in machine.items()),
        "",
    ]
    for table in found:
        lines += [f"### {table.title}", "", "| " + " | ".join(table.columns) + " |", "|---" + "|---:" * (len(table.columns) - 1) + "|"]
        lines += ["| " + " | ".join(row) + " |" for row in table.rows] + [""]
    return "\n".join([*lines, METHOD.format(mix=mix, day=day)])
