"""The naive twin of the kernel: any row of `churn` recomputed from the raw events, in plain Python, from the contract alone.

It shares no code with the kernel and is as slow as it looks; tests hold the two equal. A record is a dict as in JSON
Lines: `type`, `customer_id`, `event_id`, `event_time` (epoch ms), and fields; fields with a default may be absent.
Data passes as `records in order of arrival → accept → row`.

`churn` is here, `clv` in `oracle_clv`; which records count is the same for both, but that `clv` forgets nobody.

Boundaries, where the contract's words leave a point open: a state is dropped when the silence is exactly 400 days or
longer; an event exactly 90 days behind the newest is not late. Sums too large for a double are the largest double.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

Record = dict[str, Any]

HOUR = 60 * 60 * 1000
DAY = 24 * HOUR
RETENTION_DAYS = 400
LATE_DAYS = 90
MEMORY = 32
KEPT_BILLS = 8
CONTROL = ("Consent", "Erasure", "Outcome")


@dataclass
class History:
    """What is left of a customer's records: the accepted ones in order of arrival, since the last drop of the state."""

    accepted: list[Record] = field(default_factory=list)
    duplicates: list[int] = field(default_factory=list)  # places in the input
    late: list[int] = field(default_factory=list)

    @property
    def newest(self) -> int | None:
        """Newest accepted event time."""
        return max((record["event_time"] for record in self.accepted), default=None)


def accept(records: Iterable[Record], *, forgets: bool = True) -> History:
    """Take records of one customer in order of arrival: silence (if the feature set forgets), duplicate, late, else accepted."""
    history = History()
    for place, record in enumerate(records):
        if record["type"] in CONTROL:
            continue
        newest = history.newest
        if forgets and newest is not None and record["event_time"] - newest >= RETENTION_DAYS * DAY:
            history.accepted, newest = [], None
        if record["event_id"] in [kept["event_id"] for kept in history.accepted[-MEMORY:]]:
            history.duplicates.append(place)
        elif newest is not None and newest - record["event_time"] > LATE_DAYS * DAY:
            history.late.append(place)
        else:
            history.accepted.append(record)
    return history


def training_row(records: Iterable[Record], at: int) -> dict[str, float]:
    """The row at `at` from what the records with event_time ≤ at make."""
    history = accept(record for record in records if record["event_time"] <= at)
    return row(history.accepted, at)


def stream_rows(records: Iterable[Record]) -> list[dict[str, float] | None]:
    """The row after each record as the stream has it, at the newest accepted event time; None where a record changes nothing."""
    rows: list[dict[str, float] | None] = []
    seen: list[Record] = []
    for record in records:
        seen.append(record)
        history = accept(seen)
        applied = bool(history.accepted) and history.accepted[-1] is record
        rows.append(row(history.accepted, history.newest or 0) if applied else None)
    return rows


def row(accepted: Sequence[Record], now: int) -> dict[str, float]:
    """All 36 features at `now`, which is not before any accepted event."""
    if accepted and now - max(record["event_time"] for record in accepted) >= RETENTION_DAYS * DAY:
        accepted = []
    out: dict[str, float] = {}

    def kind(name: str) -> list[Record]:
        return [record for record in accepted if record["type"] == name]

    def newest(name: str) -> Record | None:
        best = None
        for record in kind(name):
            if best is None or record["event_time"] >= best["event_time"]:
                best = record
        return best

    def window(records: Iterable[Record], length: int, hop: int) -> list[Record]:
        begin = (now - length) // hop * hop
        return [record for record in records if begin <= record["event_time"] <= now]

    def total(values: Iterable[float]) -> float:
        return _finite(float(sum(values)))

    calls, sessions, messages, contacts = kind("Call"), kind("DataSession"), kind("Message"), kind("SupportContact")
    dropped = [call for call in calls if call.get("outcome", "COMPLETED") in ("DROPPED", "FAILED")]
    complaints = [contact for contact in contacts if contact.get("topic", "OTHER") in ("COMPLAINT", "CANCELLATION")]
    for label, length, hop in (("24h", 24 * HOUR, HOUR), ("7d", 7 * DAY, DAY), ("30d", 30 * DAY, DAY)):
        out[f"calls_{label}"] = float(len(window(calls, length, hop)))
        out[f"call_seconds_{label}"] = total(call["duration_s"] for call in window(calls, length, hop))
        out[f"dropped_calls_{label}"] = float(len(window(dropped, length, hop)))
        out[f"data_mb_{label}"] = total(session["megabytes"] for session in window(sessions, length, hop))
        out[f"messages_{label}"] = float(len(window(messages, length, hop)))
        if label != "24h":
            out[f"support_contacts_{label}"] = float(len(window(contacts, length, hop)))
            out[f"complaints_{label}"] = float(len(window(complaints, length, hop)))
    week, fortnight = len(window(contacts, 7 * DAY, DAY)), len(window(contacts, 14 * DAY, DAY))
    out["support_contacts_rise_7d"] = float(week - (fortnight - week))
    out["data_trend_7d"] = _trend(out["data_mb_7d"], out["data_mb_30d"])
    out["call_trend_7d"] = _trend(out["call_seconds_7d"], out["call_seconds_30d"])

    call, payment = newest("Call"), newest("Payment")
    out["hours_since_last_call"] = 2160.0 if call is None else min((now - call["event_time"]) / HOUR, 2160.0)
    out["days_since_last_payment"] = 365.0 if payment is None else min((now - payment["event_time"]) / DAY, 365.0)

    out |= _billing(accepted, now)

    contract = newest("Subscription")
    if contract is None:
        contract = {"contract_months": 0, "monthly_charge": 0.0, "started_time": now}
    out["tenure_days"] = max((now - contract["started_time"]) / DAY, 0.0)
    out["contract_months"] = float(contract.get("contract_months", 1))
    out["monthly_charge"] = float(contract["monthly_charge"])
    out["autopay"] = float(contract.get("autopay", False))
    out["paperless"] = float(contract.get("paperless", False))
    for name in ("DSL", "FIBER", "MOBILE"):
        out[f"internet_{name.lower()}"] = float(contract.get("internet", "NONE") == name)
    return out


def _finite(value: float) -> float:
    return min(max(value, -sys.float_info.max), sys.float_info.max)


def _trend(week: float, month: float) -> float:
    # The quotient of the sums first: (week / 7) / (month / 30) as written loses tiny sums and overflows with huge ones.
    return 1.0 if month == 0 else week / month * (30 / 7)


@dataclass
class _Bill:
    bill_id: str
    event_time: int
    arrival: int
    due_time: int
    amount: float
    paid: int | None = None  # event_time of the covering payment

    @property
    def age(self) -> tuple[int, int]:
        return self.event_time, self.arrival


def _ledger(accepted: Sequence[Record]) -> list[_Bill]:
    """The kept bills, oldest first, after all records in order of arrival."""
    kept: list[_Bill] = []
    for arrival, record in enumerate(accepted):
        if record["type"] == "Bill":
            bill = _Bill(record["bill_id"], record["event_time"], arrival, record["due_time"], float(record["amount"]))
            for old in kept:
                if old.bill_id == bill.bill_id:
                    bill.paid = old.paid
            kept = [old for old in kept if old.bill_id != bill.bill_id]
            kept = sorted([*kept, bill], key=lambda each: each.age)[-KEPT_BILLS:]
        elif record["type"] == "Payment":
            uncovered = [bill for bill in kept if bill.paid is None]
            named = record.get("bill_id")
            if named is not None:
                uncovered = [bill for bill in uncovered if bill.bill_id == named]
            if uncovered:
                min(uncovered, key=lambda each: each.age).paid = record["event_time"]
    return kept


def _billing(accepted: Sequence[Record], now: int) -> dict[str, float]:
    kept = _ledger(accepted)
    overdue = [bill for bill in kept if bill.due_time < now and bill.paid is None]
    due = [bill for bill in kept if bill.due_time <= now]
    delay = 0.0
    if due:
        bill = max(due, key=lambda each: (each.due_time, each.age))
        until = now if bill.paid is None else bill.paid
        delay = max((until - bill.due_time) / DAY, 0.0)
    return {
        "overdue_bills": float(len(overdue)),
        "payment_delay_days": delay,
        "last_bill_amount": kept[-1].amount if kept else 0.0,
        "bill_rise": _finite(kept[-1].amount - kept[-2].amount) if len(kept) > 1 else 0.0,
    }
