"""The models of a job: what does not fit is refused at submit, in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from keepline.jobs import job_models
from keepline.jobs.settings import RetentionSettings, SettingsError
from keepline.models.clv import manifest as clv
from keepline.models.errors import ModelError
from keepline.models.train import Options, train
from tests.jobs.models_for_tests import clv_manifest, manifest, regression_manifest
from tests.models.model_files import churn_like, write


@pytest.fixture
def models(tmp_path: Path) -> dict[str, Any]:
    """A settings' models, each a file."""
    fitted = clv.ClvManifest.model_validate_json(json.dumps(clv_manifest())).model_copy(update={"currency": "EUR"})
    made = {"model": manifest(), "clv_model": json.loads(clv.dump(fitted)), "clv_regression": regression_manifest()}
    for name, raw in made.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(raw), encoding="utf-8")
    return {name: tmp_path / f"{name}.json" for name in made}


def test_all_of_them_are_loaded_and_named(models: dict[str, Any]) -> None:
    found = job_models.load(RetentionSettings(scores="churn,clv", **models))
    assert found.labels == (("churn-test", 3), ("clv-test", 2), ("amount-test", 5))
    assert [score.name for score in found.names.scores] == ["churn", "p_alive", "clv_bgnbd", "clv_formula", "clv_regression"]
    assert {"calls_7d", "orders"} <= set(found.names.features)
    alone = job_models.load(RetentionSettings(scores="clv", **models | {"model": "nowhere", "clv_regression": "none"}))
    assert (alone.churn, alone.clv_regression) == ({}, {})


@pytest.mark.parametrize("family", ["trees", "ensemble"])
def test_trees_are_named_as_a_logistic_model_is(models: dict[str, Any], tmp_path: Path, family: str) -> None:
    files = write(tmp_path, *churn_like(200))
    for name in ("logistic", family):
        train(*files, tmp_path / name, Options(threshold=0.7, medium=0.2, model_id=name, version=4, family=name))
    logistic, trees = (job_models.load(RetentionSettings(**models | {"model": tmp_path / name})) for name in ("logistic", family))
    assert trees.labels == ((family, 4),)
    assert trees.names == logistic.names
    assert trees.names.scores[0].words == {"threshold": 0.7, "MEDIUM": 0.2, "HIGH": 0.7}
    assert trees.churn == json.loads((tmp_path / family / "manifest.json").read_bytes())


def test_trees_of_other_columns_are_refused(models: dict[str, Any], tmp_path: Path) -> None:
    rows, labels = churn_like(200)
    train(*write(tmp_path, rows.drop(columns="calls_7d"), labels), tmp_path / "trees", Options(family="trees"))
    with pytest.raises(ModelError, match="this model cannot run in the job"):
        job_models.load(RetentionSettings(**models | {"model": tmp_path / "trees"}))


@pytest.mark.parametrize(("currency", "refused"), [("", False), ("EUR", False), ("USD", True)])
def test_a_model_of_another_currency_is_refused(models: dict[str, Any], currency: str, refused: bool) -> None:
    settings = RetentionSettings(scores="clv", currency=currency, **models)
    if not refused:
        assert job_models.load(settings).clv
        return
    with pytest.raises(SettingsError, match="fitted on amounts in EUR, but the job's currency is USD"):
        job_models.load(settings)


def test_a_model_in_anothers_place_is_refused(models: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="churn"):
        job_models.load(RetentionSettings(**models | {"model": models["clv_regression"]}))
    with pytest.raises(ModelError, match="family is 'logistic', expected 'bgnbd'"):
        job_models.load(RetentionSettings(scores="clv", **models | {"clv_model": models["model"]}))
    with pytest.raises((ModelError, SettingsError)):
        job_models.load(RetentionSettings(scores="clv", **models | {"clv_regression": models["model"]}))
