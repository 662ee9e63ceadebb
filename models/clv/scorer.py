"""The three closed scores of one row and their reasons, compiled: what the stream calls.

    row (20 float64, the order of the feature set `clv`)  +  table (one flat float64 array, `ClvModel.table()` of manifest.py)
      → p_alive, clv_bgnbd, clv_formula
      → contributions, float64[3 × 20]: of each score, by feature
      → places, int32[3 × 3]: the features with the largest |contribution| of each score, largest first; −1 where there are fewer

A **contribution** of a feature is the score less the score of the same row with that feature alone at its mean in training (the
baseline). Closed forms are not linear, so contributions do not add up; each says what is different because of this feature. Silence
speaks through t_days and recency_days together. With CL from BG/NBD, purchase_frequency contributes nothing: it cancels (value.py).

No allocation and no exceptions; every number written is finite, whatever finite row comes in. Without discount a row costs three
evaluations of the hypergeometric form (at the row, at the mean frequency, at the mean t_days).
"""

from __future__ import annotations

from keepline.features.aggregators.windows import finite
from keepline.features.words import get_float, put_float
from keepline.models.clv.bgnbd import p_alive
from keepline.models.clv.gamma_gamma import expected_value
from keepline.models.clv.value import DAYS_A_WEEK, discounted_if_alive, formula, lifespan
from keepline.schemas.jit import njit
from keepline.schemas.mem import store_i32

SCORES = ("p_alive", "clv_bgnbd", "clv_formula")
"""In the order of the values."""
FEATURES = 20
(ORDERS, FREQUENCY, RECENCY, T_DAYS, MONETARY, APV, PF, GM) = (0, 2, 3, 4, 5, 6, 7, 8)
"""Places in the row of the features that are read."""
USED = {
    "orders": ORDERS,
    "frequency": FREQUENCY,
    "recency_days": RECENCY,
    "t_days": T_DAYS,
    "monetary_value": MONETARY,
    "average_purchase_value": APV,
    "purchase_frequency": PF,
    "gross_margin": GM,
}
REASONS = 3
# Words of the table.
W_R, W_ALPHA, W_A, W_B, W_P, W_Q, W_GAMMA, W_PERIODS, W_DISCOUNT, W_LIFESPAN, W_BASELINE = range(11)
WORDS = W_BASELINE + FEATURES
LARGEST_DAYS = 1e9
"""Bound on counts and days. With the next three no product is 0 · ∞."""
LARGEST_AMOUNT, LARGEST_LIFESPAN, LARGEST_MARGIN = 1e150, 1e50, 1e100


@njit(error_model="numpy")
def _count(value: float) -> float:
    return min(max(value, 0.0), LARGEST_DAYS)


@njit(error_model="numpy")
def _alive(table: int, frequency: float, recency: float, t_days: float) -> float:
    return p_alive(
        get_float(table, W_R), get_float(table, W_ALPHA), get_float(table, W_A), get_float(table, W_B),
        frequency, recency / DAYS_A_WEEK, t_days / DAYS_A_WEEK,
    )  # fmt: skip


@njit(error_model="numpy")
def _purchases(table: int, frequency: float, t_days: float) -> float:
    """Purchases over the horizon if alive, discounted."""
    return discounted_if_alive(
        get_float(table, W_R), get_float(table, W_ALPHA), get_float(table, W_A), get_float(table, W_B),
        frequency, t_days / DAYS_A_WEEK, int(get_float(table, W_PERIODS)), get_float(table, W_DISCOUNT),
    )  # fmt: skip


@njit(error_model="numpy")
def _mean_value(table: int, frequency: float, monetary: float) -> float:
    return finite(expected_value(get_float(table, W_P), get_float(table, W_Q), get_float(table, W_GAMMA), frequency, monetary))


@njit(error_model="numpy")
def _formula(table: int, expected: float, orders: float, frequency: float, apv: float, pf: float, gm: float) -> float:
    fixed = get_float(table, W_LIFESPAN)
    periods = fixed if fixed > 0.0 else lifespan(expected, orders, frequency, pf)
    amount = min(max(apv, -LARGEST_AMOUNT), LARGEST_AMOUNT)
    margin = min(max(gm, -LARGEST_MARGIN), LARGEST_MARGIN)
    return finite(formula(amount, _count(pf), min(periods, LARGEST_LIFESPAN), margin))


@njit(error_model="numpy")
def _put(contributions: int, score: int, feature: int, difference: float) -> None:
    put_float(contributions, score * FEATURES + feature, finite(difference))


@njit(error_model="numpy")
def _largest(contributions: int, places: int) -> None:
    """The three features of each score with the largest |contribution| above 0; of equal ones the earlier."""
    for score in range(3):
        bound, after = -1.0, -1
        for rank in range(REASONS):
            best, place = 0.0, -1
            for feature in range(FEATURES):
                size = abs(get_float(contributions, score * FEATURES + feature))
                below = rank == 0 or size < bound or (size == bound and feature > after)
                if below and size > best:
                    best, place = size, feature
            store_i32(places, 4 * (score * REASONS + rank), place)
            bound, after = best, place
            if place < 0:
                bound = -1.0


@njit(error_model="numpy")
def score(row: int, table: int, values: int, contributions: int, places: int) -> bool:
    """Score a row. All arguments are addresses; `values`: float64[3] in the order of SCORES, the others as the module says.

    False, with all values 0 and no reasons, for a customer without an order: the models speak of customers from their first order on, so
    nothing is to be put out.
    """
    for word in range(3 * FEATURES):
        put_float(contributions, word, 0.0)
    orders = _count(get_float(row, ORDERS))
    if orders == 0.0:
        for i in range(3):
            put_float(values, i, 0.0)
        _largest(contributions, places)
        return False
    frequency, recency, t_days = (
        _count(get_float(row, FREQUENCY)), _count(get_float(row, RECENCY)), _count(get_float(row, T_DAYS)),
    )  # fmt: skip
    monetary, apv, pf, gm = get_float(row, MONETARY), get_float(row, APV), get_float(row, PF), get_float(row, GM)
    usual_frequency = _count(get_float(table, W_BASELINE + FREQUENCY))
    usual_recency = _count(get_float(table, W_BASELINE + RECENCY))
    usual_t = _count(get_float(table, W_BASELINE + T_DAYS))

    alive, if_alive, mean = (
        _alive(table, frequency, recency, t_days),
        _purchases(table, frequency, t_days),
        _mean_value(table, frequency, monetary),
    )
    expected = alive * if_alive
    clv = finite(expected * mean)
    plain = _formula(table, expected, orders, frequency, apv, pf, gm)
    put_float(values, 0, alive)
    put_float(values, 1, clv)
    put_float(values, 2, plain)

    other = _alive(table, usual_frequency, recency, t_days)
    other_expected = other * _purchases(table, usual_frequency, t_days)
    _put(contributions, 0, FREQUENCY, alive - other)
    _put(contributions, 1, FREQUENCY, clv - finite(other_expected * _mean_value(table, usual_frequency, monetary)))
    _put(contributions, 2, FREQUENCY, plain - _formula(table, other_expected, orders, usual_frequency, apv, pf, gm))

    other = _alive(table, frequency, usual_recency, t_days)
    _put(contributions, 0, RECENCY, alive - other)
    _put(contributions, 1, RECENCY, clv - finite(other * if_alive * mean))
    _put(contributions, 2, RECENCY, plain - _formula(table, other * if_alive, orders, frequency, apv, pf, gm))

    other = _alive(table, frequency, recency, usual_t)
    other_expected = other * _purchases(table, frequency, usual_t)
    _put(contributions, 0, T_DAYS, alive - other)
    _put(contributions, 1, T_DAYS, clv - finite(other_expected * mean))
    _put(contributions, 2, T_DAYS, plain - _formula(table, other_expected, orders, frequency, apv, pf, gm))

    usual = get_float(table, W_BASELINE + MONETARY)
    _put(contributions, 1, MONETARY, clv - finite(expected * _mean_value(table, frequency, usual)))
    usual = get_float(table, W_BASELINE + ORDERS)
    _put(contributions, 2, ORDERS, plain - _formula(table, expected, usual, frequency, apv, pf, gm))
    usual = get_float(table, W_BASELINE + APV)
    _put(contributions, 2, APV, plain - _formula(table, expected, orders, frequency, usual, pf, gm))
    usual = get_float(table, W_BASELINE + PF)
    _put(contributions, 2, PF, plain - _formula(table, expected, orders, frequency, apv, usual, gm))
    usual = get_float(table, W_BASELINE + GM)
    _put(contributions, 2, GM, plain - _formula(table, expected, orders, frequency, apv, pf, usual))
    _largest(contributions, places)
    return True
