"""The jobs that can be submitted, by name: where their settings are read and which class builds them. Imported only when used."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from keepline.jobs.cluster.rest import ClusterError

KINDS = {
    "retention": ("keepline.jobs.settings:load", "keepline.jobs.operator_spec:operator_spec", "keepline.jobs.retention:RetentionJob"),
}
"""`load(flags, environment, config)` gives the settings; `check(settings)` raises what can be told without Flink;
`Job.from_settings(settings)` is the job with its `execute()`."""


def _named(kind: str, place: int) -> Any:
    if kind not in KINDS:
        msg = f"no job {kind!r}; there is {', '.join(KINDS)}"
        raise ClusterError(msg)
    module, name = KINDS[kind][place].split(":")
    return getattr(import_module(module), name)


def settings_of(kind: str, path: Path) -> Any:
    """The settings of a job from a file alone."""
    return _named(kind, 0)({}, environment={}, config=path)


def checked(kind: str, settings: Any) -> None:
    """Raises KeeplineError for what cannot work, as far as it can be told without Flink: the model, say."""
    _named(kind, 1)(settings)


def job_of(kind: str, settings: Any) -> Any:
    """The job, ready to be executed."""
    return _named(kind, 2).from_settings(settings)
