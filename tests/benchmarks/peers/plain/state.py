"""A customer's state: two flat arrays and two byte strings, so that storing and loading it is little more than a copy.

`x` (doubles) begins with the 36 features themselves, in the order of the feature set: windows are running totals that stay there
from event to event. Behind them stand times, and the rings of the sums. `counts` holds the rings of the counters. `ids` is the last 32
event ids, oldest first, each with its Avro length; `bills` the kept bills (bills.py). Times are doubles: exact for any millisecond
within 285,000 years.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from math import inf
from struct import Struct

HOUR, DAY = 3_600_000, 86_400_000
HOURS, DAYS = 25, 31
"""Buckets of a ring: the closed ones of the longest window and the current one."""

# Places in `x`: the features by their order, then
(
    CALLS_24H, CALLS_7D, CALLS_30D, SECONDS_24H, SECONDS_7D, SECONDS_30D, DROPPED_24H, DROPPED_7D, DROPPED_30D, MB_24H, MB_7D, MB_30D,
    MESSAGES_24H, MESSAGES_7D, MESSAGES_30D, CONTACTS_7D, CONTACTS_30D, COMPLAINTS_7D, COMPLAINTS_30D, CONTACTS_RISE, MB_TREND,
    SECONDS_TREND, HOURS_SINCE_CALL, DAYS_SINCE_PAYMENT, OVERDUE, DELAY, LAST_BILL, BILL_RISE, TENURE, MONTHS, CHARGE, AUTOPAY,
    PAPERLESS, DSL, FIBER, MOBILE,
) = range(36)  # fmt: skip
FEATURES = (
    "calls_24h", "calls_7d", "calls_30d", "call_seconds_24h", "call_seconds_7d", "call_seconds_30d", "dropped_calls_24h",
    "dropped_calls_7d", "dropped_calls_30d", "data_mb_24h", "data_mb_7d", "data_mb_30d", "messages_24h", "messages_7d", "messages_30d",
    "support_contacts_7d", "support_contacts_30d", "complaints_7d", "complaints_30d", "support_contacts_rise_7d", "data_trend_7d",
    "call_trend_7d", "hours_since_last_call", "days_since_last_payment", "overdue_bills", "payment_delay_days", "last_bill_amount",
    "bill_rise", "tenure_days", "contract_months", "monthly_charge", "autopay", "paperless", "internet_dsl", "internet_fiber",
    "internet_mobile",
)  # fmt: skip
NOW, HOUR_NOW, DAY_NOW, CONTACTS_14D, LAST_CALL, LAST_PAYMENT, LAST_SUBSCRIPTION, STARTED, DELAY_SINCE, BILLS_UNTIL = range(36, 46)
# the rings of the sums …
SECONDS_H = 46
MB_H = SECONDS_H + HOURS
SECONDS_D = MB_H + HOURS
MB_D = SECONDS_D + DAYS
WIDTH = MB_D + DAYS
# … and in `counts` those of the counters.
CALLS_H, DROPPED_H, MESSAGES_H = 0, HOURS, 2 * HOURS
CALLS_D = 3 * HOURS
DROPPED_D, MESSAGES_D, CONTACTS_D, COMPLAINTS_D = (CALLS_D + DAYS * ring for ring in (1, 2, 3, 4))
COUNTS = COMPLAINTS_D + DAYS

_HEAD = Struct("<IH")
_X = 8 * WIDTH
_IDS = _X + 4 * COUNTS + _HEAD.size
_head_at: Callable[..., tuple[int, int]] = _HEAD.unpack_from


def _empty() -> array[float]:
    x = array("d", bytes(_X))
    x[MB_TREND] = x[SECONDS_TREND] = 1.0
    x[LAST_CALL] = x[LAST_PAYMENT] = x[LAST_SUBSCRIPTION] = -inf  # so that "since" is at its cap
    x[STARTED] = x[DELAY_SINCE] = x[BILLS_UNTIL] = inf
    return x


_EMPTY = _empty()
_NO_COUNTS = array("I", bytes(4 * COUNTS))


class State:
    """One customer."""

    __slots__ = ("bills", "counts", "ids", "known", "x")

    def __init__(self, t: int) -> None:
        """No history; the first event is at `t`."""
        self.x, self.counts, self.ids, self.bills, self.known = _EMPTY[:], _NO_COUNTS[:], b"", b"", 0
        self.x[NOW], self.x[HOUR_NOW], self.x[DAY_NOW] = t, t // HOUR, t // DAY

    def dump(self) -> bytes:
        """The state as bytes."""
        ids = self.ids
        return b"".join((self.x.tobytes(), self.counts.tobytes(), _HEAD.pack(len(ids), self.known), ids, self.bills))


def load(raw: bytes) -> State:
    """The state that `dump` wrote."""
    state = State.__new__(State)
    state.x, state.counts = array("d", raw[:_X]), array("I", raw[_X : _IDS - _HEAD.size])
    length, state.known = _head_at(raw, _IDS - _HEAD.size)
    state.ids, state.bills = raw[_IDS : _IDS + length], raw[_IDS + length :]
    return state
