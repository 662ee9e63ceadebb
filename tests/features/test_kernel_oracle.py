"""Kernel against oracle: every row of every history, as the stream makes it and at any later time."""

import math
from collections.abc import Mapping
from typing import Any

import pytest
from feature_histories import histories, ledgers, moments
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keepline.features import oracle
from keepline.features.churn import CHURN
from keepline.features.single import Customer
from keepline.schemas.status import Reason

pytestmark = pytest.mark.timeout(300)
DAY = 86_400_000
fuzz = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


def check(got: Mapping[str, float], want: Mapping[str, float], where: str) -> None:
    """Equal to 1e-9, relative (absolute below 1); the contract asks for 1e-6."""
    assert list(got) == list(CHURN.names)
    for name, expected in want.items():
        assert math.isfinite(got[name]), f"{where}: {name} is {got[name]}"
        assert abs(got[name] - expected) <= 1e-9 * max(1.0, abs(expected)), f"{where}: {name} is {got[name]}, expected {expected}"
    assert set(want) == set(got)


@fuzz
@given(histories())
def test_stream_rows(records: list[dict[str, Any]]) -> None:
    customer = Customer(CHURN)
    want = oracle.stream_rows(records)
    fate = [Reason.OK] * len(records)
    for n in range(1, len(records) + 1):
        past = oracle.accept(records[:n])
        if n - 1 in past.duplicates:
            fate[n - 1] = Reason.DUPLICATE
        elif n - 1 in past.late:
            fate[n - 1] = Reason.LATE
    for i, record in enumerate(records):
        status = customer.apply(record)
        assert status == fate[i], f"record {i}"
        expected = want[i]
        if expected is not None:
            check(customer.row(), expected, f"record {i}")


@fuzz
@given(histories(), st.data())
def test_later_rows_do_not_disturb(records: list[dict[str, Any]], data: st.DataObject) -> None:
    """Rows beyond the head, between events, equal the definition and leave every byte alone."""
    customer, seen = Customer(CHURN), []
    for record in records:
        customer.apply(record)
        seen.append(record)
        history = oracle.accept(seen)
        now = max(history.newest or 0, customer.now) + abs(data.draw(moments([{"event_time": 0}])))
        before = customer.state
        check(customer.row(now), oracle.row(history.accepted, now), f"row at {now}")
        assert customer.state == before


@fuzz
@given(histories(), st.data())
def test_ticks_move_now_only(records: list[dict[str, Any]], data: st.DataObject) -> None:
    """After a tick, rows are made at the larger `now`, and later events land where they belong."""
    customer, seen = Customer(CHURN), []
    now: int | None = None
    for record in records:
        newest = oracle.accept(seen).newest
        if newest is not None and record["event_time"] - newest >= 400 * DAY:
            now = None  # the state is dropped, and with it what ticks have moved
        customer.apply(record)
        seen.append(record)
        history = oracle.accept(seen)
        assert history.newest is not None
        now = history.newest if now is None else max(now, history.newest)
        check(customer.row(), oracle.row(history.accepted, now), f"after {record}")
        tick = max(now, history.newest + abs(data.draw(moments([{"event_time": 0}]))))
        if data.draw(st.booleans()) and tick - history.newest < 400 * DAY:  # later ones drop the state
            now = tick
            customer.tick(now)
            check(customer.row(), oracle.row(history.accepted, now), f"tick at {now}")


@settings(fuzz, max_examples=400)
@given(ledgers())
def test_ledgers(records: list[dict[str, Any]]) -> None:
    """After every record, at the state's `now`, a millisecond later, and long after."""
    customer = Customer(CHURN)
    for i, record in enumerate(records):
        customer.apply(record)
        for later in (0, 1, DAY, 30 * DAY):
            now = customer.now + later
            check(customer.row(now), oracle.row(records[: i + 1], now), f"record {i}, {later} ms later")


def test_drift() -> None:
    """A hundred thousand events of one customer: sums of the last month as exact as of the first."""
    customer, records, t = Customer(CHURN), [], 1_600_000_000_000
    for i in range(100_000):
        t += (i * 7919) % 900_000 - (200_000 if i % 11 == 0 else 0)
        record: dict[str, Any] = {"event_id": f"e{i}", "event_time": t}
        value = 10.0 ** (i % 9 - 4) * (1 + i % 97)
        record |= {"type": "Call", "duration_s": value} if i % 2 else {"type": "DataSession", "megabytes": value}
        assert customer.apply(record) == Reason.OK
        records.append(record)
    recent = [record for record in records if record["event_time"] > customer.now - 40 * DAY]
    check(customer.row(), oracle.row(recent, customer.now), "the end")
