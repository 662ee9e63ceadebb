"""The jobs that can be submitted, by name: the class of their settings, what checks them and what runs them. Imported only when used."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from keepline.jobs.cluster.rest import ClusterError

KINDS = {
    "retention": (
        "keepline.jobs.settings:RetentionSettings",
        "keepline.jobs.operator_spec:operator_spec",
        "keepline.jobs.retention:execute",
    ),
    "next-app": (
        "keepline.jobs.next_app_settings:NextAppSettings",
        "keepline.jobs.next_app_spec:next_app_spec",
        "keepline.jobs.next_app:execute",
    ),
    "ingest": (
        "keepline.jobs.ingest_settings:IngestSettings",
        "keepline.jobs.ingest_spec:ingest_spec",
        "keepline.jobs.ingest:execute",
    ),
}
"""The settings' class; `check(settings)`, which raises what can be told without Flink; `execute(settings)`, which submits the job."""


def _named(kind: str, place: int) -> Any:
    if kind not in KINDS:
        msg = f"no job {kind!r}; there is {', '.join(KINDS)}"
        raise ClusterError(msg)
    module, name = KINDS[kind][place].split(":")
    return getattr(import_module(module), name)


def settings_class(kind: str) -> Any:
    """The class of a job's settings."""
    return _named(kind, 0)


def settings_of(kind: str, path: Path) -> Any:
    """The settings of a job from a file alone."""
    from keepline.jobs.settings import load_as

    return load_as(settings_class(kind), {}, environment={}, config=path)


def checked(kind: str, settings: Any) -> None:
    """Raises KeeplineError for what cannot work, as far as it can be told without Flink: the model, say."""
    _named(kind, 1)(settings)


def execute(kind: str, settings: Any) -> None:
    """Submits the job to the Flink whose client runs this process."""
    _named(kind, 2)(settings)


FRESH = {
    "earliest": "--fresh to read everything from the beginning again, which puts out everything again",
    "committed": "--fresh to go on from the consumer group's offsets without it, which can lose what a killed job had not committed",
    "latest": "--fresh to pass over what the topics hold, and to read what comes from now on",
}
"""What a start without state does, by where reading begins."""


def fresh(settings: Any) -> str:
    """What --fresh means for this job."""
    return FRESH[settings.reads()[1]]
