"""The naive twin of the kernel for the feature set `clv`: any row recomputed from the raw events, from the contract alone.

It shares no code with the kernel and is as slow as it looks. Sums are exact: the doubles of the events are added as fractions, and one
result is rounded to a double (the largest, where it would be larger). Data passes as `records in order of arrival → oracle.accept → row`.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from fractions import Fraction

from keepline.features.oracle import Record, accept

DAY = 24 * 60 * 60 * 1000
LARGEST = Fraction(sys.float_info.max)


def training_row(records: Iterable[Record], at: int, margin: float = 0.3) -> dict[str, float]:
    """The row at `at` (epoch ms) from what the records with event_time ≤ at make."""
    return row(accept((record for record in records if record["event_time"] <= at), forgets=False).accepted, at, margin)


def stream_rows(records: Iterable[Record], margin: float = 0.3) -> list[dict[str, float] | None]:
    """The row after each record as the stream has it, at the newest accepted event time; None where a record changes nothing."""
    rows: list[dict[str, float] | None] = []
    seen: list[Record] = []
    for record in records:
        seen.append(record)
        history = accept(seen, forgets=False)
        applied = bool(history.accepted) and history.accepted[-1] is record
        rows.append(row(history.accepted, history.newest or 0, margin) if applied else None)
    return rows


def row(accepted: Sequence[Record], now: int, margin: float = 0.3) -> dict[str, float]:
    """All 20 features at `now`, which is not before any accepted event; `margin` is the one where no order says a cost."""
    purchases = [record for record in accepted if record["type"] == "Purchase"]
    orders = [record for record in purchases if record["amount"] >= 0]
    refunds = [record for record in purchases if record["amount"] < 0]
    views = [record for record in accepted if record["type"] == "PageView"]
    sent, redeemed = (
        [record for record in accepted if record["type"] == "PromotionResponse" and record["response"] == response]
        for response in ("SENT", "REDEEMED")
    )

    def window(records: Iterable[Record], days: int) -> list[Record]:
        begin = (now - days * DAY) // DAY * DAY
        return [record for record in records if begin <= record["event_time"] <= now]

    by_day: dict[int, Fraction] = defaultdict(Fraction)
    for order in orders:
        by_day[order["event_time"] // DAY] += Fraction(order["amount"])
    first, last = (min(by_day), max(by_day)) if by_day else (now // DAY, now // DAY)
    repeats = [total for day, total in by_day.items() if day != first]
    t_days = now // DAY - first
    costed = [order for order in orders if order.get("cost") is not None]
    worth, cost = _sum(order["amount"] for order in costed), _sum(order["cost"] for order in costed)
    orders_90d, sent_90d, redeemed_90d = window(orders, 90), window(sent, 90), window(redeemed, 90)
    newest = max((order["event_time"] for order in orders), default=None)
    return {
        "orders": float(len(orders)),
        "revenue": _double(_sum(record["amount"] for record in purchases)),
        "frequency": float(max(len(by_day) - 1, 0)),
        "recency_days": float(last - first),
        "t_days": float(t_days),
        "monetary_value": _double(sum(repeats, Fraction()) / len(repeats)) if repeats else 0.0,
        "average_purchase_value": _double(_sum(order["amount"] for order in orders) / len(orders)) if orders else 0.0,
        "purchase_frequency": len(orders) * 30 / max(t_days, 30),
        "gross_margin": _double((worth - cost) / worth) if worth else margin,
        "orders_30d": float(len(window(orders, 30))),
        "orders_90d": float(len(orders_90d)),
        "revenue_30d": _double(_sum(record["amount"] for record in window(purchases, 30))),
        "revenue_90d": _double(_sum(record["amount"] for record in window(purchases, 90))),
        "refunds_90d": float(len(window(refunds, 90))),
        "page_views_7d": float(len(window(views, 7))),
        "page_views_30d": float(len(window(views, 30))),
        "promotions_sent_90d": float(len(sent_90d)),
        "promotions_redeemed_90d": float(len(redeemed_90d)),
        "promotion_redemption_rate_90d": len(redeemed_90d) / len(sent_90d) if sent_90d else 0.0,
        "days_since_last_order": 365.0 if newest is None else min((now - newest) / DAY, 365.0),
    }


def _sum(values: Iterable[float]) -> Fraction:
    return sum((Fraction(value) for value in values), Fraction())


def _double(value: Fraction) -> float:
    return float(min(max(value, -LARGEST), LARGEST))
