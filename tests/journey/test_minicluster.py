"""Some of the journeys through the real job on Flink: `--journey-minicluster` in a pytest of its own, as users run it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from keepline.jobs.journey.journey import Journey
from keepline.jobs.journey.minicluster import packed
from keepline.jobs.journey.times import JourneyError
from keepline.jobs.stack.java import ROOT
from tests.journey.test_policies import BASE

HERE = Path(__file__).parent
JOURNEYS = (
    "test_committed.py::test_a_customer_who_travels_is_woken_by_the_new_clock",
    "test_committed.py::test_outcomes_land_and_come_late",
    "test_committed.py::test_an_erased_customer_leaves_nothing_behind",
    "test_policies.py::test_a_budget_is_spent_once_a_day",
    "test_policies.py::test_the_control_group_is_not_contacted_but_looked_after",
)
ANOTHER = f'''
POLICY = """{BASE}"""


def test_a_record_that_the_job_lacks(journey, expect):
    journey.policy(POLICY).score(0.9, at="2025-03-02 10:00")
    expect.intervention("discount")
    played = journey.world.run
    played.frames.append(played.frames[-1])


def test_that_fails_by_itself(journey, expect):
    journey.policy(POLICY).score(0.1, at="2025-03-02 10:00")
    expect.intervention("discount")
'''


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_journeys_on_the_minicluster(tmp_path: Path) -> None:
    other = tmp_path / "test_other.py"
    other.write_text(ANOTHER, encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-v",
        "--journey-minicluster",
        "-p",
        "no:cacheprovider",
        *(str(HERE / each) for each in JOURNEYS),
    ]
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("KEEPLINE_", "PYTEST_")) or name == "KEEPLINE_JAR"
    }
    done = subprocess.run([*command, str(other)], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=550, check=False)
    told = done.stdout
    for each in JOURNEYS:
        assert f"{each} PASSED" in told, told[-6000:]
    assert "2 failed, 5 passed" in told, told[-6000:]
    assert "decisions of c-1, record 2: the job on the MiniCluster has" in told
    assert "(no more records)" in told
    assert "ExpectationError: expected an intervention, kind discount" in told


def test_what_cannot_be_run_there() -> None:
    late = Journey(BASE).call(at="2026-03-02 10:00").event("Call", duration_s=1.0, happened="2026-03-02 09:59")
    with pytest.raises(JourneyError, match="an event of this journey comes late"):
        list(packed(late.world.spec, late.world.steps))
    future = Journey(BASE).call(at="2099-03-02 10:00")
    with pytest.raises(JourneyError, match="lies in the future, which the job refuses"):
        list(packed(future.world.spec, future.world.steps))
