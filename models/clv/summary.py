"""RFM of every customer at a time, and what each bought after it: plain NumPy over purchases.

    Purchases ── until ──► summarise ──► Summary: the features of the set `clv` that BG/NBD, Gamma-Gamma and the formula read
                └─ after ─► holdout ───► days with an order, in (until, end]

The meanings are those of the feature set `clv`: a day is a UTC day, orders have amount ≥ 0, refunds are none. BG/NBD's x, t_x and T
are frequency, recency_days / 7 and t_days / 7.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from keepline.features.aggregators.windows import LARGEST
from keepline.models.clv.purchases import Purchases
from keepline.models.clv.value import DAYS_A_WEEK, PERIOD_DAYS

DAY_MS = 86_400_000
Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Summary:
    """Customers with an order by `until`, sorted by id: float64[n] each, by the names of the feature set."""

    customers: list[str]
    until: int  # epoch ms
    orders: Float64
    frequency: Float64
    recency_days: Float64
    t_days: Float64
    monetary_value: Float64
    average_purchase_value: Float64
    purchase_frequency: Float64
    gross_margin: Float64

    @property
    def x(self) -> Float64:
        """Repeat purchases."""
        return self.frequency

    @property
    def t_x(self) -> Float64:
        """Weeks from the first to the last purchase."""
        return self.recency_days / DAYS_A_WEEK

    @property
    def t(self) -> Float64:
        """Weeks from the first purchase to `until`."""
        return self.t_days / DAYS_A_WEEK


def summarise(purchases: Purchases, until: int, default_margin: float = 0.3) -> Summary:
    """RFM of the customers with an order at or before `until` (epoch ms). `default_margin`: of those whose orders carry no cost."""
    chosen = (purchases.amount >= 0) & (purchases.time <= until)
    who, amount, cost = purchases.customer[chosen], purchases.amount[chosen], purchases.cost[chosen]
    places, customer = np.unique(who, return_inverse=True)
    n = len(places)
    days, owner, day_total = _days(customer, purchases.time[chosen], amount)
    first = np.searchsorted(owner, np.arange(n))
    last = np.searchsorted(owner, np.arange(n), side="right") - 1
    frequency = (last - first).astype(np.float64)
    later = np.ones(len(days))
    later[first] = 0.0
    orders = np.bincount(customer, minlength=n).astype(np.float64)
    t_days = (until // DAY_MS - days[first]).astype(np.float64)
    rank = np.argsort(np.array([purchases.customers[place] for place in places], dtype=object), kind="stable")
    columns = {
        "orders": orders,
        "frequency": frequency,
        "recency_days": (days[last] - days[first]).astype(np.float64),
        "t_days": t_days,
        "monetary_value": np.bincount(owner, later * day_total, n) / np.maximum(frequency, 1.0),
        "average_purchase_value": np.bincount(customer, amount, n) / np.maximum(orders, 1.0),
        "purchase_frequency": orders * PERIOD_DAYS / np.maximum(t_days, PERIOD_DAYS),
        "gross_margin": _margins(customer, amount, cost, n, default_margin),
    }
    names = [purchases.customers[place] for place in places[rank]]
    return Summary(customers=names, until=until, **{name: column[rank] for name, column in columns.items()})


def holdout(purchases: Purchases, summary: Summary, end: int) -> Int64:
    """Days with an order in (until, end] of each customer of the summary, int64[n]; the day of `until` counts if it had none before.

    That is what BG/NBD's expected purchases over the same time are held against.
    """
    orders = (purchases.amount >= 0) & (purchases.time <= end)
    places = {name: place for place, name in enumerate(purchases.customers)}
    known = np.array([places.get(name, -1) for name in summary.customers], np.int64)

    def count(upto: int) -> Int64:
        chosen = orders & (purchases.time <= upto)
        _, owner, _ = _days(purchases.customer[chosen], purchases.time[chosen], purchases.amount[chosen])
        return np.bincount(owner, minlength=len(purchases.customers) + 1)

    found: Int64 = (count(end) - count(summary.until))[known]
    return found


def _days(customer: Int64, time: Int64, amount: Float64) -> tuple[Int64, Int64, Float64]:
    """(day, customer, total) of every day with an order, by customer, then day."""
    pairs, group = np.unique(np.column_stack((customer, time // DAY_MS)), axis=0, return_inverse=True)
    totals: Float64 = np.bincount(group.ravel(), amount, len(pairs)).astype(np.float64)
    return pairs[:, 1], pairs[:, 0], totals


def _margins(customer: Int64, amount: Float64, cost: Float64, n: int, default: float) -> Float64:
    """(Σ amount − Σ cost) / Σ amount over the orders with a cost."""
    told = ~np.isnan(cost)
    amounts = np.bincount(customer[told], amount[told], n)
    costs = np.bincount(customer[told], cost[told], n)
    sold = amounts > 0
    with np.errstate(over="ignore"):  # an amount near 0 under a cost: the largest double, as in the stream
        margins = (amounts - costs) / np.where(sold, amounts, 1.0)
    return np.where(sold, np.clip(margins, -LARGEST, LARGEST), default)
