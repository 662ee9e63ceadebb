"""The table that scorer.py reads: a forest, and the linear part of an ensemble, as one flat array of 8-byte words.

    words 0…7          header: columns n, groups g, 1 with a linear part, base, first word of the groups, of the nodes
    4 × n words        linear part, weights included: kind (0 identity, 1 log1p), coefficient, center, contribution of a missing value
    5 × g words        groups of four trees that are walked together: comparisons on the longest path, the four first nodes
    4 × m words        nodes: threshold, what going left adds, what going right adds, links

`links`: the node on the left in bits 0–23, on the right in 24–47, the column in 48–61, and bit 62 if a missing value goes left.

A leaf needs no node: **what a step adds is the value of the child less that of the node**, so the steps of a path sum to leaf less root,
and `base` carries the roots. Every path ends in node 0, which leads to itself and adds 0; so all trees of a group take the same number
of steps, without a branch that depends on data. Nodes are in the order of their level over the whole forest, 32 bytes each, two a cache
line: the few first levels, which all rows read, stay together in the nearest cache. 100 trees of 31 leaves are 96 KB.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from keepline.models.trees.forest import LEAF, Forest

Float64 = npt.NDArray[np.float64]

W_COLUMNS, W_GROUPS, W_LINEAR, W_BASE, W_FIRST_GROUP, W_FIRST_NODE = range(6)
HEADER = 8
LANES = 4
"""Trees that are walked together."""
GROUP_WORDS = 1 + LANES
NODE_WORDS = 4
RIGHT_BITS, COLUMN_BITS, MISSING_BIT = 24, 48, 62
NODE_MASK, COLUMN_MASK = (1 << 24) - 1, (1 << 14) - 1
LINE = 64
"""Bytes of a cache line."""


class Linear(NamedTuple):
    """A linear predictor over n columns: base + Σ coef · (t(x) - center), `missing` in the place of a product where x is NaN."""

    kind: npt.NDArray[np.int64]
    coef: Float64
    center: Float64
    missing: Float64
    base: float


def build(forest: Forest, places: Sequence[int], columns: int, weight: float = 1.0, linear: Linear | None = None) -> Float64:
    """Make the table for rows of float64[columns]; the row's column places[i] is input i of the forest.

    `weight`: a factor on the forest (in an ensemble). `linear` has its own weight in it already.
    """
    groups, nodes = _laid_out(forest, places, weight)
    first_group = HEADER + (0 if linear is None else 4 * columns)
    first_node = -(-(first_group + GROUP_WORDS * len(groups)) // HEADER) * HEADER
    table = _aligned(first_node + nodes.shape[0] * NODE_WORDS)
    words = table.view(np.int64)
    words[W_COLUMNS], words[W_GROUPS], words[W_LINEAR] = columns, len(groups), linear is not None
    words[W_FIRST_GROUP], words[W_FIRST_NODE] = first_group, first_node
    table[W_BASE] = weight * forest.mean + (0.0 if linear is None else linear.base)
    if linear is not None:
        words[HEADER : HEADER + columns] = linear.kind
        table[HEADER + columns : first_group] = np.concatenate([linear.coef, linear.center, linear.missing])
    words[first_group : first_group + GROUP_WORDS * len(groups)] = [word for group in groups for word in group]
    words[first_node:] = nodes.ravel()
    return table


def _laid_out(forest: Forest, places: Sequence[int], weight: float) -> tuple[list[list[int]], npt.NDArray[np.int64]]:
    """Groups, and nodes as n × 4 words."""
    starts = forest.offsets[:-1]
    order: list[int] = []  # of the manifest's nodes, level by level, without leaves
    level = [start for start in starts if forest.feature[start] != LEAF]
    tree_of = np.repeat(starts, [end - start for start, end in pairwise(forest.offsets)]).tolist()
    while level:
        order += level
        below = [tree_of[node] + child[node] for node in level for child in (forest.left, forest.right)]
        level = [node for node in below if forest.feature[node] != LEAF]
    number = {node: i for i, node in enumerate(order, 1)}  # node 0 is the end of every path
    words = np.zeros((len(order) + 1, NODE_WORDS), np.int64)
    floats = words.view(np.float64)
    for node, i in number.items():
        left, right = tree_of[node] + forest.left[node], tree_of[node] + forest.right[node]
        limit = forest.threshold[node]
        floats[i, 0] = math.inf if limit == sys.float_info.max else limit
        floats[i, 1] = weight * (forest.value[left] - forest.value[node])
        floats[i, 2] = weight * (forest.value[right] - forest.value[node])
        words[i, 3] = (
            number.get(left, 0)
            | number.get(right, 0) << RIGHT_BITS
            | places[forest.feature[node]] << COLUMN_BITS
            | forest.missing_left[node] << MISSING_BIT
        )
    roots = [number.get(start, 0) for start in starts] + [0] * (-len(starts) % LANES)
    depths = forest.depths() + [0] * (-len(starts) % LANES)
    return [[max(depths[i : i + LANES]), *roots[i : i + LANES]] for i in range(0, len(roots), LANES)], words


def _aligned(words: int) -> Float64:
    """Zeros that begin at a cache line."""
    spare = np.zeros(words + LINE // 8)
    skip = -spare.ctypes.data % LINE // 8
    return spare[skip : skip + words]
