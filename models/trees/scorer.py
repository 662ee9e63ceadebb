"""The score of one row by boosted trees, or by trees and a logistic model together, and its reasons, compiled.

    row (float64[n])  +  table (table.py)
      → contributions, float64[n]: what each column adds to the logit, against the mean of the training rows
      → z = base + Σ contributions → 1 / (1 + exp(-z))
      → the three largest |contributions|: `top3` of models/scorer.py

Contributions of trees are those along the path (Saabas 2014, "Interpreting random forests"; Palczewska et al. 2013): a node's value is the
mean of the leaves below it by training rows, and a step's change of that value belongs to the column the step compared. They sum to
the raw value less its training mean exactly, and come from the walk that scores the row. Those of the linear part are coefficient ·
(t(x) - center), as in models/scorer.py; in an ensemble both are weighted and added column by column.

The table holds what a step adds on either side, so a step is: compare, add, follow. Four trees are walked at a time, because each step
waits for the one before it. NaN is a missing value. The same row gives the same bits: sums have one fixed order.
"""

from __future__ import annotations

from keepline.features.words import get, get_float, put_float
from keepline.models.scorer import log1p, sigmoid
from keepline.models.trees.table import (
    COLUMN_BITS,
    COLUMN_MASK,
    GROUP_WORDS,
    HEADER,
    MISSING_BIT,
    NODE_MASK,
    RIGHT_BITS,
    W_BASE,
    W_COLUMNS,
    W_FIRST_GROUP,
    W_FIRST_NODE,
    W_GROUPS,
    W_LINEAR,
)
from keepline.schemas.jit import njit


@njit(error_model="numpy", inline="always")
def _side(row: int, node: int, links: int) -> int:
    """0: the row goes left at the node; 1: right."""
    value = get_float(row, (links >> COLUMN_BITS) & COLUMN_MASK)
    right = int(not (value <= get_float(node, 0)))
    missing = int(value != value)  # noqa: PLR0124  NaN alone differs from itself
    return right & ~(missing & (links >> MISSING_BIT))


@njit(error_model="numpy", inline="always")
def _add(contributions: int, links: int, change: float) -> None:
    column = (links >> COLUMN_BITS) & COLUMN_MASK
    put_float(contributions, column, get_float(contributions, column) + change)


@njit(error_model="numpy", inline="always")
def _next(links: int, side: int) -> int:
    return (links >> (RIGHT_BITS * side)) & NODE_MASK


@njit(error_model="numpy")
def _walk(row: int, group: int, nodes: int, contributions: int) -> None:
    """Walk the four trees of a group, one step of each at a time."""
    a, b, c, d = get(group, 1), get(group, 2), get(group, 3), get(group, 4)
    for _ in range(get(group, 0)):
        at_a, at_b, at_c, at_d = nodes + (a << 5), nodes + (b << 5), nodes + (c << 5), nodes + (d << 5)
        links_a, links_b, links_c, links_d = get(at_a, 3), get(at_b, 3), get(at_c, 3), get(at_d, 3)
        side_a, side_b = _side(row, at_a, links_a), _side(row, at_b, links_b)
        side_c, side_d = _side(row, at_c, links_c), _side(row, at_d, links_d)
        a, b, c, d = _next(links_a, side_a), _next(links_b, side_b), _next(links_c, side_c), _next(links_d, side_d)
        change_a, change_b = get_float(at_a, 1 + side_a), get_float(at_b, 1 + side_b)
        change_c, change_d = get_float(at_c, 1 + side_c), get_float(at_d, 1 + side_d)
        _add(contributions, links_a, change_a)
        _add(contributions, links_b, change_b)
        _add(contributions, links_c, change_c)
        _add(contributions, links_d, change_d)


@njit(error_model="numpy")
def _linear(row: int, table: int, n: int, contributions: int) -> None:
    """The linear part's contributions."""
    kind = table + (HEADER << 3)
    coef = kind + (n << 3)
    center = coef + (n << 3)
    missing = center + (n << 3)
    for j in range(n):
        value = get_float(row, j)
        logarithm = log1p(value)
        part = get_float(coef, j) * ((logarithm if get(kind, j) != 0 else value) - get_float(center, j))
        put_float(contributions, j, part if value == value else get_float(missing, j))  # noqa: PLR0124


@njit(error_model="numpy")
def raw(row: int, table: int, contributions: int) -> float:
    """Return the logit z of a row; fill `contributions`.

    Addresses of float64[n], of the words of table.py, of float64[n]; n as in the table. Whoever calls keeps the arrays alive.
    """
    n = get(table, W_COLUMNS)
    if get(table, W_LINEAR) != 0:
        _linear(row, table, n, contributions)
    else:
        for j in range(n):
            put_float(contributions, j, 0.0)
    group = table + (get(table, W_FIRST_GROUP) << 3)
    nodes = table + (get(table, W_FIRST_NODE) << 3)
    for i in range(get(table, W_GROUPS)):
        _walk(row, group + i * (GROUP_WORDS << 3), nodes, contributions)
    z = get_float(table, W_BASE)
    for j in range(n):
        z += get_float(contributions, j)
    return z


@njit(error_model="numpy")
def score(row: int, table: int, contributions: int) -> float:
    """Return the probability of a row; arguments as for `raw`."""
    return sigmoid(raw(row, table, contributions))
