"""The ledger: the newest eight bills and their covering payments, and the four features they make.

Bills come once a month, so they stand in the state as bytes and are taken apart only when a bill or payment comes, or when a due
time passes (`BILLS_UNTIL`).
"""

from __future__ import annotations

from array import array
from math import inf
from struct import Struct
from typing import NamedTuple

from tests.benchmarks.peers.plain.state import BILL_RISE, BILLS_UNTIL, DAY, DELAY, DELAY_SINCE, LAST_BILL, NOW, OVERDUE

KEEP = 8
NOT_PAID = -(1 << 63)
_ROW = Struct("<qqdqH")


class Bill(NamedTuple):
    """A kept bill. The list of them is ordered by (event time, arrival)."""

    id: bytes
    time: int
    due: int
    amount: float
    paid: int
    """Event time of the covering payment, or NOT_PAID."""


def unpack(raw: bytes) -> list[Bill]:
    """The bills of a state."""
    found, p = [], 0
    while p < len(raw):
        time, due, amount, paid, length = _ROW.unpack_from(raw, p)
        p += _ROW.size
        found.append(Bill(raw[p : p + length], time, due, amount, paid))
        p += length
    return found


def pack(bills: list[Bill]) -> bytes:
    """The bills for a state."""
    return b"".join(_ROW.pack(bill.time, bill.due, bill.amount, bill.paid, len(bill.id)) + bill.id for bill in bills)


def add(bills: list[Bill], bill: Bill) -> list[Bill]:
    """With a bill more; one of the same id is replaced, and its covering payment stays."""
    for old in bills:
        if old.id == bill.id:
            bill = bill._replace(paid=old.paid)
    kept = [old for old in bills if old.id != bill.id]
    return sorted([*kept, bill], key=lambda each: each.time)[-KEEP:]  # stable: of the same time the later to arrive is last


def pay(bills: list[Bill], named: bytes | None, time: int) -> list[Bill]:
    """With a payment: it covers the bill it names, or without a name the oldest uncovered one."""
    for place, bill in enumerate(bills):
        if bill.paid == NOT_PAID and (named is None or bill.id == named):
            return [*bills[:place], bill._replace(paid=time), *bills[place + 1 :]]
    return bills


def summarise(x: array[float], bills: list[Bill]) -> None:
    """The features at `x[NOW]`, and until when they hold."""
    now = int(x[NOW])
    x[OVERDUE] = sum(bill.due < now and bill.paid == NOT_PAID for bill in bills)
    x[BILLS_UNTIL] = min((max(bill.due, now + 1) for bill in bills if bill.due >= now), default=inf)
    x[DELAY], x[DELAY_SINCE] = 0.0, inf
    due = [bill for bill in bills if bill.due <= now]
    if due:
        newest = max(reversed(due), key=lambda each: each.due)  # of the same due time the younger
        if newest.paid == NOT_PAID:
            x[DELAY_SINCE] = newest.due
        else:
            x[DELAY] = max((newest.paid - newest.due) / DAY, 0.0)
    x[LAST_BILL] = bills[-1].amount if bills else 0.0
    x[BILL_RISE] = bills[-1].amount - bills[-2].amount if len(bills) > 1 else 0.0
