"""Each feature of `next_app` by hand, and a real log against the twin."""

import csv
import gzip
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from keepline.features.next_app import oracle
from keepline.features.next_app.constants import Constants
from keepline.features.next_app.single import User
from keepline.schemas.status import Reason

HOUR = 3_600_000
DAY = 24 * HOUR
MONDAY = 20_003 * DAY  # 2024-10-07, midnight UTC


def opens(*events: tuple[int, str], constants: Constants | None = None, **fields: Any) -> User:
    """A user with these opens: hours since Monday, and app."""
    user = User(constants)
    for i, (hours, app) in enumerate(events):
        record = {"type": "AppOpen", "event_id": f"e{i}", "event_time": MONDAY + hours * HOUR, "app": app} | fields
        assert user.apply(record) == Reason.OK
    return user


def ask(user: User, hours: float, **fields: Any) -> dict[str, dict[str, float]]:
    """The candidates so many hours after Monday began."""
    return user.candidates({"type": "Unlock", "event_time": MONDAY + int(hours * HOUR)} | fields)


def test_time_and_windows() -> None:
    user = opens((0, "mail"), (1, "maps"), (2, "mail"), (3, "maps"))
    assert list(ask(user, 4)) == ["mail"], "maps is on screen"
    row = ask(user, 4)["mail"]
    assert row["log_seconds_since_use"] == pytest.approx(math.log1p(7200))
    assert (row["log_opens_24h"], row["log_opens_7d"]) == (pytest.approx(math.log(3)), pytest.approx(math.log(3)))
    # A window of 24 hours with a hop of one still holds the whole hour that it began in.
    for hours, want in ((24.99, 2), (25, 1), (26.99, 1), (27, 0)):
        assert ask(user, hours)["mail"]["log_opens_24h"] == pytest.approx(math.log1p(want)), hours
    assert ask(user, 7 * 24 + 23.9)["mail"]["log_opens_7d"] == pytest.approx(math.log(3))
    assert ask(user, 8 * 24)["mail"]["log_opens_7d"] == 0


def test_frequency_is_halved_every_half_life() -> None:
    user = opens((0, "mail"), (1, "maps"), (24, "mail"), (24, "chat"), constants=Constants(half_life_days=1, frequency_smoothing=1e-9))
    rows = ask(user, 48)
    mail, maps, chat = 0.25 + 0.5, 0.5 ** (47 / 24), 0.5
    assert math.exp(rows["mail"]["log_frequency"]) == pytest.approx(mail / (mail + maps + chat))
    assert math.exp(rows["maps"]["log_frequency"]) == pytest.approx(maps / (mail + maps + chat))


def test_transitions_back_off_to_the_share() -> None:
    user = opens(*enumerate(["mail", "maps", "mail", "maps", "mail", "chat", "mail"]))
    rows = ask(user, 7)
    after_mail = {"maps": 2, "chat": 1}
    for app, n in after_mail.items():
        share = math.exp(rows[app]["log_frequency"])
        assert math.exp(rows[app]["log_transition"]) == pytest.approx((n + share) / (3 + 1))


def test_an_open_out_of_order_counts_and_leaves_the_screen() -> None:
    user = opens((10, "mail"), (5, "maps"), (4, "mail"), (12, "maps"), (13, "mail"))
    rows = ask(user, 14)
    assert user.screen == "mail"
    share = math.exp(rows["maps"]["log_frequency"])
    assert rows["maps"]["log_transition"] == pytest.approx(math.log((1 + share) / (1 + 1))), "maps at 5 followed nothing"
    assert rows["maps"]["log_opens_24h"] == pytest.approx(math.log(3))


def test_opens_in_a_row_count_once() -> None:
    user = opens((0, "mail"), (1, "mail"), (2, "mail"), (3, "maps"))
    row = ask(user, 3)["mail"]
    assert row["log_opens_24h"] == pytest.approx(math.log(2))
    assert row["log_seconds_since_use"] == pytest.approx(math.log1p(3600)), "the last use moved"


def test_an_unlock_changes_no_app() -> None:
    user = opens((0, "mail"), (1, "maps"))
    before = ask(user, 2)
    assert user.apply({"type": "Unlock", "event_id": "u", "event_time": MONDAY + HOUR, "city_hash": "home"}) == Reason.OK
    assert ask(user, 2) == before
    user.apply({"type": "AppOpen", "event_id": "v", "event_time": MONDAY + 2 * HOUR, "app": "maps"})
    assert list(ask(user, 2)) == ["mail"], "maps was on screen before the unlock, and is again"


def test_the_local_hour_and_its_neighbours() -> None:
    user = opens((6, "mail"), (7, "maps"), utc_offset_minutes=120)
    weights = {7: 0.25, 8: 0.5, 9: 0.25}
    for hour in range(24):
        got = ask(user, 24 + hour)["mail"]["log_hour"]
        assert got == pytest.approx(math.log((weights.get(hour, 0) + 2 / 24) / (1 + 2))), hour
        assert ask(user, 24 + hour, utc_offset_minutes=-60)["mail"]["log_hour"] == pytest.approx(
            math.log((weights.get((hour - 1) % 24, 0) + 2 / 24) / 3)
        )


@pytest.mark.parametrize(
    ("fields", "same", "other"),
    [
        ({"charging": True}, {"charging": True, "battery_percent": 3}, {}),
        ({"battery_percent": 51}, {"battery_percent": 100}, {"battery_percent": 50}),
        ({"battery_percent": 50}, {"battery_percent": 20}, {"battery_percent": 19}),
        ({"battery_percent": 19}, {"battery_percent": 0}, {"battery_percent": None}),
        ({}, {"battery_percent": None, "charging": False}, {"charging": True}),
    ],
)
def test_battery(fields: dict[str, Any], same: dict[str, Any], other: dict[str, Any]) -> None:
    user = opens((0, "mail"), (1, "maps"), **fields)
    assert ask(user, 2, **same)["mail"]["log_battery"] == pytest.approx(math.log((1 + 2 / 5) / 3))
    assert ask(user, 2, **other)["mail"]["log_battery"] == pytest.approx(math.log((2 / 5) / 3))


def test_network_weekend_and_city() -> None:
    user = opens((0, "mail"), (1, "maps"), network="G5", city_hash="home")
    here = ask(user, 24, network="G5", city_hash="home")["mail"]
    there = ask(user, 5 * 24, network="WIFI", city_hash="away")["mail"]
    assert (here["log_network"], there["log_network"]) == (pytest.approx(math.log((1 + 2 / 6) / 3)), pytest.approx(math.log(2 / 6 / 3)))
    assert (here["log_weekend"], there["log_weekend"]) == (pytest.approx(math.log(2 / 3)), pytest.approx(math.log(1 / 3)))
    assert (here["log_city"], there["log_city"]) == (pytest.approx(math.log((1 + 2 / 5) / 3)), pytest.approx(math.log(2 / 5 / 3)))
    for hours, weekend in ((5 * 24 - 1, 0), (5 * 24, 1), (7 * 24 - 1, 1), (7 * 24, 0)):
        assert ask(user, hours)["mail"]["log_weekend"] == pytest.approx(math.log(1 / 3 if weekend else 2 / 3)), hours


def test_the_fifth_city_replaces_the_one_seen_the_longest_ago() -> None:
    user = opens((0, "mail"), (1, "maps"), city_hash="home")
    for i, city in enumerate(["b", "c", "home", "d", "e"]):
        user.apply({"type": "Unlock", "event_id": f"u{i}", "event_time": MONDAY + (10 + i) * HOUR, "city_hash": city})
    user.apply({"type": "AppOpen", "event_id": "x", "event_time": MONDAY + 20 * HOUR, "app": "chat", "city_hash": "b"})
    rows = ask(user, 21, city_hash="home")
    assert rows["mail"]["log_city"] == pytest.approx(math.log((1 + 2 / 5) / 3)), "seen again in between"
    for i, city in enumerate(["f", "g", "h", "i"]):
        user.apply({"type": "Unlock", "event_id": f"v{i}", "event_time": MONDAY + (30 + i) * HOUR, "city_hash": city})
    assert ask(user, 40, city_hash="home")["mail"]["log_city"] == pytest.approx(math.log(2 / 5 / 2)), "forgotten, in the total too"


def log(path: Path) -> list[dict[str, Any]]:
    """The events of an AppUsage log: lines with a time, in the order of the file."""
    out: list[dict[str, Any]] = []
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in csv.DictReader(lines):
            for pattern in ("%m/%d/%y %H:%M:%S", "%m-%d-%Y %H:%M:%S"):
                try:
                    moment = datetime.strptime(f"{line['Date']} {line['Time']}", pattern).replace(tzinfo=UTC)
                except ValueError:
                    continue
                own = {"type": "Unlock"} if line["App name"].startswith("Screen") else {"type": "AppOpen", "app": line["App name"]}
                out.append({"event_id": str(len(out)), "event_time": int(moment.timestamp() * 1000)} | own)
    return out


def test_a_real_log(shared_data: Path) -> None:
    """The log of a phone over six days: the kernel equal to the twin, and the opened app nearly always among the candidates."""
    records = log(shared_data / "apps" / "appusagepro_1user_6days.csv.gz")
    assert len(records) > 4000
    user, accepted = User(), list[dict[str, Any]]()
    found = asked = 0
    for i, record in enumerate(records):
        if record["type"] == "AppOpen" and record["app"] != user.screen and i > len(records) // 2:
            asked += 1
            found += record["app"] in user.candidates(record)
        if user.apply(record) == Reason.OK:
            accepted.append(record)
        if i % 500 == 499:
            known = oracle.phone(accepted)
            unlock = {"type": "Unlock", "event_time": known.now}
            want, got = oracle.rows(known, known.now, unlock), user.candidates(unlock)
            assert list(got) == list(want)
            for app, row in want.items():
                assert got[app] == pytest.approx(row, rel=1e-9, abs=1e-9)
    assert asked > 500
    assert found / asked > 0.97
