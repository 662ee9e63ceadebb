"""Training by family: what is fitted, what is written, what the report says, and the known gap on real rows."""

from __future__ import annotations

import json
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from keepline.models import manifest, table
from keepline.models import pipeline as pl
from keepline.models.errors import ModelError
from keepline.models.manifest import METRICS, ForestManifest
from keepline.models.predict import load_pipeline, predict
from keepline.models.report import Report
from keepline.models.train import Options, train
from keepline.models.trees import families as fm
from tests.models.model_files import churn_like, mixed, write
from tests.models.trees.fitted import walked

FILES = ("manifest.json", "model.joblib", "report.json", "report.md", "roc.svg")


def loaded(folder: Path) -> ForestManifest:
    found = manifest.load(folder).manifest
    assert isinstance(found, ForestManifest)
    return found


def sigmoid(z: float) -> float:
    return float(1 / (1 + np.exp(-z)))


def by_hand(model: ForestManifest, row: pd.Series) -> float:
    """The probability from the manifest's numbers alone, texts and missing cells too."""
    inputs = [float(row[each.name] == each.level) if each.level is not None else float(row[each.name]) for each in model.forest.inputs]
    z = model.trees_weight * walked(model.forest, np.array(inputs))[0]
    if model.linear is not None:
        linear = model.linear.intercept
        for term in model.linear.terms:
            value = float(row[term.name])
            if np.isnan(value):
                linear += term.missing_coefficient
                value = term.missing_value if term.missing_value is not None else model.baseline[term.name].quantiles["0.5"]
            linear += term.coefficient * (np.log1p(max(value, 0.0)) if term.transform == "log1p" else value)
        linear += sum(category.coefficients.get(row[category.name], 0.0) for category in model.linear.categories)
        z += (1 - model.trees_weight) * linear
    return sigmoid(z)


@pytest.mark.parametrize("family", ["trees", "ensemble"])
def test_the_manifest_alone_gives_the_pipelines_probability(models: dict[str, Path], family: str) -> None:
    folder = models[f"mixed-{family}"]
    rows = pd.read_csv(folder.parent / "mixed" / "F.csv", float_precision="round_trip").drop(columns="customer_id")
    rows.loc[0, "plan"] = "never seen"
    rows.loc[1, "usage"] = np.nan
    rows.loc[2, "country"] = np.nan
    model = loaded(folder)
    expected = load_pipeline(folder, model).predict_proba(rows)[:, 1]
    np.testing.assert_allclose([by_hand(model, row) for _, row in rows.iterrows()], expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("family", ["trees", "ensemble"])
def test_predict_scores_files(models: dict[str, Path], tmp_path: Path, family: str) -> None:
    folder = models[f"mixed-{family}"]
    cells = pd.read_csv(folder.parent / "mixed" / "F.csv", dtype=str, keep_default_na=False)
    cells.loc[3, "plan"] = "new"
    cells.to_csv(tmp_path / "in.csv", index=False)
    done = predict(folder, tmp_path / "in.csv", tmp_path / "P.csv")
    assert done.notes == ("Column plan: 1 rows hold texts unseen in training (such as 'new'); they count for nothing.",)
    found = pd.read_csv(tmp_path / "P.csv", dtype={"customer_id": str}, float_precision="round_trip")
    assert found["customer_id"].tolist() == cells["customer_id"].tolist()
    model = loaded(folder)
    rows = cells.drop(columns=["customer_id", "plan"]).apply(lambda column: pd.Series([float(cell or "nan") for cell in column]))
    rows["plan"] = cells["plan"]
    np.testing.assert_allclose(found["probability"], [by_hand(model, row) for _, row in rows.iterrows()], rtol=0, atol=1e-9)


@pytest.mark.parametrize("family", ["trees", "ensemble"])
def test_same_input_same_bytes(tmp_path: Path, family: str) -> None:
    files = write(tmp_path, *mixed(200))
    for name in ("a", "b"):
        train(*files, tmp_path / name, Options(family=family))
    for file in FILES:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file


def test_comparing_changes_nothing_but_the_report(tmp_path: Path) -> None:
    files = write(tmp_path, *mixed(200))
    train(*files, tmp_path / "plain")
    result = train(*files, tmp_path / "compared", Options(compare=True))
    for file in ("manifest.json", "model.joblib"):
        assert (tmp_path / "plain" / file).read_bytes() == (tmp_path / "compared" / file).read_bytes(), file
    assert list(result.families) == ["logistic", "trees", "ensemble"]
    assert result.families["logistic"].metrics == result.manifest.metrics
    assert "side by side" in (tmp_path / "compared" / "report.md").read_text(encoding="utf-8")
    assert "side by side" not in (tmp_path / "plain" / "report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("family", ["trees", "ensemble"])
def test_the_report_shows_all_families(models: dict[str, Path], family: str) -> None:
    folder, model = models[f"mixed-{family}"], loaded(models[f"mixed-{family}"])
    figures = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert list(figures["families"]) == ["logistic", "trees", "ensemble"]
    assert figures["families"][family]["metrics"] == figures["metrics"]
    assert (figures["family"], figures["trees_weight"]) == (family, model.trees_weight)
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert f"--family {family}" in model.created.command
    for name in (*METRICS, model.created.command, "| metric | logistic | trees | ensemble |", *model.importance):
        assert name in text
    svg = (folder / "roc.svg").read_text(encoding="utf-8")
    assert all(name in svg for name in ("logistic", "trees", "ensemble") if name != family)


def test_importance_is_the_mean_size_of_contributions(models: dict[str, Path]) -> None:
    folder, model = models["mixed-trees"], loaded(models["mixed-trees"])
    rows = pd.read_csv(folder.parent / "mixed" / "F.csv", float_precision="round_trip")
    total = dict.fromkeys(model.importance, 0.0)
    for _, row in rows.iterrows():
        inputs = [float(row[each.name] == each.level) if each.level else float(row[each.name]) for each in model.forest.inputs]
        by_column = dict.fromkeys(total, 0.0)
        for each, part in zip(model.forest.inputs, walked(model.forest, np.array(inputs))[1], strict=True):
            by_column[each.name] += part
        for name, part in by_column.items():
            total[name] += abs(part)
    assert {name: size / len(rows) for name, size in total.items()} == pytest.approx(model.importance)
    assert list(model.importance.values()) == sorted(model.importance.values(), reverse=True)
    assert model.importance.keys() == {"usage", "balance", "autopay", "gap", "plan"}, "the constant column is no input"


def test_only_some_columns_may_carry_weight(tmp_path: Path) -> None:
    model = train(*write(tmp_path, *mixed(200)), tmp_path, Options(family="trees", only=("usage", "gap"))).manifest
    assert isinstance(model, ForestManifest)
    assert {each.name for each in model.forest.inputs} == {"usage", "gap"}
    assert model.columns == ["usage", "balance", "autopay", "country", "gap"]


def test_an_unknown_family(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"--family is 'forest', expected logistic, trees or ensemble\."):
        train(tmp_path / "none.csv", tmp_path / "none.csv", tmp_path, Options(family="forest"))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 3), st.floats(0.1, 3))
def test_the_weight_has_the_smallest_log_loss(seed: int, first: float, second: float) -> None:
    dice = np.random.default_rng(seed)
    y = dice.integers(0, 2, 60)
    linear, trees = (scale * (2 * y - 1) + dice.normal(0, 2, 60) for scale in (first, second))
    weight = fm.best_weight(linear, trees, y)

    def loss(w: float) -> float:
        p = 1 / (1 + np.exp(-((1 - w) * linear + w * trees)))
        return float(-np.log(np.where(y == 1, p, 1 - p)).mean())

    assert 0 <= weight <= 1
    assert loss(weight) <= min(loss(w) for w in np.linspace(0, 1, 201)) + 1e-6


def test_the_ensemble_is_judged_with_weights_of_other_folds(tmp_path: Path) -> None:
    """The whole protocol again, in plain steps."""
    files = write(tmp_path, *churn_like(250))
    result = train(*files, tmp_path, Options(family="ensemble", seed=3))
    cells = table.read(files[0]).drop(columns="at")
    rows, columns = pl.examine(cells, files[0])
    y = table.read_labels(files[1]).reindex(cells.index).to_numpy()
    folds = list(StratifiedKFold(5, shuffle=True, random_state=3).split(rows, y))
    linear, trees = np.zeros(len(y)), np.zeros(len(y))
    for fit_on, judged in folds:
        linear[judged] = pl.with_model(columns, LogisticRegression(max_iter=10_000)).fit(rows.iloc[fit_on], y[fit_on]).decision_function(
            rows.iloc[judged]
        )  # fmt: skip
        trees[judged] = fm.build_trees(columns, 3).fit(rows.iloc[fit_on], y[fit_on]).decision_function(rows.iloc[judged])
    expected = np.zeros(len(y))
    for others, judged in folds:
        weight = fm.best_weight(linear[others], trees[others], y[others])
        expected[judged] = 1 / (1 + np.exp(-((1 - weight) * linear[judged] + weight * trees[judged])))
    np.testing.assert_allclose(result.outside, expected, rtol=0, atol=1e-9)
    assert loaded(tmp_path).trees_weight == fm.best_weight(linear, trees, y)


def on_real_rows(shared_data: Path, folder: Path, name: str) -> Report:
    cells = pd.read_csv(shared_data / "churn" / f"{name}.csv.gz", dtype=str, keep_default_na=False).rename(
        columns={"rownames": "customer_id"}
    )
    labels = pd.DataFrame({"customer_id": cells["customer_id"], "label": (cells["churn"].str.lower() == "yes").astype(int)})
    return train(*write(folder, cells.drop(columns="churn"), labels), folder, Options(family="ensemble"))


def test_trees_are_far_above_the_logistic_model_on_mlc_churn(shared_data: Path, tmp_path: Path) -> None:
    families = on_real_rows(shared_data, tmp_path, "mlc_churn").families
    auc = {family: found.metrics["roc_auc"].mean for family, found in families.items()}
    assert auc["trees"] >= auc["logistic"] + 0.05
    assert auc["logistic"] == pytest.approx(0.825, abs=0.003)
    assert auc["trees"] == pytest.approx(0.921, abs=0.005)
    assert families["ensemble"].metrics["log_loss"].mean <= families["trees"].metrics["log_loss"].mean + 1e-4


def test_the_ensemble_is_above_both_on_ibm_telco(shared_data: Path, tmp_path: Path) -> None:
    result = on_real_rows(shared_data, tmp_path, "ibm_telco_wa_churn")
    loss = {family: found.metrics["log_loss"].mean for family, found in result.families.items()}
    auc = {family: found.metrics["roc_auc"].mean for family, found in result.families.items()}
    assert 0 < loaded(tmp_path).trees_weight < 1
    assert loss["ensemble"] < min(loss["logistic"], loss["trees"])
    assert auc["ensemble"] > max(auc["logistic"], auc["trees"])
