"""Compile a feature set into tables: `FeatureSet → Plan`, which one kernel executes; no code is generated.

A plan is two flat arrays, because handing an array to compiled (njit) code costs about 100 ns: `ints` (offsets, registers,
masks; a header of `P_…` places that point to the tables behind it) and `floats` (units, caps, factors). Each table is
rows of a fixed number of integers; the module of the aggregator that reads a table says what its columns mean.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from keepline.features.layout import BILL_WORDS, Layout, Record, lay_out, orders_of
from keepline.features.spec import (
    Age,
    Billing,
    Buying,
    Feature,
    FeatureError,
    FeatureSet,
    Measure,
    Newest,
    NewestIs,
    OneOf,
    Ratio,
    Rise,
    Sign,
    Since,
    Trend,
    Window,
    Windowed,
)
from keepline.schemas.catalog import EVENT_TYPES, NREG, EventType, Field, event_type

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# Header of `ints`.
P_SET, P_SIZE, P_FEATURES, P_RETENTION, P_LATENESS = 0, 1, 2, 3, 4
P_RINGS, P_N_RINGS, P_OPS, P_RECORDS, P_RECORD_OF = 5, 6, 7, 8, 9
P_SINCE, P_N_SINCE, P_AGE, P_N_AGE, P_FIELD, P_N_FIELD, P_IS, P_N_IS = 10, 11, 12, 13, 14, 15, 16, 17
P_RISE, P_N_RISE, P_QUOTIENT, P_N_QUOTIENT = 18, 19, 20, 21
P_KEEP, P_SUMMARY, P_BILLS, P_BILL, P_PAYMENT = 22, 23, 24, 25, 26
P_BILL_KEY, P_BILL_DUE, P_BILL_AMOUNT, P_PAYMENT_KEY, P_FIGURES = 27, 28, 29, 30, 31
P_N_RECORDS, P_HOT, P_STATE = 32, 33, 34
P_ORDER, P_ORDER_AT, P_ORDER_BITS, P_ORDER_AMOUNT, P_ORDER_COST, P_ORDER_FIGURES, P_ORDER_CONSTANTS = 35, 36, 37, 38, 39, 40, 41
HEADER = 42

# Columns of a row of the ring table (aggregators/windows.py).
R_HOP, R_BUCKETS, R_HEAD, R_BASE, R_BYTES, R_COLUMNS, R_N_COLUMNS = 0, 1, 2, 3, 4, 5, 6
R_SUMS, R_N_SUMS, R_COUNTS, R_N_COUNTS = 7, 8, 9, 10
RING_ROW = 11

FOREVER = 1 << 62
FIGURES = ("overdue", "delay", "amount", "rise")
ORDER_FIGURES = ("orders", "revenue", "frequency", "recency", "age", "monetary_value", "average", "rate", "margin", "since")
_NUMERIC = {"boolean", "int", "long", "float", "double"}
_MAX_SYMBOLS = 63


@dataclass(frozen=True)
class PlanMeta:
    """What people and models ask of a plan: names in the order of the row, and the layout behind it."""

    feature_set: FeatureSet
    names: tuple[str, ...]
    layout: Layout


class Plan(NamedTuple):
    """A compiled feature set. Kernels take `ints` and `floats`; a state is `size` bytes, a row `n_features` float64."""

    ints: NDArray[np.int64]
    floats: NDArray[np.float64]
    meta: PlanMeta

    @property
    def size(self) -> int:
        """Bytes of one customer's state, a multiple of 64."""
        return self.meta.layout.size

    @property
    def n_features(self) -> int:
        """Length of a row."""
        return len(self.meta.names)


def _event(name: str, what: str) -> EventType:
    try:
        event = event_type(name)
    except KeyError as error:
        msg = f"{what} names the event type {name!r}, which is unknown. Use one of {', '.join(e.name for e in EVENT_TYPES)}."
        raise FeatureError(msg) from error
    if event.control:
        msg = f"{what} names {name!r}, a control type, which never reaches features. Use another event type."
        raise FeatureError(msg)
    return event


def _field(event: str, name: str, kinds: set[str], what: str, *, nullable: bool = False) -> Field:
    fields = _event(event, what).fields
    for field in fields:
        if field.name == name:
            if field.kind not in kinds or (field.nullable and not nullable):
                kind = f"{field.kind} or null" if field.nullable else field.kind
                msg = f"{what} uses {event}.{name}, which is {kind}. Expected {' or '.join(sorted(kinds))}, never null."
                raise FeatureError(msg)
            return field
    msg = f"{what} names the field {event}.{name}, which is unknown. Use one of {', '.join(f.name for f in fields)}."
    raise FeatureError(msg)


def _symbol(field: Field, symbol: str, what: str) -> int:
    if symbol not in field.symbols[:_MAX_SYMBOLS]:
        msg = f"{what} names the symbol {symbol!r} of {field.name}, which is unknown. Use one of {', '.join(field.symbols)}."
        raise FeatureError(msg)
    return field.symbols.index(symbol)


class _Compiler:
    """Builds the tables; one method per aggregator."""

    def __init__(self, feature_set: FeatureSet, margin: float | None) -> None:
        self.set = feature_set
        self.margin = margin
        self.layout = lay_out(feature_set)
        self.ints = [0] * HEADER
        self.floats: list[float] = []
        self.slot = {feature.name: i for i, feature in enumerate(feature_set.features)}
        # Which feature, if any, is itself the windowed sum that a formula needs.
        self.windowed = {(f.measure, f.window): self.slot[f.name] for f in feature_set.features if isinstance(f, Windowed)}
        # Sums to read: those features, and operands that are no feature, which wait in the slot of the formula.
        self.sums: list[tuple[int, Measure, Window]] = [
            (self.slot[f.name], f.measure, f.window) for f in feature_set.features if isinstance(f, Windowed)
        ]

    def table(self, place: int, rows: Sequence[Sequence[int]], count: int | None = None) -> int:
        """Append rows, point header `place` at them, put their number at header `count`."""
        at = len(self.ints)
        for row in rows:
            self.ints.extend(row)
        self.ints[place] = at
        if count is not None:
            self.ints[count] = len(rows)
        return at

    def constants(self, *values: float) -> int:
        """Append floats; returns the place of the first."""
        self.floats.extend(values)
        return len(self.floats) - len(values)

    def compile(self) -> Plan:
        """Fill every table, formulas before windows, because they add sums to read."""
        ints, layout = self.ints, self.layout
        ints[P_SET], ints[P_SIZE], ints[P_FEATURES] = self.set.id, layout.size, len(self.slot)
        ints[P_RETENTION] = FOREVER if self.set.retention is None else self.set.retention
        ints[P_LATENESS], ints[P_HOT], ints[P_STATE] = self.set.lateness, layout.hot, self.set.state_version
        self.formulas()
        self.rings()
        self.records()
        self.newest()
        self.ledger()
        self.orders()
        meta = PlanMeta(self.set, self.set.names, layout)
        return Plan(np.array(ints, np.int64), np.array([*self.floats, 0.0]), meta)

    def operand(self, feature: Rise | Trend | Ratio, measure: Measure, window: Window) -> int:
        """Slot of the row that holds a formula's operand when the formula is computed."""
        known = self.windowed.get((measure, window))
        if known is not None:
            return known
        own = self.slot[feature.name]
        if any(slot == own for slot, _, _ in self.sums):
            msg = f"Feature {feature.name!r} needs two sums that are no features. Declare one of them with over(…)."
            raise FeatureError(msg)
        self.sums.append((own, measure, window))
        return own

    def formulas(self) -> None:
        """Rise rows (slot, short, double); quotient rows (slot, above, below, place of the factor and of the value when below is 0)."""
        rises, quotients = [], []
        for feature in self.set.features:
            slot = self.slot[feature.name]
            if isinstance(feature, Rise):
                short = self.operand(feature, feature.measure, feature.short)
                rises.append((slot, short, self.operand(feature, feature.measure, feature.double)))
            elif isinstance(feature, Trend):
                short = self.operand(feature, feature.measure, feature.short)
                long = self.operand(feature, feature.measure, feature.long)
                quotients.append((slot, short, long, self.constants(feature.long.length / feature.short.length, 1.0)))
            elif isinstance(feature, Ratio):
                above = self.operand(feature, feature.above, feature.window)
                below = self.operand(feature, feature.below, feature.window)
                quotients.append((slot, above, below, self.constants(1.0, 0.0)))
        self.table(P_RISE, rises, P_N_RISE)
        self.table(P_QUOTIENT, quotients, P_N_QUOTIENT)

    def rings(self) -> None:
        """Ring rows, their columns and cached sums, the sums to read, and what an event of a type adds."""
        rings = self.layout.rings
        at = self.table(P_RINGS, [(0,) * RING_ROW for _ in rings], P_N_RINGS)
        columns: dict[tuple[int, Measure], int] = {}
        for i, ring in enumerate(rings):
            rows = []
            for column in ring.columns:
                caches = len(self.ints)
                for closed, word in column.caches.items():
                    self.ints.extend((closed, word))
                rows.append((int(column.measure.value is not None), column.offset, caches, len(column.caches)))
            first = len(self.ints)
            for column, values in zip(ring.columns, rows, strict=True):
                columns[ring.hop, column.measure] = len(self.ints)
                self.ints.extend(values)
            reads: list[list[int]] = [[], []]
            for slot, measure, window in self.sums:
                if window.hop == ring.hop and ring.holds(measure):
                    column, closed = ring.column(measure), window.length // window.hop
                    reads[measure.value is None] += [slot, column.caches[closed], column.offset, closed]
            sums = len(self.ints)
            self.ints += reads[0]
            counts = len(self.ints)
            self.ints += reads[1]
            row = at + i * RING_ROW
            self.ints[row : row + RING_ROW] = [
                *(ring.hop, ring.buckets, ring.head, ring.base, ring.bucket_bytes, first, len(rows)),
                *(sums, len(reads[0]) // 4, counts, len(reads[1]) // 4),
            ]
        self.measures(columns)

    def measures(self, columns: dict[tuple[int, Measure], int]) -> None:
        """Per (event type, ring): place and number of rows (predicate, mask, value register or -1, column)."""
        index = self.table(P_OPS, [(0, 0)] * (len(EVENT_TYPES) * len(self.layout.rings)))
        for event in EVENT_TYPES:
            for i, ring in enumerate(self.layout.rings):
                rows = [
                    (*self.predicate(column.measure), columns[ring.hop, column.measure])
                    for column in ring.columns
                    if _event(column.measure.event, "A measure").id == event.id
                ]
                place = index + 2 * (event.id * len(self.layout.rings) + i)
                self.ints[place : place + 2] = [len(self.ints), len(rows)]
                for row in rows:
                    self.ints.extend(row)

    def predicate(self, measure: Measure) -> tuple[int, int, int]:
        """Predicate (register of an enum, -2 - register of a number, or -1), its mask (of a number: 1 for negative), value register."""
        what = f"A measure of feature set {self.set.name!r}"
        register, mask, value = -1, 0, -1
        match measure.where:
            case OneOf(name, symbols):
                field = _field(measure.event, name, {"enum"}, what)
                register = field.register
                for symbol in symbols:
                    mask |= 1 << _symbol(field, symbol, what)
            case Sign(name, negative):
                register = -2 - _field(measure.event, name, _NUMERIC - {"boolean"}, what).register
                mask = int(negative)
        if measure.value is not None:
            value = _field(measure.event, measure.value, _NUMERIC, what).register
        return register, mask, value

    def records(self) -> None:
        """Record rows: word of the time, number of fields, ended register or -1, NREG registers; and row by event type."""
        rows: list[tuple[int, ...]] = []
        row_of = [-1] * len(EVENT_TYPES)
        contract = self.set.contract
        for record in self.layout.records:
            what = f"Feature set {self.set.name!r}"
            row_of[_event(record.event, what).id] = len(rows)
            registers = [_field(record.event, name, _NUMERIC | {"enum"}, what).register for name in record.fields]
            ended = -1
            if contract is not None and contract.event == record.event:
                ended = _field(contract.event, contract.field, {"boolean"}, what).register
            rows.append((record.word, len(registers), ended, *registers, *[-1] * (NREG - len(registers))))
        at = self.table(P_RECORDS, rows, P_N_RECORDS)
        self.table(P_RECORD_OF, [[at + (3 + NREG) * row if row >= 0 else -1 for row in row_of]])

    def newest(self) -> None:
        """Features of the newest event of a type."""
        since, ages, fields, symbols = [], [], [], []
        for feature in self.set.features:
            slot, what = self.slot[feature.name], f"Feature {feature.name!r}"
            match feature:
                case Since(_, event, unit, cap):
                    since.append((slot, self.record(event).word, self.constants(unit, cap)))
                case Age(_, event, name, unit):
                    if not _field(event, name, {"long"}, what).time:
                        msg = f"{what} measures time since {event}.{name}, which is no timestamp. Use a timestamp-millis field."
                        raise FeatureError(msg)
                    record = self.record(event)
                    ages.append((slot, record.word, record.field_word(name), self.constants(unit)))
                case Newest(_, event, name):
                    _field(event, name, _NUMERIC, what)
                    fields.append((slot, self.record(event).field_word(name)))
                case NewestIs(_, event, name, symbol):
                    record = self.record(event)
                    value = _symbol(_field(event, name, {"enum"}, what), symbol, what)
                    symbols.append((slot, record.word, record.field_word(name), value))
        self.table(P_SINCE, since, P_N_SINCE)
        self.table(P_AGE, ages, P_N_AGE)
        self.table(P_FIELD, fields, P_N_FIELD)
        self.table(P_IS, symbols, P_N_IS)

    def record(self, event: str) -> Record:
        """The record of the newest event of a type."""
        return self.layout.record(event)

    def ledger(self) -> None:
        """Words and registers of the ledger; FIGURES holds the slot of each figure, or -1."""
        ints, ledger = self.ints, self.layout.ledger
        ints[P_BILL] = ints[P_PAYMENT] = -1
        figures = [-1] * len(FIGURES)
        if ledger is not None:
            what = "The ledger"
            if ledger.keep < 1:
                msg = f"{what} keeps {ledger.keep} bills. Keep at least one."
                raise FeatureError(msg)
            ints[P_KEEP], ints[P_SUMMARY], ints[P_BILLS] = ledger.keep, self.layout.summary, self.layout.bills
            ints[P_BILL], ints[P_PAYMENT] = _event(ledger.bill, what).id, _event(ledger.payment, what).id
            ints[P_BILL_KEY] = _field(ledger.bill, ledger.key, {"string"}, what).register
            ints[P_BILL_DUE] = _field(ledger.bill, ledger.due, {"long"}, what).register
            ints[P_BILL_AMOUNT] = _field(ledger.bill, ledger.amount, _NUMERIC, what).register
            ints[P_PAYMENT_KEY] = _field(ledger.payment, ledger.key, {"string"}, what, nullable=True).register
        for feature in self.set.features:
            if isinstance(feature, Billing):
                figure = FIGURES.index(feature.figure)
                if figures[figure] >= 0:
                    msg = f"Feature {feature.name!r} repeats the ledger's figure {feature.figure!r}. Declare each figure once."
                    raise FeatureError(msg)
                figures[figure] = self.slot[feature.name]
        self.table(P_FIGURES, [figures])

    def orders(self) -> None:
        """Words, registers and constants (margin, period, cap) of the orders; ORDER_FIGURES holds the slot of each figure, or -1."""
        ints, orders, book = self.ints, orders_of(self.set), self.layout.orders
        ints[P_ORDER] = -1
        figures = [-1] * len(ORDER_FIGURES)
        if orders is not None and book is not None:
            what = "Orders"
            ints[P_ORDER] = _event(orders.event, what).id
            ints[P_ORDER_AT], ints[P_ORDER_BITS] = book.word, book.bits
            ints[P_ORDER_AMOUNT] = _field(orders.event, orders.amount, _NUMERIC - {"boolean"}, what).register
            ints[P_ORDER_COST] = _field(orders.event, orders.cost, _NUMERIC - {"boolean"}, what, nullable=True).register
            margin = orders.margin if self.margin is None else self.margin
            if not -math.inf < margin <= 1:
                msg = f"The gross margin is {margin}. Give a share of the amount: a finite number, at most 1, such as 0.3."
                raise FeatureError(msg)
            if not (0 < orders.period < math.inf and 0 <= orders.cap < math.inf):
                msg = f"{what} has a period of {orders.period} and a cap of {orders.cap} days. Declare finite ones, the period above 0."
                raise FeatureError(msg)
            ints[P_ORDER_CONSTANTS] = self.constants(margin, orders.period, orders.cap)
        elif self.margin is not None:
            msg = f"Feature set {self.set.name!r} has no orders, so a gross margin of {self.margin} means nothing. Leave it out."
            raise FeatureError(msg)
        for feature in self.set.features:
            if isinstance(feature, Buying):
                figure = ORDER_FIGURES.index(feature.figure)
                if figures[figure] >= 0:
                    msg = f"Feature {feature.name!r} repeats the figure {feature.figure!r} of the orders. Declare each figure once."
                    raise FeatureError(msg)
                figures[figure] = self.slot[feature.name]
        self.table(P_ORDER_FIGURES, [figures])


def compile(feature_set: FeatureSet, *, margin: float | None = None) -> Plan:  # noqa: A001 — the word of the field, used as features.plan.compile
    """Compile a feature set; `FeatureError` says which feature, what was expected and what to do.

    `margin` is the gross margin (a share of the amount) of customers whose orders say no cost, in the place of the declared one.
    """
    return _Compiler(feature_set, margin).compile()


__all__ = ["BILL_WORDS", "Feature", "Plan", "PlanMeta", "compile"]
