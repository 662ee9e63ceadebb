"""The table that scorer.py reads: a model of the next app as one flat array of 8-byte words, constants and prior included.

word 0          first word of the forest's table (models/trees/table.py), 0 for a logistic model
words 1…5       the kernel's constants
word 6, 7       prior_opens; how many apps the prior has
10 + 10 words   coefficients and centers, by column (zero for trees; an ensemble's stand in the forest's table, weighted)
4 × 32 words    prior apps: share, hash64 of the name, first byte of the name in the table, its length
then            the names; the forest's table, which begins at a multiple of 8 words

Names and shares of the prior stand here as in the manifest, so the table alone is enough to predict.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from keepline.features.next_app.constants import Constants
from keepline.features.next_app.layout import FEATURES
from keepline.models.next_app.manifest import MOST_PRIOR, NextAppManifest
from keepline.models.trees import table as trees
from keepline.schemas.text import hash64_of

W_FOREST = 0
W_CONSTANTS = 1
W_PRIOR_OPENS = 6
W_PRIORS = 7
W_COEF = 8
W_CENTER = W_COEF + len(FEATURES)
W_PRIOR = W_CENTER + len(FEATURES)
PRIOR_WORDS = 4
P_SHARE, P_HASH, P_NAME, P_LENGTH = range(PRIOR_WORDS)
W_NAMES = W_PRIOR + PRIOR_WORDS * MOST_PRIOR
_LINE = 8


def build(manifest: NextAppManifest) -> npt.NDArray[np.float64]:
    """Make the table of a checked manifest."""
    names = [each.app.encode() for each in manifest.prior]
    text = b"".join(names)
    first = -(-(8 * W_NAMES + len(text)) // (8 * _LINE)) * _LINE
    forest = _forest(manifest)
    spare = np.zeros(first + len(forest) + _LINE)
    skip = -spare.ctypes.data % (8 * _LINE) // 8
    table = spare[skip : skip + first + len(forest)]
    words = table.view(np.int64)
    words[W_FOREST] = first if len(forest) else 0
    constants = Constants.of(manifest.constants).array()
    table[W_CONSTANTS : W_CONSTANTS + len(constants)] = constants
    table[W_PRIOR_OPENS] = manifest.prior_opens
    words[W_PRIORS] = len(manifest.prior)
    if manifest.linear is not None and manifest.forest is None:
        table[W_COEF:W_CENTER] = [term.coefficient for term in manifest.linear]
        table[W_CENTER:W_PRIOR] = [term.center for term in manifest.linear]
    at = 8 * W_NAMES
    for i, (each, name) in enumerate(zip(manifest.prior, names, strict=True)):
        word = W_PRIOR + PRIOR_WORDS * i
        table[word + P_SHARE] = each.share
        words[word + P_HASH] = np.uint64(hash64_of(name)).astype(np.int64)
        words[word + P_NAME], words[word + P_LENGTH] = at, len(name)
        at += len(name)
    table.view(np.uint8)[8 * W_NAMES : 8 * W_NAMES + len(text)] = np.frombuffer(text, np.uint8)
    # As words: a float that is copied as a number may lose the bits of one that is none.
    words[first:] = forest.view(np.int64)
    return table


def _forest(manifest: NextAppManifest) -> npt.NDArray[np.float64]:
    if manifest.forest is None:
        return np.zeros(0)
    n = len(FEATURES)
    linear = None
    if manifest.linear is not None:
        coef = (1.0 - manifest.trees_weight) * np.array([term.coefficient for term in manifest.linear])
        centers = np.array([term.center for term in manifest.linear])
        linear = trees.Linear(np.zeros(n, np.int64), coef, centers, np.zeros(n), 0.0)
    places = [FEATURES.index(one.name) for one in manifest.forest.inputs]
    return trees.build(manifest.forest, places, n, manifest.trees_weight, linear)
