"""Sends a job to a session cluster, and waits until all its tasks run.

    submit(rest, Request("retention", settings, restore="latest"))

Two starts are refused, because each would damage output without a word: one beside a live job of the same `job_name` (the two share a
consumer group and transactions, so the second fences the first), and one without state where the job has run before (it would read
everything again and put everything out twice).
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keepline.jobs.cluster import launch
from keepline.jobs.cluster.client import address, flink_run
from keepline.jobs.cluster.kinds import checked, fresh, settings_of
from keepline.jobs.cluster.named import live
from keepline.jobs.cluster.rest import ENDED, ClusterError, FlinkRest
from keepline.jobs.cluster.snapshots import folder_of, newest

CHECKPOINTS = "execution.checkpointing.dir"
SAVEPOINTS = "execution.checkpointing.savepoint-dir"
LATEST = "latest"
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be submitted.

    Attributes:
        kind: the job, such as "retention".
        settings: its settings, complete.
        restore: URI of a checkpoint or savepoint, "latest", or "" for none.
        fresh: start without state, though the job has run before.
        allow_lost_state: accept that state of an operator that is no longer there is left behind.
    """

    kind: str
    settings: Any
    restore: str = ""
    fresh: bool = False
    allow_lost_state: bool = False


@dataclass(frozen=True, slots=True)
class Submitted:
    """A job that the cluster has taken."""

    job: str
    restored: str
    """What it started from; "" for nothing."""


def folders(rest: FlinkRest, settings: Any) -> tuple[str, str]:
    """Base folders of checkpoints and savepoints: the job's setting, else the cluster's own."""
    own = rest.config()
    checkpoints = settings.checkpoint_dir or own.get(CHECKPOINTS, own.get("state.checkpoints.dir", ""))
    return checkpoints, own.get(SAVEPOINTS, own.get("state.savepoints.dir", "")) or checkpoints


def source_of_state(rest: FlinkRest, request: Request) -> str:
    """URI to start from, "" for none. ClusterError where there is state, and the request does not say what to do with it."""
    name = request.settings.job_name
    if request.restore and request.fresh:
        msg = "--restore and --fresh exclude each other: --restore goes on from a state, --fresh starts without"
        raise ClusterError(msg)
    if request.fresh or request.restore not in ("", LATEST):
        return request.restore
    places = [folder_of(base, name) for base in folders(rest, request.settings)]
    known = newest(rest, name, dict.fromkeys(places))
    if request.restore == LATEST:
        if known is None:
            msg = (
                f"no checkpoint or savepoint of job {name!r} is known to {rest.url} or lies in {' or '.join(filter(None, places))}: "
                "give its URI, or leave --restore out to start without state"
            )
            raise ClusterError(msg)
        return known.uri
    if known is not None:
        msg = (
            f"job {name!r} ran before, and {known.uri} holds its state: give --restore latest to go on from there, --restore URI for "
            f"another state, or {fresh(request.settings)}"
        )
        raise ClusterError(msg)
    return ""


def refuse_beside(rest: FlinkRest, settings: Any) -> None:
    """Raises ClusterError where a job of this name is live."""
    job_name = settings.job_name
    more = " and --output-prefix" if hasattr(settings, "output_prefix") else ""
    for job in live(rest, job_name):
        msg = (
            f"job {job_name!r} is {job['state']} on {rest.url} ({job['jid']}): two jobs of one name would fence each other's transactions. "
            f"Stop it first (keepline stop {job_name}), or give this one another --job-name{more}"
        )
        raise ClusterError(msg)


def prepare(kind: str, settings: Any) -> None:
    """Builds the job's description here, so that what cannot work (a model, say) is told before anything is stopped or sent."""
    checked(kind, settings)


def submit(rest: FlinkRest, request: Request, say: Say = lambda _: None) -> Submitted:
    """Submits; returns when the cluster has taken the job. Raises KeeplineError with what to do, also for what the job itself refuses."""
    prepare(request.kind, request.settings)
    refuse_beside(rest, request.settings)
    state = source_of_state(rest, request)
    checkpoints, savepoints = folders(rest, request.settings)
    settings = absolute(request.settings).model_copy(update={"restore": state, "checkpoint_dir": checkpoints})
    say(f"submitting {settings.job_name} to {rest.url}" + (f", from {state}" if state else ""))
    options = address(rest.url)
    if savepoints:
        options[SAVEPOINTS] = folder_of(savepoints, settings.job_name)
    if request.allow_lost_state:
        options["execution.state-recovery.ignore-unclaimed-state"] = "true"
    with tempfile.TemporaryDirectory(prefix="keepline-settings-") as name:
        file = Path(name) / "settings.toml"
        file.touch(mode=0o600)
        file.write_text(as_toml(settings), encoding="utf-8")
        # Read back here, so that the file says exactly what was asked for.
        if settings_of(request.kind, file) != settings:
            msg = f"the settings do not survive being written: {file.read_text()}"
            raise AssertionError(msg)
        flags = [] if state or request.fresh else [launch.UNLESS_COMMITTED]
        job = flink_run(launch.__file__, request.kind, str(file), *flags, settings=options)
    return Submitted(job, state)


def absolute(settings: Any) -> Any:
    """The settings with whole paths: the client works in another folder."""
    found: dict[str, Any] = {name: value.resolve() for name, value in settings if isinstance(value, Path)}
    found |= {
        name: tuple(path.resolve() for path in value)
        for name, value in settings
        if isinstance(value, tuple) and value and all(isinstance(each, Path) for each in value)
    }
    return settings.model_copy(update=found)


def as_toml(settings: Any) -> str:
    """Settings as a settings file.

    >>> from keepline.jobs.settings import RetentionSettings
    >>> 'checkpoint_interval = "1000ms"' in as_toml(RetentionSettings())
    True
    """
    from keepline.jobs.settings import durations

    lines = [f"[{settings.SECTION}]\n"] if settings.SECTION else []
    for name, value in settings.model_dump(mode="json").items():
        if isinstance(value, dict):
            text = "{" + ", ".join(f"{json.dumps(key)} = {json.dumps(each)}" for key, each in value.items()) + "}"
        else:
            text = json.dumps(f"{value}ms" if name in durations(type(settings)) else value)
        if value is not None:
            lines.append(f"{name} = {text}\n")
    return "".join(lines)


def wait_running(rest: FlinkRest, job: str, parallelism: int, timeout: float, say: Say = lambda _: None) -> None:
    """Waits until all tasks of a job run. Raises ClusterError with the cause where it ends or time runs out; the job stays as it is."""
    deadline = time.monotonic() + timeout
    told = ""
    while not rest.all_running(job):
        state, restarts = rest.state(job), rest.restarts(job)
        cause = rest.cause(job)
        if state in ENDED:
            msg = f"job {job} is {state}, it did not come up. Its cause:\n{reason(cause)}"
            raise ClusterError(msg)
        free, slots = rest.free_slots()
        now = f"{state}, {restarts} restarts" + (f": {reason(cause)}" if cause else "")
        if state in ("CREATED", "RUNNING") and not cause and free == 0 and slots < parallelism:
            now = f"{state}, waits for task slots: {parallelism} needed, {slots} there, {free} free; start more TaskManagers"
        if now != told:
            told = now
            say(now)
        if time.monotonic() > deadline:
            msg = (
                f"job {job} does not run after {timeout:.0f} s ({now}). It stays submitted: see `keepline status {job[:8]}`, "
                f"end it with `keepline stop {job[:8]} --cancel`"
            )
            raise ClusterError(msg)
        time.sleep(0.2)


def reason(stack_trace: str) -> str:
    """The causes of a Java stack trace without its frames, the innermost last; Python's own lines stay."""
    lines = [line for line in stack_trace.splitlines() if line.strip() and not line.lstrip().startswith(("at ", "... "))]
    return "\n".join(dict.fromkeys(lines[:1] + lines[-3:])) if len(lines) > 4 else "\n".join(lines)
