"""The pytest plugin: the fixtures `journey` and `expect`, and the options that choose the policy, the model and Flink.

pytest imports it wherever Keepline is installed, so it imports nothing of Keepline until a test asks for a journey.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from keepline.jobs.journey.expect import Expect
    from keepline.jobs.journey.journey import Journey


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options, and the settings of the same names for pytest's own file."""
    group = parser.getgroup("keepline", "journeys of Keepline")
    group.addoption("--journey-minicluster", action="store_true", help="Run each journey through the job on a Flink in this process, too.")
    group.addoption("--journey-policy", metavar="FILE", help="The contact policy of journeys that name none. [default: the committed one]")
    group.addoption(
        "--journey-model", metavar="PATH", help="The model of journeys that name none. [default: one that journey.score() sets]"
    )
    parser.addini("journey_policy", "As --journey-policy; a path from this file.", type="string", default="")
    parser.addini("journey_model", "As --journey-model; a path from this file.", type="string", default="")


def _path(config: pytest.Config, name: str) -> Path | None:
    """The option's, from where pytest was started; else the setting's, from the folder of pytest's file."""
    given = config.getoption(name)
    if given:
        return Path(config.invocation_params.dir, str(given))
    written = str(config.getini(name))
    return Path(config.rootpath, written) if written else None


@pytest.fixture
def journey(request: pytest.FixtureRequest) -> Journey:
    """A journey that begins: a customer, time, and the job's own kernels and policy (docs/journeys.md)."""
    from keepline.jobs.journey.journey import Journey

    policy, model = _path(request.config, "journey_policy"), _path(request.config, "journey_model")
    return Journey(model=model) if policy is None else Journey(policy, model)


@pytest.fixture
def expect(journey: Journey) -> Expect:
    """What the journey is to have led to."""
    from keepline.jobs.journey.expect import Expect

    return Expect(journey)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """With --journey-minicluster: once the test has passed, its journey through the job."""
    __tracebackhide__ = True
    yield
    played = getattr(item, "funcargs", {}).get("journey")
    if played is not None and item.config.getoption("journey_minicluster") and hasattr(played, "run_on_minicluster"):
        played.run_on_minicluster()
