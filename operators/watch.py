"""Which moments the contact policy is told of: tables made from a policy, and the compiled test of a score against them.

Telling costs as much as ten events, so it has to be rare. After each score the kernel tells the policy where

- a *level* of the policy's triggers (a score or feature at or above a limit) begins or ends to hold. A score's level ends a little below
  its limit (`SLACK`), or a score that trembles around it would be told with every event;
- some level holds and the last telling is a day ago (the ticks of a silent customer see to it that there is a moment a day);
- the score moved by a quarter of the smallest rise that a trigger waits for;
- the event itself is one that the policy looks at: a trigger's, a complaint, a Subscription.

Control records are always told.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from keepline.features.words import get
from keepline.models.contact.rules import Happens, Policy, Rise
from keepline.models.contact.watched import MOST_LEVELS, watched_levels
from keepline.operators import context as k
from keepline.schemas.catalog import EVENT_TYPES, event_type
from keepline.schemas.jit import njit
from keepline.schemas.mem import load_f64

SLACK = 0.01
"""How far below its limit a score still holds a level that it holds."""
REFRESH_MS = 86_400_000
"""While a level holds the policy is told at least this often."""
SCORE = -1
"""In place of a feature's number."""
EVENT_WORDS = 4
TEXTS = ("string", "bytes")
COMPLAINTS = Happens("SupportContact", "topic", ("COMPLAINT", "CANCELLATION"))
"""Always told: an escalation asks for them."""


class Watch(NamedTuple):
    """The tables of a policy.

    `events` has a row for each event type: register of an enum, or −1; mask of its symbols (0: not watched); mask of the registers that are
    texts; how many registers.
    """

    source: npt.NDArray[np.int64]
    numbers: npt.NDArray[np.float64]
    events: npt.NDArray[np.int64]
    step: float


def watch(policy: Policy, names: tuple[str, ...]) -> Watch:
    """The tables of a policy over these features. ValueError for more levels than a word has bits for, or a feature that is not there."""
    found = watched_levels(policy)
    if len(found) > MOST_LEVELS:
        msg = f"policy {policy.name!r} has {len(found)} triggers with at_least: expected at most {MOST_LEVELS}"
        raise ValueError(msg)
    source = np.zeros(max(1, len(found)), np.int64)
    numbers = np.zeros((max(1, len(found)), 2))
    for i, level in enumerate(found):
        what, _, name = level.source.partition(":")
        source[i] = SCORE if what == "score" else names.index(name)
        numbers[i] = level.at_least, SLACK if what == "score" else 0.0
    rises = [trigger.when.by for trigger in policy.triggers if isinstance(trigger.when, Rise)]
    return Watch(source[: len(found)], numbers, _events(policy), min(rises) / 4 if rises else float("inf"))


def _events(policy: Policy) -> npt.NDArray[np.int64]:
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
def holding(c: int, before: int, value: float, x: Any) -> int:
    """The levels that hold, a bit each; `before`: those that held when the policy was told last."""
    now = 0
    for i in range(get(c, k.WATCHES)):
        feature = get(get(c, k.WATCH_SOURCE), i)
        number = value if feature < 0 else x[feature]
        numbers = get(c, k.WATCH_NUMBERS) + 16 * i
        limit = load_f64(numbers, 0)
        if before >> i & 1:
            limit -= load_f64(numbers, 8)
        if number >= limit:
            now |= 1 << i
    return now


@njit
def watched(c: int, etype: int) -> bool:
    """Whether the decoded event of this type is one that the policy is told of."""
    row = get(c, k.WATCH_EVENTS) + 8 * EVENT_WORDS * etype
    mask = get(row, 1)
    if mask == 0:
        return False
    register = get(row, 0)
    return register < 0 or (mask >> get(get(c, k.RI), register)) & 1 != 0
