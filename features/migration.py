"""States written under an older layout, brought to this one: `migrate(state, feature_set)`.

A layout follows from the feature table, so an edited table moves the numbers of every stored state. That is safe because
each layout that was ever in use is kept as `layouts/SET-STATE_VERSION.json`, and a stored state says its version: whatever both
tables have in common is carried over by name, bucket by bucket, and what is new starts empty. A feature that both tables have
goes on exactly; a new window is right once its length has passed since the migration.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from keepline.features import kernel, layouts
from keepline.features.aggregators import windows
from keepline.features.layout import (
    BILL_WORDS,
    MAGIC,
    NONE,
    ORDER_WORDS,
    SECTIONS,
    W_IDENTITY,
    W_NEWEST,
    Layout,
    OrderBook,
    Record,
    Ring,
)
from keepline.features.plan import P_RINGS, R_COLUMNS, RING_ROW, Plan
from keepline.features.plan import compile as compile_plan
from keepline.features.soundness import damage, layout_rules
from keepline.features.spec import FeatureError, FeatureSet, Ledger

_VERSION_BITS = 0xFFFF << 32


def migrate(state: bytes, feature_set: FeatureSet) -> bytes:
    """A stored state as one of this feature set's own layout; `FeatureError` says why one cannot be read, and what to do.

    A state of the set's own version passes unchanged, and so does the empty state.
    """
    plan = _plan(feature_set)
    if not any(state):
        return bytes(plan.size)
    version = _version(state, feature_set)
    old = plan.meta.layout if version == feature_set.state_version else _layout(feature_set, version)
    if len(state) != old.size:
        msg = (
            f"A stored state of {len(state)} bytes and version {version} should have {old.size} bytes: it is cut, or was written by "
            f"other features. {_advice(feature_set)}"
        )
        raise FeatureError(msg)
    if version == feature_set.state_version:
        return bytes(state)
    damage(state, layout_rules(old), feature_set.name)
    return _carry(np.frombuffer(state, np.uint8), old, plan)


def _advice(feature_set: FeatureSet) -> str:
    return f"Start the job from a savepoint of feature set {feature_set.name!r}, or without one to build the state again from the events."


def _version(state: bytes, feature_set: FeatureSet) -> int:
    what, advice = f"A stored state of {len(state)} bytes", _advice(feature_set)
    if len(state) < SECTIONS or int.from_bytes(state[:2], "little") != MAGIC:
        msg = f"{what} does not begin with the mark {MAGIC:#06x}: it is no Keepline state. {advice}"
        raise FeatureError(msg)
    found = int.from_bytes(state[2:4], "little")
    if found != feature_set.id:
        msg = f"{what} belongs to feature set id {found}; expected {feature_set.id} ({feature_set.name!r}). {advice}"
        raise FeatureError(msg)
    return int.from_bytes(state[4:6], "little")


@cache
def _plan(feature_set: FeatureSet) -> Plan:
    return compile_plan(feature_set)


@cache
def _layout(feature_set: FeatureSet, version: int) -> Layout:
    path = layouts.layout_file(feature_set, version)
    if version > feature_set.state_version or not path.exists():
        newer = version > feature_set.state_version
        hint = "Run the release that wrote it, or a newer one." if newer else _advice(feature_set)
        msg = f"A stored state has state version {version}; expected version {feature_set.state_version} or older. {hint}"
        raise FeatureError(msg)
    return layouts.load(path)


def _carry(source: Any, old: Layout, plan: Plan) -> bytes:
    """Header and duplicate memory as they are, then section by section."""
    state = np.zeros(plan.size, np.uint8)
    words, was = state.view(np.int64), source.view(np.int64)
    ints = plan.ints
    newest = int(was[W_NEWEST])
    kernel.init(state.view(np.int32), words, 0, newest, ints)
    identity = int(words[W_IDENTITY])
    words[: SECTIONS // 8] = was[: SECTIONS // 8]
    words[W_IDENTITY] = (int(was[W_IDENTITY]) & ~_VERSION_BITS) | (identity & _VERSION_BITS)
    new = plan.meta.layout
    for number, ring in enumerate(new.rings):
        for before in old.rings:
            if before.hop == ring.hop:
                _carry_ring(source, before, state, ring)
        row = int(ints[P_RINGS]) + number * RING_ROW
        for column in range(len(ring.columns)):
            windows.refresh(state.ctypes.data, ints.ctypes.data, row, int(words[ring.head + 1]), int(ints[row + R_COLUMNS]) + 4 * column)
    for record in new.records:
        for kept in old.records:
            if kept.event == record.event:
                _carry_record(was, kept, words, record)
    if new.ledger and old.ledger and _same_bills(new.ledger, old.ledger):
        keep = min(new.ledger.keep, int(was[old.bills]))
        first = old.bills + 1 + (int(was[old.bills]) - keep) * BILL_WORDS
        words[new.bills] = keep
        words[new.bills + 1 : new.bills + 1 + keep * BILL_WORDS] = was[first : first + keep * BILL_WORDS]
        words[new.summary + 5] = NONE  # the summary is true for no `now`: the next read makes it from the bills
    if new.orders and old.orders and _same_orders(new.orders, old.orders):
        length = ORDER_WORDS + min(new.orders.bits, old.orders.bits)
        words[new.orders.word : new.orders.word + length] = was[old.orders.word : old.orders.word + length]
    return state.tobytes()


def _carry_ring(source: Any, old: Ring, state: Any, new: Ring) -> None:
    """The newest buckets of the measures that both rings have; the newest goes to slot 0, the one before it to the last slot."""
    was, words = source.view(np.int64), state.view(np.int64)
    words[new.head], words[new.head + 1] = was[old.head], 0
    back = np.arange(min(old.buckets, new.buckets))
    there, here = (int(was[old.head + 1]) - back) % old.buckets, -back % new.buckets
    before = source[old.base : old.base + old.buckets * old.bucket_bytes].reshape(old.buckets, old.bucket_bytes)
    after = state[new.base : new.base + new.buckets * new.bucket_bytes].reshape(new.buckets, new.bucket_bytes)
    for column in new.columns:
        for kept in old.columns:
            if kept.measure == column.measure:
                width = 4 if column.measure.value is None else 8
                after[here, column.offset : column.offset + width] = before[there, kept.offset : kept.offset + width]


def _carry_record(was: Any, old: Record, words: Any, new: Record) -> None:
    """Time and common fields of the newest event of a type. A field that was not kept is 0 until the next event of the type."""
    words[new.word] = was[old.word]
    for name in set(new.fields) & set(old.fields):
        words[new.field_word(name)] = was[old.field_word(name)]


def _same_orders(one: OrderBook, other: OrderBook) -> bool:
    return (one.event, one.amount, one.cost) == (other.event, other.amount, other.cost)


def _same_bills(one: Ledger, other: Ledger) -> bool:
    return (one.bill, one.payment, one.key, one.due, one.amount) == (other.bill, other.payment, other.key, other.due, other.amount)
