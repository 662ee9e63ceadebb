"""What the customer operator has to watch for a policy."""

from __future__ import annotations

import math
from dataclasses import replace

from keepline.models.contact.rules import Fall, Happens, Level, Rise, Trigger
from keepline.models.contact.watched import Moves, watched_levels, watched_moves
from tests.models.contact.lives import DAY, POLICY

LEVELS = (Level("score:churn", 0.5), Level("score:p_alive", below=0.3), Level("feature:orders", 1.0, 5.0))
MOVES = (
    Fall("score:clv_bgnbd", 0.3, DAY),
    Rise("score:churn", 0.2, DAY),
    Fall("score:clv_bgnbd", 0.2, 9 * DAY),
    Rise("score:churn", 0.4, 9 * DAY),
    Fall("score:churn", 0.5, DAY),
)
WHENS = (LEVELS[0], MOVES[0], Happens("Bill"), LEVELS[1], *MOVES[1:], LEVELS[2])
WATCHING = replace(POLICY, triggers=tuple(Trigger(f"t{i}", when, i) for i, when in enumerate(WHENS)))


def test_levels_are_in_the_order_of_the_triggers() -> None:
    assert watched_levels(WATCHING) == LEVELS


def test_moves_are_the_smallest_of_each_source() -> None:
    assert watched_moves(WATCHING) == (Moves("score:clv_bgnbd", math.inf, 0.2), Moves("score:churn", 0.2, 0.5))
    assert watched_moves(POLICY) == ()
