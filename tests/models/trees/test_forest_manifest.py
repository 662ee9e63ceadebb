"""A manifest with trees that is not what training wrote is refused; one that is needs neither scikit-learn nor a pickle."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from keepline.features.churn import CHURN
from keepline.features.clv import CLV
from keepline.models.errors import ModelError
from keepline.models.manifest import checksum, dump, from_json, from_mapping, load

Change = Callable[[dict[str, Any]], Any]


@pytest.fixture
def raw(models: dict[str, Path]) -> dict[str, Any]:
    """The manifest of an ensemble as parsed JSON, free to be changed."""
    found: dict[str, Any] = copy.deepcopy(json.loads((models["ensemble"] / "manifest.json").read_bytes()))
    return found


def forest(**values: Any) -> Change:
    return lambda raw: raw["forest"].update(values)


def entry(array: str, place: int, value: Any) -> Change:
    return lambda raw: raw["forest"][array].__setitem__(place, value)


def renamed(raw: dict[str, Any]) -> None:
    raw["forest"]["inputs"][0]["name"] = "roaming"


def shared(raw: dict[str, Any]) -> None:
    """Both ways of the first node lead to one child, whose value it has."""
    arrays = raw["forest"]
    arrays["right"][0] = arrays["left"][0]
    arrays["value"][0] = arrays["value"][arrays["left"][0]]


TAMPERED = [
    pytest.param(entry("left", 0, 0), "node 0 of tree 0 has children 0 and ", id="its own child"),
    pytest.param(entry("left", 0, 10**6), "node 0 of tree 0 has children 1000000 and ", id="child outside"),
    pytest.param(shared, "tree 0 has nodes without a parent of their own", id="shared"),
    pytest.param(entry("feature", 0, 99), "node 0 of tree 0 reads input 99 of ", id="input outside"),
    pytest.param(entry("feature", 0, -1), "node 0 of tree 0 is a leaf with children 1 and ", id="leaf with children"),
    pytest.param(entry("feature", 0, -2), "reads input -2", id="negative input"),
    pytest.param(entry("missing_left", 0, 2), "missing_left holds something else than 0 and 1", id="missing_left"),
    pytest.param(entry("value", 0, 50.0), "the value of node 0 of tree 0 is not between those of its children", id="value"),
    pytest.param(lambda raw: raw["forest"]["value"].pop(), "its arrays differ in length", id="length"),
    pytest.param(forest(offsets=[0]), "offsets do not rise from 0", id="no tree"),
    pytest.param(lambda raw: raw["forest"]["offsets"].insert(1, 0), "offsets do not rise from 0", id="empty tree"),
    pytest.param(
        lambda raw: raw["forest"]["inputs"][0].update(name="roaming"), "input roaming is none of the model's columns", id="column"
    ),
    pytest.param(lambda raw: raw["forest"]["inputs"].append(raw["forest"]["inputs"][0]), "an input stands there twice", id="twice"),
    pytest.param(lambda raw: raw["forest"]["inputs"][0].update(level="a"), "have other text columns", id="text"),
    pytest.param(entry("threshold", 0, "1"), r"forest.threshold.0: Input should be a valid number", id="type"),
    pytest.param(entry("feature", 0, 1.5), r"forest.feature.0: Input should be a valid integer", id="fraction"),
    pytest.param(lambda raw: raw.update(trees_weight=1.5), "trees_weight: Input should be less than or equal to 1", id="weight"),
    pytest.param(lambda raw: raw.update(linear=None), "only an ensemble has a linear part", id="no linear part"),
    pytest.param(lambda raw: raw.update(family="trees"), "only an ensemble has a linear part", id="trees with linear part"),
    pytest.param(lambda raw: raw["linear"]["terms"].pop(), "do not name each of the 36 columns once", id="terms"),
    pytest.param(lambda raw: raw.update(bands=[0.7, 0.6]), r"bands are \[0.7, 0.6\]", id="bands"),
    pytest.param(lambda raw: raw["metrics"].pop("f1"), "metrics lack f1", id="metrics"),
]


@pytest.mark.parametrize(("change", "message"), TAMPERED)
def test_refused_though_the_checksum_fits(raw: dict[str, Any], change: Change, message: str) -> None:
    change(raw)
    with pytest.raises(ModelError, match=message) as refused:
        from_mapping(raw | {"sha256": checksum(raw)}, CHURN, where="m/manifest.json")
    assert str(refused.value).startswith("m/manifest.json: ")
    assert "Train the model again" in str(refused.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_are_finite(raw: dict[str, Any], value: float) -> None:
    raw["forest"]["threshold"][0] = value
    with pytest.raises(ModelError, match=r"forest.threshold\[0\] is (nan|inf), expected a finite number"):
        from_json(json.dumps(raw | {"sha256": "0" * 64}).encode(), CHURN)


def test_a_changed_number_breaks_the_checksum(raw: dict[str, Any]) -> None:
    raw["forest"]["value"][-1] += 1e-12
    with pytest.raises(ModelError, match="changed or damaged"):
        from_mapping(raw, CHURN)


@pytest.mark.parametrize("family", ["trees", "ensemble"])
def test_what_is_read_is_what_was_written(models: dict[str, Path], family: str) -> None:
    for name in (family, f"mixed-{family}"):
        assert dump(load(models[name]).manifest) == (models[name] / "manifest.json").read_bytes()


@pytest.mark.parametrize("family", ["trees", "ensemble"])
def test_the_loader_gives_what_a_job_asks_for(models: dict[str, Path], family: str) -> None:
    model = load(models[family], CHURN)
    assert (model.threshold, model.bands, model.link, model.names) == (0.6, (0.3, 0.6), "logit", CHURN.names)
    assert model.forest().dtype == "float64"
    with pytest.raises(ModelError, match=f"is of family '{family}', expected a linear one"):
        model.tables()
    with pytest.raises(ModelError, match="trained on feature set churn version 1, expected clv version"):
        load(models[family], CLV)


def test_what_is_no_forest_for_the_stream(models: dict[str, Path], churn_model: Path) -> None:
    with pytest.raises(ModelError, match="is of family 'logistic', expected trees or ensemble"):
        load(churn_model, CHURN).forest()
    for family in ("trees", "ensemble"):
        with pytest.raises(ModelError, match="text columns, which the stream does not score"):
            load(models[f"mixed-{family}"]).forest()
        with pytest.raises(ModelError, match="cannot run in the job"):
            load(models[f"mixed-{family}"], CHURN)


def test_loads_without_scikit_learn(models: dict[str, Path]) -> None:
    code = (
        "import sys; from keepline.models.manifest import load; from keepline.features.churn import CHURN\n"
        f"table = load({str(models['ensemble'])!r}, CHURN).forest()\n"
        "print(len(table) > 0, [name for name in ('sklearn', 'joblib', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split(maxsplit=1) == ["True", "[]\n"]
