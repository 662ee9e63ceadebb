"""What is to be known of the jobs on a cluster, from Flink's REST interface alone."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

from keepline.jobs.cluster.rest import ENDED, ClusterError, FlinkRest

METRICS_PATIENCE = 5.0


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The newest completed one. Times in milliseconds, size in bytes."""

    age_ms: int
    size: int
    duration_ms: int
    uri: str


@dataclass(frozen=True, slots=True)
class JobStatus:
    """One job."""

    name: str
    id: str
    state: str
    tasks_running: int
    tasks: int
    parallelism: int
    restarts: int
    restored: int
    """Starts from a checkpoint or savepoint, the first one included."""
    failed_checkpoints: int
    checkpoint: Checkpoint | None
    model: str
    code: str
    version: str
    lag: int | None
    """Records in the input topics that the source has not read yet; None where no source tells."""
    cause: str
    """The newest failure's first line, "" for none."""

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def job_status(rest: FlinkRest, job: dict[str, Any]) -> JobStatus:
    """One job of `rest.overview()`."""
    jid, state = job["jid"], job["state"]
    vertices = rest.job(jid)["vertices"]
    told = _checkpoints(rest, jid)
    newest = (told.get("latest") or {}).get("completed")
    labels = rest.labels(jid)
    cause = rest.cause(jid)
    counts = told.get("counts") or {}
    return JobStatus(
        name=job["name"],
        id=jid,
        state=state,
        tasks_running=int(job["tasks"]["running"]),
        tasks=int(job["tasks"]["total"]),
        parallelism=max((int(vertex["parallelism"]) for vertex in vertices), default=0),
        restarts=0 if state in ENDED else _restarts(rest, jid),
        restored=int(counts.get("restored", 0)),
        failed_checkpoints=int(counts.get("failed", 0)),
        checkpoint=_checkpoint(newest) if newest else None,
        model=labels.get("keepline.model", ""),
        code=labels.get("keepline.code", ""),
        version=labels.get("keepline.version", ""),
        lag=None if state in ENDED else _lag(rest, jid, vertices),
        cause=cause.splitlines()[0] if cause else "",
    )


def _checkpoints(rest: FlinkRest, jid: str) -> dict[str, Any]:
    try:
        return rest.checkpoints(jid)
    except ClusterError:  # a job without checkpoints
        return {}


def _checkpoint(told: dict[str, Any]) -> Checkpoint:
    return Checkpoint(
        age_ms=max(0, int(time.time() * 1000) - int(told["latest_ack_timestamp"])),
        size=int(told["state_size"]),
        duration_ms=int(told["end_to_end_duration"]),
        uri=str(told.get("external_path") or ""),
    )


def _metrics(rest: FlinkRest, path: str, ends: str) -> list[str]:
    """Names of metrics that end so. The JobManager fetches metrics when it is asked, and answers with what it has: so it is asked twice."""
    deadline = time.monotonic() + METRICS_PATIENCE
    while True:
        names = [str(each["id"]) for each in rest.call(path)]
        found = [name for name in names if name.endswith(ends)]
        if found or time.monotonic() > deadline:
            return found
        time.sleep(0.2)


def _lag(rest: FlinkRest, jid: str, vertices: list[dict[str, Any]]) -> int | None:
    """Sum of what the Kafka sources report as pending."""
    total = None
    for vertex in vertices:
        if vertex["name"].startswith("Source:") and vertex["status"] == "RUNNING":
            wanted = _metrics(rest, f"/jobs/{jid}/vertices/{vertex['id']}/subtasks/metrics", ".pendingRecords")
            if wanted:
                total = (total or 0) + int(sum(rest.metrics(jid, vertex["id"], wanted).values()))
    return total


def _restarts(rest: FlinkRest, jid: str) -> int:
    return rest.restarts(jid) if _metrics(rest, f"/jobs/{jid}/metrics", "numRestarts") else 0
