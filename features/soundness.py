"""What holds for every stored state, so that damaged bytes are found before the kernel follows them out of the block or into a long loop.

A rule is (byte offset, mask, low, high): the int64 at the offset, masked, lies from low to high. The shell checks them whenever it
reads a state from Flink, a few comparisons; `damage` says in words what is wrong. Sums and times that only make a wrong score cannot be
told from right ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from keepline.features.layout import MAGIC, O_COUNT, O_DAYS, O_FIRST, O_LAST, W_IDENTITY, W_NEXT_WAKE, Layout
from keepline.features.plan import PlanMeta
from keepline.features.spec import DAY, FeatureError

ALL = -1
IDENTITY = (1 << 48) - 1
"""Magic, feature set and version; the flags are above."""
NO_RETENTION = 1 << 60
MOST_ORDERS = 1 << 53
"""So many a double counts exactly."""
MOST_DAYS = NO_RETENTION // DAY


class Rule(NamedTuple):
    """The int64 at a byte offset, masked, lies from `low` to `high`."""

    offset: int
    mask: int
    low: int
    high: int


def state_rules(meta: PlanMeta, min_time_ms: int, max_time_ms: int) -> tuple[Rule, ...]:
    """The rules of a feature set's states whose event times lie within these bounds."""
    layout, feature_set = meta.layout, meta.feature_set
    identity = MAGIC | feature_set.id << 16 | feature_set.state_version << 32
    latest = min(max_time_ms + (NO_RETENTION if feature_set.retention is None else feature_set.retention) + 2 * DAY, NO_RETENTION)
    rules = [Rule(8 * W_IDENTITY, IDENTITY, identity, identity), Rule(8 * W_NEXT_WAKE, ALL, min_time_ms, latest)]
    return (*rules, *layout_rules(layout))


def layout_rules(layout: Layout) -> tuple[Rule, ...]:
    """What holds for the places that a state of any version says things are at."""
    # The word after a ring's head is the head's slot.
    rules = [Rule(8 * (ring.head + 1), ALL, 0, ring.buckets - 1) for ring in layout.rings]
    if layout.ledger is not None:
        rules.append(Rule(8 * layout.bills, ALL, 0, layout.ledger.keep))
    if layout.orders is not None:
        at = layout.orders.word
        rules += [Rule(8 * (at + count), ALL, 0, MOST_ORDERS) for count in (O_COUNT, O_DAYS)]
        rules += [Rule(8 * (at + day), ALL, -MOST_DAYS, MOST_DAYS) for day in (O_FIRST, O_LAST)]
    return tuple(rules)


def damage(state: bytes, rules: Iterable[Rule], name: str) -> None:
    """Return if the rules hold; FeatureError with the first that does not and what to do."""
    for rule in rules:
        found = int.from_bytes(state[rule.offset : rule.offset + 8], "little", signed=True) & rule.mask
        if not rule.low <= found <= rule.high:
            msg = (
                f"A stored state of feature set {name!r} is damaged: byte {rule.offset} holds {found}, expected {rule.low} to {rule.high}. "
                "Start the job from an older savepoint or checkpoint, or without one to build the state again from the events."
            )
            raise FeatureError(msg)
