"""A standalone Flink cluster of child processes, from the installed apache-flink wheel and flink-conf/: one JobManager, n TaskManagers.

    with FlinkCluster(taskmanagers=2) as flink:
        job = flink.submit("jobs/retention.py", "--bootstrap-servers", kafka.bootstrap_servers)
        flink.rest.wait_running(job)
        flink.kill_taskmanager(0)

The wheel stays untouched: a folder of links takes the place of its lib folder and adds flink-python and the job's jar, so that both
are loaded once per JVM (a second job on a TaskManager fails otherwise).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from keepline.jobs.cluster import profiles
from keepline.jobs.cluster.client import address, flink_run
from keepline.jobs.cluster.distribution import flink_home, link_conf, link_lib, python_path
from keepline.jobs.cluster.rest import FlinkRest
from keepline.jobs.stack import ports
from keepline.jobs.stack.java import java
from keepline.jobs.stack.process import Child
from keepline.jobs.stack.server import InFolder

START_TIMEOUT = 240.0  # seconds; 8 s on an idle machine


class FlinkCluster(InFolder):
    """One session cluster.

    Args:
        taskmanagers: how many to start, one slot each.
        settings: Flink settings that add to or replace flink-conf/config.yaml and the profile.
        profile: one of flink-conf/, such as "throughput".
        zookeeper: host:port of a ZooKeeper, for high availability (flink-conf/high-availability.yaml): a killed JobManager's jobs are
            taken up by the next one. The cluster's id is its folder, so several clusters can share a ZooKeeper.
        folder: for settings, logs, checkpoints; a temporary one, removed at the end, where not given.

    Attributes:
        rest: the JobManager's REST interface (`rest.url` is also the web page).
        checkpoints, savepoints: URIs of the folders.
        metrics: where Prometheus would read each process ("jobmanager", and the TaskManagers' resource ids), by its name.
    """

    def __init__(
        self,
        *,
        taskmanagers: int = 1,
        settings: Mapping[str, str] | None = None,
        profile: str | None = None,
        zookeeper: str | None = None,
        folder: Path | None = None,
    ) -> None:
        super().__init__("flink", folder)
        self._wanted = taskmanagers
        rest, rpc = ports.free_ports(2)
        self.rest = FlinkRest(f"http://{ports.HOST}:{rest}")
        self.checkpoints = (self.folder / "checkpoints").as_uri()
        self.savepoints = (self.folder / "savepoints").as_uri()
        self._settings = {
            **(profiles.settings_of(profile) if profile else {}),
            "jobmanager.rpc.address": ports.HOST,
            "jobmanager.rpc.port": str(rpc),
            "jobmanager.bind-host": ports.HOST,
            "taskmanager.bind-host": ports.HOST,
            "taskmanager.host": ports.HOST,
            "rest.address": ports.HOST,
            "rest.port": str(rest),
            "rest.bind-port": str(rest),
            "io.tmp.dirs": str(self.folder / "tmp"),
            "metrics.reporter.warm.python": sys.executable,
            "execution.checkpointing.dir": self.checkpoints,
            "execution.checkpointing.savepoint-dir": self.savepoints,
            **(self._high_availability(zookeeper) if zookeeper else {}),
            **(settings or {}),
        }
        self._jobmanager: Child | None = None
        self._taskmanagers: dict[int, Child] = {}
        self._starts = 0
        self.metrics: dict[str, str] = {}

    def _high_availability(self, zookeeper: str) -> dict[str, str]:
        return {
            **profiles.settings_of("high-availability"),
            "high-availability.zookeeper.quorum": zookeeper,
            "high-availability.storageDir": (self.folder / "high-availability").as_uri(),
            "high-availability.cluster-id": str(self.folder),
        }

    def start(self) -> Self:
        """Starts all processes; returns when every TaskManager is registered. Raises StackError with the log's end."""
        self._prepare()
        self._jobmanager = self._launch_jobmanager()
        for index in range(self._wanted):
            self._launch(index)
        self._answers()
        for index in range(self._wanted):
            self._registered(index)
        return self

    def _prepare(self) -> None:
        link_lib(self.folder / "lib")
        link_conf(self.folder / "conf")
        for name in ("tmp", "log", "pid", "checkpoints", "savepoints"):
            (self.folder / name).mkdir()

    def _env(self) -> dict[str, str]:
        return {
            "FLINK_HOME": str(flink_home()),
            "FLINK_CONF_DIR": str(self.folder / "conf"),
            "FLINK_LIB_DIR": str(self.folder / "lib"),
            "FLINK_LOG_DIR": str(self.folder / "log"),
            "FLINK_PID_DIR": str(self.folder / "pid"),
            "JAVA_HOME": str(Path(java()).resolve().parents[1]),
            # An editable install and pemja must be found by interpreters that Flink starts without our environment.
            "PYTHONPATH": python_path(),
        }

    def _launch_jobmanager(self) -> Child:
        return self._child("jobmanager", "jobmanager.sh", self._settings)

    def _answers(self) -> None:
        if self._jobmanager:
            self._jobmanager.wait_until(self.rest.answers, START_TIMEOUT)

    def _child(self, name: str, script: str, settings: Mapping[str, str], *words: str) -> Child:
        (port,) = ports.free_ports(1)
        self.metrics[name] = f"http://{ports.HOST}:{port}/metrics"
        settings = {**settings, "metrics.reporter.prom.port": str(port)}
        options = [part for key, value in settings.items() for part in ("-D", f"{key}={value}")]
        command: list[str | Path] = [flink_home() / "bin" / script, "start-foreground", *options, *words]
        return Child(name, command, self.folder / "log" / f"{name}.log", env=self._env(), owned=self._owned)

    def _launch(self, index: int) -> None:
        self._starts += 1
        # A new id each start, so that the REST interface tells a new TaskManager from the killed one it replaces.
        name = f"tm-{index}-{self._starts}"
        self._taskmanagers[index] = self._child(name, "taskmanager.sh", {**self._settings, "taskmanager.resource-id": name})

    def _registered(self, index: int) -> None:
        child = self._taskmanagers[index]
        child.wait_until(lambda: child.name in self.rest.taskmanagers(), START_TIMEOUT)

    def start_taskmanager(self, index: int | None = None) -> int:
        """Starts one more TaskManager, or number `index` again; returns its number once it is registered."""
        if index is None:
            index = max(self._taskmanagers, default=-1) + 1
        elif index in self._taskmanagers and self._taskmanagers[index].running:
            msg = f"TaskManager {index} runs already"
            raise ValueError(msg)
        self._launch(index)
        self._registered(index)
        return index

    def kill_taskmanager(self, index: int) -> str:
        """Kill -9; returns the resource id that the REST interface will miss."""
        self._taskmanagers[index].kill()
        return self._taskmanagers[index].name

    @property
    def processes(self) -> dict[str, int]:
        """Process ids of what runs: "jobmanager", and the TaskManagers by resource id."""
        children = [child for child in (self._jobmanager, *self._taskmanagers.values()) if child]
        return {child.name: child.pid for child in children if child.running}

    def kill_jobmanager(self) -> None:
        """Kill -9. Without a ZooKeeper all jobs end with it."""
        if self._jobmanager:
            self._jobmanager.kill()

    def start_jobmanager(self) -> None:
        """Starts a JobManager in place of a killed one, at the same addresses; returns when it leads.

        With a ZooKeeper it leads when the killed one's session there has ended, and then takes up its jobs.
        """
        if self._jobmanager and self._jobmanager.running:
            msg = "the JobManager runs already"
            raise ValueError(msg)
        self._jobmanager = self._launch_jobmanager()
        self._answers()

    def submit(
        self,
        script: str | Path,
        *arguments: str,
        parallelism: int = 1,
        savepoint: str | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> str:
        """Submits a Python job with `flink run`, detached; returns its job id.

        Args:
            script: the job's file.
            *arguments: the job's own.
            parallelism: default parallelism of its operators.
            savepoint: URI of a savepoint or retained checkpoint to start from.
            settings: Flink settings of this job.

        Raises:
            ClusterError: no job was submitted; the message holds the client's output.
        """
        options = {**self._settings, **address(self.rest.url), "parallelism.default": str(parallelism), **(settings or {})}
        env = {name: value for name, value in self._env().items() if name in ("FLINK_CONF_DIR", "FLINK_LOG_DIR", "JAVA_HOME")}
        return flink_run(script, *arguments, settings=options, savepoint=savepoint or "", env=env)

    def pids(self) -> tuple[int, ...]:
        """The process ids of JobManager and TaskManagers."""
        return tuple(child.pid for child in (self._jobmanager, *self._taskmanagers.values()) if child)

    def logs(self) -> str:
        """The ends of all processes' logs, for the message of a failed test."""
        children = [child for child in (self._jobmanager, *self._taskmanagers.values()) if child]
        return "\n".join(f"--- {child.log.name}\n{child.tail(60)}" for child in children)

    def close(self) -> None:
        """Ends all processes at once, jobs included, and removes the temporary folder."""
        for child in [*self._taskmanagers.values(), *([self._jobmanager] if self._jobmanager else [])]:
            child.kill()
        super().close()
