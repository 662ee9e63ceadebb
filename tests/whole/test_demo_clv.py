"""`keepline demo --job clv` as a user runs it, with few customers: every comparison of its end holds, and nothing is left behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from keepline.jobs.demo import clv_data
from tests.whole.demos import of_mark, start
from tests.whole.support import wait

CUSTOMERS = 60
HOUR_MS = 3_600_000
pytestmark = pytest.mark.slow


@pytest.mark.timeout(400)
def test_a_short_demo_of_lifetime_value(tmp_path: Path, mark: str) -> None:
    wanted = ("--job", "clv", "--customers", str(CUSTOMERS), "--seconds", "4", "--out", str(tmp_path / "figures.json"), "--json")
    demo = start(tmp_path, mark, *wanted)
    status = demo.wait(360)
    told = (tmp_path / "out.txt").read_text()
    assert status == 0, told
    wait("the guards of its processes have ended too", lambda: not of_mark(mark), 15)
    assert not list((tmp_path / "tmp").glob("keepline-*"))

    published = clv_data.published().head(CUSTOMERS)
    table = clv_data.purchases()
    bought = table[table["customer_id"].isin(published.index) & (table["time"] < clv_data.END_MS)]
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["all_comparisons_hold"] is True
    assert figures["customers"] == figures["rfm_equal_published"] == CUSTOMERS
    assert figures["rfm_different"] == figures["outside_the_printed_digits"] == []
    assert figures["purchases"] == len(bought) + 1
    assert figures["scores_of_purchases"] == 3 * (len(bought) + 1)
    assert figures["every_purchase_scored_once"] is True
    # A tick for each day from a customer's first purchase to the last event, but where a purchase came in its place.
    last = table[table["customer_id"].isin(published.index) & (table["time"] >= clv_data.END_MS + 2 * HOUR_MS)]["time"].min()
    days = sum((last - first) // (24 * HOUR_MS) for first in bought.groupby("customer_id")["time"].min())
    assert 3 * (days - len(bought) - CUSTOMERS) <= figures["scores_of_silent_customers"] <= 3 * days
    assert figures["p_alive_largest_difference_to_scipy"] <= 1e-9
    assert 0 < figures["p_alive_largest_difference_to_published_parameters"] < 1e-4
    assert figures["expected_largest_relative_difference_to_scipy"] <= 1e-9
    assert figures["newest_scores_in_redis"] == figures["newest_scores"] == 3 * CUSTOMERS
    assert figures["dead_letters_and_late_events"] == 0

    for counts in figures["segments"].values():
        assert sum(counts.values()) == CUSTOMERS
    assert figures["moves"]["clv_bgnbd"]["HIGH → MEDIUM"] > 10
    assert figures["interventions"] == figures["decisions_by_result"]["EMITTED"] > 5
    assert set(figures["interventions_by_kind"]) <= {"loyalty_reward", "re_engagement", "win_back"}
    assert figures["suppressed_by_reason"]["NO_MARKETING_CONSENT"] > 0

    assert [json.loads(line) for line in told.splitlines() if line.startswith("{")] == [figures], "on standard output as well"
    assert max(len(line) for line in told.splitlines() if not line.startswith("{")) <= 100
    for part in ("Segments: customers by band", "Who moved", "What the policy decided", "SIMULATED", "equal to the published summary"):
        assert part in told
