"""What `keepline uplift` found: a table on the screen, report.json, report.md, and the intervals as uplift.svg. Decides nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from keepline.models.uplift import Arm, Effect, Group

BLUE, GREY = "#0072B2", "#595959"
"""Of the palette of Okabe and Ito (2008), told apart with every kind of colour vision; shape says the same as colour."""
METHOD = (
    "Customers of the control group are not contacted; a hash of programme and customer draws them before anything is known of them.",
    "Intention to treat: the treatment arm is everyone it was decided to contact, also those whom the message did not reach and those who "
    "refused.",
    "A customer counts once in a group, by the first decision: what comes later depends on what the first one did.",
    "Consents, cool-downs, quiet hours and caps apply to both groups alike; a row is a customer to whom an offer was due.",
    "Difference: churn rate of control − treatment, above 0 where the programme kept customers. 95 % interval: Newcombe (1998), Statistics "
    "in Medicine 17:873-890, method 10. p: two-sided z-test of two proportions, not adjusted for the number of groups.",
)
NONE = "–"
FILES = ("report.json", "report.md", "uplift.svg")


@dataclass(frozen=True, slots=True)
class Uplift:
    """The result: an effect a group, and what was left out."""

    effects: tuple[Effect, ...]
    rows: int
    """Landed decisions read."""
    repeated: int
    """Of these, further decisions for a customer that had one in the same programme, kind and trigger."""
    escalations: int
    """Of these, tickets for people, which follow an offer and have no control."""

    def as_json(self) -> dict[str, Any]:
        """All figures, for machines; what cannot be told is null."""
        return {
            "rows": self.rows,
            "repeated": self.repeated,
            "escalations": self.escalations,
            "groups": [_plain(effect) for effect in self.effects],
            "method": list(METHOD),
        }


def _plain(effect: Effect) -> dict[str, Any]:
    def arm(of: Arm) -> dict[str, Any]:
        return {"customers": of.customers, "churned": of.churned, "churn_rate": of.rate, "failed": of.failed, "declined": of.declined}

    return {
        **effect.group._asdict(),
        "control": arm(effect.control),
        "treatment": arm(effect.treatment),
        "difference": effect.difference,
        "interval": None if effect.interval is None else list(effect.interval),
        "relative_reduction": effect.relative,
        "p_value": effect.p_value,
        "warnings": list(effect.warnings),
    }


def title(group: Group) -> str:
    """A group in words.

    >>> title(Group("retention-2026")), title(Group("", "sms_discount", "AT_RISK"))
    ('retention-2026: all', 'no programme: sms_discount, AT_RISK')
    """
    return f"{group.programme or 'no programme'}: {', '.join(part for part in group[1:] if part) or 'all'}"


def _cells(effect: Effect) -> list[str]:
    """One row of the table, screen and page alike."""

    def rate(arm: Arm) -> str:
        return NONE if arm.rate is None else f"{arm.rate:.1%} of {arm.customers:,}"

    interval = NONE if effect.interval is None else f"{100 * effect.interval.low:+.1f} to {100 * effect.interval.high:+.1f}"
    return [
        title(effect.group) + (" *" if effect.warnings else ""),
        rate(effect.control),
        rate(effect.treatment),
        NONE if effect.difference is None else f"{100 * effect.difference:+.1f}",
        interval,
        NONE if effect.relative is None else f"{effect.relative:+.0%}",
        NONE if effect.p_value is None else "< 0.001" if effect.p_value < 0.001 else f"{effect.p_value:.3f}",
    ]


HEADINGS = ("group", "control", "treatment", "points", "95 % interval", "relative", "p")
"""Points: the difference of the churn rates in percentage points."""


def _remarks(found: Uplift) -> Iterator[str]:
    for effect in found.effects:
        for warning in effect.warnings:
            yield f"{title(effect.group)}: {warning}"
    for effect in found.effects:
        arm = effect.treatment
        if arm.failed or arm.declined:
            yield (
                f"{title(effect.group)}: the treatment arm includes {arm.failed} customers whom the message did not reach "
                f"and {arm.declined} who refused or complained"
            )
    if found.repeated:
        yield f"{found.repeated} further decisions for customers that a group has already are left out"
    if found.escalations:
        yield f"{found.escalations} escalations are left out: they follow an offer, and have no control"


def show(found: Uplift, out: Path, console: Console | None = None) -> None:
    """Print the table and what to mind about it."""
    console = console or Console()
    grid = Table(
        title=f"Churn of control and treatment, {found.rows:,} landed decisions", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0)
    )
    for heading in HEADINGS:
        grid.add_column(heading, justify="left" if heading == HEADINGS[0] else "right", overflow="fold")
    for effect in found.effects:
        grid.add_row(*map(Text, _cells(effect)))
    console.print(grid, highlight=False)
    for remark in _remarks(found):
        console.print(f"note: {remark}", highlight=False, markup=False)
    console.print("wrote " + ", ".join(str(out / name) for name in FILES), highlight=False, markup=False, soft_wrap=True)


def write(found: Uplift, out: Path) -> None:
    """Write report.json, report.md and uplift.svg into `out`."""
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(found.as_json(), indent=1, ensure_ascii=False, allow_nan=False)
    (out / "report.json").write_text(text + "\n", encoding="utf-8")
    (out / "report.md").write_text("\n".join(_markdown(found)) + "\n", encoding="utf-8")
    _plot(found.effects, out / "uplift.svg")


def _markdown(found: Uplift) -> Iterator[str]:
    yield "# Uplift"
    yield ""
    yield f"{found.rows:,} landed decisions. Shares are of customers who left; points are the difference, in percentage points."
    yield ""
    yield "| " + " | ".join(HEADINGS) + " |"
    yield "|---|" + "---:|" * (len(HEADINGS) - 1)
    for effect in found.effects:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in _cells(effect)) + " |"
    yield ""
    remarks = list(_remarks(found))
    if remarks:
        yield from (f"- {remark}" for remark in remarks)
        yield ""
    yield "![Differences with their 95 % intervals](uplift.svg)"
    yield ""
    yield "## How it is reckoned"
    yield ""
    yield from (f"- {line}" for line in METHOD)


def _plot(effects: Sequence[Effect], file: Path) -> None:
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    told = [(effect, effect.difference, effect.interval) for effect in effects]
    # A fixed salt and no date, so that the same result gives the same bytes.
    with mpl.rc_context({"svg.hashsalt": "keepline", "svg.fonttype": "none"}):
        figure = Figure(figsize=(8, 1.6 + 0.4 * max(len(told), 1)), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.subplots()
        axes.axvline(0, color=GREY, linestyle="--", linewidth=1)
        for row, (_, difference, interval) in enumerate(told):
            if difference is None or interval is None:
                axes.text(0, row, " cannot be told", va="center", color=GREY)
                continue
            sure = interval.low > 0 or interval.high < 0
            whiskers = [[max(100 * (difference - interval.low), 0)], [max(100 * (interval.high - difference), 0)]]
            axes.errorbar(
                100 * difference, row, xerr=whiskers, fmt="o", capsize=4, color=BLUE if sure else GREY,
                markerfacecolor=BLUE if sure else "white",
            )  # fmt: skip
        # Names are data, not formulas: a dollar sign is one.
        axes.set_yticks(range(len(told)), [title(effect.group).replace("$", r"\$") for effect, _, _ in told])
        axes.set_ylim(max(len(told), 1) - 0.5, -0.5)
        axes.set(
            xlabel="churn of control − treatment, percentage points, 95 % interval",
            title="Above 0: customers kept (filled where the interval leaves 0 out)",
        )
        figure.savefig(file, format="svg", metadata={"Date": None, "Title": "Uplift by group"})
