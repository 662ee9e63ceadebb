"""The page itself, on made-up reports: whole, self-contained, and saying what is in the numbers."""

from __future__ import annotations

import dataclasses
import json

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from keepline.models.clv.manifest import Data
from keepline.models.clv.purchases import Purchases
from keepline.models.clv.report.found import Input, Report, find
from keepline.models.clv.report.html import Markup, element, join, table
from keepline.models.clv.report.page import page
from keepline.models.clv.summary import DAY_MS, summarise
from keepline.models.clv.train import Options, train
from tests.models.clv.page_checks import check

START = 20_454 * DAY_MS


def shop(customers: int = 60, seed: int = 5) -> Purchases:
    """Customers who buy every few days and leave at some time, within 200 days; a few refunds."""
    dice = np.random.default_rng(seed)
    lines = []
    for customer in range(customers):
        day, gap = dice.uniform(0, 90), dice.uniform(4, 40)
        while day < 200:
            lines.append((int(START + day * DAY_MS), customer, float(dice.gamma(3.0, 10.0)) * (-1 if dice.random() < 0.05 else 1)))
            day += dice.exponential(gap)
            if dice.random() < 0.15:
                break
    time, who, amount = (np.array(column) for column in zip(*sorted(lines), strict=True))
    return Purchases([f"c{i}" for i in range(customers)], who.astype(np.int64), time.astype(np.int64), amount, np.full(len(time), np.nan))


def report(purchases: Purchases, until: int, end: int | None = None, **options: object) -> Report:
    summary = summarise(purchases, until)
    data = Data(purchases_sha256="", purchases=len(purchases.time), until="2026-01-01T00:00:00Z", customers=len(summary.customers))
    manifest = train(summary, data, "a command <&>", Options(**options))  # type: ignore[arg-type]
    last = int(purchases.time.max()) if end is None else end
    read = Input(int(purchases.time.min()), last, len(purchases.time), 1, 2, 3, fitted=True, default_until=False)
    return find(manifest, summary, purchases, read, {"other <b>": np.arange(len(summary.customers), dtype=float)})


@pytest.fixture(scope="module")
def whole() -> Report:
    return report(shop(), START + 120 * DAY_MS, currency="EUR")


def test_a_page_is_whole_and_says_its_numbers(whole: Report) -> None:
    text = page(whole)
    found = check(text)
    ahead = whole.holdout
    assert ahead is not None
    assert text == page(whole)  # the same bytes for the same report
    said = found.text()
    for number in (ahead.expected, ahead.actual, sum(ahead.figures["naive rate"].deciles)):
        assert f"{number:,.0f}" in said or f"{number:,.2f}" in said
    for parameter, estimate in whole.manifest.bgnbd.parameters.items():
        assert any(row[:2] == [f"BG/NBD {parameter}", f"{estimate.value:,.4f}"] for row in found.cells)
    methods = [row for row in found.cells if len(row) == 7 and row[0] in ahead.figures]
    assert [row[0] for row in methods] == ["BG/NBD × Gamma-Gamma", "naive rate", "other <b>"]
    assert methods[2][1] == f"{ahead.figures['other <b>'].gini:.3f}"
    assert "its figures flatter it" in said
    tenths = [row for row in found.cells if len(row) == 5 and row[0] in {str(i) for i in range(1, 11)}]
    assert [float(row[2].replace(",", "")) for row in tenths] == pytest.approx(ahead.figures["BG/NBD × Gamma-Gamma"].deciles, abs=0.006)
    bands = [row for row in found.cells if len(row) == 8 and row[0] == "clv_bgnbd"]
    assert [row[1] for row in bands] == ["LOW", "MEDIUM", "HIGH"]
    assert sum(int(row[3]) for row in bands) == whole.customers
    assert found.count("svg") == 9
    assert "a command <&>" in said


def test_warnings_are_on_the_page(whole: Report) -> None:
    part = whole.manifest.bgnbd.model_copy(update={"verdict": "degenerate", "warnings": ["Dropout <goes> to zero."]})
    changed = dataclasses.replace(whole, manifest=whole.manifest.model_copy(update={"bgnbd": part}))
    said = check(page(changed)).text()
    assert "Dropout <goes> to zero." in said
    assert "BG/NBD degenerate" in said
    assert "has probably left" not in said


def test_without_a_holdout_it_says_so(whole: Report) -> None:
    assert "There is no holdout" not in check(page(whole)).text()
    purchases = shop()
    until = int(purchases.time.max()) // DAY_MS * DAY_MS + DAY_MS - 1
    found = report(purchases, until)
    assert found.holdout is None
    read = check(page(found))
    assert read.text().count("There is no holdout") == 2
    assert read.count("svg") == 5
    assert json.loads(json.dumps(found.as_json(), allow_nan=False))["holdout"] is None


def test_figures_are_for_machines_too(whole: Report) -> None:
    found = json.loads(json.dumps(whole.as_json(), allow_nan=False))
    assert found["holdout"]["actual"] == whole.holdout.actual  # type: ignore[union-attr]
    assert found["model"]["bgnbd"]["verdict"] == whole.manifest.bgnbd.verdict
    assert len(found["segments"]) == 9
    assert set(found["holdout"]["methods"]) == {"BG/NBD × Gamma-Gamma", "naive rate", "other <b>"}


AMOUNTS = st.sampled_from([0.0, -3.0, 1e-300, 1e155, 1e308, -1e308]) | st.floats(-10, 100)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40 * DAY_MS), AMOUNTS), min_size=1, max_size=12), until=st.integers(0, 40)
)
def test_any_purchases_make_a_sound_page(whole: Report, lines: list[tuple[int, int, float]], until: int) -> None:
    """With a model from elsewhere, as `--model` gives one: absurd amounts, single customers, single days."""
    who, time, amount = (np.array(column) for column in zip(*lines, strict=True))
    purchases = Purchases(list("abcd"), who.astype(np.int64), START + time.astype(np.int64), amount, np.full(len(lines), np.nan))
    moment = START + until * DAY_MS
    summary = summarise(purchases, moment)
    if not summary.customers:
        return
    read = Input(int(purchases.time.min()), int(purchases.time.max()), len(lines), 0, 0, 0, fitted=False, default_until=False)
    found = find(whole.manifest, summary, purchases, read)
    check(page(found))
    json.dumps(found.as_json(), allow_nan=False)


def test_elements_are_closed_and_escaped() -> None:
    assert element("p", "a < b & c", class_="x y", aria_label='"q"') == '<p class="x y" aria-label="&quot;q&quot;">a &lt; b &amp; c</p>'
    assert element("p", Markup("<b>a</b>"), "<b>") == "<p><b>a</b>&lt;b&gt;</p>"
    assert join(["a", Markup("<i>"), "<"], " ") == "a <i> &lt;"
    assert '<td class="text">&lt;x</td><td class="number">1</td>' in table("t", ("a", "b"), [("<x", "1")])
