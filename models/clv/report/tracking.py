"""Repeat purchases after `until`: what the model expected and what came, week by week and by the purchases before.

    Purchases, Summary, parameters ──► track ──────► cumulative repeat purchases by week
    expected and actual by customer ─► by_count ───► means of the customers with 0, 1, 2, … repeat purchases up to `until`

These are the two plots by which its authors judge BG/NBD: P. S. Fader, B. G. S. Hardie and K. L. Lee (2005), "Counting your
customers" the easy way, Marketing Science 24:275-284. Equation numbers are the paper's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from keepline.models.clv.bgnbd import Bgnbd, all_expected_purchases, all_p_alive, expected_if_alive, expected_of_new
from keepline.models.clv.purchases import Purchases
from keepline.models.clv.summary import DAY_MS, Summary
from keepline.models.clv.value import DAYS_A_WEEK
from keepline.schemas.jit import njit

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
WEEK_MS = 7 * DAY_MS
MOST_POINTS = 200
"""Beyond as many weeks a point stands for several."""
LAST_GROUP = 7
"""Customers with so many repeat purchases or more are one group, as in the paper."""


@dataclass(frozen=True, eq=False)
class Tracking:
    """Cumulative repeat purchases of the customers known at `until`, at points a week apart (the last: the end)."""

    weeks: Float64
    """Of each point, since the first order of all."""
    until: int
    """Place of the point at `until`."""
    actual: Float64
    cohort: Float64
    """Expected of random customers who began when these did (equation 9)."""
    history: Float64
    """From `until` on: the actual ones until then, and what is expected of each customer's own history (equation 10)."""


@dataclass(frozen=True, slots=True)
class Group:
    """Customers with as many repeat purchases up to `until`; means are days with an order after it."""

    repeats: int
    more: bool
    """Or more of them."""
    customers: int
    actual: float
    expected: float


def expected_purchases(parameters: Bgnbd, summary: Summary, weeks: float) -> Float64:
    """Days with an order in the `weeks` after `until` that are expected of each customer, float64[n] (equation 10)."""
    found: Float64 = all_expected_purchases(*parameters, summary.x, summary.t_x, summary.t, weeks)
    return found


def days_after(summary: Summary, end: int) -> int:
    """Whole UTC days from the day of `until` to the day of `end` (epoch ms), at least 0: the length of the holdout."""
    return max(end // DAY_MS - summary.until // DAY_MS, 0)


def track(purchases: Purchases, summary: Summary, parameters: Bgnbd, end: int) -> Tracking:
    """Expected and actual repeat purchases up to `end` (epoch ms, at least one day after `until`). `purchases`: up to `end` or more."""
    birth = summary.until // DAY_MS - summary.t_days.astype(np.int64)
    start = int(birth.min()) * DAY_MS
    moments = _moments(start, summary.until, end)
    until = int(np.searchsorted(moments, summary.until))
    actual = np.searchsorted(_repeat_times(purchases, summary), moments, side="right").astype(np.float64)
    ahead = (moments[until:] // DAY_MS - summary.until // DAY_MS) / DAYS_A_WEEK
    return Tracking(
        weeks=(moments - start) / WEEK_MS,
        until=until,
        actual=actual,
        cohort=_of_new(parameters, birth, moments // DAY_MS),
        history=actual[until] + _of_histories(parameters, summary, ahead),
    )


def by_count(repeats: Float64, actual: Float64, expected: Float64) -> list[Group]:
    """Means by the number of repeat purchases up to `until`, where there are such customers. Each float64[n], one entry a customer."""
    group = np.minimum(repeats, LAST_GROUP)
    return [
        Group(int(number), bool(number == LAST_GROUP), int(own.sum()), float(actual[own].mean()), float(expected[own].mean()))
        for number in np.unique(group)
        for own in (group == number,)
    ]


def _moments(start: int, until: int, end: int) -> Int64:
    """`until` and the times whole weeks away from it within (start, end], and `end`; epoch ms, ascending."""
    step = WEEK_MS * max(1, math.ceil((end - start) / WEEK_MS / MOST_POINTS))
    before = np.arange(until, min(start, until - 1), -step)[::-1]
    after = np.arange(until + step, end, step)
    return np.concatenate((before, after, [end])).astype(np.int64)


def _repeat_times(purchases: Purchases, summary: Summary) -> Int64:
    """When each repeat purchase came, sorted: the first order of every further day of a customer in the summary."""
    names = set(summary.customers)
    known = np.array([name in names for name in purchases.customers], bool)
    chosen = (purchases.amount >= 0) & known[purchases.customer]
    pairs = np.column_stack((purchases.customer[chosen], purchases.time[chosen] // DAY_MS))
    days, group = np.unique(pairs, axis=0, return_inverse=True)
    earliest = np.full(len(days), np.iinfo(np.int64).max)
    np.minimum.at(earliest, group.ravel(), purchases.time[chosen])
    further = np.zeros(len(days), bool)
    further[1:] = days[1:, 0] == days[:-1, 0]
    return np.sort(earliest[further])


def _of_new(parameters: Bgnbd, birth: Int64, days: Int64) -> Float64:
    """Σ E[X(t)] over customers by the ends of `days`; all are days since the epoch, `birth` those of the first orders."""
    begun, count = np.unique(birth, return_counts=True)
    ages = np.maximum(days[:, None] - begun, 0)
    known, place = np.unique(ages, return_inverse=True)
    each = np.array([expected_of_new(*parameters, float(age) / DAYS_A_WEEK) for age in known])
    found: Float64 = each[place.reshape(ages.shape)] @ count.astype(np.float64)
    return found


def _of_histories(parameters: Bgnbd, summary: Summary, ahead: Float64) -> Float64:
    """Σ of equation 10 over customers, for each number of weeks ahead.

    P(alive) does not depend on how far one looks, so customers of one frequency and age share the rest.
    """
    alive = all_p_alive(*parameters, summary.x, summary.t_x, summary.t)
    kinds, group = np.unique(np.column_stack((summary.x, summary.t)), axis=0, return_inverse=True)
    weight = np.bincount(group.ravel(), alive, len(kinds)).astype(np.float64)
    x, t = np.ascontiguousarray(kinds[:, 0]), np.ascontiguousarray(kinds[:, 1])
    return np.array([_weighted(*parameters, x, t, weight, float(weeks)) for weeks in ahead])


@njit
def _weighted(r: float, alpha: float, a: float, b: float, x: Float64, t: Float64, weight: Float64, weeks: float) -> float:
    total = 0.0
    for i in range(x.shape[0]):
        total += weight[i] * expected_if_alive(r, alpha, a, b, x[i], t[i], weeks)
    return total
