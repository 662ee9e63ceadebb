"""CDNOW, trained at 1997-09-30 on what its customers then spent in 39 weeks."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from keepline.features.clv import CLV
from keepline.jobs import clv, clv_labels
from keepline.jobs.features import compute
from keepline.models import manifest
from keepline.models.clv import regression_report
from keepline.models.clv.bgnbd import Bgnbd
from keepline.models.clv.compared import NAME, load, of_parameters
from keepline.models.clv.gamma_gamma import GammaGamma
from keepline.models.clv.regression import NAIVE, Options, Regression, train
from keepline.models.clv.train import Options as FitOptions
from keepline.models.errors import TrainingDataError
from keepline.models.predict import load_pipeline
from keepline.models.scorer import amount
from tests.models.clv.clv_files import cdnow

AT, HORIZON = "1997-09-30T23:59:59.999Z", "273d"
PUBLISHED = of_parameters(Bgnbd(0.2426, 4.4135, 0.7929, 2.4258), GammaGamma(6.2496, 3.7442, 15.4435))
"""Of Fader, Hardie and Lee (2005), and of the notes that come with the data."""


@pytest.fixture(scope="module")
def folder(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """events.jsonl, and of it labels.csv and rows.csv."""
    path = tmp_path_factory.mktemp("cdnow")
    (path / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in cdnow(shared_data)), encoding="utf-8")
    clv_labels.write([path / "events.jsonl"], AT, HORIZON, path / "labels.csv")
    compute("clv", [path / "events.jsonl"], str(path / "labels.csv"), path / "rows.csv")
    return path


@pytest.fixture(scope="module", params=["ridge", "gamma"])
def trained(folder: Path, request: pytest.FixtureRequest) -> tuple[Path, Regression]:
    out = folder / request.param
    found = train(folder / "rows.csv", folder / "labels.csv", out, Options(family=request.param), {NAME: PUBLISHED})
    regression_report.write(found, out)
    return out, found


def test_labels_are_the_sums_of_the_raw_file(folder: Path, shared_data: Path) -> None:
    sums: dict[str, float] = defaultdict(float)
    counts: dict[str, int] = defaultdict(int)
    for event in cdnow(shared_data):
        sums[str(event["customer_id"])] += 0.0
        if str(event["event_time"]) > "1997-10":
            sums[str(event["customer_id"])] += float(str(event["amount"]))
            counts[str(event["customer_id"])] += 1
    labels = pd.read_csv(folder / "labels.csv", dtype={"customer_id": str}).set_index("customer_id")
    assert len(labels) == len(sums) == 2357
    np.testing.assert_allclose(labels["revenue"], [sums[customer] for customer in labels.index], atol=1e-9)
    assert labels["orders"].tolist() == [counts[customer] for customer in labels.index]


def test_one_day_more_is_not_in_the_data(folder: Path) -> None:
    with pytest.raises(TrainingDataError, match="Give --horizon 273d or less"):
        clv_labels.write([folder / "events.jsonl"], AT, "274d", folder / "none.csv")
    assert not (folder / "none.csv").exists()


def test_the_figures_that_must_hold(trained: tuple[Path, Regression]) -> None:
    out, found = trained
    name = found.manifest.family
    figures = found.figures
    assert list(figures) == [name, NAIVE, NAME]
    assert {one.customers for one in figures.values()} == {2357}
    total = pytest.approx(float(found.actual.sum()))
    assert all(sum(one.deciles) == total for one in figures.values())
    # Every method knows more than chance, and its best tenth is worth more than the mean.
    assert all(one.spearman > 0 and one.gini > 0 and one.lift[0] > 1 for one in figures.values())
    # Customers slow down: keeping up their rate promises far too much, and BG/NBD somewhat too little (1,653 of 1,882 purchases).
    assert figures[NAIVE].total > 2
    assert figures[NAME].total < 1
    assert figures[name].total == pytest.approx(1, abs=0.05)
    assert figures[name].mae < figures[NAIVE].mae
    assert figures[name].rmse < figures[NAIVE].rmse
    written = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert written["methods"][NAME]["mae"] == figures[NAME].mae
    assert written["share_zero"] == pytest.approx(np.mean(found.actual == 0))
    assert NAME in (out / "lift.svg").read_text(encoding="utf-8")


def test_the_stream_scores_as_scikit_learn_does(folder: Path, trained: tuple[Path, Regression]) -> None:
    out, found = trained
    model = manifest.load(out, CLV)
    rows = pd.read_csv(folder / "rows.csv")[list(CLV.names)]
    tables, contrib = model.tables(), np.zeros(len(CLV.names))
    ours = [amount(row, *tables, model.less, contrib) for row in np.ascontiguousarray(rows.to_numpy())]
    np.testing.assert_allclose(ours, load_pipeline(out, model.manifest).predict(rows), rtol=1e-9)
    assert sum(ours) == pytest.approx(found.actual.sum(), rel=1e-9)


def test_bgnbd_gives_the_known_total_of_purchases(folder: Path) -> None:
    """With a mean amount of 1 for everybody the method counts days with an order: 1,653 in the notes that come with the data."""
    rows = pd.read_csv(folder / "rows.csv")
    one = of_parameters(Bgnbd(0.2426, 4.4135, 0.7929, 2.4258), GammaGamma(1.0, 1e15 + 1, 1e15))
    assert one(rows, 273.0).sum() == pytest.approx(1653, abs=5)


def test_a_fitted_model_is_compared_and_must_not_have_seen_the_horizon(folder: Path) -> None:
    events = [folder / "events.jsonl"]
    clv.fit(events, AT, folder / "fit", FitOptions())
    found = train(folder / "rows.csv", folder / "labels.csv", folder / "with", Options(), {NAME: load(folder / "fit")})
    published = PUBLISHED(pd.read_csv(folder / "rows.csv"), 273.0)
    np.testing.assert_allclose(found.predictions[NAME], published, rtol=1e-3)
    clv.fit(events, "1998-01-01T00:00:00Z", folder / "later", FitOptions())
    with pytest.raises(
        TrainingDataError, match=r"fitted on events until 1998-01-01T00:00:00Z, but there are rows at 1997-09-30T23:59:59.999Z"
    ):
        train(folder / "rows.csv", folder / "labels.csv", folder / "none", Options(), {NAME: load(folder / "later")})
    assert not (folder / "none").exists()


def test_bgnbd_needs_its_columns(folder: Path) -> None:
    rows = pd.read_csv(folder / "rows.csv").drop(columns="recency_days").assign(t_days="x")
    with pytest.raises(TrainingDataError, match="no numbers recency_days, t_days, which BG/NBD needs"):
        PUBLISHED(rows, 273.0)
