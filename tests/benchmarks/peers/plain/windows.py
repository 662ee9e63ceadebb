"""Sawtooth windows as running totals: an event is added to its buckets and to the totals of the windows that hold them.

A window's total is in the feature row itself. When a customer's hour or day moves on, expired buckets leave: counts are subtracted
(exact), sums of doubles are made again from the buckets, so that nothing drifts and an empty window is exactly 0.
"""

from __future__ import annotations

from array import array

from tests.benchmarks.peers.plain.state import (
    CALLS_7D,
    CALLS_24H,
    CALLS_30D,
    CALLS_D,
    CALLS_H,
    COMPLAINTS_7D,
    COMPLAINTS_30D,
    COMPLAINTS_D,
    CONTACTS_7D,
    CONTACTS_14D,
    CONTACTS_30D,
    CONTACTS_D,
    DAY_NOW,
    DAYS,
    DROPPED_7D,
    DROPPED_24H,
    DROPPED_30D,
    DROPPED_D,
    DROPPED_H,
    HOUR_NOW,
    HOURS,
    MB_7D,
    MB_24H,
    MB_30D,
    MB_D,
    MB_H,
    MESSAGES_7D,
    MESSAGES_24H,
    MESSAGES_30D,
    MESSAGES_D,
    MESSAGES_H,
    SECONDS_7D,
    SECONDS_24H,
    SECONDS_30D,
    SECONDS_D,
    SECONDS_H,
)

WEEK, FORTNIGHT = 8, 15
"""Buckets of 7 and 14 days: the closed ones and the current one."""
_COUNTERS = (
    (CALLS_D, CALLS_7D, CALLS_30D),
    (DROPPED_D, DROPPED_7D, DROPPED_30D),
    (MESSAGES_D, MESSAGES_7D, MESSAGES_30D),
    (CONTACTS_D, CONTACTS_7D, CONTACTS_30D),
    (COMPLAINTS_D, COMPLAINTS_7D, COMPLAINTS_30D),
)


def next_hour(x: array[float], counts: array[int], hour: int) -> None:
    """Moves the hour ring on to `hour`."""
    head = int(x[HOUR_NOW])
    x[HOUR_NOW] = hour
    seconds = mb = False
    for passed in range(max(head, hour - HOURS) + 1, hour + 1):
        slot = passed % HOURS
        if counts[CALLS_H + slot]:
            x[CALLS_24H] -= counts[CALLS_H + slot]
            x[DROPPED_24H] -= counts[DROPPED_H + slot]
            counts[CALLS_H + slot] = counts[DROPPED_H + slot] = 0
            x[SECONDS_H + slot] = 0.0
            seconds = True
        if counts[MESSAGES_H + slot]:
            x[MESSAGES_24H] -= counts[MESSAGES_H + slot]
            counts[MESSAGES_H + slot] = 0
        if x[MB_H + slot]:
            x[MB_H + slot] = 0.0
            mb = True
    if seconds:
        x[SECONDS_24H] = sum(x[SECONDS_H : SECONDS_H + HOURS])
    if mb:
        x[MB_24H] = sum(x[MB_H : MB_H + HOURS])


def next_day(x: array[float], counts: array[int], day: int) -> None:
    """Moves the day ring on to `day`, and makes the totals of all its windows again."""
    head = int(x[DAY_NOW])
    x[DAY_NOW] = day
    for passed in range(max(head, day - DAYS) + 1, day + 1):
        slot = passed % DAYS
        x[SECONDS_D + slot] = x[MB_D + slot] = 0.0
        for ring, _, _ in _COUNTERS:
            counts[ring + slot] = 0
    # Twice the ring, so that the newest buckets are one slice, wherever the ring begins.
    end = day % DAYS + 1 + DAYS
    for ring, week, month in _COUNTERS:
        buckets = counts[ring : ring + DAYS]
        x[month] = sum(buckets)
        x[week] = sum((buckets + buckets)[end - WEEK : end])
    contacts = counts[CONTACTS_D : CONTACTS_D + DAYS]
    x[CONTACTS_14D] = sum((contacts + contacts)[end - FORTNIGHT : end])
    for ring, week, month in ((SECONDS_D, SECONDS_7D, SECONDS_30D), (MB_D, MB_7D, MB_30D)):
        sums = x[ring : ring + DAYS]
        x[month] = sum(sums)
        x[week] = sum((sums + sums)[end - WEEK : end])


def add_session(x: array[float], hour: int, day: int, mb: float) -> None:
    """A data session. In each of these: a late event lands in its own bucket, and in the windows that still hold it."""
    if x[HOUR_NOW] - hour < HOURS:
        x[MB_H + hour % HOURS] += mb
        x[MB_24H] += mb
    behind = x[DAY_NOW] - day
    if behind < DAYS:
        x[MB_D + day % DAYS] += mb
        x[MB_30D] += mb
        if behind < WEEK:
            x[MB_7D] += mb


def add_call(x: array[float], counts: array[int], hour: int, day: int, seconds: float, dropped: bool) -> None:
    """A call."""
    if x[HOUR_NOW] - hour < HOURS:
        slot = hour % HOURS
        counts[CALLS_H + slot] += 1
        x[CALLS_24H] += 1.0
        x[SECONDS_H + slot] += seconds
        x[SECONDS_24H] += seconds
        if dropped:
            counts[DROPPED_H + slot] += 1
            x[DROPPED_24H] += 1.0
    behind = x[DAY_NOW] - day
    if behind < DAYS:
        slot = day % DAYS
        counts[CALLS_D + slot] += 1
        x[CALLS_30D] += 1.0
        x[SECONDS_D + slot] += seconds
        x[SECONDS_30D] += seconds
        if behind < WEEK:
            x[CALLS_7D] += 1.0
            x[SECONDS_7D] += seconds
        if dropped:
            counts[DROPPED_D + slot] += 1
            x[DROPPED_30D] += 1.0
            if behind < WEEK:
                x[DROPPED_7D] += 1.0


def add_message(x: array[float], counts: array[int], hour: int, day: int) -> None:
    """A text message."""
    if x[HOUR_NOW] - hour < HOURS:
        counts[MESSAGES_H + hour % HOURS] += 1
        x[MESSAGES_24H] += 1.0
    behind = x[DAY_NOW] - day
    if behind < DAYS:
        counts[MESSAGES_D + day % DAYS] += 1
        x[MESSAGES_30D] += 1.0
        if behind < WEEK:
            x[MESSAGES_7D] += 1.0


def add_contact(x: array[float], counts: array[int], day: int, complaint: bool) -> None:
    """A support contact."""
    behind = x[DAY_NOW] - day
    if behind < DAYS:
        counts[CONTACTS_D + day % DAYS] += 1
        x[CONTACTS_30D] += 1.0
        x[CONTACTS_14D] += behind < FORTNIGHT
        x[CONTACTS_7D] += behind < WEEK
        if complaint:
            counts[COMPLAINTS_D + day % DAYS] += 1
            x[COMPLAINTS_30D] += 1.0
            x[COMPLAINTS_7D] += behind < WEEK
