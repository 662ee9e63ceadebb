"""Flink's REST interface, as far as the demo, the tests and the benchmarks need it."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterable
from typing import Any

from keepline.jobs.stack.process import StackError

ENDED = frozenset({"FINISHED", "CANCELED", "FAILED"})


class FlinkRest:
    """One JobManager's REST interface at `url` (http://host:port). Every call raises StackError with Flink's answer if refused."""

    def __init__(self, url: str, timeout: float = 10.0) -> None:
        self.url, self._timeout = url, timeout

    def call(self, path: str, body: object = None, method: str | None = None) -> Any:
        """The parsed answer to a GET, or with a body to a POST."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 - http, on a server we started
            self.url + path, data, {"Content-Type": "application/json"}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=self._timeout) as answer:  # noqa: S310
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            msg = f"Flink refused {request.get_method()} {path}: {error.code} {error.read().decode(errors='replace')[:2000]}"
            raise StackError(msg) from None
        except OSError as error:
            msg = f"Flink does not answer at {self.url}{path}: {error}"
            raise StackError(msg) from None

    def answers(self) -> bool:
        """Whether the JobManager is up."""
        try:
            self.call("/overview")
        except StackError:
            return False
        return True

    def taskmanagers(self) -> list[str]:
        """Resource ids of the registered TaskManagers."""
        return [each["id"] for each in self.call("/taskmanagers")["taskmanagers"]]

    def jobs(self) -> dict[str, str]:
        """State (RUNNING, …) by job id."""
        return {each["id"]: each["status"] for each in self.call("/jobs")["jobs"]}

    def job(self, job: str) -> dict[str, Any]:
        """Flink's description of a job: state, vertices and more."""
        return dict(self.call(f"/jobs/{job}"))

    def state(self, job: str) -> str:
        """State of one job."""
        return str(self.job(job)["state"])

    def all_running(self, job: str) -> bool:
        """Whether every task of the job runs; the job's own RUNNING only says that it was scheduled."""
        told = self.job(job)
        return told["state"] == "RUNNING" and all(each["status"] == "RUNNING" for each in told["vertices"])

    def wait(self, job: str, states: Iterable[str] = ENDED, timeout: float = 120.0) -> str:
        """Waits until the job is in one of the states; returns it.

        Raises:
            StackError: time ran out, or the job ended in another state (with its root cause).
        """
        wanted = frozenset(states)
        return str(self._poll(job, lambda: (s := self.state(job)) in wanted and s, timeout, f"in {sorted(wanted)}", wanted))

    def wait_running(self, job: str, timeout: float = 120.0) -> None:
        """Waits until every task runs. Raises StackError as `wait`."""
        self._poll(job, lambda: self.all_running(job), timeout, "running", frozenset())

    def _poll(self, job: str, probe: Any, timeout: float, what: str, wanted: frozenset[str]) -> object:
        deadline = time.monotonic() + timeout
        while not (found := probe()):
            state = self.state(job)
            if state in ENDED - wanted:
                msg = f"job {job} is {state}, not {what}. Its cause:\n{self.cause(job)}"
                raise StackError(msg)
            if time.monotonic() > deadline:
                msg = f"job {job} is {state}, not {what} after {timeout:.0f} s. Its newest failure:\n{self.cause(job)}"
                raise StackError(msg)
            time.sleep(0.1)
        return found

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

    def savepoint(self, job: str, directory: str, *, stop: bool = False, timeout: float = 120.0) -> str:
        """Takes a savepoint in `directory` (a URI) and returns its own; with `stop` the job ends with it, undrained."""
        body = {"formatType": "CANONICAL", ("targetDirectory" if stop else "target-directory"): directory}
        trigger = self.call(f"/jobs/{job}/{'stop' if stop else 'savepoints'}", body)["request-id"]
        deadline = time.monotonic() + timeout
        while (told := self.call(f"/jobs/{job}/savepoints/{trigger}"))["status"]["id"] != "COMPLETED":
            if time.monotonic() > deadline:
                msg = f"the savepoint of job {job} was not complete after {timeout:.0f} s"
                raise StackError(msg)
            time.sleep(0.1)
        if "failure-cause" in told["operation"]:
            msg = f"the savepoint of job {job} failed: {told['operation']['failure-cause']['stack-trace']}"
            raise StackError(msg)
        return str(told["operation"]["location"])
