"""A Flink in application mode: a JobManager that starts with one job, ends with it, and takes no other; and its TaskManagers.

    with FlinkApplication("jobs/retention.py", "--config", "job.toml", taskmanagers=2) as flink:
        flink.rest.wait_running(flink.job)

This is how a container runs a job: each has its own processes, so its code and its failures are its own.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path

from keepline.jobs.cluster.distribution import python_path
from keepline.jobs.cluster.rest import ClusterError
from keepline.jobs.stack.flink import START_TIMEOUT, FlinkCluster
from keepline.jobs.stack.process import Child, StackError

DRIVER = "org.apache.flink.client.python.PythonDriver"


class FlinkApplication(FlinkCluster):
    """One job with its cluster.

    Args:
        script: the job's file.
        *arguments: the job's own.
        taskmanagers: how many to start, one slot each.
        settings: Flink settings that add to or replace flink-conf/config.yaml and the profile.
        profile: one of flink-conf/, such as "throughput".
        zookeeper: as for FlinkCluster.
        folder: as for FlinkCluster.
        savepoint: URI of a savepoint or retained checkpoint to start from.
    """

    def __init__(
        self,
        script: str | Path,
        *arguments: str,
        taskmanagers: int = 1,
        settings: Mapping[str, str] | None = None,
        profile: str | None = None,
        zookeeper: str | None = None,
        folder: Path | None = None,
        savepoint: str = "",
    ) -> None:
        own = {"python.pythonpath": python_path(), "python.executable": sys.executable, "python.client.executable": sys.executable}
        settings = {**own, **(settings or {})}
        super().__init__(taskmanagers=taskmanagers, settings=settings, profile=profile, zookeeper=zookeeper, folder=folder)
        self._start_from = ["--fromSavepoint", savepoint] if savepoint else []
        self._arguments = ["-pyclientexec", sys.executable, "-py", str(script), *arguments]

    def _launch_jobmanager(self) -> Child:
        return self._child(
            "jobmanager", "standalone-job.sh", self._settings, "--job-classname", DRIVER, *self._start_from, *self._arguments
        )

    @property
    def job(self) -> str:
        """The job's id, once the JobManager has started it. Raises StackError with the log's end if it does not."""
        if self._jobmanager is None:
            msg = "the application is not started: use it in a `with` statement"
            raise StackError(msg)
        try:
            self._jobmanager.wait_until(self._has_job, START_TIMEOUT)
        except StackError as error:  # the script's own reason stands far above the end of the log
            own = re.findall(r"^error: .*", self._jobmanager.log.read_text(errors="replace"), re.MULTILINE)
            raise StackError("\n".join([*own, str(error)])) from None
        return next(iter(self.rest.jobs()))

    def _has_job(self) -> bool:
        try:
            return bool(self.rest.jobs())
        except ClusterError:  # it is not up yet, or gone already
            return False
