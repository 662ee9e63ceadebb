"""Flink's REST interface, as far as the commands, the demo and the tests need it."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterable
from typing import Any

from keepline.schemas.errors import KeeplineError

ENDED = frozenset({"FINISHED", "CANCELED", "FAILED"})
SAVEPOINT_TIMEOUT = 600.0


class ClusterError(KeeplineError):
    """A cluster that does not answer, refuses, or does not do in time what was asked; the message holds what Flink says."""


class NoLeaderError(ClusterError):
    """A JobManager that is up and does not lead yet, or has only begun to take up a job: the same call answers a little later."""


STARTING = ("ongoing leader election", "UnavailableDispatcherOperationException")


class FlinkRest:
    """One JobManager's REST interface at `url` (http://host:port). Every call raises ClusterError with Flink's answer if refused."""

    def __init__(self, url: str, timeout: float = 10.0) -> None:
        self.url, self._timeout = url.rstrip("/"), timeout

    def call(self, path: str, body: object = None, method: str | None = None) -> Any:
        """The parsed answer to a GET, or with a body to a POST."""
        data = None if body is None else json.dumps(body).encode()
        verb = method or ("GET" if data is None else "POST")
        try:
            request = urllib.request.Request(  # noqa: S310 - an address the user names
                self.url + path, data, {"Content-Type": "application/json"}, method=verb
            )
            with urllib.request.urlopen(request, timeout=self._timeout) as answer:  # noqa: S310
                told = answer.read()
            if told or verb != "GET":
                return json.loads(told or b"null")
        except urllib.error.HTTPError as error:
            said = error.read().decode(errors="replace")[:2000]
            msg = f"Flink refused {verb} {path}: {error.code} {said}"
            raise (NoLeaderError if any(words in said for words in STARTING) else ClusterError)(msg) from None
        except OSError as error:
            msg = f"Flink does not answer at {self.url}{path}: {error}; check that the JobManager runs, and --flink-url"
            raise ClusterError(msg) from None
        except ValueError as error:
            msg = f"{self.url}{path} is no address of Flink's REST interface: {error}; expected one such as http://localhost:8081"
            raise ClusterError(msg) from None
        msg = f"Flink answers nothing at {self.url}{path}: it is starting or ending"
        raise ClusterError(msg)

    def answers(self) -> bool:
        """Whether the JobManager is up."""
        try:
            self.call("/overview")
        except ClusterError:
            return False
        return True

    def taskmanagers(self) -> list[str]:
        """Resource ids of the registered TaskManagers."""
        return [each["id"] for each in self.call("/taskmanagers")["taskmanagers"]]

    def jobs(self) -> dict[str, str]:
        """State (RUNNING, …) by job id."""
        return {each["id"]: each["status"] for each in self.call("/jobs")["jobs"]}

    def overview(self) -> list[dict[str, Any]]:
        """Flink's short description of every job it remembers: jid, name, state, start-time and more; the newest first."""
        return sorted(self.call("/jobs/overview")["jobs"], key=lambda each: -int(each["start-time"]))

    def config(self) -> dict[str, str]:
        """The cluster's own settings."""
        return {each["key"]: each["value"] for each in self.call("/jobmanager/config")}

    def labels(self, job: str) -> dict[str, str]:
        """The job's global parameters: what Keepline wrote on it at submit."""
        return dict(self.call(f"/jobs/{job}/config").get("execution-config", {}).get("user-config", {}))

    def free_slots(self) -> tuple[int, int]:
        """Task slots that are free, and all there are."""
        told = self.call("/overview")
        return int(told["slots-available"]), int(told["slots-total"])

    def job(self, job: str) -> dict[str, Any]:
        """Flink's description of a job: state, vertices and more."""
        return dict(self.call(f"/jobs/{job}"))

    def state(self, job: str) -> str:
        """State of one job."""
        return str(self.job(job)["state"])

    def all_running(self, job: str) -> bool:
        """Whether every task of the job runs: the job's own RUNNING says that it was scheduled, a vertex's that one of its tasks runs."""
        told = self.job(job)
        return told["state"] == "RUNNING" and all(
            each["tasks"]["RUNNING"] + each["tasks"]["FINISHED"] == each["parallelism"] for each in told["vertices"]
        )

    def wait(self, job: str, states: Iterable[str] = ENDED, timeout: float = 120.0) -> str:
        """Waits until the job is in one of the states; returns it.

        Raises:
            ClusterError: time ran out, or the job ended in another state (with its root cause).
        """
        wanted = frozenset(states)
        return str(self._poll(job, lambda: (s := self.state(job)) in wanted and s, timeout, f"in {sorted(wanted)}", wanted))

    def wait_running(self, job: str, timeout: float = 120.0) -> None:
        """Waits until every task runs. Raises ClusterError as `wait`."""
        self._poll(job, lambda: self.all_running(job), timeout, "running", frozenset())

    def _poll(self, job: str, probe: Any, timeout: float, what: str, wanted: frozenset[str]) -> object:
        deadline = time.monotonic() + timeout
        while not (found := self._led(probe)):
            state = self._led(lambda: self.state(job)) or "waiting for a JobManager that leads"
            if state in ENDED - wanted:
                msg = f"job {job} is {state}, not {what}. Its cause:\n{self.cause(job)}"
                raise ClusterError(msg)
            if time.monotonic() > deadline:
                msg = f"job {job} is {state}, not {what} after {timeout:.0f} s. Its newest failure:\n{self._led(lambda: self.cause(job))}"
                raise ClusterError(msg)
            time.sleep(0.1)
        return found

    def _led(self, probe: Any) -> Any:
        try:
            return probe()
        except NoLeaderError:  # with high availability a JobManager may change while we wait
            return None

    def cause(self, job: str) -> str:
        """Stack trace of the newest failure, "" if there was none."""
        entries = self.call(f"/jobs/{job}/exceptions")["exceptionHistory"]["entries"]
        return str(entries[0]["stacktrace"]) if entries else ""

    def restarts(self, job: str) -> int:
        """How often the job was restarted."""
        told = self.call(f"/jobs/{job}/metrics?get=numRestarts")
        return int(float(told[0]["value"])) if told else 0

    def checkpoints(self, job: str) -> dict[str, Any]:
        """Flink's checkpoint statistics: counts, the latest and more."""
        return dict(self.call(f"/jobs/{job}/checkpoints"))

    def metrics(self, job: str, vertex: str, names: Iterable[str]) -> dict[str, float]:
        """Sum over the subtasks of a vertex, by metric name; names as in `/jobs/…/vertices/…/subtasks/metrics`."""
        told = self.call(f"/jobs/{job}/vertices/{vertex}/subtasks/metrics?agg=sum&get={','.join(names)}")
        return {each["id"]: float(each["sum"]) for each in told}

    def cancel(self, job: str) -> None:
        """Asks a job to cancel; `wait` for CANCELED."""
        self.call(f"/jobs/{job}", method="PATCH")

    def savepoint(
        self,
        job: str,
        directory: str | None,
        *,
        stop: bool = False,
        drain: bool = False,
        native: bool = False,
        timeout: float = SAVEPOINT_TIMEOUT,
    ) -> str:
        """Takes a savepoint in `directory` (a URI; None: the cluster's own) and returns its own; with `stop` the job ends with it.

        `drain` ends the input for good, with the largest watermark, before a stop. `native`: in the state backend's own format, which
        only that backend reads.
        """
        body: dict[str, object] = {"formatType": "NATIVE" if native else "CANONICAL"}
        if directory:
            body["targetDirectory" if stop else "target-directory"] = directory
        if drain:
            body["drain"] = True
        trigger = self.call(f"/jobs/{job}/{'stop' if stop else 'savepoints'}", body)["request-id"]
        deadline = time.monotonic() + timeout
        while (told := self.call(f"/jobs/{job}/savepoints/{trigger}"))["status"]["id"] != "COMPLETED":
            if time.monotonic() > deadline:
                msg = f"the savepoint of job {job} was not complete after {timeout:.0f} s; it may still come: see `keepline status`"
                raise ClusterError(msg)
            time.sleep(0.1)
        if "failure-cause" in told["operation"]:
            msg = f"the savepoint of job {job} failed, and the job goes on: {told['operation']['failure-cause']['stack-trace']}"
            raise ClusterError(msg)
        return str(told["operation"]["location"])

    def stop(self, job: str, directory: str | None, *, drain: bool = False, timeout: float = SAVEPOINT_TIMEOUT) -> str:
        """Stops a job with a savepoint; returns its URI once the job has ended, with all its output committed."""
        uri = self.savepoint(job, directory, stop=True, drain=drain, timeout=timeout)
        self.wait(job, {"FINISHED"}, timeout)
        return uri
