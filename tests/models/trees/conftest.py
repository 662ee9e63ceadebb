"""Forests and models trained once for these tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from keepline.models.train import Options, train
from tests.models.model_files import churn_like, mixed, write
from tests.models.trees.fitted import Fitted, fitted_forests


@pytest.fixture(scope="session")
def forests() -> list[Fitted]:
    """Fitted classifiers of several shapes, with their forests."""
    return fitted_forests()


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders by family, of the churn feature set (F.csv, L.csv beside them), and `mixed-FAMILY` with texts and missing cells."""
    folder = tmp_path_factory.mktemp("families")
    files = {"": write(folder / "plain", *churn_like()), "mixed-": write(folder / "mixed", *mixed())}
    found = {}
    for prefix, (features, labels) in files.items():
        for family in ("trees", "ensemble"):
            found[prefix + family] = folder / f"{prefix}{family}"
            train(features, labels, found[prefix + family], Options(threshold=0.6, family=family))
    return found
