"""The likeliest next apps of a user at an unlock, compiled.

    state ──► kernel.candidates: a row a candidate ──► z (linear, or trees) ──► softmax: P_u
    the table's prior π, without the app on screen, renormalised: π_s
    P = (1 − λ) P_u + λ π_s,  λ = m / (m + n)  ──► the first `top`

m is the table's `prior_opens`, n the sum of the decayed frequencies of all kept apps: a new user gets the prior, and each open takes from
its weight. This is the mean of a Dirichlet posterior whose prior counts as m opens, with the model's P_u in the place of the user's shares.
Without candidates P_u is 0 everywhere and λ is 1.

The larger P comes first; of equal ones a kept app before others, in the order of places, then the prior's order. The same state, moment,
circumstances and table give the same bits. A damaged state gives wrong numbers, but finite ones.
"""

from __future__ import annotations

import math

from keepline.features.next_app.apps import find, name_start
from keepline.features.next_app.counters import byte
from keepline.features.next_app.kernel import candidates_at, opens_at
from keepline.features.next_app.layout import APPS, B_LENGTHS, B_NAMES, FEATURES, SIZE, W_SCREEN
from keepline.features.words import get, get_float, put, put_float
from keepline.models.next_app.manifest import MOST_PRIOR
from keepline.models.next_app.tables import (
    P_HASH,
    P_LENGTH,
    P_NAME,
    P_SHARE,
    PRIOR_WORDS,
    W_CENTER,
    W_COEF,
    W_CONSTANTS,
    W_FOREST,
    W_PRIOR,
    W_PRIOR_OPENS,
    W_PRIORS,
)
from keepline.models.trees.scorer import raw
from keepline.schemas.jit import njit

_COLUMNS = len(FEATURES)
MOST = APPS + MOST_PRIOR
"""Most apps that can be told: so many entries suffice for any `top`."""
# The scratch, in words: rows, what each column adds, P of what can be told, and its place.
_CHANGES = _COLUMNS * APPS
_P = _CHANGES + _COLUMNS
_PLACES = _P + MOST
WORK_WORDS = _PLACES + MOST
_LOWEST = -1e300
"""In place of a z that is no number."""


@njit(error_model="numpy")
def _linear(row: int, model: int) -> float:
    z = 0.0
    for j in range(_COLUMNS):
        z += get_float(model, W_COEF + j) * (get_float(row, j) - get_float(model, W_CENTER + j))
    return z


@njit(error_model="numpy")
def _softmax(n: int, model: int, work: int) -> None:
    """From the rows of n candidates to their P_u."""
    forest = get(model, W_FOREST)
    largest = _LOWEST
    for k in range(n):
        row = work + 8 * _COLUMNS * k
        z = raw(row, model + 8 * forest, work + 8 * _CHANGES) if forest != 0 else _linear(row, model)
        z = z if z > _LOWEST else _LOWEST
        put_float(work, _P + k, z)
        largest = max(largest, z)
    total = 0.0
    for k in range(n):
        part = math.exp(get_float(work, _P + k) - largest)
        put_float(work, _P + k, part)
        total += part
    for k in range(n):
        put_float(work, _P + k, get_float(work, _P + k) / total)


@njit(error_model="numpy")
def _mix(state: int, n: int, opens: float, model: int, work: int) -> int:
    """Mix the prior into the n candidates' P_u, and add the prior's other apps; how many there are then."""
    screen = get(state, W_SCREEN) - 1
    priors = get(model, W_PRIORS)
    opens = opens if opens > 0.0 else 0.0
    m = get_float(model, W_PRIOR_OPENS)
    weight = m / (m + opens) if n > 0 else 1.0
    for k in range(n):
        put_float(work, _P + k, (1.0 - weight) * get_float(work, _P + k))
    # The apps first, since the shares are of those that are not on screen.
    total, count = 0.0, n
    for i in range(priors):
        app = model + 8 * (W_PRIOR + PRIOR_WORDS * i)
        place = find(state, get(app, P_HASH), model + get(app, P_NAME), get(app, P_LENGTH))
        if place >= 0 and place == screen:
            continue
        total += get_float(app, P_SHARE)
        put(work, _PLACES + count, place if place >= 0 else -1 - i)
        put_float(work, _P + count, get_float(app, P_SHARE))
        count += 1
    told = n
    for k in range(n, count):
        place, part = get(work, _PLACES + k), weight * get_float(work, _P + k) / total
        if place < 0:
            put(work, _PLACES + told, place)
            put_float(work, _P + told, part)
            told += 1
            continue
        for own in range(n):
            if get(work, _PLACES + own) == place:
                put_float(work, _P + own, get_float(work, _P + own) + part)
    return told


@njit(error_model="numpy")
def predict(state: int, now: int, context: int, model: int, work: int, places: int, probabilities: int, top: int) -> int:
    """Write the first `top` apps and their probabilities; how many there are, fewer only where no more can be told.

    `state`: address of a user's state, all zero for a new one; `now`: epoch ms, not before the state's; `context`: int64[5] as
    `kernel.context_at` fills it; `model`: address of the table (tables.build); `work`: float64[WORK_WORDS], scratch; `places`: int64[top],
    a place in the state, or −1 − i for app i of the prior where that is not kept; `probabilities`: float64[top], which over all apps
    (`top` = MOST) sum to 1. Changes no state.
    """
    n = candidates_at(state, now, context, model + 8 * W_CONSTANTS, work, work + 8 * _PLACES)
    _softmax(n, model, work)
    told = _mix(state, n, opens_at(state, now, get_float(model, W_CONSTANTS)), model, work)
    count = min(told, top)
    for rank in range(count):
        best, largest = 0, -1.0
        for k in range(told):
            p = get_float(work, _P + k)
            if p > largest:
                best, largest = k, p
        put(places, rank, get(work, _PLACES + best))
        put_float(probabilities, rank, largest)
        put_float(work, _P + best, -2.0)
    return count


@njit
def name_of(state: int, model: int, place: int) -> tuple[int, int]:
    """Address and length of the name of an app that `predict` has told, by its place."""
    if place < 0:
        app = model + 8 * (W_PRIOR + PRIOR_WORDS * (-1 - place))
        return model + get(app, P_NAME), get(app, P_LENGTH)
    start = name_start(state, place)
    return state + B_NAMES + start, min(byte(state, B_LENGTHS + place), SIZE - B_NAMES - start)
