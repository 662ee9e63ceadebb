"""The scorers alone: from a row of features to its score, and to its reasons. No events, no states, one thread, CPU time.

    synthetic events ──► rows of churn and clv, one a customer ──► each scorer over all rows, in turn with the others

Trees are fitted here, to made-up labels, by the options of the real families, so that they are as large as those of a company's own
rows (`shape`). The logistic model and the closed forms are the committed ones. A model's numbers stay in the processor's cache, where an
operator shares it with the states.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from keepline.features.plan import compile as compile_plan
from keepline.features.rows import EventBatch, compute_rows
from keepline.features.sets import feature_set
from keepline.jobs.settings import PRETRAINED, PRETRAINED_CLV
from keepline.models import manifest
from keepline.models.clv import manifest as clv_manifest
from keepline.models.clv.scorer import SCORES
from keepline.models.clv.scorer import score as value_score
from keepline.models.pipeline import Columns
from keepline.models.scorer import score, top3
from keepline.models.trees import families, table
from keepline.models.trees.forest import Forest
from keepline.models.trees.scorer import score as forest_score
from keepline.operators.arrays import floats, ints
from keepline.schemas.jit import njit
from keepline.schemas.mem import address, load_f64
from tests.benchmarks import events

CUSTOMERS, EVENTS_EACH = 4_000, 200
DAY, SILENCE_DAYS = 86_400_000, 270.0
"""A closed form takes as long as its row asks for, so customers are from a few days to nine months old."""
ROUNDS, LEAST_S = 7, 0.05
"""Each scorer is timed so often, in turn with the others, over all rows again and again for so long."""
MOST_NS = 5_000
"""The target for 100 trees of depth 6."""
WEIGHT = 0.5
"""Of the trees in the ensemble; the cost is the same whatever it is."""

LOGISTIC, TREES, ENSEMBLE, CLOSED = "logistic", "trees", "ensemble", "BG/NBD, Gamma-Gamma"


class Scorer(NamedTuple):
    """A model as compiled code takes it."""

    shape: str
    rows: int
    run: Callable[[bool], float]
    """Scores all rows, with reasons or not; returns the sum of the (first) scores."""
    cases: tuple[bool, ...] = (False, True)
    """Without reasons and with them; of closed forms there is no score without its reasons."""


@njit
def _linear(rows: Any, kind: Any, coef: Any, center: Any, intercept: float, contributions: Any, places: Any, reasons: bool) -> float:
    total, width, at, out, found = 0.0, rows.shape[1], address(rows), address(contributions), address(places)
    a, b, c = address(kind), address(coef), address(center)
    for i in range(rows.shape[0]):
        x = floats(at + 8 * width * i, width)
        total += score(x, ints(a, width), floats(b, width), floats(c, width), intercept, floats(out, width))
        if reasons:
            top3(floats(out, width), ints(found, 3))
    return total


@njit
def _forest(rows: Any, numbers: Any, contributions: Any, places: Any, reasons: bool) -> float:
    total, width, at, out, found = 0.0, rows.shape[1], address(rows), address(contributions), address(places)
    for i in range(rows.shape[0]):
        total += forest_score(at + 8 * width * i, address(numbers), out)
        if reasons:
            top3(floats(out, width), ints(found, 3))
    return total


@njit
def _closed(rows: Any, numbers: Any, values: Any, contributions: Any, places: Any) -> float:
    total, width, at = 0.0, rows.shape[1], address(rows)
    for i in range(rows.shape[0]):
        value_score(at + 8 * width * i, address(numbers), address(values), address(contributions), address(places))
        total += load_f64(address(values), 0)
    return total


def rows_of(name: str, customers: int, each: int, silence_days: float = 0.0) -> Any:
    """Rows of a feature set, one a customer, after a stream of so many events each; the last customer's so many days later."""
    stream = events.Stream(customers, shop=True)
    made = events.make(stream, 0, customers * each)
    batch = EventBatch(made.buffer, made.at[:-1], np.diff(made.at))
    end = events.START_MS + customers * each * stream.step_us() // 1000
    ids = [events.key(customer).decode() for customer in range(customers)]
    at = end + np.linspace(0.0, silence_days * DAY, customers).astype(np.int64)
    return np.ascontiguousarray(compute_rows(compile_plan(feature_set(name)), batch, ids, at).x)


def fitted(rows: Any, names: tuple[str, ...]) -> Forest:
    """Trees on made-up labels: each column that varies has a part in them, and a third is chance."""
    varied = [i for i in range(len(names)) if np.ptp(rows[:, i]) > 0]
    dice = np.random.default_rng(1)
    z = sum(dice.normal() * (rows[:, i] > np.median(rows[:, i])) for i in varied)
    labels = (z - np.median(z) + dice.logistic(size=len(rows)) > 0).astype(int)
    columns = Columns(names, (), tuple(names[i] for i in varied), (), (), (), ())
    with families.one_thread():
        trees = families.build_trees(columns, 42).fit(pd.DataFrame(rows, columns=list(names)), labels)
    return families.exported(trees, columns)


def scorers(customers: int = CUSTOMERS, each: int = EVENTS_EACH) -> dict[str, Scorer]:
    """All of them, over the rows of so many customers."""
    churn, clv = feature_set("churn"), feature_set("clv")
    rows, orders = rows_of("churn", customers, each), rows_of("clv", customers, each, SILENCE_DAYS)
    orders = np.ascontiguousarray(orders[orders[:, clv.names.index("orders")] > 0])
    width = rows.shape[1]
    linear = manifest.load(PRETRAINED, churn).tables()
    forest = fitted(rows, churn.names)
    places_of = [churn.names.index(each.name) for each in forest.inputs]
    part = table.Linear(
        linear.kind.astype(np.int64), (1 - WEIGHT) * linear.coef, linear.center, np.zeros(width), (1 - WEIGHT) * linear.intercept
    )
    alone = table.build(forest, places_of, width)
    both = table.build(forest, places_of, width, WEIGHT, part)
    closed = clv_manifest.load(PRETRAINED_CLV, clv).table()
    contributions, places = np.zeros(width), np.zeros(3, np.int32)
    values, of_value, places_of_value = np.zeros(len(SCORES)), np.zeros((len(SCORES), len(clv.names))), np.zeros((len(SCORES), 3), np.int32)
    inner, m = sum(feature >= 0 for feature in forest.feature), len(rows)
    shape = f"{forest.trees} trees, depth {max(forest.depths())}, {inner:,} nodes"
    return {
        LOGISTIC: Scorer(f"{width} features", m, lambda reasons: _linear(rows, *linear, contributions, places, reasons)),
        TREES: Scorer(shape, m, lambda reasons: _forest(rows, alone, contributions, places, reasons)),
        ENSEMBLE: Scorer(f"{shape}, {width} features", m, lambda reasons: _forest(rows, both, contributions, places, reasons)),
        CLOSED: Scorer(
            f"{len(SCORES)} scores", len(orders), lambda _: _closed(orders, closed, values, of_value, places_of_value), cases=(True,)
        ),
    }


def measure(
    say: Callable[[str], None], customers: int = CUSTOMERS, each: int = EVENTS_EACH, least_s: float = LEAST_S
) -> list[dict[str, Any]]:
    """ns a row of each scorer: in `ns` without reasons, in `with_reasons_ns` with them, an entry a round."""
    say("scorers: rows and trees")
    found = scorers(customers, each)
    results = [{"scorer": name, "shape": one.shape, "rows": one.rows, "ns": [], "with_reasons_ns": []} for name, one in found.items()]
    for number in range(1, ROUNDS + 1):
        for result, scorer in zip(results, found.values(), strict=True):
            say(f"scorers: round {number} of {ROUNDS}, {result['scorer']}")
            for reasons in scorer.cases:
                result["with_reasons_ns" if reasons else "ns"].append(timed(scorer.run, reasons, least_s) / scorer.rows * 1e9)
    return results


def timed(run: Callable[[bool], float], reasons: bool, least_s: float) -> float:
    """CPU seconds of one run over all rows."""
    run(reasons)  # warm
    begin, runs, spent = time.thread_time(), 0, 0.0
    while spent < least_s:
        run(reasons)
        runs += 1
        spent = time.thread_time() - begin
    return spent / runs


def target(result: dict[str, Any]) -> str:
    """Whether the trees, and what has them in it, keep to the target: the median, with reasons."""
    if result["scorer"] not in (TREES, ENSEMBLE):
        return ""
    return f"at most {MOST_NS:,}: {'met' if statistics.median(result['with_reasons_ns']) <= MOST_NS else 'missed'}"
