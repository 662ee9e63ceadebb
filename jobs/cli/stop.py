"""`keepline savepoint` and `keepline stop`: a job's state saved, a job ended."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from keepline.jobs.cli.flags import FLINK_URL, AsJson, FlinkUrl, JobName

Directory = Annotated[
    str | None, typer.Option("--dir", help="Folder for the savepoint, a URI. [default: JOB_NAME in the cluster's own savepoint folder]")
]


def savepoint(job: JobName, directory: Directory = None, flink_url: FlinkUrl = FLINK_URL, as_json: AsJson = False) -> None:
    """Save a job's state, and let it go on.

    Example: keepline savepoint keepline-retention --dir file:///shared/savepoints
    """
    from keepline.jobs.cluster.named import find
    from keepline.jobs.cluster.rest import FlinkRest

    rest = FlinkRest(flink_url)
    found = find(rest, job)
    uri = rest.savepoint(found["jid"], directory or _default(rest, found["name"]))
    _tell(found, uri, rest.state(found["jid"]), as_json)


def stop(
    job: JobName,
    directory: Directory = None,
    flink_url: FlinkUrl = FLINK_URL,
    drain: Annotated[
        bool,
        typer.Option("--drain", help="End the input for good before the savepoint: the job cannot go on afterwards."),
    ] = False,
    cancel: Annotated[
        bool, typer.Option("--cancel", help="End it at once, without a savepoint; its newest checkpoint stays to be restored.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Stop a job with a savepoint: all output committed, everything ready to go on with `keepline restore`.

    Example: keepline stop keepline-retention
    """
    from keepline.jobs.cluster.named import find
    from keepline.jobs.cluster.rest import ClusterError, FlinkRest

    if cancel and (drain or directory):
        msg = "--cancel takes no savepoint: leave --dir and --drain out"
        raise ClusterError(msg)
    rest = FlinkRest(flink_url)
    found = find(rest, job)
    if cancel:
        rest.cancel(found["jid"])
        state = rest.wait(found["jid"], {"CANCELED"})
        uri = str(((rest.checkpoints(found["jid"]).get("latest") or {}).get("completed") or {}).get("external_path") or "")
    else:
        uri = rest.stop(found["jid"], directory or _default(rest, found["name"]), drain=drain)
        state = rest.state(found["jid"])
    _tell(found, uri, state, as_json)


def _default(rest: Any, job_name: str) -> str:
    from keepline.jobs.cluster.rest import ClusterError
    from keepline.jobs.cluster.snapshots import folder_of
    from keepline.jobs.cluster.submit import SAVEPOINTS

    own = rest.config()
    base = own.get(SAVEPOINTS) or own.get("state.savepoints.dir", "")
    if not base:
        msg = f"the cluster has no folder for savepoints: give --dir URI, or set {SAVEPOINTS} in its config.yaml"
        raise ClusterError(msg)
    return folder_of(base, job_name)


def _tell(job: dict[str, Any], uri: str, state: str, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"job": job["jid"], "name": job["name"], "state": state, "savepoint": uri or None}))
        return
    typer.echo(f"{job['name']} ({job['jid'][:8]}) is {state}")
    typer.echo(f"state: {uri or 'none was ever completed'}")
