"""What a tester reads when an expectation is not met: the whole text, and that pytest ends its traceback at the scenario's own line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from keepline.jobs.journey.expect import Expect, ExpectationError
from keepline.jobs.journey.journey import Journey
from keepline.jobs.journey.timeline import timeline
from keepline.schemas.jit import cache_directory

pytest_plugins = ["pytester"]
COMPILED = cache_directory().parent


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """pytester gives its processes another home; they are to find what is compiled."""
    monkeypatch.setenv("KEEPLINE_NUMBA_CACHE", str(COMPILED))


POLICY = """\
policy: small
version: 1
time_zone: Europe/Athens
quiet_hours:
  - {from: "21:00", to: "08:00"}
caps:
  - {at_most: 1, per: 7d}
triggers:
  complaint: {event: SupportContact, topic: [COMPLAINT], priority: 2}
  at_risk: {score: churn, at_least: threshold, priority: 1}
offers:
  sorry: {for: complaint, channels: [SMS], offer: Sorry}
  discount: {for: at_risk, channels: [SMS, EMAIL], offer: 10 % off}
escalation: {after: 3d}
outcomes: {landing: 5d}
"""
TIMELINE = """\
expected an intervention, kind sorry, channel SMS, at 2026-03-03 08:00
but the nearest is sorry at 2026-03-10 08:00: at is 2026-03-10 08:00

c-1, local time in Europe/Athens
    2026-03-01 12:00         event         Consent MARKETING GRANTED
                             event         Subscription, plan basic, started_time 2026-03-01 12:00, monthly_charge 45
                             score         0.05 LOW
    2026-03-02 22:15         event         Subscription, which sets the score to 0.7
                             score         0.70 MEDIUM
                             decision      HELD QUIET_HOURS discount, trigger at_risk, until 2026-03-03 08:00
                             event         SupportContact COMPLAINT
                             decision      SUPPRESSED CAP sorry, trigger complaint, at most 1 in 7d
                             decision      SUPPRESSED OUTRANKED, trigger at_risk
    2026-03-03 08:00         timer         the policy is woken
                             intervention  discount by SMS, trigger at_risk (ID1)
                             decision      EMITTED AT_RISK discount
                             event         Subscription, which sets the score to 0.1
                             score         0.10 LOW
                             event         Outcome DELIVERED, intervention_id ID1
►   2026-03-03 08:00         expected      an intervention, kind sorry, channel SMS, at 2026-03-03 08:00
    2026-03-06 08:00         timer         the policy is woken
    2026-03-08 08:00:00.001  timer         the policy is woken
                             outcome       LANDED RETAINED discount (DELIVERED)
    2026-03-10 06:00         event         SupportContact COMPLAINT
                             decision      HELD QUIET_HOURS sorry, trigger complaint, until 2026-03-10 08:00
    2026-03-10 08:00         timer         the policy is woken
                             intervention  sorry by SMS, trigger complaint (ID2)
                             decision      EMITTED COMPLAINT sorry
                             now           next timer 2026-03-13 08:00"""


def story(journey: Journey) -> None:
    journey.policy(POLICY).consents().subscribes(45, at="2026-03-01 12:00").score(0.7, at="2026-03-02 22:15").complaint()
    journey.at("2026-03-03 08:00").score(0.1).outcome("DELIVERED").complaint(at="2026-03-10 06:00").wait_until("2026-03-10 08:00")


def named(text: str, journey: Journey) -> str:
    """The text with ids as ID1, ID2, …: they are hashes."""
    for number, each in enumerate(journey.records("intervention"), 1):
        text = text.replace(each["intervention_id"][:8], f"ID{number}")
    return text


def test_the_whole_text(journey: Journey, expect: Expect) -> None:
    story(journey)
    with pytest.raises(ExpectationError) as failed:
        expect.intervention("sorry", channel="SMS", at="2026-03-03 08:00")
    assert named(str(failed.value), journey) == TIMELINE


def test_what_has_no_time_is_marked_at_the_end(journey: Journey, expect: Expect) -> None:
    story(journey)
    with pytest.raises(ExpectationError) as failed:
        expect.outcome_row(label="CHURNED", outcomes=["DELIVERED", "DECLINED"])
    lines = str(failed.value).splitlines()
    assert lines[0] == "expected a labelled outcome, label CHURNED, outcomes DELIVERED DECLINED"
    assert lines[1] == "but the nearest is LANDED discount at 2026-03-03 08:00: label is RETAINED, outcomes is DELIVERED"
    assert lines[-1] == "►   2026-03-10 08:00         expected      a labelled outcome, label CHURNED, outcomes DELIVERED DECLINED"


def test_times_are_those_of_the_customer_and_expected_ones_as_written(journey: Journey, expect: Expect) -> None:
    journey.policy(POLICY).consents(time_zone="Asia/Tokyo").score(0.7, at="2026-03-02 22:15")
    with pytest.raises(ExpectationError) as failed:
        expect.held("2026-03-03T08:00:00Z", at="22:15")
    lines = str(failed.value).splitlines()
    assert lines[0] == "expected a held offer, at 22:15, until 2026-03-03T08:00:00Z"
    assert lines[1] == "but the nearest is HELD QUIET_HOURS discount at 2026-03-02 22:15: until is 2026-03-03 08:00"
    assert lines[3] == "c-1, local time in Asia/Tokyo"
    assert lines[-2].startswith("►   2026-03-02 22:15  expected      a held offer")


def test_each_customer_has_a_timeline_of_their_own(journey: Journey) -> None:
    journey.policy(POLICY).customer("c-2").call(at="2026-03-02 10:00")
    assert timeline(journey) == ["c-1, local time in Europe/Athens", "    2026-03-02 10:00  now           no timer is set"]
    assert timeline(journey.customer("c-2")) == [
        "c-2, local time in Europe/Athens",
        "    2026-03-02 10:00  event         Call, duration_s 60",
        "                      score         0.05 LOW",
        "                      now           no timer is set",
    ]


def test_of_a_long_timeline_the_end_is_shown(journey: Journey) -> None:
    journey.policy(POLICY).at("2026-03-02 10:00")
    for _ in range(150):
        journey.call()
    lines = timeline(journey)
    assert len(lines) == 102
    assert lines[1] == "    … 52 earlier lines"
    assert lines[-1] == "                      now           no timer is set"


SCENARIO = f'''
POLICY = """{POLICY}"""


def test_passes(journey, expect):
    journey.policy(POLICY).consents().score(0.7, at="2026-03-02 10:00")
    expect.intervention("discount", at="2026-03-02 10:00")


def test_fails(journey, expect):
    journey.policy(POLICY).score(0.7, at="2026-03-02 10:00")
    expect.intervention("discount", at="2026-03-02 10:00")
'''


@pytest.mark.slow
def test_pytest_shows_the_scenarios_line_and_the_timeline(pytester: pytest.Pytester, compiled: None) -> None:
    pytester.makepyfile(SCENARIO)
    done = pytester.runpytest_subprocess("-q")
    done.assert_outcomes(passed=1, failed=1)
    done.stdout.fnmatch_lines(
        [
            '>       expect.intervention("discount", at="2026-03-02 10:00")',
            "E       *expected an intervention, kind discount, at 2026-03-02 10:00",
            "E       but there was none",
            "E       c-1, local time in Europe/Athens",
            "E           2026-03-02 10:00  event         Subscription, which sets the score to 0.7",
            "E                             decision      SUPPRESSED NO_MARKETING_CONSENT discount, trigger at_risk",
            "E       ►   2026-03-02 10:00  expected      an intervention, kind discount, at 2026-03-02 10:00",
            "E           2026-03-02 10:00  now           next timer 2027-04-06 11:00",
            "*test_pytest_shows_the_scenarios_line_and_the_timeline.py:*: ExpectationError",
        ],
    )
    done.stdout.no_fnmatch_line("*__tracebackhide__*")


@pytest.mark.slow
def test_options_and_settings_choose_policy_and_model(pytester: pytest.Pytester, compiled: None) -> None:
    pytester.makepyfile(
        """
        def test_it(journey):
            assert journey.world.rules.name == "small"
            assert journey.call().records("score")[0]["model_id"] == "churn-mlc"
        """
    )
    (pytester.path / "policy.yaml").write_text(POLICY, encoding="utf-8")
    model = Path(__file__).parents[2] / "models/pretrained/churn/1"
    pytester.runpytest_subprocess("--journey-policy", "policy.yaml", "--journey-model", str(model)).assert_outcomes(passed=1)
    pytester.makeini(f"[pytest]\njourney_policy = policy.yaml\njourney_model = {model}\n")
    pytester.runpytest_subprocess().assert_outcomes(passed=1)
    other = pytester.path / "other.yaml"
    other.write_text(POLICY.replace("policy: small", "policy: other"), encoding="utf-8")
    pytester.runpytest_subprocess("--journey-policy", str(other)).assert_outcomes(failed=1)


def test_the_plugin_costs_other_tests_nothing(pytester: pytest.Pytester) -> None:
    """pytest loads it wherever Keepline is installed: by then nothing but empty packages is imported."""
    pytester.makepyfile(
        """
        import sys

        def test_it():
            ours = sorted(name for name in sys.modules if name.partition(".")[0] == "keepline")
            assert ours == ["keepline", "keepline.jobs", "keepline.jobs.journey", "keepline.jobs.journey.plugin"]
            assert not {"numba", "numpy", "pyflink", "pydantic", "ruamel.yaml"} & set(sys.modules)
        """
    )
    # Without the plugins of others, which import what they like.
    command = [sys.executable, "-m", "pytest", "-q", "-p", "keepline.jobs.journey.plugin"]
    done = subprocess.run(
        command, cwd=pytester.path, env={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
