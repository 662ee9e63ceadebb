"""Keepline itself: the job that users run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from keepline.jobs.cluster.rest import FlinkRest
from keepline.jobs.stack import ports
from keepline.jobs.stack.process import Child
from keepline.operators.spec import CHANNELS
from tests.benchmarks.job import facts
from tests.benchmarks.peers.launch import create_topics, flink_env
from tests.benchmarks.peers.system import PARTITIONS, Run, System

BACKENDS = {"heap": "hashmap", "rocksdb": "rocksdb"}
FLINK = {
    "heap": {},
    # As flink-conf/backfill.yaml has it, and room for RocksDB's caches instead of a local Flink's 128 MB.
    "rocksdb": {"execution.checkpointing.incremental": "true", "taskmanager.memory.managed.size": "1g"},
}


def flags(run: Run, redis_url: str = "") -> list[str]:
    """The job's own flags."""
    return [
        "--bootstrap-servers", run.bootstrap_servers, "--topics", run.source, "--output-prefix", run.name, "--redis-url", redis_url,
        "--job-name", run.name, "--emit", "every", "--checkpoint-interval", f"{int(run.checkpoint_s * 1000)}ms",
        "--state-backend", BACKENDS[run.backend], "--parallelism", str(run.processes),
    ]  # fmt: skip


def make_outputs(run: Run) -> None:
    """The topics of the other channels."""
    create_topics(run, [name for channel in CHANNELS if (name := f"{run.name}.{channel}") != run.sink], PARTITIONS)


class Job(Child):
    """`keepline run retention`, which also tells what Flink says of it. `more`: further flags."""

    def __init__(self, run: Run, *more: str) -> None:
        make_outputs(run)
        (port,) = ports.free_ports(1)
        self.rest = FlinkRest(f"http://{ports.HOST}:{port}")
        flink = [part for name, value in FLINK[run.backend].items() for part in ("--flink", f"{name}={value}")]
        command = [
            Path(sys.executable).with_name("keepline"), "run", "retention", *flags(run), "--rest-port", str(port),
            "--checkpoint-dir", (run.folder / "checkpoints").as_uri(), *flink, *more,
        ]  # fmt: skip
        (run.folder / "flink-log").mkdir()
        super().__init__(run.name, command, run.folder / "job.log", env=flink_env(run), owned=run.folder)

    def facts(self) -> dict[str, Any]:
        """What Flink says."""
        return facts(self.rest)


SYSTEM = System(
    name="keepline",
    label="Keepline",
    guarantee="exactly once",
    start=Job,
    processes=(1, 2),
    backends=("heap", "rocksdb"),
)
