"""What a job sets of Flink's own settings."""

from __future__ import annotations

from keepline.jobs.execution import configuration
from keepline.jobs.settings import RetentionSettings

FILTERS = "state.backend.rocksdb.use-bloom-filter"
BUFFERS = "execution.buffer-timeout.interval"


def told(settings: RetentionSettings) -> dict[str, str]:
    """Name → value."""
    return dict(configuration(settings).to_dict())


def test_rocksdb_keeps_filters_and_the_heap_needs_none() -> None:
    assert told(RetentionSettings(state_backend="rocksdb"))[FILTERS] == "true"
    assert FILTERS not in told(RetentionSettings())


def test_blocks_are_sent_on_at_once_unless_the_user_says_otherwise() -> None:
    assert told(RetentionSettings())[BUFFERS] == "0 ms"
    assert told(RetentionSettings(flink={BUFFERS: "20 ms"}))[BUFFERS] == "20 ms"
