"""The whole job on real components, and what faults need of it: Kafka, Redis, ZooKeeper, a cluster of one JobManager and two TaskManagers.

Jobs are submitted, stopped and restored by the command `keepline` of the installation that runs this (the wheel's, in `make chaos`).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from confluent_kafka import Consumer, TopicPartition

import keepline
from keepline.jobs.cluster.rest import ClusterError
from keepline.jobs.cluster.submit import as_toml
from keepline.jobs.settings import RetentionSettings
from keepline.jobs.stack.flink import FlinkCluster
from keepline.jobs.stack.kafka import EmbeddedKafka
from keepline.jobs.stack.redis import EmbeddedRedis
from keepline.operators.spec import CHANNELS
from tests.chaos.committed import PARTITIONS, Committed, Watch
from tests.chaos.dead import expected, tombstones
from tests.chaos.feed import Feed
from tests.chaos.records import Grouped, by_customer
from tests.chaos.store import Store
from tests.jobs.models_for_tests import manifest
from tests.monitoring.running import PREFIX, scrape
from tests.whole.policies import policy_file
from tests.whole.support import command, drained, replay_files, wait

NAME = "chaos"
PATIENCE = 300.0
"""Seconds for what takes ten on an idle machine."""
DELIVERY_TIMEOUT = 8.0
HEARTBEAT_TIMEOUT = 5.0
KAFKA = {
    # Short, so that a broker's pause can be longer.
    "delivery.timeout.ms": str(int(DELIVERY_TIMEOUT * 1000)),
    "request.timeout.ms": "4000",
    # An added partition is read soon.
    "partition.discovery.interval.ms": "2000",
}


@dataclass(frozen=True, slots=True)
class Shape:
    """What a world is made of."""

    backend: str = "hashmap"
    parallelism: int = 1
    seed: int = 1
    customers: int = 200
    partitions: int = 4
    rate: int = 250
    """Events a second."""
    disk: bool = True
    """Checkpoints on a small disk of their own where this process may mount one."""
    interval: str = "300ms"
    """Of the checkpoints."""

    def changed(self, **values: Any) -> Shape:
        """This one with other values."""
        return replace(self, **values)


def installation() -> str:
    """Where the code that runs comes from."""
    wheel = "site-packages" in str(Path(str(keepline.__file__)).resolve())
    return "the installed wheel" if wheel else "the source tree"


class World:
    """One Kafka, Redis and cluster with one job `chaos`, fed at a steady rate; several rounds share it."""

    def __init__(self, shape: Shape, zookeeper: str | None = None) -> None:
        self.shape, self.job = shape, ""
        self._zookeeper = zookeeper
        self._stack = ExitStack()
        self.settings: RetentionSettings
        self.kafka: EmbeddedKafka
        self.redis: EmbeddedRedis
        self.flink: FlinkCluster
        self.store: Store
        self.feed: Feed
        self.watch: Watch
        self.committed: Committed

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self) -> None:
        shape, hold = self.shape, self._stack.enter_context
        self.folder = Path(tempfile.mkdtemp(prefix="keepline-chaos-"))
        self._stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        (self.folder / "model").mkdir()
        (self.folder / "model" / "manifest.json").write_text(json.dumps(manifest()), encoding="utf-8")
        self.store = Store(self.folder / "checkpoints", disk=shape.disk)
        self.kafka = hold(EmbeddedKafka(settings={"num.io.threads": "4"}))
        self.kafka.create_topics([f"{NAME}.in"], shape.partitions)
        self.kafka.create_topics([f"{NAME}.{channel}" for channel in CHANNELS], PARTITIONS)
        self.redis = hold(EmbeddedRedis(durable=True))
        own = {"execution.checkpointing.dir": self.store.folder.as_uri()}
        self.flink = hold(FlinkCluster(taskmanagers=2, settings=own, zookeeper=self._zookeeper))
        self.settings = RetentionSettings(
            job_name=NAME, bootstrap_servers=self.kafka.bootstrap_servers, topics=(f"{NAME}.in",), output_prefix=NAME,
            redis_url=self.redis.url, model=self.folder / "model", emit="every", policy=policy_file(self.folder), idle_after="0s",
            parallelism=shape.parallelism, state_backend=shape.backend, checkpoint_interval=shape.interval, kafka=KAFKA,
        )  # fmt: skip
        self.feed = Feed(self.kafka, f"{NAME}.in", shape.seed, customers=shape.customers, partitions=shape.partitions, rate=shape.rate)
        self._stack.callback(self.feed.close)
        self.watch = Watch(self.kafka, NAME)
        self._stack.callback(self.watch.close)
        self.committed = Committed(self.kafka, NAME)
        self.submit("submit", "retention")

    # ── the job ──

    @property
    def config(self) -> Path:
        """The job's settings as a file."""
        path = self.folder / "keepline.toml"
        path.write_text(as_toml(self.settings), encoding="utf-8")
        return path

    def cli(self, *words: str) -> Any:
        """What `keepline … --json` printed; fails with what it said."""
        done = command(*words, "--json", timeout=PATIENCE, KEEPLINE_FLINK_URL=self.flink.rest.url)
        assert done.returncode == 0, f"keepline {' '.join(words)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout)

    def submit(self, *words: str) -> None:
        """`keepline submit retention …` or `keepline restore retention …`; the job is what came of it."""
        self.job = str(self.cli(*words, "--config", str(self.config))["job"])

    @property
    def rest(self) -> Any:
        return self.flink.rest

    def counts(self) -> dict[str, int]:
        """Flink's counts of checkpoints: completed, failed, restored and more."""
        return {name: int(value) for name, value in self.rest.checkpoints(self.job)["counts"].items()}

    def restored(self) -> int:
        """How often this job began from a checkpoint."""
        return self.counts()["restored"]

    def is_restored(self, before: int) -> bool:
        """Whether it has begun from a checkpoint once more. False too while the JobManager does not answer."""
        return (self.quietly(self.restored) or 0) > before

    def is_missed(self, resource: str) -> bool:
        """Whether the JobManager has given a TaskManager up."""
        known = self.quietly(self.rest.taskmanagers)
        return known is not None and resource not in known

    def busy(self) -> list[str]:
        """Resource ids of the TaskManagers that run tasks of the job."""
        found = set()
        for vertex in self.rest.job(self.job)["vertices"]:
            for task in self.rest.call(f"/jobs/{self.job}/vertices/{vertex['id']}")["subtasks"]:
                found.add(str(task.get("taskmanager-id") or task.get("endpoint")))
        return sorted(found)

    def _exported(self, name: str) -> list[float]:
        """What the tasks of the job export under this name, a value a subtask.

        Read from the TaskManagers: the JobManager's own copies may stand still after it has lost one (seen for minutes, with Flink 2.3.0).
        """
        found: list[float] = []
        for process in self.pids():
            if process != "jobmanager":
                with suppress(OSError):  # one that is starting, or has ended
                    found += [each.value for each in scrape(self.flink.metrics[process]).find(name, job_id=self.job)]
        return found

    def counter(self, name: str) -> int:
        """A count of the job's operators, all subtasks, since the tasks started."""
        return int(sum(self._exported(f"{PREFIX}{name}")))

    def event_time(self) -> int:
        """The lowest watermark that has come to any operator; 0 before the first."""
        return max(0, int(min(self._exported("flink_taskmanager_job_task_operator_currentInputWatermark"), default=0)))

    def has_read(self, partition: int) -> bool:
        """Whether something of this input partition is in a checkpoint."""
        consumer = Consumer({**self.kafka.admin, "group.id": NAME, "enable.auto.commit": False})
        try:
            (place,) = consumer.committed([TopicPartition(f"{NAME}.in", partition)], 10)
        finally:
            consumer.close()
        return bool(place.offset > 0)

    def pids(self) -> dict[str, int]:
        """Process ids: "jobmanager", and the TaskManagers by resource id."""
        return self.flink.processes

    def index_of(self, resource: str) -> int:
        """The number of a TaskManager, by its resource id tm-INDEX-START."""
        return int(resource.split("-")[1])

    # ── what rounds do ──

    def drain(self) -> None:
        """Pauses the feed, and waits until all that was sent is committed."""
        self.feed.pause()
        drained(self.kafka, self.rest, self.job, f"{NAME}.in", NAME, PATIENCE)

    def heal(self) -> None:
        """Two registered TaskManagers, all tasks running."""
        live = self.pids()
        for index in (0, 1):
            names = [name for name in live if name.startswith(f"tm-{index}-")]
            if not names:
                self.flink.start_taskmanager(index)
        wait("two TaskManagers", lambda: len(self.quietly(self.rest.taskmanagers) or ()) >= 2, PATIENCE)
        wait("all tasks run", lambda: self.quietly(lambda: self.rest.all_running(self.job)), PATIENCE)

    @staticmethod
    def quietly(ask: Callable[[], Any]) -> Any:
        """None where the JobManager does not answer now."""
        try:
            return ask()
        except ClusterError:
            return None

    def replay(self) -> Grouped:
        """What `replay` makes of everything sent so far, and what its files do not hold."""
        files = replay_files(self.settings, self.feed.sent, self.folder / "replay")
        wanted = {channel: by_customer(map(json.loads, path.open())) for channel, path in files.items()}
        for key, letters in expected(self.feed.sent).items():
            for letter in letters:
                wanted["dead-letters"][key].append(letter)
        return {**wanted, "tombstones": tombstones(self.feed.sent)}

    def told(self) -> str:
        """State, causes and logs, for a failed round."""
        lines = [f"job {self.job}: {self.quietly(lambda: self.rest.state(self.job))}, {self.quietly(self.counts)}"]
        lines.append(str(self.quietly(lambda: self.rest.cause(self.job)))[:4000])
        return "\n".join([*lines, self.flink.logs()[-20_000:]])


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """SIGSTOP, and SIGCONT at the end. Seen to be stopped."""
    os.kill(pid, signal.SIGSTOP)
    try:
        wait(f"process {pid} is stopped", lambda: state_of(pid) == "T", 10)
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def state_of(pid: int) -> str:
    """One letter, as ps shows it; "" for no process."""
    if sys.platform != "linux":
        import psutil

        return "T" if psutil.pid_exists(pid) and psutil.Process(pid).status() == psutil.STATUS_STOPPED else ""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def away(seconds: float) -> None:
    """Time that the fault is there: a length, not something to wait for."""
    time.sleep(seconds)
