"""What a model learns from: at each target the rows of all candidates, and which of them was opened. The kernel is the stream's own.

    Log, targets ──► per user, event by event: the question (if a target), then kernel.update ──► Moments

A target is an open of an app that was not on screen. If an unlock came just before it, the question is the one that the stream answers: at
the unlock's time, in its circumstances. Any other open is asked for at its own time, in its own circumstances. So every open is one target
at most, in logs with and without unlocks. An open of an app that is no candidate (a first one, or one of a forgotten app) has rows and no
chosen one: it teaches nothing about candidates and is left out of the fit, but counts where the weight of the prior is chosen.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from keepline.features.next_app.constants import C_HALF_LIFE, Constants
from keepline.features.next_app.counters import byte
from keepline.features.next_app.kernel import candidates_at, opens_at
from keepline.features.next_app.layout import APPS, B_LENGTHS, CONTEXT, FEATURES, SIZE, W_SCREEN
from keepline.features.words import get, get_float, put
from keepline.models.next_app.log import NONE, OPEN, Log
from keepline.models.next_app.registers import Names, ask, names_of, open_app, phones_of, scratch, unlock
from keepline.schemas.jit import njit
from keepline.schemas.mem import address

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_COLUMNS = len(FEATURES)


class Moments(NamedTuple):
    """T targets with R candidates altogether, user by user and by time."""

    rows: Float64  # (R, 10), as layout.FEATURES
    app: Int64  # R: whose rows they are
    first: Int64  # T + 1: the rows of target i are first[i] … first[i + 1]
    event: Int64  # T: the open, as a place in the log
    opened: Int64  # T: its app
    chosen: Int64  # T: its row, NONE where it is no candidate
    screen: Int64  # T: the app on screen, NONE if it is not kept
    opens: Float64  # T: decayed opens of all kept apps, `kernel.opens`
    unlocked: Mask  # T: an unlock came just before


@njit
def _clear(state: int) -> None:
    for word in range(SIZE >> 3):
        put(state, word, 0)


@njit
def _kept(state: int) -> int:
    found = 0
    for place in range(APPS):
        found += byte(state, B_LENGTHS + place) != 0
    return found


@njit
def _walk(log: Any, names: Any, targets: Any, constants: Any, work: Any, state: Any, out: Any, count_only: bool) -> tuple[int, int]:
    """Fill `out`, or with `count_only` nothing; how many targets and rows there are."""
    order, user, time, kind, app, phone = log
    text, start, length, hashed = names
    rows, row_app, first, event, opened, chosen, screens, opens, unlocked = out
    places, context, held = np.zeros(APPS, np.int64), np.zeros(CONTEXT, np.int64), np.full(APPS, NONE, np.int64)
    made = np.zeros((APPS, _COLUMNS))
    at, scratch_at, table = address(state), address(work), address(constants)
    half_life = get_float(table, C_HALF_LIFE)
    t_count, r_count, before, pending = 0, 0, NONE, NONE
    for i in order:
        if user[i] != before:
            before, pending = user[i], NONE
            held[:] = NONE
            _clear(at)
        if kind[i] != OPEN:
            unlock(at, scratch_at, time[i], i + 1, address(phone[i]), table)
            pending = i
            continue
        place = get(at, W_SCREEN) - 1
        screen = held[place] if place >= 0 else NONE
        if targets[i] and app[i] != screen:
            if count_only:
                r_count += _kept(at) - (place >= 0)
            else:
                asked = i if pending == NONE else pending
                now = ask(at, scratch_at, time[asked], address(phone[asked]), address(context))
                n = candidates_at(at, now, address(context), table, address(made), address(places))
                first[t_count], event[t_count], opened[t_count], screens[t_count] = r_count, i, app[i], screen
                opens[t_count], unlocked[t_count], chosen[t_count] = opens_at(at, now, half_life), pending != NONE, NONE
                for k in range(n):
                    rows[r_count] = made[k]
                    row_app[r_count] = held[places[k]]
                    if held[places[k]] == app[i]:
                        chosen[t_count] = r_count
                    r_count += 1
            t_count += 1
        pending = NONE
        name = app[i]
        open_app(at, scratch_at, time[i], i + 1, address(phone[i]), table, hashed[name], address(text) + start[name], length[name])
        if get(at, W_SCREEN) > 0:
            held[get(at, W_SCREEN) - 1] = name
    return t_count, r_count


def moments(log: Log, targets: Mask, constants: Constants, names: Names | None = None) -> Moments:
    """The moments of the wanted opens of a log; repeats of the app on screen are left out.

    `names`: of the log's apps, where the caller has them already.
    """
    entries = (np.argsort(log.user, kind="stable"), log.user, log.time, log.kind, log.app, phones_of(log))
    names = names_of(log.apps) if names is None else names
    state = np.zeros(SIZE // 8, np.int64)

    def walk(targets_: int, rows: int, count_only: bool) -> tuple[tuple[Any, ...], tuple[int, int]]:
        whole = [np.zeros(n, np.int64) for n in (rows, targets_ + 1, targets_, targets_, targets_, targets_)]
        out = (np.zeros((rows, _COLUMNS)), *whole, np.zeros(targets_), np.zeros(targets_, np.bool_))
        return out, _walk(entries, names, targets, constants.array(), scratch(), state, out, count_only)

    _, (t, r) = walk(0, 0, True)
    out, (t, r) = walk(t, r, False)
    found = Moments(*out)
    found.first[t] = r
    return found
