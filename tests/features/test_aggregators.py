"""One table per aggregator: a short history and what one feature of it must be."""

from typing import Any

import pytest

from keepline.features import oracle
from keepline.features.churn import CHURN
from keepline.features.single import Customer

HOUR = 3_600_000
DAY = 24 * HOUR
T0 = 20_000 * DAY  # a midnight, UTC
MAX = 1.7976931348623157e308


def event(kind: str, t: int, **fields: Any) -> dict[str, Any]:
    """An event of a type with plain fields; the test numbers the ids."""
    plain: dict[str, dict[str, Any]] = {
        "Call": {"duration_s": 60.0},
        "DataSession": {"megabytes": 1.0},
        "Bill": {"bill_id": "b", "amount": 10.0, "due_time": t},
        "Payment": {"amount": 10.0},
        "Subscription": {"plan": "p", "started_time": t, "monthly_charge": 20.0},
    }
    return {"type": kind, "event_time": t} | plain.get(kind, {}) | fields


def bill(key: str, t: int, due: int, amount: float = 10.0) -> dict[str, Any]:
    """A bill."""
    return event("Bill", t, bill_id=key, due_time=due, amount=amount)


def pay(t: int, key: str | None = None) -> dict[str, Any]:
    """A payment, naming a bill or none."""
    return event("Payment", t, bill_id=key)


def check(history: list[dict[str, Any]], at: int, name: str, expected: float) -> None:
    """Kernel and oracle both give `expected`."""
    records = [record | {"event_id": str(i)} for i, record in enumerate(history)]
    customer = Customer(CHURN)
    for record in records:
        customer.apply(record)
    assert customer.row(at)[name] == pytest.approx(expected, rel=1e-12, abs=1e-12)
    assert oracle.row(oracle.accept(records).accepted, at)[name] == pytest.approx(expected, rel=1e-12, abs=1e-12)


call, data = event("Call", T0), event("DataSession", T0)
NINE = [bill(f"b{i}", T0 + i * DAY, T0 + i * DAY, float(i)) for i in range(9)]


@pytest.mark.parametrize(
    ("history", "at", "name", "expected"),
    [
        ([], T0, "calls_24h", 0),
        ([call], T0, "calls_24h", 1),
        # 24 h back to the start of that hour, inclusive.
        ([call], T0 + 25 * HOUR - 1, "calls_24h", 1),
        ([call], T0 + 25 * HOUR, "calls_24h", 0),
        ([event("Call", T0 - 1)], T0 + 24 * HOUR, "calls_24h", 0),
        # 7 days back to the start of that day.
        ([call], T0 + 8 * DAY - 1, "calls_7d", 1),
        ([call], T0 + 8 * DAY, "calls_7d", 0),
        ([call], T0 + 31 * DAY - 1, "calls_30d", 1),
        ([call], T0 + 31 * DAY, "calls_30d", 0),
        # Before 1970 floors go towards minus infinity.
        ([event("Call", -1)], 25 * HOUR - 1, "calls_24h", 0),
        ([event("Call", -1)], 24 * HOUR - 1, "calls_24h", 1),
        ([event("Call", -30 * DAY)], DAY - 1, "calls_30d", 1),
        ([event("Call", -30 * DAY)], DAY, "calls_30d", 0),
        # Out of order: counted where it happened, for as long as a window holds it.
        ([call, event("Call", T0 - 3 * HOUR)], T0, "calls_24h", 2),
        ([call, event("Call", T0 - 3 * HOUR)], T0 + 22 * HOUR, "calls_24h", 1),
        ([call, event("Call", T0 - 30 * DAY)], T0, "calls_30d", 2),
        ([call, event("Call", T0 - 31 * DAY)], T0, "calls_30d", 1),
        # Years of silence short of the retention leave nothing behind.
        ([call, event("Call", T0 + 399 * DAY)], T0 + 399 * DAY, "calls_30d", 1),
        ([call, event("Message", T0 + 399 * DAY)], T0 + 399 * DAY, "calls_30d", 0),
        ([event("Call", T0, outcome="DROPPED"), event("Call", T0, outcome="FAILED"), call], T0, "dropped_calls_24h", 2),
        ([event("Call", T0, duration_s=0.1)] * 3, T0, "call_seconds_24h", 0.1 + 0.1 + 0.1),
        ([event("Call", T0, duration_s=MAX)] * 3, T0, "call_seconds_24h", MAX),
        ([event("SupportContact", T0, topic="CANCELLATION"), event("SupportContact", T0)], T0, "complaints_7d", 1),
        ([event("Purchase", T0, amount=1.0)], T0, "calls_30d", 0),
    ],
)
def test_windows(history: list[dict[str, Any]], at: int, name: str, expected: float) -> None:
    check(history, at, name, expected)


@pytest.mark.parametrize(
    ("history", "at", "name", "expected"),
    [
        ([event("SupportContact", T0)], T0, "support_contacts_rise_7d", 1),
        ([event("SupportContact", T0)], T0 + 8 * DAY, "support_contacts_rise_7d", -1),
        ([event("SupportContact", T0)], T0 + 15 * DAY, "support_contacts_rise_7d", 0),
        ([], T0, "data_trend_7d", 1),
        ([data], T0, "data_trend_7d", 30 / 7),
        ([data], T0 + 8 * DAY, "data_trend_7d", 0),
        ([event("DataSession", T0, megabytes=0.0)], T0, "data_trend_7d", 1),
        ([event("DataSession", T0, megabytes=5e-324)], T0, "data_trend_7d", 30 / 7),
        ([event("Call", T0, duration_s=MAX)] * 2, T0, "call_trend_7d", 30 / 7),
    ],
)
def test_formulas(history: list[dict[str, Any]], at: int, name: str, expected: float) -> None:
    check(history, at, name, expected)


@pytest.mark.parametrize(
    ("history", "at", "name", "expected"),
    [
        ([], T0, "hours_since_last_call", 2160),
        ([call], T0 + 90 * 60_000, "hours_since_last_call", 1.5),
        ([call], T0 + 91 * DAY, "hours_since_last_call", 2160),
        ([call, event("Call", T0 - DAY)], T0 + HOUR, "hours_since_last_call", 1),
        ([], T0, "days_since_last_payment", 365),
        ([pay(T0)], T0 + 366 * DAY, "days_since_last_payment", 365),
        ([pay(T0)], T0 + 36 * HOUR, "days_since_last_payment", 1.5),
        ([], T0, "tenure_days", 0),
        ([event("Subscription", T0, started_time=T0 - 36 * HOUR)], T0, "tenure_days", 1.5),
        ([event("Subscription", T0, started_time=T0 + DAY)], T0, "tenure_days", 0),
        ([event("Subscription", T0, started_time=T0 - DAY, ended=True)], T0 + DAY, "tenure_days", 2),
        ([event("Subscription", T0)], T0, "contract_months", 1),
        # The newest is the one with the largest event time; of two the same, the later to arrive.
        ([event("Subscription", T0, monthly_charge=1.0), event("Subscription", T0, monthly_charge=2.0)], T0, "monthly_charge", 2),
        ([event("Subscription", T0, monthly_charge=1.0), event("Subscription", T0 - 1, monthly_charge=2.0)], T0, "monthly_charge", 1),
        ([event("Subscription", T0, autopay=True)], T0, "autopay", 1),
        ([event("Subscription", T0, internet="FIBER")], T0, "internet_fiber", 1),
        ([event("Subscription", T0, internet="FIBER")], T0, "internet_dsl", 0),
        ([event("Subscription", T0, internet="MOBILE"), event("Subscription", T0)], T0, "internet_mobile", 0),
    ],
)
def test_newest(history: list[dict[str, Any]], at: int, name: str, expected: float) -> None:
    check(history, at, name, expected)


@pytest.mark.parametrize(
    ("history", "at", "name", "expected"),
    [
        ([], T0, "payment_delay_days", 0),
        ([bill("a", T0, T0)], T0, "overdue_bills", 0),
        ([bill("a", T0, T0)], T0 + 1, "overdue_bills", 1),
        ([bill("a", T0, T0)], T0 + 36 * HOUR, "payment_delay_days", 1.5),
        ([bill("a", T0, T0 + DAY)], T0, "payment_delay_days", 0),
        ([bill("a", T0, T0), pay(T0 + DAY)], T0 + 3 * DAY, "payment_delay_days", 1),
        ([bill("a", T0, T0 + DAY), pay(T0)], T0 + 3 * DAY, "payment_delay_days", 0),
        ([bill("a", T0, T0), pay(T0 + DAY)], T0 + 3 * DAY, "overdue_bills", 0),
        # A payment before its bill covers nothing; one that names a stranger neither.
        ([pay(T0, "a"), bill("a", T0, T0)], T0 + 1, "overdue_bills", 1),
        ([bill("a", T0, T0), pay(T0, "z")], T0 + 1, "overdue_bills", 1),
        # A second payment of the same bill covers no other.
        ([bill("a", T0, T0), bill("b", T0, T0), pay(T0, "a"), pay(T0, "a")], T0 + 1, "overdue_bills", 1),
        # Without a name: the oldest uncovered bill, due or not.
        ([bill("b", T0, T0), bill("a", T0 - DAY, T0 + 9 * DAY), pay(T0)], T0 + 1, "overdue_bills", 1),
        ([bill("b", T0, T0), bill("a", T0 - DAY, T0 + 9 * DAY), pay(T0), pay(T0)], T0 + 1, "overdue_bills", 0),
        # An empty bill_id is a name like any other.
        ([bill("a", T0, T0), pay(T0, "")], T0 + 1, "overdue_bills", 1),
        # A corrected invoice takes the place; a covering payment stays, the delay is counted anew.
        ([bill("a", T0, T0, 5.0), bill("a", T0, T0, 7.0)], T0, "bill_rise", 0),
        ([bill("a", T0, T0), pay(T0 + 2 * DAY), bill("a", T0 + DAY, T0 + DAY)], T0 + 5 * DAY, "payment_delay_days", 1),
        ([bill("a", T0, T0, 1.0), bill("b", T0 + 1, T0, 2.0), bill("a", T0 + 2, T0, 5.0)], T0 + 2, "bill_rise", 3),
        ([bill("a", T0, T0, 1.0), bill("b", T0 - 9, T0, 2.0), bill("a", T0 - 99, T0, 5.0)], T0, "last_bill_amount", 2),
        # Out of order: the newest is by event time; with a tie the later to arrive.
        ([bill("a", T0, T0, 1.0), bill("b", T0 - DAY, T0, 2.0)], T0, "last_bill_amount", 1),
        ([bill("a", T0, T0, 1.0), bill("b", T0, T0, 2.0)], T0, "bill_rise", 1),
        # Of two due at the same time the younger bill speaks.
        ([bill("a", T0, T0), bill("b", T0 + 1, T0), pay(T0 + DAY, "b")], T0 + 3 * DAY, "payment_delay_days", 1),
        # Eight are kept; one that is dropped counts nowhere, nor is it paid.
        (NINE, T0 + 20 * DAY, "overdue_bills", 8),
        ([*NINE, pay(T0 + 8 * DAY, "b0")], T0 + 20 * DAY, "overdue_bills", 8),
        ([*NINE, pay(T0 + 8 * DAY)], T0 + 20 * DAY, "overdue_bills", 7),
        ([*NINE[1:], NINE[0]], T0 + 20 * DAY, "last_bill_amount", 8),
        ([*NINE[1:], NINE[0], pay(T0 + 8 * DAY, "b0")], T0 + 20 * DAY, "overdue_bills", 8),
        # Of the same time as the oldest of a full ledger, the later to arrive is the newer.
        ([*NINE[1:], bill("z", T0 + DAY, T0 + DAY), pay(T0 + 9 * DAY, "z")], T0 + 20 * DAY, "overdue_bills", 7),
        ([*NINE[1:], bill("z", T0 + DAY, T0 + DAY), pay(T0 + 9 * DAY, "b1")], T0 + 20 * DAY, "overdue_bills", 8),
        # One moved behind the dropped ones by a correction stays: nothing that was dropped comes back.
        ([*NINE, bill("b8", T0 - DAY, T0, 1.0)], T0 + 20 * DAY, "bill_rise", 1),
        ([bill("a", T0, T0, MAX), bill("b", T0 + 1, T0, -MAX)], T0 + 1, "bill_rise", -MAX),
        ([bill("a", T0, -(2**63))], T0, "payment_delay_days", (T0 + 2**63) / DAY),
        ([bill("a", T0, 2**63 - 1)], T0, "overdue_bills", 0),
    ],
)
def test_bills(history: list[dict[str, Any]], at: int, name: str, expected: float) -> None:
    check(history, at, name, expected)
