"""The next apps of one user from Python, by the very code that the stream calls: for files, tests and questions.

Example (`model` is what `manifest.load` gives):
    >>> predict(model, User(model.constants), {"type": "Unlock", "event_time": 0})  # doctest: +SKIP
    [('chat', 0.31), ('mail', 0.22), ('maps', 0.2), ('music', 0.1), ('news', 0.09)]
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from keepline.features.next_app.single import User
from keepline.models.errors import ModelError
from keepline.models.next_app import scorer
from keepline.models.next_app.manifest import Loaded
from keepline.schemas.jit import njit
from keepline.schemas.mem import address


@njit
def told(state: Any, now: int, context: Any, table: Any, work: Any, places: Any, probabilities: Any) -> int:
    """`scorer.predict` on arrays; `top` is the length of `places`."""
    into = address(work), address(places), address(probabilities)
    return scorer.predict(address(state), now, address(context), address(table), *into, places.shape[0])


def predict(model: Loaded, user: User, unlock: Mapping[str, Any], top: int = 5) -> list[tuple[str, float]]:
    """The first `top` apps by probability at an unlock (an Unlock or AppOpen, applied or not); the user's state stays as it is.

    ModelError where the user's state was counted with another half-life than the model's.
    """
    if user.constants.half_life_days != model.constants.half_life_days:
        msg = (
            f"The user's state has a half-life of {user.constants.half_life_days:g} days, expected the model's "
            f"{model.constants.half_life_days:g}. Make it with User(model.constants)."
        )
        raise ModelError(msg)
    state, now, context = user.moment(unlock)
    table, work = model.table(), np.zeros(scorer.WORK_WORDS)
    places, probabilities = np.zeros(top, np.int64), np.zeros(top)
    count = told(state, now, context, table, work, places, probabilities)
    names = (user.name(place) if place >= 0 else model.prior[-1 - place] for place in places[:count].tolist())
    return list(zip(names, probabilities[:count].tolist(), strict=True))
