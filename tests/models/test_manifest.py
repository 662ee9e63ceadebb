"""A manifest that is not what training wrote is refused, with the place and what to do."""

import copy
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from keepline.features.churn import CHURN
from keepline.models import manifest
from keepline.models.errors import ModelError
from keepline.models.manifest import checksum, from_json, from_mapping, load


@dataclass(frozen=True)
class Other:
    """A feature set that is not the model's."""

    name: str = "churn"
    version: int = 1
    names: tuple[str, ...] = CHURN.names


@pytest.fixture
def raw(churn_model: Path) -> dict[str, Any]:
    """The manifest as parsed JSON, free to be changed."""
    found: dict[str, Any] = copy.deepcopy(json.loads((churn_model / "manifest.json").read_bytes()))
    return found


def sealed(raw: dict[str, Any]) -> dict[str, Any]:
    """The changed manifest with a checksum that fits."""
    return raw | {"sha256": checksum(raw)}


def term(raw: dict[str, Any], name: str) -> dict[str, Any]:
    """The term of a column."""
    return next(one for one in raw["terms"] if one["name"] == name)


def test_loads_from_folder_file_bytes_and_mapping(churn_model: Path, raw: dict[str, Any]) -> None:
    file = churn_model / "manifest.json"
    models = [load(churn_model, CHURN), load(file, CHURN), from_json(file.read_bytes(), CHURN), from_mapping(raw, CHURN)]
    for model in models:
        assert (model.model_id, model.version, model.threshold, model.bands) == ("churn", 1, 0.6, (0.3, 0.6))
        assert model.names == CHURN.names
        assert model.median("calls_24h") == raw["baseline"]["calls_24h"]["quantiles"]["0.5"]
        assert model.median("no such") == math.inf


def test_folds_by_hand(raw: dict[str, Any]) -> None:
    tables = from_mapping(raw, CHURN).tables()
    assert len(tables.coef) == len(CHURN.names)
    for j, name in enumerate(CHURN.names):
        one = term(raw, name)
        assert (tables.coef[j], tables.center[j]) == (one["coefficient"], one["center"])
        assert tables.kind[j] == ("identity", "log1p").index(one["transform"])
    assert tables.intercept == pytest.approx(raw["intercept"] + sum(one["coefficient"] * one["center"] for one in raw["terms"]), abs=1e-12)
    assert term(raw, "monthly_charge")["coefficient"] == 0, "a constant column carries no weight"
    assert {one["transform"] for one in raw["terms"]} == {"identity", "log1p"}


def test_order_of_columns_does_not_matter(raw: dict[str, Any]) -> None:
    turned = sealed(raw | {"columns": raw["columns"][::-1], "terms": raw["terms"][::-1]})
    assert from_mapping(turned, CHURN).tables().coef.tolist() == from_mapping(raw, CHURN).tables().coef.tolist()


def _coefficient(value: float) -> Callable[[dict[str, Any]], None]:
    def change(raw: dict[str, Any]) -> None:
        term(raw, "calls_7d")["coefficient"] = value

    return change


def _set(**values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda raw: raw.update(values)


def _without(key: str) -> Callable[[dict[str, Any]], None]:
    return lambda raw: raw.__delitem__(key)


TAMPERED = [
    pytest.param(_coefficient(math.nan), r"terms\[calls_7d\]\.coefficient is nan, expected a finite number", id="nan"),
    pytest.param(_coefficient(math.inf), r"terms\[calls_7d\]\.coefficient is inf", id="infinite"),
    pytest.param(_set(intercept=math.nan), "intercept is nan", id="nan intercept"),
    pytest.param(
        lambda raw: term(raw, "calls_7d").update(transform="sqrt"),
        r"transform: Input should be 'identity' or 'log1p'.*'sqrt'",
        id="transform",
    ),
    pytest.param(_set(family="forest"), "family: Input should be 'logistic'", id="family"),
    pytest.param(_set(format=2), "format: Input should be 1", id="format"),
    pytest.param(_set(threshold=1.5), "threshold: Input should be less than 1", id="threshold"),
    pytest.param(_set(bands=[0.7, 0.6]), r"bands are \[0.7, 0.6\], expected 0 < low ≤ high < 1", id="bands"),
    pytest.param(_without("intercept"), "intercept: Field required", id="missing field"),
    pytest.param(_set(surprise=1), "surprise: Extra inputs are not permitted", id="unknown field"),
    pytest.param(lambda raw: raw["metrics"].pop("f1"), "metrics lack f1", id="metrics"),
    pytest.param(lambda raw: raw["terms"].pop(), "do not name each of the 36 columns once", id="terms"),
    pytest.param(lambda raw: raw["terms"].append(raw["terms"][0]), "do not name each of the 36 columns once", id="twice"),
    pytest.param(
        _set(feature_set={"name": "churn", "version": 2}), "trained on feature set churn version 2, expected churn version 1", id="version"
    ),
    pytest.param(_set(feature_set={"name": "clv", "version": 1}), "trained on feature set clv version 1, expected churn", id="feature set"),
    pytest.param(_set(version="1"), "version: Input should be a valid integer", id="type"),
]


@pytest.mark.parametrize(("change", "message"), TAMPERED)
def test_refused_though_the_checksum_fits(raw: dict[str, Any], change: Callable[[dict[str, Any]], None], message: str) -> None:
    change(raw)
    try:
        raw = sealed(raw)
    except ValueError:  # NaN has no canonical JSON
        raw["sha256"] = "0" * 64
    with pytest.raises(ModelError, match=message) as refused:
        from_json(json.dumps(raw).encode(), CHURN, where="m/manifest.json")
    assert str(refused.value).startswith("m/manifest.json: ")
    assert "rain" in str(refused.value), "it says to train again"


@pytest.mark.parametrize("value", [0.123, -1e300])
def test_a_changed_number_breaks_the_checksum(raw: dict[str, Any], value: float) -> None:
    _coefficient(value)(raw)
    with pytest.raises(ModelError, match=r"sha256 is .* but the content hashes to .* changed or damaged.*Train the model again"):
        from_mapping(raw, CHURN)


def test_every_part_is_under_the_checksum(raw: dict[str, Any]) -> None:
    for key in raw.keys() - {"sha256"}:
        with pytest.raises(ModelError, match="sha256"):
            from_mapping({name: value for name, value in raw.items() if name != key}, CHURN)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[]", "JSON list, expected an object"),
        (b"{}", "sha256 is None"),
    ],
)
def test_what_is_no_manifest(data: bytes, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        from_json(data, CHURN)


def test_names_that_changed_under_one_version(raw: dict[str, Any]) -> None:
    other = Other(names=(*CHURN.names[1:], "roaming_7d"))
    with pytest.raises(ModelError, match="lacks roaming_7d; it has unknown calls_24h"):
        from_mapping(raw, other)


def test_no_such_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"No model at .*manifest.json. Give --model a directory"):
        load(tmp_path, CHURN)


def test_a_model_of_other_columns_says_why_the_job_cannot_load_it(mixed_model: Path) -> None:
    with pytest.raises(
        ModelError, match="cannot run in the job, which computes feature set churn version 1: The columns are not those of a feature set"
    ):
        load(mixed_model, CHURN)
    assert load(mixed_model).manifest.feature_set is None
    with pytest.raises(ModelError, match="text columns, which the stream does not score"):
        load(mixed_model).tables()


def test_the_hash_is_that_of_the_canonical_json(raw: dict[str, Any]) -> None:
    import hashlib

    content = {key: value for key, value in raw.items() if key != "sha256"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert hashlib.sha256(text.encode()).hexdigest() == raw["sha256"]
    assert manifest.METRICS == ("accuracy", "precision", "recall", "f1", "roc_auc", "pr_auc", "log_loss")
    assert set(raw["metrics"]) == set(manifest.METRICS)


def test_a_model_of_another_kind_is_called_one() -> None:
    other = Path(__file__).parents[2] / "models" / "pretrained" / "next-app" / "1"
    with pytest.raises(ModelError, match="trained on feature set next_app version 1, expected churn version 1"):
        load(other, CHURN)
