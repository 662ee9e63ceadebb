"""Quiet hours by the customer's clock: ordinary nights, the nights on which clocks change, odd zones, against a scan of every minute."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keepline.models.contact.clock import free_from, is_quiet, local_time, offset_ms, zone_named
from keepline.models.contact.rules import DAY_MS, MINUTE_MS
from tests.models.contact.lives import at

NIGHT = ((21 * 60, 8 * 60),)
ZONES = (
    "UTC", "Europe/Athens", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Asia/Kolkata", "Pacific/Chatham", "Pacific/Apia",
    "Africa/Casablanca", "America/St_Johns", "Antarctica/Troll",
)  # fmt: skip


@pytest.mark.parametrize(
    ("zone", "spans", "now", "free"),
    [
        # An ordinary night; the ends to the millisecond.
        ("Europe/Athens", NIGHT, "2026-01-10T20:59:59.999+02:00", "2026-01-10T20:59:59.999+02:00"),
        ("Europe/Athens", NIGHT, "2026-01-10T21:00:00+02:00", "2026-01-11T08:00:00+02:00"),
        ("Europe/Athens", NIGHT, "2026-01-11T07:59:59.999+02:00", "2026-01-11T08:00:00+02:00"),
        ("Europe/Athens", NIGHT, "2026-01-11T08:00:00+02:00", "2026-01-11T08:00:00+02:00"),
        # Within a day, and two spans that follow each other.
        ("UTC", ((600, 660),), "2026-01-10T10:30:00+00:00", "2026-01-10T11:00:00+00:00"),
        ("UTC", ((600, 660), (660, 720)), "2026-01-10T10:30:00+00:00", "2026-01-10T12:00:00+00:00"),
        ("UTC", ((0, 0),), "2026-01-10T00:00:00+00:00", "2026-01-10T00:00:00+00:00"),
        # Clocks go forward (Athens, 29 March, 03:00 → 04:00): the night is an hour shorter.
        ("Europe/Athens", NIGHT, "2026-03-28T22:00:00+02:00", "2026-03-29T08:00:00+03:00"),
        # A span that ends within the hour that is left out ends when it begins.
        ("Europe/Athens", ((60, 210),), "2026-03-29T01:00:00+02:00", "2026-03-29T04:00:00+03:00"),
        # One that lies wholly within the hour that is left out does not happen.
        ("Europe/Athens", ((190, 230),), "2026-03-29T02:59:59.999+02:00", "2026-03-29T02:59:59.999+02:00"),
        # Clocks go back (Athens, 25 October, 04:00 → 03:00): the night is an hour longer.
        ("Europe/Athens", NIGHT, "2026-10-24T22:00:00+03:00", "2026-10-25T08:00:00+02:00"),
        # A span that ends at 03:30 ends the first time it is 03:30, and is there again when the hour comes again.
        ("Europe/Athens", ((120, 210),), "2026-10-25T02:10:00+03:00", "2026-10-25T03:30:00+03:00"),
        ("Europe/Athens", ((120, 210),), "2026-10-25T03:10:00+02:00", "2026-10-25T03:30:00+02:00"),
        # A span that ends at 04:00 goes on, for 04:00 is 03:00 again.
        ("Europe/Athens", ((120, 240),), "2026-10-25T02:10:00+03:00", "2026-10-25T04:00:00+02:00"),
        ("America/New_York", NIGHT, "2026-03-07T23:00:00-05:00", "2026-03-08T08:00:00-04:00"),
        ("America/New_York", NIGHT, "2026-10-31T23:00:00-04:00", "2026-11-01T08:00:00-05:00"),
        # Lord Howe changes by half an hour (02:00 → 02:30 on 4 October, 02:00 → 01:30 on 5 April).
        ("Australia/Lord_Howe", NIGHT, "2026-10-03T23:00:00+10:30", "2026-10-04T08:00:00+11:00"),
        ("Australia/Lord_Howe", ((60, 135),), "2026-10-04T01:30:00+10:30", "2026-10-04T02:30:00+11:00"),
        ("Australia/Lord_Howe", ((60, 105),), "2026-04-05T01:20:00+11:00", "2026-04-05T01:45:00+11:00"),
        ("Australia/Lord_Howe", ((60, 105),), "2026-04-05T01:31:00+10:30", "2026-04-05T01:45:00+10:30"),
        # 45 and 30 minutes off.
        ("Asia/Kathmandu", NIGHT, "2026-01-10T15:15:00+00:00", "2026-01-11T02:15:00+00:00"),
        ("Asia/Kathmandu", NIGHT, "2026-01-10T15:14:59.999+00:00", "2026-01-10T15:14:59.999+00:00"),
        ("Asia/Kolkata", NIGHT, "2026-01-10T15:30:00+00:00", "2026-01-11T02:30:00+00:00"),
        # Samoa left 30 December 2011 out: the offset changes by a day, the time of day does not.
        ("Pacific/Apia", NIGHT, "2011-12-29T22:00:00-10:00", "2011-12-31T08:00:00+14:00"),
    ],
)
def test_the_first_moment_that_is_not_quiet(zone: str, spans: tuple[tuple[int, int], ...], now: str, free: str) -> None:
    assert free_from(spans, ZoneInfo(zone), at(now)) == at(free)


def test_a_day_that_is_quiet_throughout_has_no_such_moment() -> None:
    assert free_from(((0, 720), (720, 1440)), ZoneInfo("Europe/Athens"), at("2026-03-28T22:00:00+00:00")) is None
    assert free_from(((0, 1440),), ZoneInfo("UTC"), 0) is None
    assert free_from(((1, 0),), ZoneInfo("UTC"), MINUTE_MS) == DAY_MS


def test_an_hour_that_one_night_leaves_out_comes_the_next_day() -> None:
    """Only 03:00 to 04:00 is free, and on 29 March there is no such hour."""
    assert free_from(((240, 180),), ZoneInfo("Europe/Athens"), at("2026-03-28T05:00:00+02:00")) == at("2026-03-30T03:00:00+03:00")


@pytest.mark.parametrize(
    "name", ["", "Mars/Olympus", "America", "../etc/passwd", "/etc/passwd", "Europe/Athens\0", "Ελλάδα", "\ud800", "x" * 300]
)
def test_a_name_that_is_none_is_no_zone(name: str) -> None:
    assert zone_named(name) is None


def test_local_times_are_what_people_read() -> None:
    assert local_time(ZoneInfo("Asia/Kathmandu"), at("2026-01-10T15:15:59+00:00")) == "2026-01-10T21:00"
    assert offset_ms(ZoneInfo("America/St_Johns"), at("2026-01-10T15:15:00+00:00")) == -(3 * 60 + 30) * MINUTE_MS


def quiet_by_the_book(spans: tuple[tuple[int, int], ...], zone: ZoneInfo, moment: int) -> bool:
    """From the whole local date and time, as a person would."""
    local = datetime.fromtimestamp(moment // 1000, UTC).astimezone(zone)
    minute = local.hour * 60 + local.minute
    return any(start <= minute < end if start <= end else minute >= start or minute < end for start, end in spans)


CHANGES = [
    at(text)
    for text in ("2026-03-29T01:00:00+00:00", "2026-10-25T01:00:00+00:00", "2026-03-08T07:00:00+00:00", "2026-11-01T06:00:00+00:00",
                 "2026-10-03T15:30:00+00:00", "2026-04-04T15:00:00+00:00", "2026-02-15T02:00:00+00:00", "2026-09-26T14:00:00+00:00")
]  # fmt: skip
MOMENTS = st.one_of(
    st.builds(lambda change, by: change + by, st.sampled_from(CHANGES), st.integers(-30 * 3_600_000, 6 * 3_600_000)),
    st.integers(at("1990-01-01T00:00:00+00:00"), at("2037-12-01T00:00:00+00:00")),
)
SPANS = st.lists(st.tuples(st.integers(0, 1439), st.integers(0, 1440)), min_size=1, max_size=3).map(tuple)


@given(st.sampled_from(ZONES), SPANS, MOMENTS)
@settings(max_examples=150, deadline=None)
def test_it_is_the_first_of_all_minutes(zone_name: str, spans: tuple[tuple[int, int], ...], now: int) -> None:
    """Offsets and spans change on whole minutes, so a scan of the starts of minutes misses nothing."""
    zone = ZoneInfo(zone_name)
    assert is_quiet(spans, zone, now) == quiet_by_the_book(spans, zone, now)
    found = free_from(spans, zone, now)
    last = now + 3 * DAY_MS if found is None else found
    starts = range((now // MINUTE_MS + 1) * MINUTE_MS, last, MINUTE_MS)
    assert all(quiet_by_the_book(spans, zone, moment) for moment in (*([now] if found != now else []), *starts))
    if found is not None:
        assert found >= now
        assert not quiet_by_the_book(spans, zone, found)
