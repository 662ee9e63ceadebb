"""`keepline submit` and `keepline restore`: a job to a running Flink cluster."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated, Any

import typer

from keepline.jobs.cli import ingest, run, run_next_app
from keepline.jobs.cli.flags import FLINK_URL, AsJson, FlinkUrl, with_settings_of

LOCAL = ("show", "rest_port", "metrics_port")
"""Flags of `keepline run` that mean nothing on a cluster."""
DRY = (*LOCAL, "dry_run", "samples", "oldest")
Source = Annotated[str, typer.Argument(metavar="JOB|URI|latest", help="What to go on from: a job's name or id, a URI, or latest.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Start without state though the job ran before: it reads as on its first start.")]
Restore = Annotated[str | None, typer.Option(help="Where to go on: latest, or the URI of a checkpoint or savepoint.")]
Stop = Annotated[bool, typer.Option("--stop", help="Stop the job first, with a savepoint, if it is live.")]
AllowLost = Annotated[bool, typer.Option("--allow-lost-state", help="Accept that state of an operator that is gone is left behind.")]
Wait = Annotated[float, typer.Option(min=0, help="Seconds to wait until all tasks run; 0 does not wait.")]
Config = Annotated[Path | None, typer.Option(help="Settings file. [default: keepline.toml, where there is one]")]


def submitting(kind: str, command: Callable[..., None], without: Collection[str], about: str) -> Callable[..., None]:
    """The command that sends a job of this kind: its own flags and those of `command`, which runs the job here, but for some."""

    def submit(
        flink_url: FlinkUrl = FLINK_URL,
        restore: Restore = None,
        fresh: Fresh = False,
        allow_lost_state: AllowLost = False,
        wait: Wait = 300.0,
        as_json: AsJson = False,
        config: Config = None,
        **flags: Any,
    ) -> None:
        wanted = _settings(kind, {**flags, "restore": restore}, config)
        _start(kind, wanted, flink_url, fresh=fresh, allow_lost_state=allow_lost_state, wait=wait, as_json=as_json)

    submit.__doc__ = about
    return with_settings_of(command, without)(submit)


def restoring(kind: str, command: Callable[..., None], without: Collection[str], about: str) -> Callable[..., None]:
    """The command that starts a job of this kind from a state; as `submitting`."""

    def restore(
        source: Source,
        flink_url: FlinkUrl = FLINK_URL,
        stop: Stop = False,
        allow_lost_state: AllowLost = False,
        wait: Wait = 300.0,
        as_json: AsJson = False,
        config: Config = None,
        **flags: Any,
    ) -> None:
        wanted = _settings(kind, {**flags, "restore": source}, config)
        _restore(kind, wanted, flink_url, stop=stop, allow_lost_state=allow_lost_state, wait=wait, as_json=as_json)

    restore.__doc__ = about
    return with_settings_of(command, without)(restore)


SUBMIT_RETENTION = """Send the retention job to a Flink cluster, and wait until all its tasks run.

Takes the settings of `keepline run retention`. Refuses a second live job of the same name; and a start without state where the job
ran before, unless --restore or --fresh says what is meant.

Example: keepline submit retention --flink-url http://localhost:8081 --bootstrap-servers localhost:9092
"""
SUBMIT_NEXT_APP = """Send the next-app job to a Flink cluster, and wait until all its tasks run.

Takes the settings of `keepline run next-app`. Refuses a second live job of the same name; and a start without state where the job
ran before, unless --restore or --fresh says what is meant.

Example: keepline submit next-app --flink-url http://localhost:8081 --bootstrap-servers localhost:9092
"""
SUBMIT_INGEST = """Send the ingest job to a Flink cluster, and wait until all its tasks run.

Takes the settings of `keepline run ingest`. The mapping travels with the job, with the schemas that it names: the cluster needs no
file of it. Refuses a second live job of the same name; and a start without state where the job ran before, unless --restore or --fresh
says what is meant.

Example: keepline submit ingest --mapping cdr.yaml --flink-url http://localhost:8081 --bootstrap-servers localhost:9092
"""
RESTORE_RETENTION = """Start the retention job from a savepoint or checkpoint, with what the settings and the code are now.

This is how a job gets a new model, new code or another parallelism: with --stop in one step. The settings come from the same
places as ever (flags, environment, keepline.toml); nothing is taken over from the job before.

Example: keepline restore retention keepline-retention --stop --parallelism 2
"""
RESTORE_NEXT_APP = """Start the next-app job from a savepoint or checkpoint, with what the model, the settings and the code are now.

With --stop in one step. The settings come from the same places as ever (flags, environment, keepline.toml); nothing is taken over
from the job before.

Example: keepline restore next-app keepline-next-app --stop --model model/
"""
RESTORE_INGEST = """Start the ingest job from a savepoint or checkpoint, with what the mapping, the settings and the code are now.

This is how a job gets a changed mapping: with --stop in one step, no record lost or mapped twice. The settings come from the same
places as ever (flags, environment, keepline.toml); nothing is taken over from the job before.

Example: keepline restore ingest keepline-ingest --stop --mapping cdr.yaml
"""
submit_retention = submitting("retention", run.retention, LOCAL, SUBMIT_RETENTION)
submit_next_app = submitting("next-app", run_next_app.next_app, LOCAL, SUBMIT_NEXT_APP)
submit_ingest = submitting("ingest", ingest.ingest, DRY, SUBMIT_INGEST)
restore_retention = restoring("retention", run.retention, LOCAL, RESTORE_RETENTION)
restore_next_app = restoring("next-app", run_next_app.next_app, LOCAL, RESTORE_NEXT_APP)
restore_ingest = restoring("ingest", ingest.ingest, DRY, RESTORE_INGEST)


def _settings(kind: str, flags: dict[str, Any], config: Path | None) -> Any:
    from keepline.jobs.cluster.kinds import settings_class
    from keepline.jobs.settings import load_as

    return load_as(settings_class(kind), flags, config=config)


def _restore(kind: str, wanted: Any, flink_url: str, *, stop: bool, allow_lost_state: bool, wait: float, as_json: bool) -> None:
    from keepline.jobs.cluster.rest import ClusterError, FlinkRest

    source = wanted.restore
    if "://" not in source and not source.startswith("file:") and source != "latest":
        wanted = wanted.model_copy(update={"restore": _state_of(FlinkRest(flink_url), kind, wanted, stop=stop)})
    try:
        _start(kind, wanted, flink_url, allow_lost_state=allow_lost_state, wait=wait, as_json=as_json)
    except ClusterError as error:
        msg = f"{error}\nNothing is lost: the state to go on from is {wanted.restore}"
        raise ClusterError(msg) from None


def _say(as_json: bool) -> Callable[[str], None]:
    return (lambda _: None) if as_json else lambda line: typer.echo(line, err=True)


def _state_of(rest: Any, kind: str, wanted: Any, *, stop: bool) -> str:
    """URI of the state of the job that `restore` names: a savepoint taken now if it is live, else the newest there is."""
    from keepline.jobs.cluster.named import find
    from keepline.jobs.cluster.rest import ENDED, ClusterError
    from keepline.jobs.cluster.snapshots import folder_of, newest
    from keepline.jobs.cluster.submit import folders, prepare

    job = find(rest, wanted.restore, ended=True)
    if job["name"] != wanted.job_name:
        msg = f"job {job['name']!r} would go on as {wanted.job_name!r}: add --job-name {job['name']}; to split a job in two, give a URI"
        raise ClusterError(msg)
    if job["state"] not in ENDED:
        if not stop:
            msg = f"job {job['name']!r} is {job['state']}: add --stop to stop it with a savepoint first, or give the URI of a savepoint"
            raise ClusterError(msg)
        prepare(kind, wanted)  # before anything is stopped
        directory = folder_of(folders(rest, wanted)[1], job["name"])
        return str(rest.stop(job["jid"], directory))
    found = newest(rest, job["name"], [folder_of(base, job["name"]) for base in folders(rest, wanted)])
    if found is None:
        msg = f"job {job['name']!r} left no checkpoint or savepoint that is still there; give a URI"
        raise ClusterError(msg)
    return found.uri


def _start(kind: str, wanted: Any, flink_url: str, *, allow_lost_state: bool, wait: float, as_json: bool, fresh: bool = False) -> None:
    import json

    from keepline.jobs.cluster.rest import FlinkRest
    from keepline.jobs.cluster.submit import Request, submit, wait_running

    rest, say = FlinkRest(flink_url), _say(as_json)
    done = submit(rest, Request(kind, wanted, wanted.restore, fresh, allow_lost_state), say)
    if not as_json:
        typer.echo(f"job {done.job} ({wanted.job_name})")
    if wait:
        wait_running(rest, done.job, wanted.parallelism, wait, say)
    if as_json:
        told = {"job": done.job, "name": wanted.job_name, "restored": done.restored or None, "state": rest.state(done.job), "url": rest.url}
        typer.echo(json.dumps(told))
        return
    typer.echo(f"{'all tasks run' if wait else 'submitted'}; follow it: keepline status {wanted.job_name} --flink-url {rest.url}")
    typer.echo(f"Flink's page: {rest.url}/#/job/{done.job}")
