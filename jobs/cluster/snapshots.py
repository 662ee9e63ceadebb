"""The checkpoints and savepoints from which a job can go on, by the job's configured name: Flink's own id changes with every submission.

Two places know of them: the JobManager, for as long as it remembers the job, and the folders. Both are asked, since either may have lost
what the other has. The folders are `CHECKPOINTS/JOB_NAME/<id>/chk-<n>` and `SAVEPOINTS/JOB_NAME/savepoint-…`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from keepline.jobs.cluster.rest import ClusterError, FlinkRest

METADATA = "_metadata"
DEPTH = 2
"""Levels of folders between a job's folder and a checkpoint's own."""


@dataclass(frozen=True, slots=True, order=True)
class Snapshot:
    """A checkpoint or savepoint that can be restored."""

    taken_ms: int
    uri: str


def folder_of(base: str, job_name: str) -> str:
    """Where the checkpoints or savepoints of a job lie below the cluster's folder; "" for none."""
    return f"{base.rstrip('/')}/{job_name}" if base else ""


def newest(rest: FlinkRest, job_name: str, folders: Iterable[str]) -> Snapshot | None:
    """The newest that is known and still there."""
    found = {each.uri: each for each in (*_remembered(rest, job_name), *(each for base in folders if base for each in _lying_in(base)))}
    return max(found.values(), default=None)


def _remembered(rest: FlinkRest, job_name: str) -> list[Snapshot]:
    found = []
    for job in rest.overview():
        if job["name"] != job_name:
            continue
        try:
            latest = rest.checkpoints(job["jid"])["latest"]
        except ClusterError:  # a job without checkpoints
            continue
        for kind in ("completed", "savepoint"):
            told = latest.get(kind)
            if told and not told.get("discarded") and told.get("external_path") and _there(str(told["external_path"])):
                found.append(Snapshot(int(told["latest_ack_timestamp"]), _plain(str(told["external_path"]))))
    return found


def _plain(uri: str) -> str:
    """One spelling a folder, so that what both places know counts once: Flink writes file:/x for file:///x."""
    return "file://" + uri.removeprefix("file:") if uri.startswith("file:/") and not uri.startswith("file://") else uri


def _file_system(uri: str) -> tuple[Any, str]:
    from pyarrow.fs import FileSystem

    scheme = uri.partition(":")[0]
    plain = "s3:" + uri.partition(":")[2] if scheme in ("s3a", "s3p", "s3n") else _plain(uri)
    system, path = FileSystem.from_uri(plain)
    return system, path


def _there(uri: str) -> bool:
    """Whether it still exists; what cannot be looked at is believed."""
    from pyarrow.fs import FileType

    try:
        system, path = _file_system(uri)
        return bool(system.get_file_info(f"{path}/{METADATA}").type == FileType.File)
    except (OSError, ValueError):
        return True


def _lying_in(base: str) -> list[Snapshot]:
    from pyarrow.fs import FileSelector, FileType

    try:
        system, path = _file_system(base)
        found, folders = [], [path]
        for level in range(DEPTH + 1):
            below: list[str] = []
            for folder in folders:
                for info in system.get_file_info(FileSelector(folder, allow_not_found=True)):
                    if info.type == FileType.Directory and level < DEPTH and info.base_name not in ("shared", "taskowned"):
                        below.append(info.path)
                    elif info.type == FileType.File and info.base_name == METADATA:
                        found.append(
                            Snapshot(int(info.mtime_ns // 1_000_000), _plain(base.rstrip("/") + folder.removeprefix(path.rstrip("/"))))
                        )
            folders = below
    except (OSError, ValueError) as error:
        msg = f"cannot look for checkpoints in {base}: {error}; give --restore URI, or --fresh for a start without state"
        raise ClusterError(msg) from None
    return found
