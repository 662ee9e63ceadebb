"""One run of the job for all tests of what it exports, and the expressions of dashboard and alerts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from keepline.jobs.stack.kafka import EmbeddedKafka
from keepline.jobs.stack.redis import EmbeddedRedis
from tests.jobs.models_for_tests import manifest
from tests.monitoring.running import Run, run


@pytest.fixture(scope="package")
def watched(kafka: EmbeddedKafka, redis_server: EmbeddedRedis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A job on Kafka and Redis that has scored, committed and written all it was sent, and still runs."""
    folder = tmp_path_factory.mktemp("watched")
    (folder / "manifest.json").write_text(json.dumps(manifest()), encoding="utf-8")
    with run(kafka, redis_server.url, Path(folder), "watched-retention", folder) as running:
        yield running
