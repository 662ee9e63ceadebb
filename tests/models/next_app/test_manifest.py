"""A manifest survives its file, and is refused with what to do where it is damaged or of another kind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keepline.features.next_app.constants import Constants
from keepline.models.errors import ModelError
from keepline.models.manifest import checksum
from keepline.models.next_app.manifest import FAMILIES, as_mapping, checked, dump, from_json, from_mapping, load
from tests.models.next_app.models import APPS, made_up


@pytest.mark.parametrize("family", FAMILIES)
def test_through_the_file(tmp_path: Path, family: str) -> None:
    manifest = made_up(family, seed=4, names=[*APPS[:5], "größe"], constants=Constants(half_life_days=3))
    (tmp_path / "manifest.json").write_bytes(dump(manifest))
    for loaded in (load(tmp_path), load(tmp_path / "manifest.json"), from_mapping(json.loads(dump(manifest)))):
        assert loaded.manifest == manifest.model_copy(update={"sha256": as_mapping(manifest)["sha256"]})
        assert loaded.constants == Constants(half_life_days=3)
        assert loaded.prior[-1] == "größe"
        assert from_mapping(loaded.raw).raw == loaded.raw
        assert np.array_equal(loaded.table().view(np.int64), checked(manifest).table().view(np.int64))


def changed(raw: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The manifest with another value at a dotted path, its checksum made anew."""
    raw = json.loads(json.dumps(raw))
    *way, last = path.split(".")
    at: Any = raw
    for step in way:
        at = at[int(step) if isinstance(at, list) else step]
    at[int(last) if isinstance(at, list) else last] = value
    raw["sha256"] = checksum(raw)
    return raw


@pytest.mark.parametrize(
    ("family", "path", "value", "told"),
    [
        ("logistic", "family", "forest", "no model of the next app"),
        ("logistic", "family", "trees", "does not fit its parts"),
        ("logistic", "trees_weight", 0.5, "does not fit its parts"),
        ("trees", "trees_weight", 0.5, "does not fit its parts"),
        ("ensemble", "linear", None, "does not fit its parts"),
        ("logistic", "feature_set.version", 2, "expected next_app version 1"),
        ("logistic", "columns.0", "other", "expected next_app version 1"),
        ("logistic", "linear.0.name", "log_city", "linear does not name each of the 10 columns"),
        ("logistic", "linear.0.coefficient", 1e9, "linear.0.coefficient"),
        ("logistic", "constants.half_life_days", 0.0, "half_life_days"),
        ("logistic", "constants.half_live_days", 7.0, "did you mean 'half_life_days'"),
        ("logistic", "prior_opens", 0.0, "prior_opens"),
        ("logistic", "prior.0.share", 0.9, "do not fall and sum to 1"),
        ("logistic", "prior.1.app", "app0", "expected 6 to 32 different ones"),
        ("logistic", "prior.1.app", "x" * 128, "1 to 127 bytes"),
        ("logistic", "prior", [{"app": "a", "share": 1.0}], "expected 6 to 32"),
        ("trees", "forest.left.0", 0, "the forest is damaged"),
        ("trees", "forest.inputs.0.level", "x", "text columns"),
        ("logistic", "unknown", 1, "unknown"),
    ],
)
def test_what_does_not_fit_is_refused(family: str, path: str, value: Any, told: str) -> None:
    with pytest.raises(ModelError, match=told):
        from_mapping(changed(as_mapping(made_up(family)), path, value), where="m.json")


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    data = dump(made_up())
    with pytest.raises(ModelError, match=r"m.json: sha256 is .* changed or damaged"):
        from_json(data.replace(b'"app0"', b'"appX"'), where="m.json")
    for broken, told in (
        (b"{", "not JSON"),
        (b"[]", "a JSON list"),
        (data.replace(b"5.0", b"NaN"), "finite"),
        (b"{}", "no model of the next"),
    ):
        with pytest.raises(ModelError, match=told):
            from_json(broken)
    with pytest.raises(ModelError, match="finite"):
        from_mapping(as_mapping(made_up()) | {"prior_opens": float("nan")})
    with pytest.raises(ModelError, match=r"No model at .*train next-app"):
        load(tmp_path)
