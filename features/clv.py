"""The `clv` feature set, version 1: what one customer bought, looked at and was offered.

Reads like the table of the contract: 20 features, in its order. Every name and meaning here is fixed; a change of
meaning is a new version. The gross margin of customers whose orders say no cost is configuration (`plan.compile`, `margin`).
"""

from __future__ import annotations

from keepline.features.spec import DAY, Buying, FeatureSet, Measure, OneOf, Orders, Ratio, Sign, Window, over

D7 = Window("7d", 7 * DAY, hop=DAY)
D30 = Window("30d", 30 * DAY, hop=DAY)
D90 = Window("90d", 90 * DAY, hop=DAY)

ORDERS = Measure("Purchase", where=Sign("amount", negative=False))
REVENUE = Measure("Purchase", "amount")
REFUNDS = Measure("Purchase", where=Sign("amount", negative=True))
PAGE_VIEWS = Measure("PageView")
SENT = Measure("PromotionResponse", where=OneOf("response", ("SENT",)))
REDEEMED = Measure("PromotionResponse", where=OneOf("response", ("REDEEMED",)))
BOUGHT = Orders("Purchase", amount="amount", cost="cost", margin=0.3, period=30, cap=365)

CLV = FeatureSet(
    name="clv",
    id=2,
    version=1,
    retention=None,
    lateness=90 * DAY,
    split_rings=True,
    features=(
        Buying("orders", BOUGHT, "orders"),
        Buying("revenue", BOUGHT, "revenue"),
        Buying("frequency", BOUGHT, "frequency"),
        Buying("recency_days", BOUGHT, "recency"),
        Buying("t_days", BOUGHT, "age"),
        Buying("monetary_value", BOUGHT, "monetary_value"),
        Buying("average_purchase_value", BOUGHT, "average"),
        Buying("purchase_frequency", BOUGHT, "rate"),
        Buying("gross_margin", BOUGHT, "margin"),
        *over("orders", ORDERS, D30, D90),
        *over("revenue", REVENUE, D30, D90),
        *over("refunds", REFUNDS, D90),
        *over("page_views", PAGE_VIEWS, D7, D30),
        *over("promotions_sent", SENT, D90),
        *over("promotions_redeemed", REDEEMED, D90),
        Ratio("promotion_redemption_rate_90d", REDEEMED, SENT, D90),
        Buying("days_since_last_order", BOUGHT, "since"),
    ),
)
