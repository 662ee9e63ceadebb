"""Which moments the contact policy is told of: tables made from a policy, and the compiled test of a score against them.

Telling costs as much as ten events, so it has to be rare. After each score the kernel tells the policy where

- a *level* of the policy's triggers (a score or feature within limits) begins or ends to hold. A score's level ends a little beyond its
  limit (`SLACK`), or a score that trembles around it would be told with every event;
- some level holds and the last telling is a day ago (the ticks of a silent customer see to it that there is a moment a day);
- a score moved by a quarter of the smallest rise or fall that a trigger waits for;
- the event itself is one that the policy looks at: a trigger's, a complaint, a Subscription.

Control records are always told.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from keepline.features.words import get
from keepline.models.contact.rules import Happens, Level, Policy
from keepline.models.contact.watched import MOST_LEVELS, watched_levels, watched_moves
from keepline.operators import context as k
from keepline.operators.parts import ScoreOf
from keepline.schemas.catalog import EVENT_TYPES, event_type
from keepline.schemas.jit import njit
from keepline.schemas.mem import load_f64

SLACK = 0.01
"""How far beyond its limit a score still holds a level that it holds; of a value of money, as a share of the limit."""
REFRESH_MS = 86_400_000
"""While a level holds the policy is told at least this often."""
INFINITY = math.inf
EVENT_WORDS = 4
TEXTS = ("string", "bytes")
COMPLAINTS = Happens("SupportContact", "topic", ("COMPLAINT", "CANCELLATION"))
"""Always told: an escalation asks for them."""


class Watch(NamedTuple):
    """What one part of the states watches.

    `source` and `numbers` have a row for each level (`context.S_SOURCE`, `context.M_FROM` …), `steps` one for each score: how far it has to
    move to be told, as a difference and as a share of the value told last; infinity where no trigger waits for that.
    """

    source: npt.NDArray[np.int64]
    numbers: npt.NDArray[np.float64]
    steps: npt.NDArray[np.float64]


def watch(policy: Policy, names: Sequence[str], scores: Sequence[ScoreOf]) -> Watch:
    """The tables of the levels and moves that concern these features and scores. ValueError for more levels than a word has bits for."""
    found = watched_levels(policy)
    if len(found) > MOST_LEVELS:
        msg = f"policy {policy.name!r} has {len(found)} triggers with at_least or below: expected at most {MOST_LEVELS}"
        raise ValueError(msg)
    known = {f"feature:{name}": (place, 0.0) for place, name in enumerate(names)}
    rows, limits = [], []
    for bit, level in enumerate(found):
        for place, score in enumerate(scores):
            if level.source == f"score:{score.name}":
                rows.append((-1 - place, bit))
                limits.append((level.at_least, level.below, _slack(level, score)))
        if level.source in known:
            rows.append((known[level.source][0], bit))
            limits.append((level.at_least, level.below, 0.0))
    steps = np.full((len(scores), 2), np.inf)
    for move in watched_moves(policy):
        for place, score in enumerate(scores):
            if move.source == f"score:{score.name}":
                steps[place] = move.rise / 4, move.fall / 4
    return Watch(np.array(rows, np.int64).reshape(-1, 2), np.array(limits).reshape(-1, 3), steps)


def _slack(level: Level, score: ScoreOf) -> float:
    limit = level.at_least if math.isfinite(level.at_least) else level.below
    return SLACK if score.probability else SLACK * abs(limit)


def watched_events(policy: Policy) -> npt.NDArray[np.int64]:
    """A row for each event type.

    Register of an enum, or −1; mask of its symbols (0: not watched); mask of the registers that are texts; how many registers.
    """
    table = np.zeros((len(EVENT_TYPES), EVENT_WORDS), np.int64)
    for kind in EVENT_TYPES:
        table[kind.id] = -1, 0, sum(1 << field.register for field in kind.fields if field.kind in TEXTS), len(kind.fields)
    wanted = [trigger.when for trigger in policy.triggers if isinstance(trigger.when, Happens)]
    for happens in (COMPLAINTS, Happens("Subscription"), *wanted):
        kind = event_type(happens.event)
        row = table[kind.id]
        if not happens.field or (row[1] != 0 and row[0] != kind.field(happens.field).register):
            row[:2] = -1, -1  # two fields of one type: every event of it is told
            continue
        if row[1] == -1:
            continue
        field = kind.field(happens.field)
        row[0] = field.register
        row[1] |= sum(1 << field.symbols.index(symbol) for symbol in happens.symbols)
    return table


@njit
def holding(p: int, before: int) -> int:
    """The levels of the part that hold by its row and values, a bit each; `before`: those that held when the policy was told last."""
    now = 0
    for i in range(get(p, k.WATCHES)):
        row, numbers = get(p, k.WATCH_SOURCE) + 16 * i, get(p, k.WATCH_NUMBERS) + 24 * i
        source, bit = get(row, k.S_SOURCE), get(row, k.S_BIT)
        number = load_f64(get(p, k.VALUES), 8 * (-1 - source)) if source < 0 else load_f64(get(p, k.X), 8 * source)
        slack = load_f64(numbers, 8 * k.M_SLACK) if before >> bit & 1 else 0.0
        if load_f64(numbers, 8 * k.M_FROM) - slack <= number < load_f64(numbers, 8 * k.M_BELOW) + slack:
            now |= 1 << bit
    return now


@njit
def moved(p: int, part: int, told: bool) -> bool:
    """Whether a score of the part has moved so far that a trigger may fire; `told`: the policy was told of them before."""
    for i in range(get(p, k.N_SCORES)):
        rules = get(p, k.RULES) + 8 * k.RULE_WORDS * i
        step, share = load_f64(rules, 8 * k.R_STEP), load_f64(rules, 8 * k.R_STEP_SHARE)
        if step < INFINITY or share < INFINITY:
            before = load_f64(part, get(get(p, k.PLACES) + 8 * k.PLACE_WORDS * i, k.L_TOLD)) if told else 0.0
            if math.isnan(before):  # told when there was no value yet
                before = 0.0
            change = abs(load_f64(get(p, k.VALUES), 8 * i) - before)
            if change >= step or (change > 0.0 and change >= share * abs(before)):
                return True
    return False


@njit
def watched(c: int, etype: int) -> bool:
    """Whether the decoded event of this type is one that the policy is told of."""
    row = get(c, k.WATCH_EVENTS) + 8 * EVENT_WORDS * etype
    mask = get(row, 1)
    if mask == 0:
        return False
    register = get(row, 0)
    return register < 0 or (mask >> get(get(c, k.RI), register)) & 1 != 0
