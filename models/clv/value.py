"""What a customer is worth over the next periods, compiled: the closed forms of BG/NBD and Gamma-Gamma put together, and the formula.

A period is 30 days; BG/NBD counts in weeks, so a horizon of n periods is 30·n/7 weeks.

    clv_bgnbd    P(alive) · Σ_k (purchases expected in period k, if alive) / (1 + discount)^k · expected mean amount
    clv_formula  APV · PF · CL · GM

Amounts of period k count as paid at its end, so discount is per period and the first period is discounted once; without discount the sum is
one closed form. `clv_bgnbd` is revenue; multiply it by a margin for profit.

CL, the expected remaining lifespan, is in periods, and APV · PF · CL must be the revenue expected of the horizon. BG/NBD counts days with
an order, and PF all orders, so

    CL = E · (orders / (frequency + 1)) / PF        E: days with an order that BG/NBD expects over the horizon

that is, as many periods as this customer, who ordered at the rate PF so far, needs for the orders that are expected. A discount applies to
E. Without BG/NBD, CL is a configured number.
"""

from __future__ import annotations

from keepline.models.clv.bgnbd import expected_if_alive
from keepline.schemas.jit import njit

PERIOD_DAYS = 30
DAYS_A_WEEK = 7.0
PERIOD_WEEKS = PERIOD_DAYS / DAYS_A_WEEK
MOST_PERIODS = 1200
"""A hundred years; a bound for the loop."""


@njit(error_model="numpy")
def discounted_if_alive(r: float, alpha: float, a: float, b: float, x: float, t: float, periods: int, discount: float) -> float:
    """Purchases over the next `periods` of a customer who is alive at t weeks, each worth 1/(1 + discount)^k in period k."""
    if discount == 0.0:
        return expected_if_alive(r, alpha, a, b, x, t, periods * PERIOD_WEEKS)
    total = before = 0.0
    worth = 1.0
    for k in range(1, min(periods, MOST_PERIODS) + 1):
        until = expected_if_alive(r, alpha, a, b, x, t, k * PERIOD_WEEKS)
        worth /= 1.0 + discount
        total += max(until - before, 0.0) * worth
        before = until
    return total


@njit(error_model="numpy")
def lifespan(purchases: float, orders: float, frequency: float, purchase_frequency: float) -> float:
    """CL in periods, from the purchases (days with an order) expected over the horizon; 0 where nothing was ordered."""
    if purchase_frequency <= 0.0:
        return 0.0
    return purchases * (orders / (max(frequency, 0.0) + 1.0)) / purchase_frequency


@njit(error_model="numpy")
def formula(average_purchase_value: float, purchase_frequency: float, periods: float, gross_margin: float) -> float:
    """CLV = APV · PF · CL · GM, with CL = `periods`."""
    return average_purchase_value * purchase_frequency * periods * gross_margin
