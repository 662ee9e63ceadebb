"""Score a file of features with a trained model: `customer_id,probability`, or `customer_id,amount` with a regression.

The fitted pipeline (model.joblib) is unpickled only after its hash equals the one in the checked manifest.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import joblib
import pandas as pd
from sklearn.pipeline import Pipeline

from keepline.models import table
from keepline.models.errors import ModelError, TrainingDataError
from keepline.models.manifest import JOBLIB_FILE, MANIFEST_FILE, RETRAIN, AnyManifest, RegressionManifest, load, texts_of


@dataclass(frozen=True)
class Predicted:
    """How a file was scored."""

    rows: int
    notes: tuple[str, ...]


def predict(model: Path, features: Path, out: Path) -> Predicted:
    """Score `features` with the model directory `model` into `out` (.csv or .parquet); raises ModelError or TrainingDataError."""
    if out.suffix not in (".csv", ".parquet"):
        msg = f"--out is {out.name!r}, expected a name that ends in .csv or .parquet."
        raise TrainingDataError(msg)
    manifest = load(model).manifest
    pipeline = load_pipeline(model, manifest)
    cells = table.read(features)
    rows, notes = _typed(cells, manifest, features)
    if isinstance(manifest, RegressionManifest):
        scores = {"amount": pipeline.predict(rows)}
    else:
        scores = {"probability": pipeline.predict_proba(rows)[:, 1]}
    result = pd.DataFrame({table.ID: cells.index, **scores})
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix == ".parquet":
        result.to_parquet(out, index=False)
    else:
        result.to_csv(out, index=False)
    return Predicted(len(result), tuple(notes))


def load_pipeline(model: Path, manifest: AnyManifest) -> Pipeline:
    """Unpickle the fitted pipeline of a model directory, after its bytes were found to be those the manifest names."""
    directory = model if model.is_dir() else model.parent
    file = directory / JOBLIB_FILE
    try:
        data = file.read_bytes()
    except OSError as error:
        msg = f"{file} cannot be read: {error.strerror}. It belongs beside {MANIFEST_FILE}. {RETRAIN}"
        raise ModelError(msg) from None
    found = hashlib.sha256(data).hexdigest()
    if found != manifest.joblib_sha256:
        msg = (
            f"{file}: sha256 is {found!r}, but the manifest says {manifest.joblib_sha256!r}: it is not the file that was trained. {RETRAIN}"
        )
        raise ModelError(msg)
    return joblib.load(io.BytesIO(data))


def _typed(cells: pd.DataFrame, manifest: AnyManifest, path: Path) -> tuple[pd.DataFrame, list[str]]:
    lacking = [name for name in manifest.columns if name not in cells.columns]
    if lacking:
        msg = (
            f"{path} lacks {len(lacking)} of the model's {len(manifest.columns)} columns: {', '.join(lacking[:8])}. "
            "Give the columns the model was trained on (their values may be empty)."
        )
        raise TrainingDataError(msg)
    notes = []
    extra = [str(name) for name in cells.columns if name not in manifest.columns and name != table.AT]
    if extra:
        notes.append(f"Columns that the model does not know were ignored: {', '.join(extra)}.")
    levels = texts_of(manifest)
    typed: dict[str, pd.Series] = {}
    for name in manifest.columns:
        if name in levels:
            typed[name] = table.categorical(cells[name])
            unknown = ~typed[name].isin(levels[name])
            if unknown.any():
                example = typed[name][unknown].iloc[0]
                notes.append(
                    f"Column {name}: {int(unknown.sum())} rows hold texts unseen in training (such as {example!r}); they count for nothing."
                )
            continue
        values = table.numeric(cells[name])
        if values is None:
            line, found = table.not_a_number(cells[name])
            msg = f"{path}, line {line}: {name} is {found!r}, expected a number or an empty cell. Correct the cell."
            raise TrainingDataError(msg)
        table.check_finite(values, path)
        typed[name] = values
    return pd.DataFrame(typed, index=cells.index), notes
