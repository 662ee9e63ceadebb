"""A forest of regression trees as the flat arrays of a manifest, and their check.

    scikit-learn ──export.py──► Forest (JSON) ──`flaw`──► table.py ──► scorer.py

The raw value (a logit) of a row is `baseline` + the sum over the trees of the leaf that the row reaches.

Only pydantic is needed here: a manifest is read without scikit-learn.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

from pydantic import BaseModel, ConfigDict

LEAF = -1
"""In the place of a feature and of children."""
MAX_INPUTS = 1 << 14
MAX_NODES = 1 << 24
"""As wide as the fields of the table's node (table.py)."""
SLACK = 1e-9
"""A mean may lie this far (relatively) outside the values it is of."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Input(_Part):
    """What a node compares: a column's number, or 1 where a text column holds `level`, else 0."""

    name: str
    level: str | None = None


class Forest(_Part):
    """Trees one after the other, the root of each first; children are counted from the root of their own tree.

    A row goes left if its value is at most the threshold, or if it is missing and `missing_left` is 1.
    """

    inputs: list[Input]
    baseline: float
    """The raw value before any tree."""
    offsets: list[int]
    """Of the trees: tree i is the nodes from offsets[i] to offsets[i + 1]."""
    feature: list[int]
    """The place in `inputs`; −1: a leaf."""
    threshold: list[float]
    """The largest double stands for infinity: every number goes left."""
    left: list[int]
    right: list[int]
    """−1 at a leaf."""
    missing_left: list[int]
    """1 or 0."""
    value: list[float]
    """What a leaf adds, learning rate included; elsewhere the mean of the leaves below by the training rows that reached them."""

    @property
    def trees(self) -> int:
        """How many there are."""
        return len(self.offsets) - 1

    @property
    def roots(self) -> list[float]:
        """The mean that each tree adds in training."""
        return [self.value[start] for start in self.offsets[:-1]]

    @property
    def mean(self) -> float:
        """The mean raw value in training: what contributions are counted from."""
        return self.baseline + math.fsum(self.roots)

    def texts(self) -> dict[str, frozenset[str]]:
        """Text columns, with the levels that have an input."""
        found: dict[str, set[str]] = {}
        for each in self.inputs:
            if each.level is not None:
                found.setdefault(each.name, set()).add(each.level)
        return {name: frozenset(levels) for name, levels in found.items()}

    def depths(self) -> list[int]:
        """Of each tree: the comparisons on its longest path."""
        depths = []
        for start, end in pairwise(self.offsets):
            level = [0] * (end - start)
            for node in range(end - start):
                if self.feature[start + node] != LEAF:
                    level[self.left[start + node]] = level[self.right[start + node]] = level[node] + 1
            depths.append(max(level))
        return depths


def flaw(forest: Forest, columns: Sequence[str]) -> str | None:
    """Return what makes the arrays no forest over the columns, as the end of a sentence; None: nothing."""
    return next(_flaws(forest, columns), None)


def _flaws(forest: Forest, columns: Sequence[str]) -> Iterator[str]:
    size = len(forest.feature)
    arrays = (forest.threshold, forest.left, forest.right, forest.missing_left, forest.value)
    if any(len(array) != size for array in arrays):
        yield f"its arrays differ in length, expected {size} entries each"
        return
    offsets = forest.offsets
    if len(offsets) < 2 or offsets[0] != 0 or offsets[-1] != size or any(end <= start for start, end in pairwise(offsets)):
        yield f"offsets do not rise from 0 to the {size} nodes"
        return
    if size >= MAX_NODES or len(forest.inputs) > MAX_INPUTS:
        yield f"{size} nodes over {len(forest.inputs)} inputs are too many (at most {MAX_NODES - 1} and {MAX_INPUTS})"
    known = set(columns)
    strange = [each.name for each in forest.inputs if each.name not in known]
    if strange:
        yield f"input {strange[0]} is none of the model's columns"
    numbers = {each.name for each in forest.inputs if each.level is None}
    if len({(each.name, each.level) for each in forest.inputs}) < len(forest.inputs) or numbers & forest.texts().keys():
        yield "an input stands there twice"
    if any(flag not in (0, 1) for flag in forest.missing_left):
        yield "missing_left holds something else than 0 and 1"
    for tree, (start, end) in enumerate(pairwise(offsets)):
        yield from _tree_flaws(forest, tree, start, end - start)


def _tree_flaws(forest: Forest, tree: int, start: int, size: int) -> Iterator[str]:
    """Every node but the root has one parent, which stands before it: so all paths end in a leaf."""
    parents = [0] * size
    for node in range(size):
        feature, left, right = (array[start + node] for array in (forest.feature, forest.left, forest.right))
        where = f"node {node} of tree {tree}"
        if feature == LEAF:
            if (left, right) != (LEAF, LEAF):
                yield f"{where} is a leaf with children {left} and {right}"
                return
            continue
        if not 0 <= feature < len(forest.inputs):
            yield f"{where} reads input {feature} of {len(forest.inputs)}"
            return
        if not (node < left < size and node < right < size):
            yield f"{where} has children {left} and {right}, expected {node + 1} to {size - 1}"
            return
        parents[left] += 1
        parents[right] += 1
        low, high = sorted((forest.value[start + left], forest.value[start + right]))
        slack = SLACK * max(abs(low), abs(high))
        if not low - slack <= forest.value[start + node] <= high + slack:
            yield f"the value of {where} is not between those of its children"
            return
    if parents[0] or any(count != 1 for count in parents[1:]):
        yield f"tree {tree} has nodes without a parent of their own"
