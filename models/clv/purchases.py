"""Purchases out of events, by the stream's own rules: what is a duplicate, late or refused there is in no purchase here.

framed events (EventBatch) → scan → the kernel's admission, customer by customer → Purchases, in order of arrival
"""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from keepline.features.plan import Plan
from keepline.features.rows import EventBatch, Scan, arrange, compute_rows, scan
from keepline.schemas.catalog import event_type
from keepline.schemas.decode import decode, registers
from keepline.schemas.jit import njit
from keepline.schemas.packed import peek
from keepline.schemas.programs import default_programs
from keepline.schemas.status import OK

_PURCHASE = event_type("Purchase")
_AMOUNT = _PURCHASE.field("amount").register
_COST = _PURCHASE.field("cost").register
_ID = _PURCHASE.id


class Purchases(NamedTuple):
    """Purchases and refunds in order of arrival, one entry each; `customer` is the place in `customers`."""

    customers: list[str]
    """Ids of all customers with a sound event of any type."""
    customer: npt.NDArray[np.int64]
    time: npt.NDArray[np.int64]  # event time, epoch ms
    amount: npt.NDArray[np.float64]  # negative: a refund
    cost: npt.NDArray[np.float64]  # NaN where the event has none

    def sha256(self) -> str:
        """Hash of customers, times, amounts and costs, hex: the same for the same purchases, whatever the format of the files."""
        digest = hashlib.sha256()
        digest.update("\n".join(self.customers).encode("utf-8", "surrogateescape"))
        for column, kind in ((self.customer, "<i8"), (self.time, "<i8"), (self.amount, "<f8"), (self.cost, "<f8")):
            digest.update(column.astype(kind).tobytes())
        return digest.hexdigest()


class Admitted(NamedTuple):
    """Purchases, and how many records there were and why others are none."""

    purchases: Purchases
    events: int
    rejected: int
    duplicate: int
    late: int


@njit
def _read(buffer: Any, offsets: Any, lengths: Any, programs: Any, regs: Any, status: Any, amount: Any, cost: Any, chosen: Any) -> None:
    ri, rf, rs, rn = regs
    for i in range(offsets.shape[0]):
        if status[i] != OK:
            continue
        _, kind, _ = decode(buffer, offsets[i], offsets[i] + lengths[i], programs, ri, rf, rs, rn)
        if kind == _ID:
            chosen[i] = True
            amount[i] = rf[_AMOUNT]
            cost[i] = np.nan if rn[_COST] else rf[_COST]


def admit(plan: Plan, batch: EventBatch, until: int | None = None, *, programs: Any = None) -> Admitted:
    """The purchases among the records with event_time ≤ `until` (epoch ms; None: all). `plan`: of the feature set whose rules hold."""
    tables = default_programs() if programs is None else programs
    found = scan(batch, programs=tables)
    if until is not None:
        kept = (found.status != OK) | (found.time <= until)
        batch = EventBatch(batch.buffer, batch.offsets[kept], batch.lengths[kept])
        found = Scan(*(column[kept] for column in found))
    groups = arrange(found)
    rows = compute_rows(plan, batch, [], np.empty(0, np.int64), programs=tables, found=found, groups=groups)
    n = len(batch.offsets)
    amount, cost, chosen = np.zeros(n), np.zeros(n), np.zeros(n, np.bool_)
    _read(*batch, tables, registers(), rows.status, amount, cost, chosen)
    place = np.full(n, -1, np.int64)
    place[groups.order] = np.repeat(np.arange(len(groups.keys)), np.diff(groups.starts))
    ids = [_customer(batch, int(record)) for record in groups.order[groups.starts[:-1]]]
    purchases = Purchases(ids, place[chosen], found.time[chosen], amount[chosen], cost[chosen])
    return Admitted(purchases, n, rows.rejected, rows.duplicates, rows.late)


def _customer(batch: EventBatch, record: int) -> str:
    start = int(batch.offsets[record])
    customer = peek(batch.buffer[start : start + int(batch.lengths[record])].tobytes())[0]
    return (customer or b"").decode()
