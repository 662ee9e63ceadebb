"""The scores of one part of a state, compiled: read the row, run the model, find the reasons. Each at most once a moment.

`FRESH` and `EXPLAINED` in a part's context say what has been done since `rescore` cleared them, so a score that is put out and told is
computed once. A part's row and its scores' contributions stand in the context's arrays until the next customer.
"""

from __future__ import annotations

import math

from keepline.features.kernel import read_at
from keepline.features.layout import W_NOW
from keepline.features.words import get, put
from keepline.models.clv.scorer import score as value_score
from keepline.models.scorer import amount, score, top3
from keepline.models.trees.scorer import score as forest_score
from keepline.operators import context as k
from keepline.operators.arrays import floats, ints
from keepline.schemas.jit import njit
from keepline.schemas.mem import load_f64, load_i32, load_u8, store_f64, store_i32

LINEAR, VALUE, FOREST = range(3)
"""Families: one score by a linear model; lifetime value, several scores; one score by boosted trees, or by an ensemble of both."""
DAY = 86_400_000


@njit
def due(p: int, part: int, etype: int) -> bool:
    """Whether an event or a tick calls for the part's scores: each does, or only the set's own types, ticks, and a new UTC day."""
    at = get(p, k.DAY_AT)
    if at < 0 or load_u8(get(p, k.OWN), etype) != 0:
        return True
    return load_i32(part, at) != get(part, W_NOW) // DAY + 1  # type: ignore[no-any-return]


@njit
def note_scored(p: int, part: int) -> None:
    """Remembers the UTC day of a scoring, plus one, where that matters."""
    at = get(p, k.DAY_AT)
    if at >= 0:
        store_i32(part, at, get(part, W_NOW) // DAY + 1)


@njit
def evaluate(p: int, part: int) -> None:
    """Fills the part's row and the values of its scores, at its `now`."""
    if get(p, k.FRESH) != 0:
        return
    put(p, k.FRESH, 1)
    width = get(p, k.FEATURES)
    read_at(part, get(part, W_NOW), get(p, k.PLAN_INTS), get(p, k.PLAN_FLOATS), get(p, k.X))
    values, family = get(p, k.VALUES), get(p, k.FAMILY)
    if family == LINEAR:
        x, contrib = floats(get(p, k.X), width), floats(get(p, k.CONTRIB), width)
        kind, coef, center = ints(get(p, k.KIND), width), floats(get(p, k.COEF), width), floats(get(p, k.CENTER), width)
        store_f64(values, 0, score(x, kind, coef, center, load_f64(get(p, k.FLOATS), k.INTERCEPT), contrib))
    elif family == FOREST:
        store_f64(values, 0, forest_score(get(p, k.X), get(p, k.TABLE), get(p, k.CONTRIB)))
    else:
        _value(p, width, values)


@njit
def _value(p: int, width: int, values: int) -> None:
    """The scores of lifetime value; NaN for a customer without an order, of whom the models do not speak."""
    there = value_score(get(p, k.X), get(p, k.TABLE), values, get(p, k.CONTRIB), get(p, k.TOP))
    if not there:
        for i in range(get(p, k.N_SCORES)):
            store_f64(values, 8 * i, math.nan)
    elif get(p, k.REGRESSION) != 0:
        at = get(p, k.N_SCORES) - 1
        x, contrib = floats(get(p, k.X), width), floats(get(p, k.CONTRIB) + 8 * width * at, width)
        kind, coef, center = ints(get(p, k.KIND), width), floats(get(p, k.COEF), width), floats(get(p, k.CENTER), width)
        constants = get(p, k.FLOATS)
        found = amount(x, kind, coef, center, load_f64(constants, k.INTERCEPT), load_f64(constants, k.LESS), contrib)
        store_f64(values, 8 * at, found)


@njit
def explain(p: int, i: int) -> None:
    """Fills the three reasons of score `i`; contributions are there since it was evaluated, and of a closed form the reasons too."""
    done = get(p, k.EXPLAINED)
    if done >> i & 1:
        return
    put(p, k.EXPLAINED, done | 1 << i)
    if get(p, k.FAMILY) != VALUE or (get(p, k.REGRESSION) != 0 and i + 1 == get(p, k.N_SCORES)):
        width = get(p, k.FEATURES)
        top3(floats(get(p, k.CONTRIB) + 8 * width * i, width), ints(get(p, k.TOP) + 12 * i, 3))


@njit
def band_of(p: int, i: int) -> int:
    """0 LOW, 1 MEDIUM, 2 HIGH."""
    value, rules = load_f64(get(p, k.VALUES), 8 * i), get(p, k.RULES) + 8 * k.RULE_WORDS * i
    return 2 if value >= load_f64(rules, 8 * k.R_HIGH) else (1 if value >= load_f64(rules, 8 * k.R_LOW) else 0)
