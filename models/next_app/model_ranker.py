"""The model as a ranker: learnt on the warm part, then the stream's own state and scorer for each user.

The app on screen is no candidate of the model, but without --exclude-current it may be the target. Its probability is then counted: with r
repeats in the n opens that came while this app of this user was on screen, ρ = (r + k·ρ_user) / (n + k), where ρ_user backs off in the same
way to the warm part's share of repeats (k = 5 opens). The others keep (1 − ρ) · P. With --exclude-current none of this changes a rank.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from keepline.features.next_app.layout import APPS, CONTEXT, SIZE, W_SCREEN
from keepline.models.errors import ModelError
from keepline.models.next_app.learn import learn
from keepline.models.next_app.log import NONE, OPEN, Event, Log
from keepline.models.next_app.manifest import FAMILIES, Loaded, NextAppManifest
from keepline.models.next_app.papers import bare
from keepline.models.next_app.ranker import Context
from keepline.models.next_app.registers import ask, names_of, open_app, scratch, unlock
from keepline.models.next_app.scorer import MOST, WORK_WORDS, predict
from keepline.models.next_app.split import on_screen
from keepline.models.next_app.tables import W_CONSTANTS, build
from keepline.schemas.jit import njit
from keepline.schemas.mem import address

Int64 = npt.NDArray[np.int64]
BACK_OFF = 5.0
"""Opens' worth of the back-off of a repeat's probability."""


@njit
def _update(
    state: Any, work: Any, kind: int, t: int, number: int, phone: Any, table: Any, hashed: int, text: Any, start: int, n: int
) -> None:
    constants = address(table) + 8 * W_CONSTANTS
    if kind == OPEN:
        open_app(address(state), address(work), t, number, address(phone), constants, hashed, address(text) + start, n)
    else:
        unlock(address(state), address(work), t, number, address(phone), constants)


@njit
def _rank(state: Any, work: Any, t: int, phone: Any, context: Any, table: Any, room: Any, places: Any, probabilities: Any) -> int:
    now = ask(address(state), address(work), t, address(phone), address(context))
    out = address(room), address(places), address(probabilities)
    return predict(address(state), now, address(context), address(table), *out, places.shape[0])


def families_of(text: str) -> list[str]:
    """The families in a list with commas, each once; "none": none. ModelError for an unknown one."""
    names = list(dict.fromkeys(name.strip() for name in text.split(",")))
    if names == ["none"]:
        return []
    for name in names:
        if name not in FAMILIES:
            msg = f"--families has {name!r}, expected {', '.join(FAMILIES)} with commas, or none."
            raise ModelError(msg)
    return names


class _User:
    """A state, which app of the log is at which place, and repeats."""

    def __init__(self) -> None:
        self.state = np.zeros(SIZE // 8, np.int64)
        self.held = [NONE] * APPS
        self.opens, self.repeats = Counter[int](), Counter[int]()  # by app on screen; of NONE: all
        self.screen = NONE


class ModelRanker:
    """A model among rankers: learnt in `fit`, or given as it was trained."""

    def __init__(self, family: str, apps: Sequence[str], seed: int = 42, *, trained: Loaded | None = None, name: str = "") -> None:
        """`apps`: the names of the log's apps by number, later ones too, which say no more than which app is which.

        `trained`: rank by this model, and learn nothing.
        """
        self.name = name or family
        self.family, self.seed, self._trained = family, seed, trained
        self.model: NextAppManifest | None = None
        self._apps, self._names = apps, names_of(apps)
        self._users: dict[int, _User] = {}
        self._work, self._context, self._room = scratch(), np.zeros(CONTEXT, np.int64), np.zeros(WORK_WORDS)
        self._places, self._p = np.zeros(MOST, np.int64), np.zeros(MOST)
        self._number = 0
        self._repeats = 0.0

    def fit(self, warm: Log) -> None:
        """Learn the family (models/next_app/learn.py), and count the share of repeats."""
        self.model = bare(learn(warm, self.family, self.seed, least=1)) if self._trained is None else self._trained.manifest
        self._table = build(self.model)
        number = {name: i for i, name in enumerate(self._apps)}
        self._prior = [number.get(each.app, NONE) for each in self.model.prior]
        followed = (warm.kind == OPEN) & (on_screen(warm) != NONE)
        repeated = followed & (warm.app == on_screen(warm))
        self._repeats = float(repeated.sum()) / max(int(followed.sum()), 1)

    def rank(self, user: int, context: Context) -> list[int]:
        """All apps that the model can tell, and the one on screen."""
        known = self._users.get(user) or _User()
        phone = np.array(context.device, np.int64)
        out = self._context, self._table, self._room, self._places, self._p
        n = _rank(known.state, self._work, context.time, phone, *out)
        places = self._places[:n].tolist()
        apps = [known.held[place] if place >= 0 else self._prior[-1 - place] for place in places]
        if known.screen == NONE:
            return [app for app in apps if app != NONE]
        again = self._again(known)
        before = int((self._p[:n] * (1.0 - again) > again).sum())
        # The app on screen may stand there by the prior, where it is not kept.
        return [*(app for app in apps[:before] if app not in (NONE, known.screen)), known.screen,
                *(app for app in apps[before:] if app not in (NONE, known.screen))]  # fmt: skip

    def _again(self, known: _User) -> float:
        """The probability that the app on screen is opened again."""
        of_user = (known.repeats[NONE] + BACK_OFF * self._repeats) / (known.opens[NONE] + BACK_OFF)
        return (known.repeats[known.screen] + BACK_OFF * of_user) / (known.opens[known.screen] + BACK_OFF)

    def update(self, event: Event) -> None:
        """Applies the event to its user's state."""
        known = self._users.setdefault(event.user, _User())
        self._number += 1
        app = event.app
        name = (self._names.hashed[app], self._names.text, self._names.start[app], self._names.length[app])
        phone = np.array(event.device, np.int64)
        _update(known.state, self._work, event.kind, event.time, self._number, phone, self._table, *name)
        if event.kind != OPEN:
            return
        place = int(known.state[W_SCREEN]) - 1
        if place >= 0:
            known.held[place] = app
        if known.screen != NONE:
            for which in (NONE, known.screen):
                known.opens[which] += 1
                known.repeats[which] += app == known.screen
        known.screen = app
