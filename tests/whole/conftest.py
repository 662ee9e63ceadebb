"""A model that weighs every feature, so that a wrong feature anywhere is a wrong score."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from keepline.jobs.stack.flink import FlinkCluster
from tests.jobs.models_for_tests import manifest
from tests.whole.demos import of_mark

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    (folder / "manifest.json").write_text(json.dumps(manifest()), encoding="utf-8")
    return folder


@pytest.fixture
def name() -> str:
    """A name for topics, job and customers that no other test uses."""
    return f"whole-{next(_numbers)}"


@pytest.fixture(scope="package")
def flink() -> Iterator[FlinkCluster]:
    """A standalone cluster with two TaskManagers of one slot each. Leave no job running on it, and two TaskManagers."""
    with FlinkCluster(taskmanagers=2) as cluster:
        yield cluster


@pytest.fixture
def mark() -> Iterator[str]:
    """A variable that all processes of a demo inherit, to find them by; those that are left at the end are killed."""
    name = uuid4().hex
    yield name
    for process in of_mark(name):
        process.kill()
