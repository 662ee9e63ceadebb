"""What came of the demo of lifetime value: all figures as plain data, and as text for people, a part at a time."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from keepline.jobs.demo.clv_drive import ClvDrive
from keepline.jobs.demo.clv_judge import EXACT, FEATURES, PUBLISHED, Verdict
from keepline.jobs.demo.clv_scores import BANDS, Board
from keepline.jobs.demo.report import Lines, panel
from keepline.jobs.demo.summary import counted, summary
from keepline.models.clv.scorer import SCORES
from keepline.models.clv.value import DAYS_A_WEEK

COMPARED = 5
TITLE = "The streamed RFM and P(alive) of 1997-09-30, beside what was published"


def figures(drive: ClvDrive, verdict: Verdict, explained: str, seconds: float) -> dict[str, Any]:
    """All figures of the end, as `--out` writes them."""
    outputs, board = drive.outputs, drive.board
    purchases = drive.progress.total
    counts = summary(drive.policy, verdict.customers, outputs.interventions, outputs.decisions, outputs.labelled)
    found = {
        "customers": len(verdict.customers),
        "purchases": purchases,
        "scores_of_purchases": board.of_events.total(),
        "scores_of_silent_customers": board.of_ticks,
        "every_purchase_scored_once": scored_once(board, purchases),
        "scores_per_s": round(board.scores / drive.live_seconds) if drive.live_seconds else None,
        "dead_letters_and_late_events": outputs.refused,
        "segments": {score: dict(zip(BANDS, board.segments(score), strict=True)) for score in SCORES},
        "moves": {score: moves(board, score) for score in SCORES},
        "newest_scores": sum(map(len, board.newest.values())),
        "newest_scores_in_redis": drive.in_view,
        **counts,
        "explained": explained,
        "rfm_equal_published": verdict.equal,
        "rfm_differences": {name: len(names) for name, names in verdict.differences.items()},
        "rfm_different": sorted(set().union(*verdict.differences.values())),
        "rfm_solved": {"T": int(verdict.rfm.solved_t.sum()), "monetary_value": int(verdict.rfm.solved_monetary.sum())},
        "p_alive_largest_difference_to_scipy": verdict.p_alive_difference,
        "expected_largest_relative_difference_to_scipy": verdict.expected_difference,
        "p_alive_largest_difference_to_published_parameters": verdict.p_alive_published,
        "expected_largest_difference_to_published_parameters": verdict.expected_published,
        "outside_the_printed_digits": verdict.outside,
        "seconds": round(seconds, 1),
    }
    in_view = drive.in_view == found["newest_scores"]
    found["all_comparisons_hold"] = verdict.holds and found["every_purchase_scored_once"] and in_view and not outputs.refused
    return found


def scored_once(board: Board, purchases: int) -> bool:
    """Whether each purchase has exactly one of each score."""
    return len(board.of_events) == purchases * len(SCORES) == board.of_events.total()


def moves(board: Board, score: str) -> dict[str, int]:
    """How often customers went from one band to another."""
    return counted(f"{BANDS[each.before]} → {BANDS[each.head.band]}" for each in board.moves if each.head.score == score)


def show(console: Console, found: dict[str, Any], verdict: Verdict) -> None:
    """Prints them, a part at a time."""
    console.print(panel("What the policy decided", decided(found)))
    if found["explained"]:
        console.print(Panel(Text(found["explained"].rstrip()), title="One customer who got nothing: keepline explain", title_align="left"))
    console.print(beside(verdict))
    console.print(panel("What was compared", compared(found)))


def decided(found: dict[str, Any]) -> Lines:
    """Segments at the end, moves and decisions."""
    held, control = found["holds"], found["control_group"]
    lines = [
        (score, f"{_all(found['segments'][score])}; {sum(found['moves'][score].values()):,} moves: {_all(found['moves'][score])}")
        for score in ("clv_bgnbd", "p_alive")
    ]
    made = f"{found['interventions']:,} to {found['customers_contacted']:,} customers: {_all(found['interventions_by_kind'])}"
    return [
        *lines,
        ("interventions", made),
        (
            "held",
            f"{held['held']:,} for quiet hours: {held['released']:,} released, {sum(held['cancelled_by_reason'].values()):,} cancelled, "
            f"{held['refused_by_budget']:,} refused by the budget, {held['still_held']:,} still held",
        ),
        ("suppressed", _all(found["suppressed_by_reason"])),
        ("control group", f"{control['customers']:,} of {found['customers']:,} customers; {control['decisions']:,} offers kept back"),
        ("consents", "SIMULATED, by a hash, and so are time zones and the time of day of purchases; nobody is contacted"),
    ]


def beside(verdict: Verdict) -> Table:
    """Some customers with the most purchases: streamed and published side by side."""
    table = Table(title=TITLE, title_justify="left")
    columns = ("customer", "frequency", "recency", "T (weeks)", "value", "P(alive)", "by scipy", "expected")
    for column in columns:
        table.add_column(column, justify="left" if column == "customer" else "right")
    weeks = (1.0, DAYS_A_WEEK, DAYS_A_WEEK, 1.0)
    for place in np.argsort(-verdict.rfm.frequency, kind="stable")[:COMPARED]:
        row = [float(getattr(verdict.rfm, name)[place]) / unit for name, unit in zip(FEATURES, weeks, strict=True)]
        table.add_row(
            verdict.customers[place], f"{row[0]:.0f}", *(f"{number:.2f}" for number in row[1:]),
            f"{verdict.p_alive[place]:.10f}", f"{verdict.p_alive_scipy[place]:.10f}", f"{verdict.expected[place]:.3f}",
        )  # fmt: skip
    return table


def compared(found: dict[str, Any]) -> Lines:
    """What was compared with what, and what came of it."""
    customers, solved = found["customers"], found["rfm_solved"]
    once = "each scored by all three scores exactly once" if found["every_purchase_scored_once"] else "NOT each scored exactly once"
    differences = {name: count for name, count in found["rfm_differences"].items() if count}
    rfm = f"{found['rfm_equal_published']:,} of {customers:,} customers equal to the published summary"
    source = (
        "frequency exactly, recency, T and monetary value to its two decimals. The streamed ones are the raw features in the reasons of "
        f"each customer's last committed scores of that day; T of {solved['T']:,} and monetary value of {solved['monetary_value']:,} are "
        "not among them and were solved out of p_alive and clv_bgnbd"
    )
    p, e = found["p_alive_largest_difference_to_scipy"], found["expected_largest_relative_difference_to_scipy"]
    outside = len(found["outside_the_printed_digits"])
    within = (
        "all within what the printed digits leave open" if not outside else f"{outside:,} customers NOT within what the digits leave open"
    )
    view = "NOT all: " if found["newest_scores_in_redis"] != found["newest_scores"] else ""
    refused = ": there should be NONE" if found["dead_letters_and_late_events"] else ""
    paper = f"r {PUBLISHED.r}, α {PUBLISHED.alpha}, a {PUBLISHED.a}, b {PUBLISHED.b}"
    return [
        ("purchases", f"{found['purchases']:,} of {customers:,} customers, {once}"),
        ("scores", f"{found['scores_of_silent_customers']:,} more of silent customers, one a day; {found['scores_per_s'] or 0:,} scores/s"),
        ("RFM", f"{rfm}{f', NOT equal: {_all(differences)}' if differences else ''}: {source}"),
        ("P(alive)", f"{_equal(p)} to scipy's closed form with the model's parameters: difference at most {p:.1e}"),
        ("expected", f"purchases over 12 periods of 30 days, from clv_bgnbd: {_equal(e)} to scipy's closed form, at most {e:.1e} of it"),
        (
            "as published",
            f"with {paper} P(alive) differs by at most {found['p_alive_largest_difference_to_published_parameters']:.1e}, expected "
            f"purchases by {found['expected_largest_difference_to_published_parameters']:.1e}: {within}",
        ),
        (
            "Redis",
            f"{view}{found['newest_scores_in_redis']:,} of {found['newest_scores']:,} newest scores of the topic are the live view's",
        ),
        ("refused", f"{found['dead_letters_and_late_events']:,} dead letters and late events{refused}"),
        ("this took", f"{found['seconds']:.0f} s"),
    ]


def _equal(difference: float) -> str:
    return "equal" if difference <= EXACT else "NOT equal"


def _all(numbers: dict[str, int] | Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in numbers.items()) or "none"
