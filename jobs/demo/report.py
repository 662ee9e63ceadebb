"""What came of the demo: all figures as plain data, and as text for people, a part at a time."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from keepline.jobs.demo import tables
from keepline.jobs.demo.drive import Drive
from keepline.jobs.demo.judge import Verdict
from keepline.jobs.demo.summary import summary
from keepline.models.contact.arms import CONTROL, TREATMENT
from keepline.models.contact.records import CHURNED

COMPARED = 5
EXACT = 1e-9
Lines = list[tuple[str, str]]
"""Names and texts."""


def figures(drive: Drive, verdict: Verdict, explained: str, seconds: float) -> dict[str, Any]:
    """All figures of the end, as `--out` writes them. Times in ms but for `seconds`."""
    state, outputs, latency = drive.progress, drive.outputs, drive.latency
    return {
        "customers": len(verdict.customers),
        "events": state.total,
        "events_scored": len(outputs.scored),
        "scores_of_events": outputs.scores,
        "scores_of_silent_customers": outputs.ticks,
        "every_event_scored_once": state.total == len(outputs.scored) == outputs.scores,
        "dead_letters_and_late_events": outputs.refused,
        **summary(drive.policy, verdict.customers, outputs.interventions, outputs.decisions, outputs.labelled),
        "simulated_crm": {"outcomes_sent": dict(drive.crm.counts), "interventions_repeated": drive.crm.repeated},
        "erased": asdict(drive.erased) if drive.erased else None,
        "explained": explained,
        "catch_up_events_per_s": round(state.catch_up_events / state.catch_up_seconds) if state.catch_up_seconds else None,
        "live_events_measured": int(latency.get("count", 0)),
        "created_to_redis_ms": {name: latency.get(f"{name}_ms") for name in ("p50", "p99", "max")},
        "largest_difference_to_scikit_learn": verdict.difference,
        "scores_equal_scikit_learn": verdict.difference <= EXACT,
        "threshold": verdict.threshold,
        "precision": verdict.precision,
        "recall": verdict.recall,
        "roc_auc": verdict.roc_auc,
        "base_rate": float(verdict.labels.mean()),
        "seconds": round(seconds, 1),
    }


def show(console: Console, figures: dict[str, Any], verdict: Verdict) -> None:
    """Prints them, a part at a time."""
    console.print(panel("What the policy decided", decided(figures)))
    if figures["explained"]:
        text = Text(figures["explained"].rstrip())
        console.print(Panel(text, title="One customer who got nothing: keepline explain", title_align="left"))
    if figures["erased"]:
        console.print(panel("One customer erased", _erased(figures["erased"])))
    compared = Table(title="Last scores of the month, beside scikit-learn's", title_justify="left")
    for column in ("customer", "Keepline (Redis)", "scikit-learn", "difference", "left?"):
        compared.add_column(column, justify="left" if column == "customer" else "right")
    for i in range(min(COMPARED, len(verdict.customers))):
        left = "yes" if verdict.labels[i] else "no"
        ours, theirs = verdict.ours[i], verdict.sklearn[i]
        compared.add_row(verdict.customers[i], f"{ours:.12f}", f"{theirs:.12f}", f"{abs(ours - theirs):.1e}", left)
    console.print(compared)
    console.print(panel("What came of it", _came(figures)))


def decided(figures: dict[str, Any]) -> Lines:
    """What the policy decided, from all figures."""
    held, control, labelled = figures["holds"], figures["control_group"], figures["labelled"]
    arms, cancelled = labelled["offers_by_arm"], sum(held["cancelled_by_reason"].values())
    made = f"{figures['interventions']:,} to {figures['customers_contacted']:,} customers: {_all(figures['interventions_by_kind'])}"
    fates = f"{held['released']:,} released, {cancelled:,} cancelled, {held['refused_by_budget']:,} refused by the budget"
    of_all = f"{control['customers']:,} of {figures['customers']:,} customers ({control['share_of_policy']:.0%} by a hash)"
    rows = f"{labelled['rows']:,}: {_all(labelled['landed_by_label'])}"
    left = f"{_left(arms[CONTROL])} offers kept back from the control group, {_left(arms[TREATMENT])} offers made"
    return [
        ("interventions", made),
        ("tickets", f"{figures['tickets']:,} of these, because the offer did not help: {_all(figures['tickets_by_reason'])}"),
        ("held", f"{held['held']:,} for quiet hours: {fates}, {held['still_held']:,} still held"),
        ("suppressed", _all(figures["suppressed_by_reason"])),
        ("control group", f"{of_all}; {control['customers_with_decisions']:,} of them would have got an offer"),
        ("outcomes", f"SIMULATED, by a hash: {_all(figures['simulated_crm']['outcomes_sent'])}"),
        ("labelled rows", rows),
        ("CHURNED", f"{left}: the labels are the data set's, which no offer changes; what differs is chance"),
    ]


def _erased(erased: dict[str, Any]) -> Lines:
    receipt = erased["receipt"]
    counts = ", ".join(f"{name} {count}" for name, count in sorted(receipt["counts"].items()))
    return [
        ("customer", f"{erased['customer_id']}, by an Erasure event, {receipt['request_id']}"),
        ("receipt", f"erased at {tables.day(receipt['erased_at'])} UTC: {counts}"),
        ("Redis", f"{erased['keys_before']} keys of the customer before, {erased['keys_after']} after"),
    ]


def _came(figures: dict[str, Any]) -> Lines:
    ms = figures["created_to_redis_ms"]
    equal = "equal" if figures["scores_equal_scikit_learn"] else "NOT EQUAL"
    once = "every one scored and committed exactly once" if figures["every_event_scored_once"] else "NOT every one scored exactly once"
    return [
        ("events", f"{figures['events']:,} of {figures['customers']:,} customers, {once}"),
        ("throughput", f"{figures['catch_up_events_per_s'] or 0:,} events/s while catching up with the history, from a cold start"),
        (
            "latency",
            f"created → Redis p50 {ms['p50'] or 0:.0f} ms, p99 {ms['p99'] or 0:.0f} ms "
            f"(live part, {figures['live_events_measured']:,} writes)",
        ),
        ("scores", f"{equal} to scikit-learn's for all customers: difference at most {figures['largest_difference_to_scikit_learn']:.1e}"),
        (
            "against labels",
            f"precision {figures['precision']:.3f}, recall {figures['recall']:.3f} at {figures['threshold']:.2f}; "
            f"ROC AUC {figures['roc_auc']:.3f} ({figures['base_rate']:.1%} left)",
        ),
        ("this took", f"{figures['seconds']:.0f} s"),
    ]


def panel(title: str, lines: Lines) -> Panel:
    """Names and texts in a frame."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(width=14, no_wrap=True)
    grid.add_column()
    for name, text in lines:
        grid.add_row(name, Text(text))
    return Panel(grid, title=title, title_align="left")


def _all(numbers: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in numbers.items()) or "none"


def _left(labels: dict[str, int]) -> str:
    return f"{labels.get(CHURNED, 0):,} of {sum(labels.values()):,}"
