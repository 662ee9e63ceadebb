"""The report's plots as inline SVG: drawn by matplotlib, stripped of what only a file of its own needs, scaled by the page.

    Report ──► heat_map, tracking, conditional, lift, tenths, segment_shares ──► `<svg …>` each, with title and description

Text stays text. Every id begins with the plot's name, so that several plots fit on one page.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from keepline.models.clv.evaluation import TENTHS, Figures
from keepline.models.clv.regression_report import COLOURS, GREY, MARKERS
from keepline.models.clv.report.matrix import Matrix
from keepline.models.clv.report.segments import BANDS, Segment
from keepline.models.clv.report.tracking import Group, Tracking

Float64 = npt.NDArray[np.float64]
WIDTH, HEIGHT = 4.6, 3.5
"""Inches: about a phone's width at 72 points an inch, so that letters are as large there as those of the text."""
BLUE, ORANGE, GREEN = COLOURS[:3]
LEVELS = 40
"""Colours; from 50 on matplotlib draws a colour bar as a bitmap."""
SPREAD = 0.05
"""A matrix whose values differ by less than this share of the largest has no lines of equal values."""
COLOUR_MAP = "cividis"
"""Even steps for every kind of colour vision (J. Nuñez, C. Anderton and R. Renslow 2018, PLOS ONE 13:e0199239)."""
SETTINGS = {
    "svg.fonttype": "none",
    "font.size": 9,
    "font.sans-serif": ["DejaVu Sans"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 8,
}


def heat_map(found: Matrix, values: Float64, name: str, title: str, label: str, *, top: float | None = None) -> str:
    """One of the matrices; `label`: what a colour stands for, `top`: its largest value where that is known."""
    import matplotlib as mpl

    def draw(axes: Any) -> None:
        columns, step = np.arange(len(found.frequency)), found.age / len(found.weeks)
        edges = np.append(found.weeks - step / 2, found.age)
        most = float(np.nanmax(values)) if top is None else top
        colours = mpl.colormaps[COLOUR_MAP].resampled(LEVELS)
        mesh = axes.pcolormesh(
            np.arange(len(columns) + 1) - 0.5, edges, values, cmap=colours, vmin=0.0, vmax=most or 1.0, edgecolors="face", linewidth=0.8
        )
        if len(columns) > 1 and most - float(np.nanmin(values)) > SPREAD * most:
            lines = axes.contour(columns, found.weeks, values, levels=4, colors="white", linewidths=0.8)
            axes.clabel(lines, fmt=lambda value: f"{value:g}", fontsize=8)
        bar = axes.figure.colorbar(mesh, ax=axes, pad=0.02)
        bar.set_label(label)
        bar.solids.set_edgecolor("face")  # no seams between the colours
        shown = columns[:: max(1, len(columns) // 8)]
        axes.set_xticks(shown, [f"{found.frequency[column]:g}" for column in shown])
        axes.set(xlabel="repeat purchases (frequency)", ylabel="last purchase in week (recency)", facecolor="#cccccc")

    return _svg(name, title, f"Heat map: {label} by repeat purchases and week of the last purchase.", draw)


def tracking(found: Tracking) -> str:
    """Cumulative repeat purchases by week."""

    def draw(axes: Any) -> None:
        axes.axvline(found.weeks[found.until], color=GREY, linestyle=":", linewidth=1)
        axes.plot(found.weeks, found.actual, color=BLUE, linewidth=2, label="actual")
        axes.plot(found.weeks, found.cohort, color=ORANGE, linestyle="--", label="expected of such customers")
        axes.plot(found.weeks[found.until :], found.history, color=GREEN, linestyle="-.", label="expected from their histories")
        axes.annotate(
            "until ", (found.weeks[found.until], 0.02), xycoords=("data", "axes fraction"), ha="right", va="bottom", color=GREY, fontsize=8
        )
        axes.set(xlabel="week since the first order", ylabel="repeat purchases so far", xlim=(0, None), ylim=(0, None))
        axes.yaxis.set_major_formatter(_tick)
        axes.legend(loc="upper left")

    text = f"Lines: {found.actual[-1]:.0f} actual and {found.history[-1]:.0f} expected repeat purchases at the end."
    return _svg("tracking", "Cumulative repeat purchases by week", text, draw)


def conditional(groups: Sequence[Group], days: int) -> str:
    """Mean purchases in the holdout by repeat purchases before."""

    def draw(axes: Any) -> None:
        places = np.arange(len(groups))
        axes.plot(places, [group.actual for group in groups], color=BLUE, marker="o", label="actual")
        axes.plot(places, [group.expected for group in groups], color=ORANGE, marker="s", linestyle="--", label="expected")
        axes.set_xticks(places, [count_of(group) for group in groups])
        axes.set(xlabel="repeat purchases up to until", ylabel=f"mean purchases in the {days} days after", ylim=(0, None))
        axes.legend(loc="upper left")

    return _svg("conditional", "Purchases after until by repeat purchases before", "Lines: mean actual and expected purchases.", draw)


def lift(figures: Mapping[str, Figures]) -> str:
    """Actual revenue of each tenth over the mean, by method."""

    def draw(axes: Any) -> None:
        axes.axhline(1, color=GREY, linestyle=":", linewidth=1)
        for place, (name, each) in enumerate(figures.items()):
            values = [np.nan if value is None else value for value in each.lift]
            style = place % len(COLOURS)
            line = "--" if place else "-"
            axes.plot(range(1, TENTHS + 1), values, marker=MARKERS[style], color=COLOURS[style], linestyle=line, label=name, markersize=5)
        axes.set_xticks(range(1, TENTHS + 1))
        axes.set(xlabel="tenth of the customers, highest predictions first", ylabel="actual spend over the mean", ylim=(0, None))
        axes.legend()

    return _svg("lift", "Lift by tenth of the customers", "Lines: what each tenth spent over the mean, by method.", draw)


def tenths(figures: Figures, unit: str) -> str:
    """Expected and actual revenue of each tenth of one method."""

    def draw(axes: Any) -> None:
        places = np.arange(1, TENTHS + 1)
        axes.bar(places - 0.2, figures.deciles, width=0.4, color=BLUE, label="actual")
        axes.bar(places + 0.2, figures.expected, width=0.4, color="white", edgecolor=ORANGE, hatch="///", label="expected")
        axes.set_xticks(places)
        axes.yaxis.set_major_formatter(_tick)
        axes.set(xlabel="tenth of the customers, highest predictions first", ylabel=f"revenue{unit}")
        axes.legend()

    return _svg("tenths", "Revenue by tenth of the customers", "Bars: actual and expected revenue of each tenth.", draw)


def segment_shares(found: Sequence[Segment], title: str) -> str:
    """Shares of one score's bands in customers, value, and actual revenue where that is known."""
    rows = [("customers", [segment.share for segment in found])]
    for label, name in (("expected value", "value_share"), ("actual spend", "spent_share")):
        shares = [getattr(segment, name) for segment in found]
        if None not in shares:
            rows.append((label, shares))
    colours = ("#cfe3f1", "#6aaed6", BLUE)

    def draw(axes: Any) -> None:
        for place, (_, shares) in enumerate(rows):
            left = 0.0
            for band, share, colour in zip(BANDS, shares, colours, strict=True):
                axes.barh(place, share, left=left, color=colour, edgecolor="white", label=band if place == 0 else None)
                if share >= 0.06:
                    ink = "white" if colour == BLUE else "black"
                    axes.text(left + share / 2, place, f"{share:.0%}", ha="center", va="center", color=ink, fontsize=8)
                left += share
        axes.set_yticks(range(len(rows)), [label for label, _ in rows])
        axes.set_xlim(0, 1)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3)

    return _svg(f"segments-{found[0].score}", title, "Bars: shares of LOW, MEDIUM and HIGH.", draw, height=2.0)


def count_of(group: Group) -> str:
    """The repeat purchases of a group, as on the axis.

    >>> count_of(Group(2, False, 9, 0.0, 0.0)), count_of(Group(7, True, 3, 0.0, 0.0))
    ('2', '7+')
    """
    return f"{group.repeats}+" if group.more else str(group.repeats)


def _tick(value: float, _: int | None = None) -> str:
    return f"{value:,.0f}" if 10 <= value < 1e7 else f"{value:g}"


def _svg(name: str, title: str, text: str, draw: Callable[[Any], None], height: float = HEIGHT) -> str:
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    # A fixed salt and no date, so that the same result gives the same bytes.
    with mpl.rc_context({**SETTINGS, "svg.hashsalt": name}):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure.subplots())
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
    return _inline(file.getvalue(), name, title, text)


def _inline(file: str, name: str, title: str, text: str) -> str:
    """An SVG file as a part of a page: no prologue, metadata or size, ids of its own, a title and a description."""
    size = re.search(r'viewBox="([^"]+)"', file)
    body = file[file.index(">", file.index("<svg")) + 1 :]
    body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<title>.*?</title>", "", body, flags=re.DOTALL)
    body = re.sub(r'\bid="', f'id="{name}-', body)
    body = re.sub(r"url\(#", f"url(#{name}-", body)
    body = re.sub(r'(?:xlink:)?href="#', f'href="#{name}-', body)
    head = (
        f'<svg viewBox="{size.group(1) if size else ""}" role="img" aria-labelledby="{name}-title {name}-text">'
        f'<title id="{name}-title">{html.escape(title)}</title><desc id="{name}-text">{html.escape(text)}</desc>'
    )
    return head + re.sub(r"\n\s*", "\n", body.strip())
