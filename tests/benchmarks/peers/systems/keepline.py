"""Keepline itself: the job that users run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from keepline.jobs.cluster.rest import FlinkRest
from keepline.jobs.stack import ports
from keepline.jobs.stack.process import Child
from keepline.operators.spec import CHANNELS
from tests.benchmarks.peers.launch import create_topics
from tests.benchmarks.peers.system import PARTITIONS, Run, System

BACKENDS = {"heap": "hashmap", "rocksdb": "rocksdb"}


class Job(Child):
    """`keepline run retention`, which also tells what Flink says of it."""

    def __init__(self, run: Run, *more: str) -> None:
        create_topics(run, [f"{run.name}.{channel}" for channel in CHANNELS if f"{run.name}.{channel}" != run.sink], PARTITIONS)
        (port,) = ports.free_ports(1)
        self.rest = FlinkRest(f"http://{ports.HOST}:{port}")
        command = [
            Path(sys.executable).with_name("keepline"), "run", "retention", "--bootstrap-servers", run.bootstrap_servers,
            "--topics", run.source, "--output-prefix", run.name, "--redis-url", "", "--job-name", run.name, "--emit", "every",
            "--checkpoint-interval", f"{int(run.checkpoint_s * 1000)}ms", "--checkpoint-dir", (run.folder / "checkpoints").as_uri(),
            "--state-backend", BACKENDS[run.backend], "--parallelism", str(run.processes), "--rest-port", str(port), *more,
        ]  # fmt: skip
        super().__init__(run.name, command, run.folder / "job.log", owned=run.folder)

    def facts(self) -> dict[str, Any]:
        """Restarts and checkpoint durations."""
        (job,) = self.rest.jobs()
        summary = self.rest.checkpoints(job)["summary"]["end_to_end_duration"]
        return {"restarts": self.rest.restarts(job), "checkpoint_ms": {"avg": summary["avg"], "max": summary["max"]}}


SYSTEM = System(
    name="keepline",
    label="Keepline",
    guarantee="exactly once",
    start=Job,
    processes=(1, 2),
    backends=("heap", "rocksdb"),
)
