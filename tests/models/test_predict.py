"""Scoring files: only with the pipeline that was trained, only with its columns."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from keepline.models import manifest
from keepline.models.errors import ModelError, TrainingDataError
from keepline.models.predict import load_pipeline, predict


@pytest.fixture
def rows(mixed_model: Path) -> pd.DataFrame:
    """The training features as text."""
    return pd.read_csv(mixed_model / "F.csv", dtype=str, keep_default_na=False)


def scored(model: Path, frame: pd.DataFrame, folder: Path) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """What `predict` writes for these rows, and its notes."""
    frame.to_csv(folder / "in.csv", index=False)
    done = predict(model, folder / "in.csv", folder / "P.csv")
    return pd.read_csv(folder / "P.csv", dtype={"customer_id": str}, float_precision="round_trip"), done.notes


def test_writes_customer_and_probability(mixed_model: Path, rows: pd.DataFrame, tmp_path: Path) -> None:
    result, notes = scored(mixed_model, rows, tmp_path)
    assert list(result.columns) == ["customer_id", "probability"]
    assert result["customer_id"].tolist() == rows["customer_id"].tolist()
    typed = pd.read_csv(mixed_model / "F.csv", float_precision="round_trip")
    expected = load_pipeline(mixed_model, manifest.load(mixed_model).manifest).predict_proba(typed)[:, 1]
    np.testing.assert_array_equal(result["probability"], expected)
    assert notes == ()


def test_the_probability_is_the_kernels(churn_model: Path, tmp_path: Path) -> None:
    from keepline.features.churn import CHURN
    from keepline.models.scorer import score

    predict(churn_model, churn_model / "F.csv", tmp_path / "P.parquet")
    result = pd.read_parquet(tmp_path / "P.parquet")
    tables = manifest.load(churn_model, CHURN).tables()
    contrib = np.zeros(len(CHURN.names))
    x = pd.read_csv(churn_model / "F.csv")[list(CHURN.names)].to_numpy(copy=True)
    np.testing.assert_allclose(result["probability"], [score(np.ascontiguousarray(row), *tables, contrib) for row in x], rtol=0, atol=1e-12)


def test_order_extra_columns_and_unseen_texts(mixed_model: Path, rows: pd.DataFrame, tmp_path: Path) -> None:
    plain, _ = scored(mixed_model, rows, tmp_path)
    turned = rows[rows.columns[::-1]].assign(extra="x")
    result, notes = scored(mixed_model, turned, tmp_path)
    pd.testing.assert_frame_equal(result, plain)
    assert notes == ("Columns that the model does not know were ignored: extra.",)
    _, notes = scored(mixed_model, rows.assign(plan="new"), tmp_path)
    assert notes == ("Column plan: 400 rows hold texts unseen in training (such as 'new'); they count for nothing.",)


def test_a_missing_cell_is_filled_even_where_training_had_none(mixed_model: Path, rows: pd.DataFrame, tmp_path: Path) -> None:
    result, _ = scored(mixed_model, rows.assign(usage=""), tmp_path)
    assert result["probability"].between(0, 1).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows.drop(columns=["usage", "plan"]), "lacks 2 of the model's 6 columns: usage, plan"),
        (lambda rows: rows.assign(usage="many"), "line 2: usage is 'many', expected a number or an empty cell"),
        (lambda rows: rows.assign(usage="-inf"), "line 2: usage is infinite"),
        (lambda rows: pd.concat([rows, rows]), "appears again"),
    ],
)
def test_refuses_rows_that_do_not_fit(mixed_model: Path, rows: pd.DataFrame, tmp_path: Path, change, message: str) -> None:
    with pytest.raises(TrainingDataError, match=message):
        scored(mixed_model, change(rows), tmp_path)
    assert not (tmp_path / "P.csv").exists()


def test_a_foreign_pickle_is_never_opened(mixed_model: Path, tmp_path: Path) -> None:
    import pickle

    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (print, ("unpickled",))

    model = tmp_path / "model"
    shutil.copytree(mixed_model, model)
    (model / "model.joblib").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ModelError, match=r"model.joblib: sha256 is .*, but the manifest says .* not the file that was trained"):
        predict(model, model / "F.csv", tmp_path / "P.csv")
    (model / "model.joblib").unlink()
    with pytest.raises(ModelError, match=r"model.joblib cannot be read: No such file.* belongs beside manifest.json"):
        predict(model, model / "F.csv", tmp_path / "P.csv")


def test_refuses_other_kinds_of_output(mixed_model: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingDataError, match=r"--out is 'P.xlsx', expected a name that ends in .csv or .parquet"):
        predict(mixed_model, mixed_model / "F.csv", tmp_path / "P.xlsx")
