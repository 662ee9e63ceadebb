"""Stored states of a customer, of other versions and other parts, brought to the parts that a job has now."""

from __future__ import annotations

from collections.abc import Sequence

from keepline.features import layouts
from keepline.features.layout import MAGIC, W_TIMER_AT
from keepline.features.migration import migrate
from keepline.features.sets import FEATURE_SETS
from keepline.features.soundness import Rule, damage, state_rules
from keepline.features.spec import FeatureError, FeatureSet
from keepline.operators.parts import TAIL, Part

TIMER = slice(8 * W_TIMER_AT, 8 * W_TIMER_AT + 8)
"""The word of the customer's timer, in the first part whichever it is."""


def rules(parts: Sequence[Part], min_time_ms: int, max_time_ms: int) -> tuple[Rule, ...]:
    """What holds for a state of these parts, of which none is forgotten. One that breaks a rule goes to `migrated`, which knows better."""
    found: list[Rule] = []
    at = 0
    for part in parts:
        found += [rule._replace(offset=at + rule.offset) for rule in state_rules(part.plan.meta, min_time_ms, max_time_ms)]
        at += part.size
    return tuple(found)


def migrated(state: bytes, parts: Sequence[Part], min_time_ms: int, max_time_ms: int) -> bytes:
    """A stored state as one of these parts: what it has of them is carried over, what it lacks is empty, what they lack is dropped.

    FeatureError for one that cannot be read or is damaged, with what to do.
    """
    stored = split(state, parts)
    made = bytearray()
    for part in parts:
        features, tail = stored.get(part.feature_set.name, (b"", b""))
        current = migrate(features, part.feature_set)
        if any(current[:8]):
            damage(current, state_rules(part.plan.meta, min_time_ms, max_time_ms), part.feature_set.name)
        made += current + tail.ljust(part.tail, b"\0")[: part.tail]
    if any(made):
        made[TIMER] = state[TIMER]
    return bytes(made)


def split(state: bytes, parts: Sequence[Part]) -> dict[str, tuple[bytes, bytes]]:
    """(features, tail) of a stored state by feature set. The first part, if it was forgotten, is zero but for the timer's word."""
    for names in (("churn", "clv"), ("churn",), ("clv",)):
        found = _as(state, [FEATURE_SETS[name] for name in names])
        if found is not None:
            return found
    if len(parts) == 1:  # its own migration says what is wrong
        part = parts[0]
        size = len(state) - (part.tail if len(state) > part.tail else 0)
        return {part.feature_set.name: (state[:size], state[size:])}
    msg = (
        f"A stored state of {len(state)} bytes is none of the feature sets {', '.join(sorted(FEATURE_SETS))}, nor of several of them. "
        "Start the job from a savepoint of Keepline, or without one to build the state again from the events."
    )
    raise FeatureError(msg)


def _sizes(feature_set: FeatureSet) -> list[int]:
    """Bytes of the set's states of every version that is kept."""
    versions = range(feature_set.state_version, 0, -1)
    return [layouts.load(path).size for path in (layouts.layout_file(feature_set, version) for version in versions) if path.exists()]


def _as(state: bytes, sets: Sequence[FeatureSet]) -> dict[str, tuple[bytes, bytes]] | None:
    """The state as one of these sets in their order; None if it is none such."""
    if not sets:
        return {} if not state else None
    first, *others = sets
    tail = 0 if first.name == "churn" else TAIL
    for size in _sizes(first):
        if len(state) < size + tail:
            continue
        number = int.from_bytes(state[2:4], "little") if int.from_bytes(state[:2], "little") == MAGIC else 0
        if number not in (0, first.id) or (number == 0 and any(state[:4])):
            continue
        rest = _as(state[size + tail :], others)
        if rest is not None:
            return {first.name: (state[:size] if number else b"", state[size : size + tail] if number else b""), **rest}
    return None
