"""A job started as users start it, with what a benchmark asks of it: CPU of its processes, restarts, its end."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple, Self

from keepline.jobs.cluster.rest import FlinkRest
from keepline.jobs.stack import ports
from keepline.jobs.stack.process import Child, folder
from keepline.operators.spec import CHANNELS, NEXT_APP_CHANNELS
from tests.benchmarks.processes import tree_cpu
from tests.benchmarks.stages import COUNTED, cpu_by_stage

PARTITIONS = 2


class Kind(NamedTuple):
    """Which job it is."""

    command: str
    """Of `keepline run`."""
    channels: tuple[str, ...]
    """Its outputs; "" for a number that it does not use."""
    answers: str
    """The channel that is measured."""
    operator: str
    """How the name of its operator begins."""
    flags: tuple[str, ...] = ()
    checkpoint: str = "1s"
    """The interval at which its latency is measured."""


RETENTION = Kind("retention", CHANNELS, "scores", "customer", ("--emit", "every"))
NEXT_APP = Kind("next-app", NEXT_APP_CHANNELS, "app-predictions", "next-app", checkpoint="5s")


def facts(rest: FlinkRest) -> dict[str, Any]:
    """Restarts and checkpoint durations of the one job, from Flink's own page."""
    (job,) = rest.jobs()
    summary = rest.checkpoints(job)["summary"]["end_to_end_duration"]
    return {"restarts": rest.restarts(job), "checkpoint_ms": {"avg": summary["avg"], "max": summary["max"]}}


class Job:
    """`keepline run` on topics of its own, in a folder of its own."""

    def __init__(
        self, broker: Any, name: str, topic: str, *, checkpoint: str, redis_url: str = "", more: tuple[str, ...] = (),
        kind: Kind = RETENTION,
    ) -> None:  # fmt: skip
        self.name, self.topic, self.kind = name, topic, kind
        self.outputs = [f"{name}.{channel}" for channel in kind.channels if channel]
        broker.create_topics(self.outputs, partitions=PARTITIONS)
        self.folder = folder(name)
        (port,) = ports.free_ports(1)
        self.rest = FlinkRest(f"http://{ports.HOST}:{port}")
        program = Path(sys.executable).with_name("keepline")
        command = [
            program, "run", kind.command, "--bootstrap-servers", broker.bootstrap_servers, "--topics", topic, "--output-prefix", name,
            "--redis-url", redis_url, "--job-name", name, *kind.flags, "--checkpoint-interval", checkpoint,
            "--checkpoint-dir", (self.folder / "checkpoints").as_uri(), "--rest-port", str(port),
            "--flink", "metrics.fetcher.update-interval=250", *more,
        ]  # fmt: skip
        self._child = Child(name, command, self.folder / "job.log", owned=self.folder)

    @property
    def scores(self) -> str:
        """The topic of the scores, or of what the job puts out instead."""
        return f"{self.name}.{self.kind.answers}"

    def cpu(self) -> float:
        """CPU seconds so far, of all its processes."""
        return tree_cpu(self._child.pid)

    def stages(self) -> Counter[str]:
        """CPU seconds so far by stage, and the operator's own count of its thread's time, in seconds by the clock."""
        job, vertex = self._customer()
        told = self.rest.metrics(job, vertex, [f"{self.kind.operator}.keepline.{name}" for name in COUNTED])
        return cpu_by_stage(self._child.pid) + Counter({name.split(".")[-1]: ms / 1000 for name, ms in told.items()})

    def check(self) -> None:
        """Raises RuntimeError, with the end of the log, if the job is gone."""
        if not self._child.running:
            msg = f"the job ended with status {self._child.status}. The end of {self._child.log}:\n{self._child.tail()}"
            raise RuntimeError(msg)

    def tail(self) -> str:
        """The end of its log."""
        return self._child.tail()

    def facts(self) -> dict[str, Any]:
        """What Flink says."""
        return facts(self.rest)

    def write_back_ms(self) -> float:
        """How long the operator wrote states at the newest barrier, the longest of its subtasks; 0 before the first."""
        job, vertex = self._customer()
        name = f"{self.kind.operator}.keepline.write_back_last_ms"
        told = self.rest.call(f"/jobs/{job}/vertices/{vertex}/subtasks/metrics?agg=max&get={name}")
        return float(told[0]["max"]) if told else 0.0

    def snapshot_ms(self) -> float:
        """How long Flink held the operator for a snapshot, apart from that: the longest of the newest checkpoints."""
        job, vertex = self._customer()
        done = [each["id"] for each in self.rest.checkpoints(job)["history"] if each["status"] == "COMPLETED"]
        told = [self.rest.call(f"/jobs/{job}/checkpoints/details/{number}/subtasks/{vertex}") for number in done]
        return max((float(each["summary"]["checkpoint_duration"]["sync"]["max"]) for each in told), default=0.0)

    def _customer(self) -> tuple[str, str]:
        (job,) = self.rest.jobs()
        return job, next(each["id"] for each in self.rest.job(job)["vertices"] if each["name"].startswith(self.kind.operator))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        import shutil

        self._child.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
