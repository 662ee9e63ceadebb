"""Regressions trained once for the tests of this folder."""

from pathlib import Path

import pytest

from keepline.models.clv.regression import Options, train
from tests.models.clv.clv_files import clv_like, write


@pytest.fixture(scope="session", params=["ridge", "gamma", "tweedie"])
def regression_model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of each family; its folder also holds R.csv and L.csv."""
    folder = tmp_path_factory.mktemp(request.param)
    files = write(folder, *clv_like(zeros=request.param != "gamma"))
    train(*files, folder, Options(family="ridge" if request.param == "ridge" else "gamma"))
    return folder
