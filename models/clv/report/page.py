"""The report as one HTML page: plain words, tables and inline plots; it loads nothing from anywhere.

Report (found.py) ──► page ──► text of the file
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime

from keepline.models.clv.bgnbd import Bgnbd
from keepline.models.clv.compared import NAME as MODEL
from keepline.models.clv.evaluation import TENTHS, Figures
from keepline.models.clv.gamma_gamma import GammaGamma
from keepline.models.clv.manifest import BGNBD, GAMMA_GAMMA, FittedPart
from keepline.models.clv.regression import NAIVE
from keepline.models.clv.report import figures as plots
from keepline.models.clv.report.found import Holdout, Report
from keepline.models.clv.report.html import Markup, element, figure, join, table
from keepline.models.clv.report.segments import Segment
from keepline.models.clv.scorer import SCORES
from keepline.models.clv.value import DAYS_A_WEEK

NONE = "–"
LARGE = 1e15
STYLE = """
:root { color-scheme: light; }
body { margin: 0 auto; padding: 1rem; max-width: 60rem; font: 1rem/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; }
h1, h2 { line-height: 1.2; } h2 { margin-top: 2.5rem; }
.plots { display: grid; gap: 1.5rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 25rem), 1fr)); }
figure { margin: 0; } figcaption { font-size: .9rem; }
svg { display: block; width: 100%; height: auto; } svg * { stroke-linejoin: round; stroke-linecap: butt; }
.scroll { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #ddd; vertical-align: bottom; }
.text { text-align: left; } .number { text-align: right; } td { white-space: nowrap; }
.cards { display: grid; gap: .75rem; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); margin: 1rem 0; }
.cards div { border: 1px solid #ddd; border-radius: .5rem; padding: .5rem .75rem; }
.cards dt { font-size: .8rem; color: #595959; } .cards dd { margin: 0; font-size: 1.4rem; }
.warning { border-left: .3rem solid #d55e00; background: #fdf3ec; padding: .5rem .75rem; margin: 1rem 0; overflow-wrap: anywhere; }
footer { margin-top: 3rem; font-size: .85rem; color: #595959; overflow-wrap: anywhere; }
"""
SOURCES = (
    'BG/NBD: P. S. Fader, B. G. S. Hardie and K. L. Lee (2005), "Counting your customers" the easy way, Marketing Science 24:275-284.',
    "Gamma-Gamma: P. S. Fader and B. G. S. Hardie (2013), The Gamma-Gamma model of monetary value, brucehardie.com/notes/025.",
    "Repeat purchases are UTC days with an order after the day of the first one. Refunds are no orders; they lower the actual spend. "
    "Customers whose first order came after the fit are in no figure.",
    "MAE: mean absolute error over the customers. Gini, normalised: 1 orders the customers as their actual spend does, 0 as chance does. "
    "Lift: what a tenth spent per customer, over the mean of all. The naive rate is each customer's rate so far, kept up.",
)


def page(found: Report) -> str:
    """The whole file."""
    head = element(
        "head",
        Markup('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
        element("title", f"Customer lifetime value: {found.manifest.model_id} {found.manifest.version}"),
        element("style", Markup(STYLE)),
    )
    main = element(
        "main", *_summary(found), *_fitted(found), *_matrices(found), *_ahead(found), *_worth(found), *_segments(found), *_sources(found)
    )
    return f'<!DOCTYPE html>\n<html lang="en">{head}<body>{main}</body></html>\n'


def day(ms: int) -> str:
    """The UTC day of epoch milliseconds.

    >>> day(875_663_999_999)
    '30 September 1997'
    """
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    return f"{moment.day} {moment:%B} {moment.year}"


def number(value: float | None, form: str = ",.0f") -> str:
    """A number, or a dash for what cannot be told; a very large one by its power of ten."""
    if value is None or not math.isfinite(value):
        return NONE
    return format(value, form if abs(value) < LARGE else ".3g")


def _unit(found: Report) -> str:
    return f" {found.manifest.currency}" if found.manifest.currency else ""


def _summary(found: Report) -> Iterator[Markup]:
    read, ahead = found.input, found.holdout
    yield element("h1", "Customer lifetime value")
    made = "Fitted to the orders" if read.fitted else f"Model {found.manifest.model_id} {found.manifest.version} at work on the orders"
    chosen = ", where 60% of the time is over (no other time was asked for)" if read.default_until else ""
    rest = f"The {ahead.days} days after it check the model." if ahead else "No day lies after it, so nothing can be checked."
    yield element(
        "p",
        f"{read.purchases:,} purchases and refunds from {day(read.first)} to {day(read.end)}. "
        f"{made} of {found.customers:,} customers until {day(found.until)}{chosen}. {rest}",
    )
    cards = [("Customers", number(found.customers)), ("who bought again", f"{found.repeaters / found.customers:.0%}")]
    if ahead:
        gini = ahead.figures[MODEL].gini
        cards += [
            ("Repeat purchases expected", number(ahead.expected)),
            ("Repeat purchases that came", number(ahead.actual)),
            ("MAE, purchases", number(ahead.mae, ".3f")),
            ("Gini of the value", number(gini, ".3f")),
        ]
    yield element("dl", *(element("div", element("dt", name), element("dd", value)) for name, value in cards), class_="cards")
    for warning in found.warnings:
        yield element("p", element("strong", "Mind: "), warning, class_="warning")


def _fitted(found: Report) -> Iterator[Markup]:
    manifest = found.manifest
    yield element("h2", "What was fitted")
    low, high = manifest.baseline["t_days"].min, manifest.baseline["t_days"].max
    ages = "" if low is None or high is None else f", whose first order was {low:,.0f} to {high:,.0f} days before"
    yield element(
        "p",
        "BG/NBD says when customers buy and leave, Gamma-Gamma what a purchase is worth. Time is in weeks. Fitted on "
        f"{manifest.data.purchases:,} purchases and refunds of {manifest.data.customers:,} customers until {manifest.data.until}{ages}.",
    )
    r, alpha, a, b = Bgnbd(*manifest.bgnbd.values(BGNBD))
    p, q, gamma = GammaGamma(*manifest.gamma_gamma.values(GAMMA_GAMMA))
    words = (
        f"Purchases: on average {r / alpha:.3g} a week while one is a customer, or one in {alpha / r:,.3g} weeks.",
        f"Leaving: with probability {a / (a + b):.3g} on average after each repeat purchase, and at no other time.",
        f"Amounts: {p * gamma / (q - 1.0):,.2f}{_unit(found)} a purchase on average over customers.",
    )
    yield element("ul", *(element("li", text) for text in words))
    yield table("Parameters", ("parameter", "value", "standard error"), _parameters(found))
    verdicts = (("BG/NBD", manifest.bgnbd), ("Gamma-Gamma", manifest.gamma_gamma))
    yield element("ul", *(element("li", _verdict(name, part)) for name, part in verdicts))


def _parameters(found: Report) -> Iterator[tuple[str, str, str]]:
    for name, part in (("BG/NBD", found.manifest.bgnbd), ("Gamma-Gamma", found.manifest.gamma_gamma)):
        for parameter, estimate in part.parameters.items():
            value = f"{estimate.value:,.4f}" if estimate.value >= 1e-3 else f"{estimate.value:.3g}"
            yield f"{name} {parameter}", value, number(estimate.standard_error, ".4g")


MEANING = {
    "converged": "converged: the likelihood has its maximum here",
    "degenerate": "degenerate: a parameter runs away or no maximum stands out, see the warning above",
    "failed": "failed: the optimiser did not reach a maximum; do not use these numbers",
}


def _verdict(name: str, part: FittedPart) -> str:
    said = "" if part.correlation is None else f" Correlation of frequency and amount: {part.correlation:.2f} (the model assumes none)."
    likelihood = f"{part.log_likelihood:,.2f}".replace("-", "−")
    return f"{name} {MEANING[part.verdict]}. Log-likelihood {likelihood} over {part.customers:,} customers.{said}"


def _matrices(found: Report) -> Iterator[Markup]:
    yield element("h2", "Frequency and recency")
    grid, horizon = found.matrix, found.manifest.horizon.periods
    if grid is None:
        yield element("p", f"No customer had bought again by {day(found.until)}, so there is no frequency and no recency to show.")
        return
    silent = "Who bought often and then fell silent has probably left; who bought seldom is not missed yet. "
    yield element(
        "p",
        f"Customers whose first order was {grid.age:.0f} weeks ago, by how often they bought again and when they did last. "
        f"{silent if found.manifest.bgnbd.verdict == 'converged' else ''}"
        f"Without a repeat purchase P(alive) is 1 by the model's definition, and {grid.once:.2f} purchases are expected.",
    )
    beyond = f" {grid.beyond:,} customers bought more often." if grid.beyond else ""
    label = f"purchases expected in {horizon} × 30 days"
    purchases = plots.heat_map(grid, grid.expected, "expected", "Expected purchases by frequency and recency", label)
    alive = plots.heat_map(grid, grid.alive, "alive", "P(alive) by frequency and recency", "P(alive)", top=1.0)
    impossible = " Grey: more days with an order than there were days."
    yield element(
        "div",
        figure(purchases, "Expected purchases", f"Over the horizon of {horizon} periods of 30 days.{beyond}{impossible}"),
        figure(alive, "P(alive)", "The probability that such a customer still is one."),
        class_="plots",
    )


def _ahead(found: Report) -> Iterator[Markup]:
    yield element("h2", "Expected and actual purchases")
    ahead = found.holdout
    if ahead is None:
        yield _no_holdout(found)
        return
    more = "more" if ahead.expected >= ahead.actual else "fewer"
    change = f", {abs(ahead.expected / ahead.actual - 1):.0%} {more} than came" if ahead.actual else ""
    yield element(
        "p",
        f"In the {ahead.days} days ({ahead.days / DAYS_A_WEEK:.3g} weeks) after {day(found.until)}, {number(ahead.actual)} repeat "
        f"purchases came, and {number(ahead.expected)} were expected{change}.",
    )
    rows = [
        (MODEL.split(" ×")[0], number(ahead.expected), number(ahead.actual), number(ahead.mae, ".3f")),
        (NAIVE, number(ahead.naive), number(ahead.actual), number(ahead.naive_mae, ".3f")),
    ]
    yield table("Repeat purchases", ("method", "expected", "actual", "MAE of a customer"), rows)
    yield element(
        "div",
        figure(
            plots.tracking(ahead.tracking),
            "Week by week",
            "Repeat purchases of the customers known at the end of the fit. Dashed: what the model expects of customers who began when "
            "these did. Dot-dashed: what it expects after the fit from each one's own history.",
        ),
        figure(
            plots.conditional(ahead.groups, ahead.days),
            "By purchases before",
            "Mean number of days with an order after the fit, by the number of repeat purchases until then.",
        ),
        class_="plots",
    )
    groups = [(plots.count_of(g), number(g.customers), number(g.expected, ".3f"), number(g.actual, ".3f")) for g in ahead.groups]
    yield table("By purchases before", ("repeat purchases before", "customers", "expected mean", "actual mean"), groups)
    yield element("details", element("summary", "The weeks as a table"), _weeks(ahead))


def _weeks(ahead: Holdout) -> Markup:
    track = ahead.tracking
    before = len(track.weeks) - len(track.history)
    rows = [
        (
            number(week, ".1f"),
            number(track.actual[place]),
            number(track.cohort[place]),
            number(track.history[place - before] if place >= before else None),
        )
        for place, week in enumerate(track.weeks.tolist())
    ]
    return table("Cumulative repeat purchases", ("week", "actual", "expected of such customers", "expected from their histories"), rows, 0)


def _worth(found: Report) -> Iterator[Markup]:
    yield element("h2", "Who is worth most")
    ahead = found.holdout
    if ahead is None:
        yield _no_holdout(found)
        return
    own = ahead.figures[MODEL]
    top = "" if own.lift[0] is None else f" The tenth with the highest predictions spent {own.lift[0]:.2f} times the mean."
    below = f" {ahead.below_zero:,} customers had refunds above their orders; they count as 0." if ahead.below_zero else ""
    yield element(
        "p",
        f"All customers in the order of what they were expected to spend in the {ahead.days} days, in ten equal parts, and what each part "
        f"then spent: {number(sum(own.deciles), ',.2f')}{_unit(found)} in all.{top}{below}",
    )
    yield table(
        "Methods",
        ("method", "Gini", "Spearman", "MAE", "RMSE", "expected/actual", "top tenth"),
        (_method(*each) for each in ahead.figures.items()),
    )
    if set(ahead.figures) - {MODEL, NAIVE}:
        yield element(
            "p",
            "A regression learns from what customers spent after its rows. Where these are the same days, it has seen what it is judged "
            "by, and its figures flatter it. Its amounts are scaled from its own horizon to this one.",
        )
    yield element(
        "div",
        figure(plots.lift(ahead.figures), "Lift by tenth", "Actual spend over the mean of all customers, each method in its own order."),
        figure(plots.tenths(own, _unit(found)), "Revenue by tenth", f"Actual and expected revenue, by {MODEL}."),
        class_="plots",
    )
    names = list(ahead.figures)
    sums = (
        (str(tenth + 1), number(own.expected[tenth], ",.2f"), *(number(ahead.figures[name].deciles[tenth], ",.2f") for name in names))
        for tenth in range(TENTHS)
    )
    yield table("Tenths", ("tenth", f"expected, {MODEL}", *(f"actual, {name}" for name in names)), sums)


def _method(name: str, each: Figures) -> tuple[str, ...]:
    total = each.total if sum(each.deciles) else None
    return (
        name, number(each.gini, ".3f"), number(each.spearman, ".3f"), number(each.mae, ",.2f"), number(each.rmse, ",.2f"),
        number(total, ".3f"), number(each.lift[0], ".2f"),
    )  # fmt: skip


def _segments(found: Report) -> Iterator[Markup]:
    yield element("h2", "Segments")
    yield element(
        "p",
        f"The bands of each score, which a contact policy can name. Value: revenue expected over {found.manifest.horizon.periods} periods "
        "of 30 days (clv_bgnbd)." + (" Actual: revenue after the fit." if found.holdout else ""),
    )
    drawn = []
    for score in SCORES:
        own = [segment for segment in found.segments if segment.score == score]
        title = f"Shares of the bands of {score}"
        drawn.append(figure(plots.segment_shares(own, title), score, MEANINGS[score]))
    yield element("div", *drawn, class_="plots")
    headings = ["score", "band", "limits", "customers", "share", "value", "share of value"]
    if found.holdout:
        headings.append("share of actual")
    yield table("Segments", headings, (_segment(segment, found) for segment in found.segments), texts=3)


MEANINGS = {
    "p_alive": "The probability of still being a customer.",
    "clv_bgnbd": "Revenue expected over the horizon, by BG/NBD and Gamma-Gamma.",
    "clv_formula": "Average purchase × purchases a period × periods × margin.",
}


def _segment(segment: Segment, found: Report) -> list[str]:
    form = ".2f" if segment.score == "p_alive" else ",.2f"
    limits = {
        "LOW": f"below {number(segment.below, form)}",
        "MEDIUM": f"{number(segment.at_least, form)} to below {number(segment.below, form)}",
        "HIGH": f"from {number(segment.at_least, form)}",
    }[segment.band]
    cells = [segment.score, segment.band, limits, number(segment.customers), number(segment.share, ".1%")]
    cells += [number(segment.value, ",.2f"), number(segment.value_share, ".1%")]
    return [*cells, number(segment.spent_share, ".1%")] if found.holdout else cells


def _no_holdout(found: Report) -> Markup:
    return element(
        "p",
        f"There is no holdout: the purchases end on {day(found.input.end)}, and the fit goes until {day(found.until)}. "
        "Give an earlier --until, or later events, to see what was expected beside what came.",
        class_="warning",
    )


def _sources(found: Report) -> Iterator[Markup]:
    read = found.input
    yield element("h2", "How it is reckoned")
    yield element("ul", *(element("li", text) for text in SOURCES))
    counts = f"{read.rejected:,} records were refused, {read.duplicate:,} were duplicates, {read.late:,} came too late to count."
    manifest = found.manifest
    made = f"Model {manifest.model_id} {manifest.version}, made by: {manifest.created.command}"
    yield element("footer", join((counts, made), " "))
