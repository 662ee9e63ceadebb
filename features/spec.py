"""What a feature set is: plain data, declared once, executed by the kernel and explained by the oracle.

A feature set is a tuple of features in the order of the row. Each feature names the events and fields it looks at by
the names of the event schemas; nothing here knows offsets, registers or NumPy. Data passes on as
`FeatureSet → features.layout (where each number lives) → features.plan (tables for the kernel)`.

Times are epoch milliseconds (UTC); lengths are milliseconds.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

from keepline.schemas.errors import KeeplineError

HOUR = 3_600_000
DAY = 24 * HOUR


class FeatureError(KeeplineError):
    """A feature set, a stored state or a query that cannot be used; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Window:
    """A sawtooth window: at `now` it covers `[floor((now - length) / hop) · hop, now]`."""

    label: str
    length: int
    hop: int


@dataclass(frozen=True, slots=True)
class OneOf:
    """A predicate: the enum field holds one of these symbols."""

    field: str
    symbols: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sign:
    """A predicate: the numeric field is below 0 (`negative`), or it is not."""

    field: str
    negative: bool


@dataclass(frozen=True, slots=True)
class Measure:
    """What a window adds up: one per event (`value` is None) or a numeric field of it, where `where` holds."""

    event: str
    value: str | None = None
    where: OneOf | Sign | None = None


@dataclass(frozen=True, slots=True)
class Windowed:
    """A measure summed over a window."""

    name: str
    measure: Measure
    window: Window


@dataclass(frozen=True, slots=True)
class Rise:
    """A window's sum minus the sum of the stretch before it: `short - (double - short)`."""

    name: str
    measure: Measure
    short: Window
    double: Window


@dataclass(frozen=True, slots=True)
class Trend:
    """Daily rate in the short window over daily rate in the long one (nominal lengths); 1 when the long sum is 0."""

    name: str
    measure: Measure
    short: Window
    long: Window


@dataclass(frozen=True, slots=True)
class Ratio:
    """One windowed sum over another of the same window; 0 when the lower one is 0."""

    name: str
    above: Measure
    below: Measure
    window: Window


@dataclass(frozen=True, slots=True)
class Since:
    """Time since the newest event of a type, in `unit`s, at most `cap`; `cap` if there was none."""

    name: str
    event: str
    unit: int
    cap: float


@dataclass(frozen=True, slots=True)
class Newest:
    """A numeric or boolean field of the newest event of a type; 0 if there was none."""

    name: str
    event: str
    field: str


@dataclass(frozen=True, slots=True)
class NewestIs:
    """1 where an enum field of the newest event of a type holds `symbol`, else 0."""

    name: str
    event: str
    field: str
    symbol: str


@dataclass(frozen=True, slots=True)
class Age:
    """Time since a timestamp *field* of the newest event of a type, in `unit`s, at least 0; 0 if there was none."""

    name: str
    event: str
    field: str
    unit: int


@dataclass(frozen=True, slots=True)
class Ledger:
    """The newest `keep` bills and which payment covers each (`features.md`, "Bills")."""

    keep: int
    bill: str
    payment: str
    key: str
    due: str
    amount: str


@dataclass(frozen=True, slots=True)
class Billing:
    """One figure of a ledger: overdue bills, days of delay, newest amount, its rise over the one before."""

    name: str
    ledger: Ledger
    figure: Literal["overdue", "delay", "amount", "rise"]


@dataclass(frozen=True, slots=True)
class Orders:
    """All orders of a customer by UTC day, and the refunds: an event is a refund where `amount` is negative, else an order.

    `cost` is a field that may be null. `margin` is the gross margin where no order says a cost, `period` the days that a rate counts
    orders over, `cap` the most days since the last order.
    """

    event: str
    amount: str
    cost: str
    margin: float
    period: float
    cap: float


@dataclass(frozen=True, slots=True)
class Buying:
    """One figure of a customer's orders (`features.md`, "clv").

    orders, revenue: number, and sum of all amounts with refunds. frequency: days with an order less one. recency, age: days from the first
    order's day to the last one's, to now's. monetary_value: mean total of a day after the first. average: amount an order. rate: orders a
    period. margin: (amount − cost) / amount of the orders that say a cost. since: days since the newest order, a fraction.
    """

    name: str
    orders: Orders
    figure: Literal["orders", "revenue", "frequency", "recency", "age", "monetary_value", "average", "rate", "margin", "since"]


@dataclass(frozen=True, slots=True)
class ContractFlag:
    """Mirror a boolean field of the newest event of a type into bit 0 of the state's flags."""

    event: str
    field: str


Feature = Windowed | Rise | Trend | Ratio | Since | Newest | NewestIs | Age | Billing | Buying


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """A named, versioned row of features.

    `id` and `state_version` are what the state's header carries; `retention` is the silence after which the state is
    dropped (None: never); `lateness` how far behind the newest accepted event a record may be and still count.
    `version` changes with the row, `state_version` with the layout of the state (features/migration.py). `split_rings` gives measures
    of one hop whose longest windows differ rings of their own, which takes fewer bytes where only some have a long window.
    """

    name: str
    id: int
    version: int
    features: tuple[Feature, ...]
    retention: int | None
    lateness: int
    contract: ContractFlag | None = None
    state_version: int = 1
    split_rings: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Feature names in the order of the row."""
        return tuple(feature.name for feature in self.features)

    def validate(self) -> None:
        """Raise `FeatureError` where names repeat or there is nothing to compute."""
        if not self.features:
            msg = f"Feature set {self.name!r} has no features. Declare at least one."
            raise FeatureError(msg)
        repeated = [name for name, times in Counter(self.names).items() if times > 1]
        if repeated:
            msg = f"Feature set {self.name!r} names {', '.join(repeated)} more than once. Give each feature its own name."
            raise FeatureError(msg)


def over(stem: str, measure: Measure, *windows: Window) -> tuple[Windowed, ...]:
    """One measure over several windows: `stem_24h`, `stem_7d`, …, in the order of the windows."""
    return tuple(Windowed(f"{stem}_{window.label}", measure, window) for window in windows)
