"""Intervals are the published ones and the naive ones; p values are scipy's; what cannot be told is None and says why."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from scipy import optimize, stats

from keepline.models import uplift_report
from keepline.models.uplift import Z95, Arm, Effect, Group, effect, newcombe, wilson, z_test
from keepline.models.uplift_report import Uplift

GROUP = Group("p", "sms", "AT_RISK")


@st.composite
def proportions(draw: st.DrawFn) -> tuple[int, int]:
    total = draw(st.integers(1, 2000))
    return draw(st.integers(0, total)), total


# Newcombe (1998), table II, examples (a) to (h), method 10.
PUBLISHED = [
    (56, 70, 48, 80, 0.0524, 0.3339),
    (9, 10, 3, 10, 0.1705, 0.8090),
    (6, 7, 2, 7, 0.0582, 0.8062),
    (5, 56, 0, 29, -0.0381, 0.1926),
    (0, 10, 0, 20, -0.1611, 0.2775),
    (0, 10, 0, 10, -0.2775, 0.2775),
    (10, 10, 0, 20, 0.6791, 1.0000),
    (10, 10, 0, 10, 0.6075, 1.0000),
]


@pytest.mark.parametrize(("a", "m", "b", "n", "low", "high"), PUBLISHED)
def test_the_published_intervals(a: int, m: int, b: int, n: int, low: float, high: float) -> None:
    found = newcombe(a, m, b, n)
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


@given(proportions())
def test_wilson_is_scipy_s(of: tuple[int, int]) -> None:
    theirs = stats.binomtest(*of).proportion_ci(method="wilson")
    assert wilson(*of) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


@given(proportions(), proportions())
def test_newcombe_from_the_score_equation(one: tuple[int, int], two: tuple[int, int]) -> None:
    """By its definition: Wilson's limits solve |p − π| = z·√(π(1 − π)/n), found here by bisection, and their distances add by squares."""

    def limits(events: int, total: int) -> tuple[float, float]:
        p = events / total

        def beyond(rate: float) -> float:
            return (p - rate) ** 2 - Z95**2 * rate * (1 - rate) / total

        low = optimize.brentq(beyond, 0.0, p - 1e-12, xtol=1e-15) if events else 0.0
        high = optimize.brentq(beyond, p + 1e-12, 1.0, xtol=1e-15) if events < total else 1.0
        return low, high

    (p1, p2), (low1, high1), (low2, high2) = (one[0] / one[1], two[0] / two[1]), limits(*one), limits(*two)
    low, high = newcombe(*one, *two)
    assert low == pytest.approx(p1 - p2 - math.hypot(p1 - low1, high2 - p2), abs=1e-7)
    assert high == pytest.approx(p1 - p2 + math.hypot(high1 - p1, p2 - low2), abs=1e-7)
    assert -1 <= low <= p1 - p2 <= high <= 1
    assert newcombe(*two, *one) == (-high, -low)


@given(proportions(), proportions())
def test_the_p_value_is_that_of_the_chi_square_test(one: tuple[int, int], two: tuple[int, int]) -> None:
    table = [[one[0], one[1] - one[0]], [two[0], two[1] - two[0]]]
    if one[0] + two[0] in (0, one[1] + two[1]):
        assert z_test(*one, *two) == 1.0
    else:
        assert z_test(*one, *two) == pytest.approx(stats.chi2_contingency(table, correction=False).pvalue, rel=1e-9, abs=1e-300)


@pytest.mark.parametrize(
    ("rate1", "rate2", "n1", "n2"), [(0.1, 0.06, 60, 200), (0.3, 0.3, 40, 40), (0.02, 0.02, 100, 300), (0.5, 0.2, 25, 50)]
)
def test_the_interval_covers_as_often_as_it_says(rate1: float, rate2: float, n1: int, n2: int) -> None:
    """Exactly, over all outcomes: a mistake in a limit's side or a factor shows here, whatever the formula says."""
    covered = 0.0
    for a in range(n1 + 1):
        weight = stats.binom.pmf(a, n1, rate1)
        if weight < 1e-9:
            continue
        for b, other in enumerate(stats.binom.pmf(range(n2 + 1), n2, rate2)):
            low, high = newcombe(a, n1, b, n2)
            covered += weight * other * (low <= rate1 - rate2 <= high)
    assert 0.93 < covered < 0.985


def test_an_effect() -> None:
    found = effect(GROUP, Arm(200, 30), Arm(1800, 180, failed=40, declined=9))
    assert found.difference == pytest.approx(0.05)
    assert found.relative == pytest.approx(1 / 3)
    assert found.interval == newcombe(30, 200, 180, 1800)
    assert found.p_value == pytest.approx(0.02865, abs=5e-6)
    assert found.warnings == ()


def numbers(found: Effect) -> list[float | None]:
    return [found.difference, found.relative, found.p_value, *(found.interval or (None, None))]


@pytest.mark.parametrize(
    ("control", "treatment", "told", "warnings"),
    [
        (Arm(), Arm(50, 5), False, ["no control arm: without a holdout, what the contact changed cannot be told"]),
        (Arm(50, 5), Arm(), False, ["no treatment arm: nobody of this group was contacted"]),
        (Arm(), Arm(), False, ["no customers in either arm"]),
        (Arm(1, 1), Arm(40, 20), True, ["only 1 customers in the control arm", "the p value is rough: a cell of the table expects 0.5, "]),
        (Arm(40, 20), Arm(29, 15), True, ["only 29 customers in the treatment arm"]),
        (Arm(30, 15), Arm(30, 15), True, []),
        (Arm(100, 4), Arm(100, 5), True, ["the p value is rough: a cell of the table expects 4.5, fewer than 5; go by the interval"]),
        (Arm(100, 5), Arm(100, 5), True, []),
    ],
)
def test_what_is_thin_is_said(control: Arm, treatment: Arm, told: bool, warnings: list[str]) -> None:
    found = effect(GROUP, control, treatment)
    assert [value is not None for value in numbers(found)] == [told] * 5
    assert len(found.warnings) == len(warnings)
    assert all(text.startswith(start) for text, start in zip(found.warnings, warnings, strict=True))


def test_nobody_left_of_the_control() -> None:
    found = effect(GROUP, Arm(40, 0), Arm(40, 4))
    assert (found.difference, found.relative) == (-0.1, None)
    nobody = effect(GROUP, Arm(40, 0), Arm(40, 0))
    assert (nobody.difference, nobody.p_value, nobody.relative) == (0.0, 1.0, None)


@given(st.lists(st.tuples(proportions(), proportions(), st.booleans(), st.booleans()), max_size=5))
def test_never_nan(groups: list[tuple[tuple[int, int], tuple[int, int], bool, bool]]) -> None:
    effects = tuple(effect(GROUP, Arm(one[1], one[0]) if a else Arm(), Arm(two[1], two[0]) if b else Arm()) for one, two, a, b in groups)
    json.dumps(Uplift(effects, 1, 0, 0).as_json(), allow_nan=False)
    assert not any(value is not None and not math.isfinite(value) for found in effects for value in numbers(found))


FOUND = Uplift(
    (
        effect(Group("p$1|x"), Arm(200, 30), Arm(1800, 180, failed=40, declined=9)),
        effect(Group("p$1|x", "sms", "AT_[red]RISK"), Arm(100, 4), Arm(100, 40)),
        effect(Group("", "call", "COMPLAINT"), Arm(), Arm(7, 1)),
    ),
    rows=2307,
    repeated=3,
    escalations=2,
)


def test_the_report(tmp_path: Path) -> None:
    uplift_report.write(FOUND, tmp_path)
    told = json.loads((tmp_path / "report.json").read_text())
    assert [group["difference"] for group in told["groups"]] == [pytest.approx(0.05), pytest.approx(-0.36), None]
    assert told["groups"][0]["treatment"] == {"customers": 1800, "churned": 180, "churn_rate": 0.1, "failed": 40, "declined": 9}
    assert told["groups"][2]["interval"] is None
    page = (tmp_path / "report.md").read_text()
    assert "| p$1\\|x: all | 15.0% of 200 | 10.0% of 1,800 | +5.0 | +0.5 to +10.8 | +33% | 0.029 |" in page
    assert "| no programme: call, COMPLAINT * | – | 14.3% of 7 | – | – | – | – |" in page
    assert "- no programme: call, COMPLAINT: no control arm" in page
    assert "includes 40 customers whom the message did not reach and 9 who refused" in page
    assert "Intention to treat" in page
    assert "nan" not in page
    before = (tmp_path / "uplift.svg").read_bytes()
    uplift_report.write(FOUND, tmp_path)
    assert (tmp_path / "uplift.svg").read_bytes() == before


def test_the_plot_shows_each_interval_where_it_is(tmp_path: Path) -> None:
    uplift_report.write(FOUND, tmp_path)
    root = ET.parse(tmp_path / "uplift.svg").getroot()
    texts = ["".join(each.itertext()).strip() for each in root.iter("{http://www.w3.org/2000/svg}text")]
    for name in ("p$1|x: all", "p$1|x: sms, AT_[red]RISK", "no programme: call, COMPLAINT", "cannot be told"):
        assert name in texts


def test_the_screen(tmp_path: Path) -> None:
    console = Console(width=160, record=True, file=io.StringIO())
    uplift_report.show(FOUND, tmp_path, console)
    told = console.export_text()
    assert "p$1|x: sms, AT_[red]RISK " in told
    assert "no programme: call, COMPLAINT *" in told
    assert "< 0.001" in told
    assert "note: 3 further decisions for customers that a group has already are left out" in told
    assert "note: 2 escalations are left out" in told
