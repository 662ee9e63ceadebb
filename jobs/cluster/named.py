"""Jobs by the name their users gave them."""

from __future__ import annotations

from typing import Any

from keepline.jobs.cluster.rest import ENDED, ClusterError, FlinkRest


def live(rest: FlinkRest, job_name: str) -> list[dict[str, Any]]:
    """The jobs of this name that have not ended."""
    return [job for job in rest.overview() if job["name"] == job_name and job["state"] not in ENDED]


def find(rest: FlinkRest, named: str, *, ended: bool = False) -> dict[str, Any]:
    """The one job of this name, or whose id begins so; a live one unless `ended` ones will do. ClusterError lists what there is."""
    jobs = [job for job in rest.overview() if ended or job["state"] not in ENDED]
    found = [job for job in jobs if job["name"] == named] or [job for job in jobs if job["jid"].startswith(named)]
    if ended:  # of several the live one is meant, else the newest
        found = sorted(found, key=lambda job: job["state"] in ENDED)[:1]
    if len(found) == 1:
        return found[0]
    there = "; ".join(f"{job['name']} ({job['jid'][:8]}, {job['state']})" for job in jobs) or "none"
    what = "no job" if not found else f"{len(found)} jobs"
    kind = "jobs" if ended else "live jobs"
    msg = f"{what} {named!r} on {rest.url}: give a job's name, or the first characters of its id; {kind}: {there}"
    raise ClusterError(msg)
