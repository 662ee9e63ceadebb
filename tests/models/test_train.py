"""Training end to end: folding, metrics, determinism, and every refusal."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from keepline.models import manifest, table
from keepline.models.errors import ModelError, TrainingDataError
from keepline.models.manifest import METRICS
from keepline.models.predict import load_pipeline
from keepline.models.train import Options, train
from tests.models.model_files import churn_like, mixed, write

FILES = ("manifest.json", "model.joblib", "report.json", "report.md", "roc.svg")


def by_hand(model: manifest.Manifest, row: pd.Series) -> float:
    """The probability from the manifest's raw coefficients alone."""
    z = model.intercept
    for term in model.terms:
        value = row[term.name]
        if math.isnan(value):
            z += term.missing_coefficient
            value = term.missing_value if term.missing_value is not None else 0.0
        z += term.coefficient * (math.log1p(max(value, 0.0)) if term.transform == "log1p" else value)
    z += sum(category.coefficients.get(row[category.name], 0.0) for category in model.categories)
    return 1 / (1 + math.exp(-z))


def test_folded_coefficients_give_the_pipelines_probability(mixed_model: Path) -> None:
    model = manifest.load(mixed_model).manifest
    rows = pd.read_csv(mixed_model / "F.csv", dtype={"customer_id": str}).drop(columns="customer_id")
    rows.loc[0, "plan"] = "never seen"
    rows.loc[1, "usage"] = -5.0
    expected = load_pipeline(mixed_model, model).predict_proba(rows)[:, 1]
    np.testing.assert_allclose([by_hand(model, row) for _, row in rows.iterrows()], expected, rtol=0, atol=1e-12)


def test_columns_enter_as_described(mixed_model: Path) -> None:
    model = manifest.load(mixed_model).manifest
    terms = {term.name: term for term in model.terms}
    assert {name: term.transform for name, term in terms.items()} == {
        "usage": "log1p", "balance": "identity", "autopay": "identity", "country": "identity", "gap": "identity",
    }  # fmt: skip
    assert terms["country"].coefficient == 0
    assert terms["gap"].missing_value is not None
    assert terms["usage"].missing_value is None
    assert [category.name for category in model.categories] == ["plan"]
    assert set(model.categories[0].coefficients) == {"basic", "plus", "Ünïque"}
    assert model.baseline["gap"].missing == pytest.approx(0.2, abs=0.06)
    assert sum((model.baseline["plan"].levels or {}).values()) == pytest.approx(1)


def test_the_centers_are_the_means_of_the_transformed_columns(churn_model: Path) -> None:
    model = manifest.load(churn_model).manifest
    rows = pd.read_csv(churn_model / "F.csv")
    for term in model.terms:
        values = np.log1p(rows[term.name]) if term.transform == "log1p" else rows[term.name]
        assert term.center == pytest.approx(values.mean(), rel=1e-12, abs=1e-12)


def test_baseline_is_the_raw_distribution(churn_model: Path) -> None:
    base = manifest.load(churn_model).manifest.baseline["calls_7d"]
    values = pd.read_csv(churn_model / "F.csv")["calls_7d"]
    assert (base.mean, base.min, base.max) == pytest.approx((values.mean(), values.min(), values.max()))
    assert base.quantiles is not None
    assert list(base.quantiles) == ["0", "0.01", "0.05", "0.1", "0.25", "0.5", "0.75", "0.9", "0.95", "0.99", "1"]
    assert base.quantiles["0.9"] == pytest.approx(values.quantile(0.9))


def test_a_feature_sets_columns_make_a_model_for_the_job(churn_model: Path) -> None:
    model = manifest.load(churn_model).manifest
    assert model.feature_set == manifest.FeatureSetRef(name="churn", version=1)
    assert "at" not in model.columns
    assert model.created.command == (
        "keepline train churn --features F.csv --labels L.csv --threshold 0.6 --seed 42 --model-id churn --version 1"
    )
    assert model.data.features_sha256 == table.file_sha256(churn_model / "F.csv")
    assert {"python", "numpy", "scikit-learn", "joblib"} <= model.created.versions.keys()


def test_same_input_same_bytes(tmp_path: Path) -> None:
    files = write(tmp_path, *mixed(200))
    for name in ("a", "b"):
        train(*files, tmp_path / name)
    for file in FILES:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file


def test_the_report_tells_the_figures(mixed_model: Path) -> None:
    figures = json.loads((mixed_model / "report.json").read_text(encoding="utf-8"))
    assert set(figures["metrics"]) == set(METRICS)
    assert sum(figures["confusion"].values()) == figures["rows"] == 400
    assert figures["metrics"]["roc_auc"]["mean"] > 0.7
    text = (mixed_model / "report.md").read_text(encoding="utf-8")
    for name in (*METRICS, "Confusion matrix", "roc.svg", "country", "gap", "cannot load this model"):
        assert name in text
    assert (mixed_model / "roc.svg").read_text(encoding="utf-8").startswith("<?xml")


def test_default_bands_and_own_ones(tmp_path: Path) -> None:
    assert Options().bands == (0.4, 0.8)
    result = train(*write(tmp_path, *mixed(200)), tmp_path, Options(threshold=0.5, medium=0.1, model_id="m", version=4))
    model = manifest.load(tmp_path)
    assert (model.model_id, model.version, model.bands) == ("m", 4, (0.1, 0.5))
    assert result.manifest.metrics == result.manifest.metrics_at_threshold


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (Options(threshold=1.0), "--threshold is 1.0, expected a probability between 0 and 1"),
        (Options(medium=0.9), "--medium is 0.9, expected above 0 and at most the threshold, 0.8"),
        (Options(version=0), "--version must be at least 1"),
    ],
)
def test_options_are_checked_before_the_files(tmp_path: Path, options: Options, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        train(tmp_path / "none.csv", tmp_path / "none.csv", tmp_path, options)


F = "customer_id,a,b\n" + "".join(f"c{i},{i},{i % 3}\n" for i in range(20))
L = "customer_id,label\n" + "".join(f"c{i},{i % 2}\n" for i in range(20))
REFUSED = [
    pytest.param("id,a\n1,2\n", L, "has no column customer_id .it has id, a.", id="no id"),
    pytest.param("customer_id,a\n", L, "F.csv has no rows", id="no rows"),
    pytest.param("", L, "F.csv cannot be read as a table", id="empty file"),
    pytest.param(F + ",1,2\n", L, "line 22: customer_id is empty", id="empty id"),
    pytest.param(F + "c3,1,2\n", L, "line 22: customer 'c3' appears again", id="duplicate row"),
    pytest.param(F + "c77,1,2\n", L, "1 of 21 customers of .*F.csv have no label in .*L.csv .such as 'c77'", id="no label"),
    pytest.param(F, L + "c3,1\n", "L.csv, line 22: customer 'c3' appears again", id="duplicate label"),
    pytest.param(F, L.replace("c4,0", "c4,yes"), "line 6: label is 'yes', expected 0 or 1", id="label"),
    pytest.param(F, L.replace("c4,0", "c4,"), "line 6: label is '', expected 0 or 1", id="empty label"),
    pytest.param(F, L.replace("label", "churn"), "has no column label", id="label column"),
    pytest.param(F, L.replace(",1", ",0"), "All 20 labels in .* are 0", id="one class"),
    pytest.param(F, L.replace(",1", ",0").replace("c5,0", "c5,1"), "only 1 customers with label 1; 5-fold", id="few"),
    pytest.param("customer_id,a\n" + "".join(f"c{i},7\n" for i in range(20)), L, "no column differs between customers .a.", id="constant"),
    pytest.param(
        "customer_id\n" + "".join(f"c{i}\n" for i in range(20)), L, "no column differs between customers .no columns.", id="no columns"
    ),
    pytest.param(F.replace("c4,4", "c4,inf"), L, "line 6: a is infinite", id="infinite"),
]


@pytest.mark.parametrize(("features", "labels", "message"), REFUSED)
def test_refuses_what_cannot_be_trained_on(tmp_path: Path, features: str, labels: str, message: str) -> None:
    (tmp_path / "F.csv").write_text(features, encoding="utf-8")
    (tmp_path / "L.csv").write_text(labels, encoding="utf-8")
    with pytest.raises(TrainingDataError, match=message):
        train(tmp_path / "F.csv", tmp_path / "L.csv", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_refuses_a_text_column_that_identifies(tmp_path: Path) -> None:
    features, labels = mixed(200)
    features["name"] = [f"{i}0" if i else "one" for i in range(200)]
    with pytest.raises(TrainingDataError, match=r"column name has 200 different texts in 200 rows.*correct line 2 \('one'\)"):
        train(*write(tmp_path, features, labels), tmp_path / "out")


def test_only_some_columns_may_carry_weight(tmp_path: Path) -> None:
    files = write(tmp_path, *mixed(200))
    model = train(*files, tmp_path, Options(only=("usage", "gap"))).manifest
    assert [term.name for term in model.terms if term.coefficient] == ["usage", "gap"]
    assert model.columns == ["usage", "balance", "autopay", "country", "gap"]
    assert model.created.command.endswith("--only usage,gap --seed 42 --model-id churn --version 1")
    assert "Without weight, as --only asks: balance, autopay." in (tmp_path / "report.md").read_text(encoding="utf-8")
    with pytest.raises(TrainingDataError, match="has no column usge, which --only names"):
        train(*files, tmp_path, Options(only=("usge",)))


def test_labels_of_others_are_ignored_and_order_does_not_matter(tmp_path: Path) -> None:
    features, labels = churn_like(200)
    more = pd.concat([labels, pd.DataFrame({"customer_id": ["x"], "label": [1]})]).iloc[::-1]
    first = train(*write(tmp_path / "a", features, labels), tmp_path / "a").manifest
    second = train(*write(tmp_path / "b", features, more), tmp_path / "b").manifest
    assert first.terms == second.terms
    assert first.data.labels_sha256 != second.data.labels_sha256


def test_parquet_and_gzip_give_the_same_model(tmp_path: Path) -> None:
    features, labels = mixed(200)
    one, label_file = write(tmp_path, features, labels)
    features.to_parquet(tmp_path / "F.parquet")
    features.to_csv(tmp_path / "F.csv.gz", index=False)
    found = [train(file, label_file, tmp_path / "out").manifest.terms for file in (one, tmp_path / "F.parquet", tmp_path / "F.csv.gz")]
    assert found[0] == found[1] == found[2]


KNOWN = {
    # From the notes that come with the shared data; spreads are those over the folds.
    "mlc_churn": {"roc_auc": (0.825, 0.014), "pr_auc": (0.471, 0.034), "log_loss": (0.3175, 0.011), "accuracy": (0.866, 0.0053)},
    "ibm_telco_wa_churn": {
        "roc_auc": (0.845, 0.013),
        "pr_auc": (0.657, 0.026),
        "log_loss": (0.4175, 0.014),
        "accuracy": (0.806, 0.012),
        "f1": (0.602, 0.029),
    },
}


@pytest.mark.parametrize("name", KNOWN)
def test_known_answers_on_real_data(shared_data: Path, tmp_path: Path, name: str) -> None:
    cells = pd.read_csv(shared_data / "churn" / f"{name}.csv.gz", dtype=str, keep_default_na=False).rename(
        columns={"rownames": "customer_id"}
    )
    labels = pd.DataFrame({"customer_id": cells["customer_id"], "label": (cells["churn"].str.lower() == "yes").astype(int)})
    found = train(*write(tmp_path, cells.drop(columns="churn"), labels), tmp_path).manifest.metrics
    for metric, (mean, std) in KNOWN[name].items():
        assert found[metric].mean == pytest.approx(mean, abs=std / 5), metric
