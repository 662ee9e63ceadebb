"""Where each number of a customer's state lives: the header, the duplicate memory, and one section per aggregator.

The state is flat bytes of fixed size, little-endian, all zero where there is none. Compiled (njit) code sees the block of
all customers through three views of the same memory, `s32` (int32), `s64` (int64) and `sf` (float64); a customer's
`base` is its byte offset, a multiple of 64. Offsets below are in bytes from `base`, words are 8 bytes.

What nearly every event touches comes first and together (header, memory, ring heads, cached sums, newest events, orders,
ledger summary: about 700 bytes), then the rings and the ledger, of which an event touches a bucket or nothing.

    0   header, 96 bytes     96  hashes of the last 32 accepted event ids
    352 ring heads, cached sums of closed buckets, newest events, orders, ledger summary · rings · ledger
"""

from __future__ import annotations

from dataclasses import dataclass, field

from keepline.features.spec import (
    DAY,
    Age,
    Billing,
    Buying,
    Feature,
    FeatureError,
    FeatureSet,
    Ledger,
    Measure,
    Newest,
    NewestIs,
    Orders,
    Ratio,
    Rise,
    Since,
    Trend,
    Window,
    Windowed,
)

MAGIC = 0x4C4B

# Words of the header. Word 0 packs magic | feature set id << 16 | state version << 32 | flags << 48.
W_IDENTITY, W_NEXT_WAKE, W_NEWEST, W_NOW, W_TIMER_AT, W_SEQUENCE, W_LAST_VALUE = 0, 1, 2, 3, 4, 5, 6
W_QUIET_UNTIL, W_SIGNALLED_VALUE, W_ACTIVE, W_SIGNALLED_AT = 8, 9, 10, 11
"""What the contact policy was told last: the score, the levels that held, and when (0: never). The first word is of states of 0.1.0,
which kept the end of a cool-down there (and a count of interventions in the second); it is told to the policy and never written."""
# int32 places of the header.
I_LAST_BAND, I_MEMORY_NEXT = 14, 15
FLAG_ENDED = 1 << 48

W_MEMORY = 12
MEMORY = 32
SECTIONS = 352

NONE = -(1 << 63)  # no such time; event times are bounded far above it
NEVER = (1 << 63) - 1
ALIGN = 64

# Words of the orders' section (aggregators/orders.py). Days are counted from 1970, UTC; the revenue has two words.
O_COUNT, O_NEWEST, O_DAYS, O_FIRST, O_LAST = 0, 1, 2, 3, 4  # orders, newest order's time, days with an order, first and last of them
O_REVENUE, O_FIRST_TOTAL, O_LATER_TOTAL, O_COSTED, O_COST = 5, 7, 8, 9, 10
O_BITS = ORDER_WORDS = 11

SUMMARY_WORDS = 6  # overdue bills, delay runs (0/1), delay base, newest amount, rise, valid before
BILL_WORDS = 5  # key hash, event time, due time, amount, covering payment's time


@dataclass
class Column:
    """One measure in one ring: its place in a bucket, and the cached sums over its `closed` newest closed buckets."""

    measure: Measure
    offset: int
    caches: dict[int, int] = field(default_factory=dict)  # closed buckets → word of the cached sum


@dataclass
class Ring:
    """Buckets of one hop, bucket-major: all measures of a bucket are adjacent, floats first."""

    hop: int
    buckets: int
    columns: list[Column]
    bucket_bytes: int = 0
    head: int = 0  # word: start of the newest bucket, ms; the next word: its slot
    base: int = 0  # byte offset of slot 0

    def holds(self, measure: Measure) -> bool:
        """Whether the ring has a column of the measure."""
        return any(column.measure == measure for column in self.columns)

    def column(self, measure: Measure) -> Column:
        """The column of a measure of this ring."""
        return next(column for column in self.columns if column.measure == measure)


@dataclass
class Record:
    """The newest event of a type: its time, then the fields that are kept, one float64 each."""

    event: str
    fields: list[str]
    word: int = 0

    def field_word(self, name: str) -> int:
        """Word of a kept field."""
        return self.word + 1 + self.fields.index(name)


@dataclass
class OrderBook:
    """All orders: what they are made of, how many words of day bits there are, and where the section begins."""

    event: str
    amount: str
    cost: str
    bits: int
    word: int = 0


@dataclass
class Layout:
    """Offsets of every section of one feature set's state; `size` in bytes, a multiple of 64."""

    rings: list[Ring]
    records: list[Record]
    ledger: Ledger | None
    hot: int  # bytes from the start that nearly every event touches
    summary: int  # word
    bills: int  # word: number of kept bills; then `keep` rows of BILL_WORDS, oldest first
    size: int
    orders: OrderBook | None = None

    def record(self, event: str) -> Record:
        """The newest-event record of a type."""
        return next(record for record in self.records if record.event == event)


def windows_of(feature: Feature) -> tuple[tuple[Measure, Window], ...]:
    """Every windowed sum that a feature needs."""
    match feature:
        case Windowed(_, measure, window):
            return ((measure, window),)
        case Rise(_, measure, short, double):
            return (measure, short), (measure, double)
        case Trend(_, measure, short, long):
            return (measure, short), (measure, long)
        case Ratio(_, above, below, window):
            return (above, window), (below, window)
        case _:
            return ()


def _rings(feature_set: FeatureSet) -> list[Ring]:
    closed: dict[int, dict[Measure, list[int]]] = {}
    for feature in feature_set.features:
        for measure, window in windows_of(feature):
            if window.hop <= 0 or window.length <= 0 or window.length % window.hop:
                msg = (
                    f"Feature {feature.name!r} has a window of {window.length} ms with a hop of {window.hop} ms. "
                    "Choose a positive hop that divides the length."
                )
                raise FeatureError(msg)
            lengths = closed.setdefault(window.hop, {}).setdefault(measure, [])
            if window.length // window.hop not in lengths:
                lengths.append(window.length // window.hop)
    rings = []
    for hop in sorted(closed):
        longest = sorted({max(lengths) for lengths in closed[hop].values()})
        for most in longest if feature_set.split_rings else longest[-1:]:
            mine = {m: lengths for m, lengths in closed[hop].items() if not feature_set.split_rings or max(lengths) == most}
            rings.append(_ring(hop, most, mine))
    return rings


def _ring(hop: int, longest: int, measures: dict[Measure, list[int]]) -> Ring:
    # Floats first, so that every column is aligned; the order of the table within a kind.
    ordered = [m for m in measures if m.value is not None] + [m for m in measures if m.value is None]
    columns, offset = [], 0
    for measure in ordered:
        columns.append(Column(measure, offset, dict.fromkeys(sorted(measures[measure]), 0)))
        offset += 4 if measure.value is None else 8
    return Ring(hop, longest + 1, columns, bucket_bytes=-(-offset // 8) * 8)


def _records(feature_set: FeatureSet) -> list[Record]:
    wanted: dict[str, list[str]] = {}
    for feature in feature_set.features:
        match feature:
            case Since(_, event, _, _):
                wanted.setdefault(event, [])
            case Newest(_, event, name) | NewestIs(_, event, name, _) | Age(_, event, name, _):
                fields = wanted.setdefault(event, [])
                if name not in fields:
                    fields.append(name)
    if feature_set.contract is not None:
        wanted.setdefault(feature_set.contract.event, [])
    return [Record(event, fields) for event, fields in wanted.items()]


def _ledger(feature_set: FeatureSet) -> Ledger | None:
    ledgers = {feature.ledger for feature in feature_set.features if isinstance(feature, Billing)}
    if len(ledgers) > 1:
        msg = f"Feature set {feature_set.name!r} declares {len(ledgers)} different ledgers. Use one Ledger in all Billing features."
        raise FeatureError(msg)
    return ledgers.pop() if ledgers else None


def orders_of(feature_set: FeatureSet) -> Orders | None:
    """The orders that the set's figures are of; `FeatureError` where they are of several."""
    kinds = {feature.orders for feature in feature_set.features if isinstance(feature, Buying)}
    if len(kinds) > 1:
        msg = f"Feature set {feature_set.name!r} declares {len(kinds)} different Orders. Use one in all Buying features."
        raise FeatureError(msg)
    return kinds.pop() if kinds else None


def _orders(feature_set: FeatureSet) -> OrderBook | None:
    orders = orders_of(feature_set)
    if orders is None:
        return None
    # From the newest event's day back to that of the oldest one that is not late.
    days = -(-feature_set.lateness // DAY) + 1
    return OrderBook(orders.event, orders.amount, orders.cost, bits=-(-days // 64))


def lay_out(feature_set: FeatureSet) -> Layout:
    """Give every number of the feature set its place; `FeatureError` where the declaration makes no sense."""
    feature_set.validate()
    rings, records, ledger, orders = _rings(feature_set), _records(feature_set), _ledger(feature_set), _orders(feature_set)
    word = SECTIONS // 8
    for ring in rings:
        ring.head = word
        word += 2
    for ring in rings:
        for column in ring.columns:
            for closed in column.caches:
                column.caches[closed] = word
                word += 1
    for record in records:
        record.word = word
        word += 1 + len(record.fields)
    if orders is not None:
        orders.word = word
        word += ORDER_WORDS + orders.bits
    summary = word
    word += SUMMARY_WORDS if ledger else 0
    hot = word * 8
    for ring in rings:
        ring.base = word * 8
        word += ring.buckets * ring.bucket_bytes // 8
    bills = word
    word += 1 + ledger.keep * BILL_WORDS if ledger else 0
    return Layout(rings, records, ledger, hot, summary, bills, size=-(-word * 8 // ALIGN) * ALIGN, orders=orders)
