"""PromQL held against a scrape: does every selector find series, and are the labels that are grouped by and shown there?"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import promql_parser

from tests.monitoring.running import Series

GRAFANA = {"$__rate_interval": "5m", "$job": ".*"}
Op = promql_parser.MatchOp


def plain(expression: str) -> str:
    """Grafana's variables as Prometheus would get them."""
    for name, value in GRAFANA.items():
        expression = expression.replace(name, value)
    return expression


def nodes(expression: Any, kind: type) -> list[Any]:
    """All parts of one kind."""
    found: list[Any] = []
    promql_parser.walk(expression, lambda node: found.append(node) if isinstance(node, kind) else None)
    return found


def matches(selector: Any, series: Series) -> bool:
    """As Prometheus would: a label that is not there is the empty text."""
    if selector.name and selector.name != series.name:
        return False
    for matcher in selector.matchers.matchers:
        value = series.name if matcher.name == "__name__" else series.labels.get(matcher.name, "")
        hit = bool(re.fullmatch(matcher.value, value)) if matcher.op in (Op.Re, Op.NotRe) else matcher.value == value
        if hit == (matcher.op in (Op.NotEqual, Op.NotRe)):
            return False
    return True


def found(expression: Any, scrape: Iterable[Series]) -> list[Series]:
    """What the selectors of an expression select."""
    return [series for selector in nodes(expression, promql_parser.VectorSelector) for series in scrape if matches(selector, series)]


def faults(text: str, scrape: Iterable[Series], legend: str = "") -> list[str]:
    """Why the expression cannot work on this scrape; empty where it can. `legend` is Grafana's, with {{labels}}."""
    try:
        expression = promql_parser.parse(plain(text))
    except ValueError as error:
        return [f"no PromQL: {error}"]
    wrong = []
    selectors = nodes(expression, promql_parser.VectorSelector)
    if not selectors:
        wrong.append("selects nothing")
    wrong += [f"no series matches {one.prettify().strip()}" for one in selectors if not any(matches(one, series) for series in scrape)]
    shown = set(re.findall(r"\{\{\s*(\w+)\s*\}\}", legend))
    groups = [one for one in nodes(expression, promql_parser.AggregateExpr) if one.modifier]
    for group in groups:
        known = {label for series in found(group.expr, scrape) for label in series.labels}
        wrong += [f"groups by {label}, which its series do not have" for label in group.modifier.labels if label not in known]
    aggregates = nodes(expression, promql_parser.AggregateExpr)
    left = set().union(*(group.modifier.labels for group in groups)) if aggregates else None
    known = {label for series in found(expression, scrape) for label in series.labels} if left is None else left
    wrong += [f"shows {{{{{label}}}}}, which its result does not have" for label in sorted(shown - known)]
    return wrong
