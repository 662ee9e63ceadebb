"""One event at a time: `step(state, value)` takes it into the customer's state and returns (state, Score bytes).

The Score is None for a duplicate and a late event, which change nothing. The settings of a run say where model and schemas are.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import Any

from tests.benchmarks.peers.plain import bills
from tests.benchmarks.peers.plain.avro import (
    BILL,
    CALL,
    CONTACT,
    DATA_SESSION,
    MESSAGE,
    PAYMENT,
    TYPES,
    Unknown,
    decode,
    long,
    mark,
    read_call,
    read_double,
    read_long,
    read_text,
    score_writer,
)
from tests.benchmarks.peers.plain.model import scorer
from tests.benchmarks.peers.plain.state import (
    AUTOPAY,
    BILLS_UNTIL,
    CHARGE,
    CONTACTS_7D,
    CONTACTS_14D,
    CONTACTS_RISE,
    DAY,
    DAY_NOW,
    DAYS_SINCE_PAYMENT,
    DELAY,
    DELAY_SINCE,
    DSL,
    FEATURES,
    FIBER,
    HOUR,
    HOUR_NOW,
    HOURS_SINCE_CALL,
    LAST_CALL,
    LAST_PAYMENT,
    LAST_SUBSCRIPTION,
    MB_7D,
    MB_30D,
    MB_TREND,
    MOBILE,
    MONTHS,
    NOW,
    PAPERLESS,
    SECONDS_7D,
    SECONDS_30D,
    SECONDS_TREND,
    STARTED,
    TENURE,
    State,
)
from tests.benchmarks.peers.plain.windows import add_call, add_contact, add_message, add_session, next_day, next_hour

RETENTION, LATENESS = 400 * DAY, 90 * DAY
MEMORY = 32
NOMINAL = 30 / 7
Step = Callable[[State | None, bytes], tuple[State, bytes | None]]


def remembers(ids: bytes, event: bytes) -> bool:
    """Whether an id is among the remembered ones, found where one begins and not across two."""
    p = 0
    while p < len(ids):
        _, end = read_text(ids, p)
        if ids[p:end] == event:
            return True
        p = end
    return False


def subscribe(x: Any, t: int, value: bytes, p: int) -> None:
    """A Subscription: the newest one's fields are features."""
    _, p = read_text(value, p)
    started, p = read_long(value, p)
    months, p = read_long(value, p)
    (charge,) = read_double(value, p)
    internet, p = read_long(value, p + 8)
    if t >= x[LAST_SUBSCRIPTION]:
        x[LAST_SUBSCRIPTION], x[STARTED], x[MONTHS], x[CHARGE] = t, started, months, charge
        x[AUTOPAY], x[PAPERLESS] = value[p], value[p + 1]
        x[DSL], x[FIBER], x[MOBILE] = internet == 1, internet == 2, internet == 3


def bill(x: Any, kept: bytes, t: int, value: bytes, p: int) -> bytes:
    """A Bill; returns the kept ones."""
    name, p = read_text(value, p)
    (amount,) = read_double(value, p)
    due, _ = read_long(value, p + 8)
    ledger = bills.add(bills.unpack(kept), bills.Bill(name, t, due, amount, bills.NOT_PAID))
    bills.summarise(x, ledger)
    return bills.pack(ledger)


def payment(x: Any, kept: bytes, t: int, value: bytes, p: int) -> bytes:
    """A Payment; returns the bills."""
    x[LAST_PAYMENT] = max(x[LAST_PAYMENT], t)
    named = read_text(value, p + 1)[0] if value[p] else None
    ledger = bills.pay(bills.unpack(kept), named, t)
    bills.summarise(x, ledger)
    return bills.pack(ledger)


def make(settings: Path) -> Step:
    """The step function for the model and schemas that a run's settings name."""
    told = json.loads(settings.read_text())
    manifest = json.loads(Path(told["manifest"]).read_text())
    score, used = scorer(manifest)
    write = score_writer(mark(Path(told["score"])), manifest["model_id"], manifest["version"], [FEATURES[f] for f in used])
    kinds = {mark(Path(told["schemas"]) / f"{name}.avsc"): kind for kind, name in enumerate(TYPES)}

    def step(state: State | None, value: bytes) -> tuple[State, bytes | None]:
        fingerprint, customer, event, t, written, p = decode(value)
        kind = kinds.get(fingerprint)
        if kind is None:
            msg = f"the value carries the fingerprint {fingerprint.hex()}, which is none of {', '.join(TYPES)}"
            raise Unknown(msg)
        if state is None or t - state.x[NOW] >= RETENTION:
            state = State(t)
        x, ids = state.x, state.ids
        if event in ids and remembers(ids, event):
            return state, None
        now = x[NOW]
        if t >= now:
            x[NOW] = now = t
        elif now - t > LATENESS:
            return state, None
        else:
            written = long(int(now))
        if state.known == MEMORY:
            state.ids = ids[1 + (ids[0] >> 1) :] + event if ids[0] < 0x80 else ids[read_text(ids, 0)[1] :] + event
        else:
            state.ids = ids + event
            state.known += 1

        hour, day = t // HOUR, t // DAY
        if hour > x[HOUR_NOW]:
            next_hour(x, state.counts, hour)
            if day > x[DAY_NOW]:
                next_day(x, state.counts, day)
        if kind == DATA_SESSION:
            add_session(x, hour, day, read_double(value, p)[0])
        elif kind == CALL:
            seconds, outcome = read_call(value, p + 1)
            add_call(x, state.counts, hour, day, seconds, outcome > 0)
            if t >= x[LAST_CALL]:
                x[LAST_CALL] = t
        elif kind == MESSAGE:
            add_message(x, state.counts, hour, day)
        elif kind == CONTACT:
            add_contact(x, state.counts, day, value[p + 1] in (2, 4))
        elif kind == BILL:
            state.bills = bill(x, state.bills, t, value, p)
        elif kind == PAYMENT:
            state.bills = payment(x, state.bills, t, value, p)
        else:
            subscribe(x, t, value, p)

        if now >= x[BILLS_UNTIL]:
            bills.summarise(x, bills.unpack(state.bills))
        x[CONTACTS_RISE] = 2.0 * x[CONTACTS_7D] - x[CONTACTS_14D]
        month = x[MB_30D]
        x[MB_TREND] = x[MB_7D] / month * NOMINAL if month else 1.0
        month = x[SECONDS_30D]
        x[SECONDS_TREND] = x[SECONDS_7D] / month * NOMINAL if month else 1.0
        since = (now - x[LAST_CALL]) / HOUR
        x[HOURS_SINCE_CALL] = since if since < 2160.0 else 2160.0
        since = (now - x[LAST_PAYMENT]) / DAY
        x[DAYS_SINCE_PAYMENT] = since if since < 365.0 else 365.0
        if x[DELAY_SINCE] != inf:
            x[DELAY] = (now - x[DELAY_SINCE]) / DAY
        tenure = (now - x[STARTED]) / DAY
        x[TENURE] = tenure if tenure > 0.0 else 0.0

        p_churn, band, parts, (a, b, c) = score(x)
        return state, write(  # the reasons stand flat in the call: a list of them would cost more than the score
            customer, p_churn, band, written, event, a, x[used[a]], parts[a], b, x[used[b]], parts[b], c, x[used[c]], parts[c]
        )

    return step
