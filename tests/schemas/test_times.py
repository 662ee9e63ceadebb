"""RFC 3339 and epoch milliseconds."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepline.schemas.times import TimeError, from_rfc3339, to_rfc3339


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.5Z", 500),
        ("1970-01-01t00:00:00.0019z", 1),
        ("1970-01-01 02:00:00+02:00", 0),
        ("1969-12-31T23:59:59.999Z", -1),
        ("1970-01-01T00:00:00-00:30", 1_800_000),
        ("2024-02-29T12:00:00.123456789+05:30", 1_709_188_200_123),
        ("0001-01-01T00:00:00Z", -62_135_596_800_000),
        ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
    ],
)
def test_read(text, ms):
    assert from_rfc3339(text) == ms


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2024-01-01",
        "2024-01-01T00:00:00",
        "2024-01-01T00:00Z",
        "2023-02-29T00:00:00Z",
        "2024-13-01T00:00:00Z",
        "2024-01-01T24:00:00Z",
        "2024-01-01T23:59:60Z",
        "2024-01-01T00:00:00.Z",
        "2024-01-01T00:00:00+0200",
        "2024-01-01T00:00:00+24:00",
        "20240101T000000Z",
        " 2024-01-01T00:00:00Z",
        "2024-01-01T00:00:00Z\n",
        "٢٠٢٤-01-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "1700000000000",
    ],
)
def test_refused_with_what_was_expected(text):
    with pytest.raises(TimeError, match="RFC 3339"):
        from_rfc3339(text)


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_round_trip(ms):
    assert from_rfc3339(to_rfc3339(ms)) == ms


@given(
    st.datetimes(datetime(1900, 1, 2), datetime(2200, 1, 1)),  # noqa: DTZ001  the zone comes next
    st.integers(-23 * 60, 23 * 60),
)
def test_equal_to_datetime(naive, minutes):
    moment = naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    expected = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    assert from_rfc3339(moment.isoformat()) == expected


def test_write():
    assert to_rfc3339(1_709_188_200_123) == "2024-02-29T06:30:00.123Z"
    assert to_rfc3339(0) == "1970-01-01T00:00:00Z"
    with pytest.raises(TimeError, match="years 1 to 9999"):
        to_rfc3339(2**62)
