"""Models trained once for the tests of models/."""

from pathlib import Path

import pytest

from keepline.models.train import Options, train
from tests.models.model_files import churn_like, mixed, write


@pytest.fixture(scope="session")
def mixed_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of columns of every kind; its folder also holds F.csv and L.csv."""
    folder = tmp_path_factory.mktemp("mixed")
    train(*write(folder, *mixed()), folder)
    return folder


@pytest.fixture(scope="session")
def churn_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the churn feature set; its folder also holds F.csv and L.csv."""
    folder = tmp_path_factory.mktemp("churn")
    train(*write(folder, *churn_like()), folder, Options(threshold=0.6))
    return folder
