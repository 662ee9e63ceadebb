"""The page for users: its first example runs as it stands, and its tables name what there is. (Its other blocks run with all pages'.)"""

from __future__ import annotations

import re
from typing import Any

from keepline.jobs.journey.expect import Expect
from keepline.jobs.journey.journey import Journey
from keepline.jobs.stack.java import ROOT
from tests.docs.pages import blocks

PAGE = ROOT / "docs" / "journeys.md"
ALSO = {"customer", "policy", "weights", "model", "restart", "write"}
"""Of the journey, not of each customer."""


def test_the_example_runs(journey: Journey, expect: Expect) -> None:
    (example,) = [block.text for block in blocks(PAGE) if block.info == "python"]
    found: dict[str, Any] = {}
    exec(example, found)
    found["test_dropped_calls_lead_to_an_apology"](journey, expect)


def test_every_step_and_expectation_is_on_the_page() -> None:
    tables = re.findall(r"^\| `.*", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    named = {name for line in tables for name in re.findall(r"`(?:journey\.|expect\.)?(\w+)\(", line.split(" | ")[0])}
    steps = {name for name in vars(Journey) | vars(Journey.__mro__[1]) if callable(getattr(Journey, name)) and not name.startswith("_")}
    asked = {name for name in vars(Expect) if not name.startswith("_")}
    assert named <= steps | asked, named - steps - asked
    # For the plugin and for tools: not of a scenario.
    assert steps | asked <= named | {"timed", "records", "run_on_minicluster", "of"}, (steps | asked) - named
