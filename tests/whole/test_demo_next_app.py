"""`keepline demo --job next_app` as a user runs it, with few people: every comparison of its end holds, and nothing is left behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from keepline.jobs.demo.next_app_drive import LIVE_MS, NEW, sent_events
from tests.whole.demos import of_mark, start
from tests.whole.support import wait

PEOPLE = 10
pytestmark = pytest.mark.slow


@pytest.mark.timeout(400)
def test_a_short_demo_of_the_next_app(tmp_path: Path, mark: str) -> None:
    wanted = ("--job", "next_app", "--customers", str(PEOPLE), "--seconds", "4", "--out", str(tmp_path / "figures.json"), "--json")
    demo = start(tmp_path, mark, *wanted)
    status = demo.wait(360)
    told = (tmp_path / "out.txt").read_text()
    assert status == 0, told
    wait("the guards of its processes have ended too", lambda: not of_mark(mark), 15)
    assert not list((tmp_path / "tmp").glob("keepline-*"))

    events = sent_events(PEOPLE)
    unlocks = [event for event in events if event["type"] == "Unlock"]
    live = sum(event["event_time"] >= LIVE_MS for event in unlocks)
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["all_comparisons_hold"] is True
    assert (figures["people"], figures["events"]) == (PEOPLE + 1, len(events))
    assert figures["unlocks"] == figures["predictions"] == len(unlocks)
    assert figures["lost"] == figures["doubled"] == figures["of_no_unlock"] == figures["dead_letters_and_late_events"] == 0
    assert figures["other_apps_than_python"] == 0
    assert figures["largest_difference_to_python"] <= 1e-9
    assert figures["newest_predictions_in_redis"] == PEOPLE + 1
    assert figures["new_user_gets_the_prior"] is True
    assert len(figures["new_user_first_prediction"]) == 5
    # Where a user unlocks twice at once, Redis may see only the newer one.
    assert 0.9 * live <= figures["live_predictions_measured"] <= live
    assert 0 < figures["unlock_to_redis_ms"]["p50"] <= figures["unlock_to_redis_ms"]["p99"]
    assert 0.8 * live < figures["unlocks_counted"] <= live
    rates = figures["hit_rates"]
    assert all(rates["Keepline"][name] > max(rates["MFU"][name], rates["MRU"][name]) for name in rates["MFU"])

    assert [json.loads(line) for line in told.splitlines() if line.startswith("{")] == [figures], "on standard output as well"
    assert max(len(line) for line in told.splitlines() if not line.startswith("{")) <= 100
    for part in ("Last unlocks of some users", NEW, "MADE UP", "What was compared", "the model's prior", "go on with"):
        assert part in told
