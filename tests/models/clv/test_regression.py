"""Training a regression end to end: the fits against their score equations, folding, the report, determinism, and every refusal."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from keepline.features.churn import CHURN
from keepline.features.clv import CLV
from keepline.models import manifest
from keepline.models.clv import regression_report
from keepline.models.clv.evaluation import evaluate
from keepline.models.clv.families import Family, expm1_floor
from keepline.models.clv.regression import NAIVE, Options, choose, train
from keepline.models.errors import ModelError, TrainingDataError
from keepline.models.manifest import REGRESSION_METRICS, RegressionManifest, checksum, from_mapping
from keepline.models.predict import load_pipeline, predict
from tests.models.clv.clv_files import AT, clv_like, write
from tests.models.model_files import churn_like

PRETRAINED = Path(__file__).parents[3] / "models" / "pretrained" / "churn" / "1"


def loaded(folder: Path) -> RegressionManifest:
    found = manifest.load(folder, CLV).manifest
    assert isinstance(found, RegressionManifest)
    return found


def design(model: RegressionManifest, rows: pd.DataFrame) -> np.ndarray:
    """The transformed columns that carry weight."""
    terms = [term for term in model.terms if term.coefficient]
    return np.column_stack([np.log1p(rows[term.name]) if term.transform == "log1p" else rows[term.name] for term in terms])


def by_hand(model: RegressionManifest, row: dict[str, float]) -> float:
    """The amount from the manifest's raw coefficients alone."""
    z = model.intercept
    for term in model.terms:
        value = row[term.name]
        z += term.coefficient * (math.log1p(max(value, 0.0)) if term.transform == "log1p" else value)
    return max(math.exp(z) - (1 if model.link == "log1p" else 0), 0.0)


def test_folded_coefficients_give_the_pipelines_amount(regression_model: Path) -> None:
    model = loaded(regression_model)
    rows = pd.read_csv(regression_model / "R.csv")[list(CLV.names)]
    expected = load_pipeline(regression_model, model).predict(rows)
    np.testing.assert_allclose([by_hand(model, row) for row in rows.to_dict("records")], expected, rtol=1e-10)


def test_what_was_trained(regression_model: Path) -> None:
    model = loaded(regression_model)
    assert (model.link, model.power) == {"ridge": ("log1p", None), "gamma": ("log", 2.0), "tweedie": ("log", 1.5)}[model.family]
    assert model.feature_set == manifest.FeatureSetRef(name="clv", version=1)
    assert model.horizon_days == 180
    assert "at" not in model.columns
    assert model.data.share_zero == (0 if model.family == "gamma" else np.mean(pd.read_csv(regression_model / "L.csv")["revenue"] == 0))
    assert set(model.metrics) == set(REGRESSION_METRICS)
    assert model.created.command.startswith("keepline train clv --rows R.csv --labels L.csv --family ")


def test_training_predictions_sum_to_the_targets(regression_model: Path) -> None:
    """The mean correction, and the deciles and bands that come from these predictions."""
    model = loaded(regression_model)
    rows, labels = pd.read_csv(regression_model / "R.csv"), pd.read_csv(regression_model / "L.csv")
    predicted = load_pipeline(regression_model, model).predict(rows[list(CLV.names)])
    assert predicted.sum() == pytest.approx(labels["revenue"].sum(), rel=1e-9)
    assert model.data.mean == pytest.approx(predicted.mean(), rel=1e-9)
    np.testing.assert_allclose(model.deciles, np.percentile(predicted, range(10, 100, 10)))
    assert model.bands == (model.deciles[2], model.deciles[7])
    found = manifest.load(regression_model, CLV)
    assert (found.bands, found.threshold, found.less) == (model.bands, model.bands[1], float(model.family == "ridge"))


@pytest.mark.parametrize("power", [1.2, 1.5, 1.9, 2.0])
def test_a_glm_solves_its_score_equations(tmp_path: Path, power: float) -> None:
    """Without a penalty Σ (y - μ) · μ^(1 - power) · x is 0 for each column, and for the constant (McCullagh and Nelder 1989, 2.4)."""
    rows, labels = clv_like(300, zeros=power < 2)
    train(*write(tmp_path, rows, labels), tmp_path, Options(power=power, alpha=0.0, only=("frequency", "page_views_7d", "t_days")))
    model = loaded(tmp_path)
    x = np.column_stack([np.ones(len(rows)), design(model, rows)])
    mean = load_pipeline(tmp_path, model).predict(rows[list(CLV.names)]) / model.mean_correction
    pull = (labels["revenue"].to_numpy() - mean) * mean ** (1 - power)
    assert (np.abs(x.T @ pull) < 1e-5 * (np.abs(x).T @ np.abs(pull))).all()


def test_ridge_solves_the_normal_equations(tmp_path: Path) -> None:
    rows, labels = clv_like(300)
    train(*write(tmp_path, rows, labels), tmp_path, Options(family="ridge", alpha=0.02))
    model = loaded(tmp_path)
    x, y = design(model, rows), np.log1p(labels["revenue"].to_numpy())
    spread = x.std(axis=0)
    centred = (x - x.mean(axis=0)) / spread
    weights = np.linalg.solve(centred.T @ centred + 0.02 * len(y) * np.eye(x.shape[1]), centred.T @ (y - y.mean()))
    np.testing.assert_allclose([term.coefficient for term in model.terms if term.coefficient], weights / spread, rtol=1e-7)
    # Before the correction, the mean of z is that of log1p of the targets.
    z = model.intercept - math.log(model.mean_correction) + x @ (weights / spread)
    assert z.mean() == pytest.approx(y.mean(), rel=1e-9)


def test_the_unit_of_money_changes_nothing_but_the_unit(tmp_path: Path) -> None:
    rows, labels = clv_like(300)
    cents = labels.assign(revenue=labels["revenue"] * 100)
    only = ("frequency", "t_days", "page_views_7d")
    first = train(*write(tmp_path / "a", rows, labels), tmp_path / "a", Options(only=only))
    second = train(*write(tmp_path / "b", rows, cents), tmp_path / "b", Options(only=only))
    np.testing.assert_allclose(second.predictions["tweedie"], 100 * first.predictions["tweedie"], rtol=1e-6)
    assert [term.coefficient for term in second.manifest.terms] == pytest.approx(
        [term.coefficient for term in first.manifest.terms], rel=1e-6
    )
    assert second.figures["tweedie"].gini == pytest.approx(first.figures["tweedie"].gini, rel=1e-9)


def test_known_effects_are_found(tmp_path: Path) -> None:
    """Gamma amounts around exp(1 + 0.7 · log1p(a) - 0.02 · b): both coefficients within four standard errors."""
    dice = np.random.default_rng(8)
    a, b = np.exp(dice.normal(2, 1.5, 3000)), dice.normal(0, 30, 3000)
    revenue = dice.gamma(2.0, np.exp(1 + 0.7 * np.log1p(a) - 0.02 * b) / 2)
    ids = [f"c{i}" for i in range(3000)]
    rows = pd.DataFrame({"customer_id": ids, "a": a, "b": b})
    labels = pd.DataFrame({"customer_id": ids, "revenue": revenue})
    files = write(tmp_path, rows, labels)
    model = train(*files, tmp_path, Options(alpha=0.0, horizon_ms=86_400_000)).manifest
    error = math.sqrt(0.5 / 3000)  # of a standardised column: dispersion 1/2 over n
    effects = {term.name: (term.transform, term.coefficient) for term in model.terms}
    assert effects["a"] == ("log1p", pytest.approx(0.7, abs=4 * error / np.log1p(a).std()))
    assert effects["b"] == ("identity", pytest.approx(-0.02, abs=4 * error / b.std()))
    assert (model.feature_set, model.horizon_days) == (None, 1.0)


def test_predictions_out_of_fold_have_not_seen_their_row(tmp_path: Path) -> None:
    """A customer's own label does not move the customer's own prediction."""
    rows, labels = clv_like(200)
    first = train(*write(tmp_path / "a", rows, labels), tmp_path / "a")
    buyer = int(np.flatnonzero(labels["revenue"] > 0)[0])
    labels.loc[buyer, "revenue"] *= 3
    second = train(*write(tmp_path / "b", rows, labels), tmp_path / "b")
    assert second.predictions["tweedie"][buyer] == first.predictions["tweedie"][buyer]
    assert (second.predictions["tweedie"] != first.predictions["tweedie"]).any()


def test_methods_are_compared_on_the_same_customers(tmp_path: Path) -> None:
    rows, labels = clv_like(200)
    found = train(*write(tmp_path, rows, labels), tmp_path, others={"flat": lambda typed, days: np.full(len(typed), days)})
    assert list(found.figures) == ["tweedie", NAIVE, "flat"]
    assert found.predictions["flat"].tolist() == [180.0] * 200
    np.testing.assert_allclose(found.predictions[NAIVE], rows["revenue"] / rows["t_days"] * 180)
    for name, values in found.predictions.items():
        assert found.figures[name] == evaluate(labels["revenue"].to_numpy(), values)
    sums = [sum(figures.deciles) for figures in found.figures.values()]
    assert sums == pytest.approx([labels["revenue"].sum()] * 3)
    assert found.figures["tweedie"].gini > 0.2
    regression_report.write(found, tmp_path)
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    for word in ("flat", NAIVE, "Side by side", "lift.svg", "gains.svg", "expected.svg", "bought nothing", "tweedie with power 1.5"):
        assert word in text
    figures = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert figures["methods"]["tweedie"]["gini"] == found.figures["tweedie"].gini
    for name in regression_report.PLOTS:
        assert (tmp_path / name).read_text(encoding="utf-8").startswith("<?xml")


def test_same_input_same_bytes(tmp_path: Path) -> None:
    files = write(tmp_path, *clv_like(150))
    for name in ("a", "b"):
        regression_report.write(train(*files, tmp_path / name), tmp_path / name)
    for file in ("manifest.json", "model.joblib", *regression_report.FILES):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file


def test_predict_writes_amounts(regression_model: Path, tmp_path: Path) -> None:
    done = predict(regression_model, regression_model / "R.csv", tmp_path / "p.csv")
    scores = pd.read_csv(tmp_path / "p.csv")
    assert (done.rows, list(scores.columns)) == (400, ["customer_id", "amount"])
    rows = pd.read_csv(regression_model / "R.csv")[list(CLV.names)]
    np.testing.assert_allclose(scores["amount"], load_pipeline(regression_model, loaded(regression_model)).predict(rows), rtol=1e-12)


def test_refunds_above_the_orders_count_as_nothing(tmp_path: Path) -> None:
    rows, labels = clv_like(200)
    least = int(np.flatnonzero(labels["revenue"] == 0)[0])
    zero = train(*write(tmp_path / "a", rows, labels), tmp_path / "a")
    labels.loc[least, "revenue"] = -12.5
    below = train(*write(tmp_path / "b", rows, labels), tmp_path / "b")
    assert below.manifest.terms == zero.manifest.terms
    assert "1 customers had refunds above their orders" in below.notes[0]


def test_the_family_follows_the_targets() -> None:
    some, none = np.array([0.0, 1.0, 2.0]), np.array([1.0, 2.0])
    assert choose(Options(), some) == Family("tweedie", 1.5, 0.01)
    assert choose(Options(), none) == Family("gamma", 2.0, 0.01)
    assert choose(Options(power=1.3), none) == Family("tweedie", 1.3, 0.01)
    assert choose(Options(family="ridge"), some).link == "log1p"
    with pytest.raises(TrainingDataError, match="1 of 3 revenues are 0, which a gamma distribution"):
        choose(Options(power=2.0), some)


def test_expm1_floor_is_finite() -> None:
    found = expm1_floor(np.array([-1e9, -1.0, 0.0, 1.0, 1e9]))
    assert found[:3].tolist() == [0, 0, 0]
    assert found[3] == pytest.approx(math.expm1(1), rel=1e-15)
    assert np.isfinite(found).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (Options(family="forest"), "--family is 'forest', expected ridge or gamma"),
        (Options(power=1.0), "--power is 1, expected above 1 and at most 2"),
        (Options(power=2.5), "--power is 2.5"),
        (Options(family="ridge", power=1.5), "only with --family gamma"),
        (Options(alpha=-1.0), "--alpha is -1.0, expected 0 or more"),
        (Options(alpha=math.nan), "--alpha is nan"),
        (Options(medium=-2.0), "--medium is -2.0, expected an amount"),
        (Options(high=math.inf), "--high is inf"),
        (Options(version=0), "--version must be at least 1"),
    ],
)
def test_options_are_checked_before_the_files(tmp_path: Path, options: Options, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        train(tmp_path / "none.csv", tmp_path / "none.csv", tmp_path, options)


def test_own_bands(tmp_path: Path) -> None:
    files = write(tmp_path, *clv_like(150))
    assert train(*files, tmp_path, Options(medium=5.0, high=50.0)).manifest.bands == (5.0, 50.0)
    with pytest.raises(ModelError, match=r"The bands are 1e\+06 and .*expected the first at most the second"):
        train(*files, tmp_path / "none", Options(medium=1e6))
    assert not (tmp_path / "none").exists()


R = "customer_id,a,b\n" + "".join(f"c{i},{i},{i % 3}\n" for i in range(20))
L = "customer_id,horizon_days,revenue\n" + "".join(f"c{i},90,{i % 4}\n" for i in range(20))
REFUSED = [
    pytest.param(R, L.replace("revenue", "label"), "L.csv has no column revenue. Give columns customer_id,revenue", id="no revenue"),
    pytest.param(R, L.replace("c5,90,1", "c5,90,"), "line 7: revenue is missing, expected an amount, 0 where nothing", id="missing"),
    pytest.param(R, L.replace("c5,90,1", "c5,90,x"), "line 7: revenue is 'x', expected an amount", id="text"),
    pytest.param(R, L.replace("c5,90,1", "c5,90,inf"), "line 7: revenue is infinite", id="infinite"),
    pytest.param(R, L.replace("c5,90,1", "c5,91,1"), "horizon_days must be one number of days", id="two horizons"),
    pytest.param(R, L.replace(",90,", ",0,"), "horizon_days must be one number of days above 0", id="no time"),
    pytest.param(R, "customer_id,revenue\nc1,5\n", "no column horizon_days.*Give --horizon", id="no horizon"),
    pytest.param(R + "c77,1,2\n", L, "1 of 21 customers of .*R.csv have no revenue in .*L.csv .such as 'c77'", id="no label"),
    pytest.param(R, L + "c3,90,1\n", "customer 'c3' appears again", id="twice"),
    pytest.param(
        R, "customer_id,horizon_days,revenue\n" + "".join(f"c{i},90,{int(i == 3)}\n" for i in range(20)), "only 1 customers", id="few"
    ),
    pytest.param("customer_id,a\n" + "".join(f"c{i},7\n" for i in range(20)), L, "no column differs between customers", id="constant"),
]


@pytest.mark.parametrize(("rows", "labels", "message"), REFUSED)
def test_refuses_what_cannot_be_trained_on(tmp_path: Path, rows: str, labels: str, message: str) -> None:
    (tmp_path / "R.csv").write_text(rows, encoding="utf-8")
    (tmp_path / "L.csv").write_text(labels, encoding="utf-8")
    with pytest.raises(TrainingDataError, match=message):
        train(tmp_path / "R.csv", tmp_path / "L.csv", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_rows_and_labels_must_meet_in_time(tmp_path: Path) -> None:
    rows, labels = clv_like(150)
    same = labels.assign(at="2025-01-01T02:00:00+02:00")
    train(*write(tmp_path, rows, same), tmp_path / "m")
    labels.loc[3, "at"] = "2024-12-01T00:00:00Z"
    with pytest.raises(TrainingDataError, match=f"'c0003' has a row at {AT} .* but a label from 2024-12-01T00:00:00Z on"):
        train(*write(tmp_path, rows, labels), tmp_path / "n")
    labels.loc[3, "at"] = "soon"
    with pytest.raises(TrainingDataError, match="at of customer 'c0003' is no time"):
        train(*write(tmp_path, rows, labels), tmp_path / "n")


def test_the_horizon_is_said_once(tmp_path: Path) -> None:
    files = write(tmp_path, *clv_like(150))
    assert train(*files, tmp_path, Options(horizon_ms=180 * 86_400_000)).manifest.horizon_days == 180
    with pytest.raises(TrainingDataError, match="has horizon_days 180, but --horizon is 90 days"):
        train(*files, tmp_path, Options(horizon_ms=90 * 86_400_000))


def test_without_the_columns_there_is_no_naive_rate(tmp_path: Path) -> None:
    rows, labels = clv_like(150)
    found = train(*write(tmp_path, rows.drop(columns="revenue"), labels), tmp_path)
    assert list(found.figures) == ["tweedie"]
    assert any("no naive rate" in note for note in found.notes)
    assert found.manifest.feature_set is None


def test_a_regression_on_churn_features_is_none_for_the_job(tmp_path: Path) -> None:
    """The job would read its z as the logit of a probability."""
    rows, _ = churn_like(150)
    labels = pd.DataFrame({"customer_id": rows["customer_id"], "horizon_days": 30, "revenue": rows["last_bill_amount"].abs() + 1})
    found = train(*write(tmp_path, rows, labels), tmp_path)
    assert found.manifest.feature_set is None
    assert "cannot load this model" in found.manifest.note
    with pytest.raises(ModelError, match=r"cannot run in the job.*feature set churn"):
        manifest.load(tmp_path, CHURN)


TAMPERED = [
    (lambda raw: raw.update(link="log1p" if raw["link"] == "log" else "log"), "link is .*expected .* with family"),
    (lambda raw: raw.update(bands=[5.0, 4.0]), r"bands are \[5.0, 4.0\], expected 0 ≤ low ≤ high"),
    (lambda raw: raw["deciles"].reverse(), "expected 9 amounts in rising order"),
    (lambda raw: raw["deciles"].pop(), "deciles"),
    (lambda raw: raw.update(mean_correction=0.0), "mean_correction"),
    (lambda raw: raw.update(intercept=math.nan), "intercept is nan"),
    (lambda raw: raw.update(threshold=0.5), "threshold: Extra inputs are not permitted"),
    (lambda raw: raw.update(family="logistic"), "expected|Input|Extra"),
    (lambda raw: raw["metrics"].pop("gini"), "metrics lack gini"),
    (lambda raw: raw["terms"].pop(), "do not name each of the 20 columns once"),
]


@pytest.mark.parametrize(("change", "message"), TAMPERED)
def test_a_manifest_that_is_not_as_written_is_refused(regression_model: Path, change: Any, message: str) -> None:
    raw = copy.deepcopy(json.loads((regression_model / "manifest.json").read_bytes()))
    change(raw)
    raw["sha256"] = "0" * 64 if math.isnan(raw["intercept"]) else checksum(raw)
    with pytest.raises(ModelError, match=message):
        from_mapping(raw, CLV)


def test_a_manifest_reads_back_as_it_was_written(regression_model: Path) -> None:
    data = (regression_model / "manifest.json").read_bytes()
    assert manifest.dump(loaded(regression_model)) == data
    # That of a churn model is what it was before there were regressions.
    churn = (PRETRAINED / "manifest.json").read_bytes()
    assert manifest.dump(manifest.load(PRETRAINED).manifest) == churn
