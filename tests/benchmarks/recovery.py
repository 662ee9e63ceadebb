"""From the kill of a process to the first new score: a TaskManager with a standby or without, and the JobManager.

The retention job runs on a standalone cluster of real processes, at a steady rate of events. A round kills -9 the process that works, and
waits for the first record in the score topic that was not there before, uncommitted ones included. Flink's own time stamps tell
where the time goes. `Case` says what stands by.
"""

from __future__ import annotations

import contextlib
import os
import signal
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition

from keepline.jobs.stack.flink import FlinkCluster
from keepline.jobs.stack.java import ROOT
from keepline.jobs.stack.zookeeper import EmbeddedZooKeeper
from keepline.operators.spec import CHANNELS
from tests.benchmarks import events

PARTITIONS, CUSTOMERS, RATE = 2, 2_000, 1_000
PATIENCE_S, START_S = 180.0, 240.0
READY = "warm standby: interpreter, imports and kernels are ready"
PARTS = ("noticed", "deployed", "initializing", "running", "first score")
NO_WARM_UP = {"metrics.reporters": "prom"}


@dataclass(frozen=True, slots=True)
class Case:
    """What a round kills and who takes over."""

    label: str
    standby: bool
    """A TaskManager more than the job needs; else one is started at the moment of the kill, as a supervisor would."""
    warm: bool
    """TaskManagers warm up by themselves (flink-conf/config.yaml)."""
    jobmanager: bool = False
    """The JobManager is killed, with high availability on, and started again at once."""
    hangs: bool = False
    """The process is stopped (SIGSTOP) and not killed: connections stay open, only its heartbeats end."""

    @property
    def settings(self) -> dict[str, str]:
        """Flink settings beside config.yaml."""
        return {} if self.warm else NO_WARM_UP


CASES = {
    "warm": Case("TaskManager, a warm one stands by", standby=True, warm=True),
    "cold": Case("TaskManager, a cold one stands by", standby=True, warm=False),
    "none": Case("TaskManager, restarted at once", standby=False, warm=True),
    "none-cold": Case("TaskManager, restarted at once, no warm-up", standby=False, warm=False),
    "hangs": Case("TaskManager hangs, a warm one stands by", standby=True, warm=True, hangs=True),
    "jobmanager": Case("JobManager, restarted at once", standby=False, warm=True, jobmanager=True),
}


@contextlib.contextmanager
def feed(servers: str, topic: str) -> Iterator[None]:
    """RATE events a second, in small steps, until the end."""
    done = threading.Event()
    stream = events.Stream(CUSTOMERS, PARTITIONS)

    def go() -> None:
        producer = Producer({"bootstrap.servers": servers, "linger.ms": 1})
        begin, sent = time.monotonic(), 0
        while not done.wait(0.02):
            due = int((time.monotonic() - begin) * RATE)
            made = events.make(stream, sent, due - sent)
            raw, at, who = made.buffer.tobytes(), made.at.tolist(), made.customer.tolist()
            for k, customer in enumerate(who):
                producer.produce(topic, raw[at[k] : at[k + 1]], events.key(customer), partition=customer % PARTITIONS)
            sent = due
            producer.poll(0)
        producer.flush(10)

    thread = threading.Thread(target=go, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


class Watch:
    """Sees new records of a topic, uncommitted ones included."""

    def __init__(self, servers: str, topic: str) -> None:
        self._consumer = Consumer(
            {"bootstrap.servers": servers, "group.id": "recovery", "isolation.level": "read_uncommitted", "enable.auto.commit": False,
             "fetch.wait.max.ms": 10}
        )  # fmt: skip
        self._parts = [TopicPartition(topic, p) for p in range(PARTITIONS)]

    def _ends(self) -> list[int]:
        return [self._consumer.get_watermark_offsets(part, timeout=30)[1] for part in self._parts]

    def from_now(self) -> None:
        """Forgets all records up to now, and what a killed producer had on its way."""
        ends, before = self._ends(), [-1]
        while ends != before:
            time.sleep(0.05)
            ends, before = self._ends(), ends
        self._consumer.assign([TopicPartition(part.topic, part.partition, end) for part, end in zip(self._parts, ends, strict=True)])

    def wait(self, seconds: float) -> float:
        """When the first new record was seen (markers of transactions are none); raises RuntimeError after so many seconds."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = self._consumer.poll(0.2)
            if found is not None and not found.error():
                return time.time()
        msg = f"no new score within {seconds:.0f} s"
        raise RuntimeError(msg)


def timeline(flink: FlinkCluster, job: str, killed: float) -> dict[str, float]:
    """Seconds after the kill, from Flink's time stamps: the loss noticed, and when the last task reached each state again."""
    found = {}
    entries = flink.rest.call(f"/jobs/{job}/exceptions")["exceptionHistory"]["entries"]
    if entries and entries[0]["timestamp"] / 1000 > killed:
        found["noticed"] = entries[0]["timestamp"] / 1000 - killed
    stamps = [
        each["timestamps"]
        for vertex in flink.rest.job(job)["vertices"]
        for each in flink.rest.call(f"/jobs/{job}/vertices/{vertex['id']}/subtasktimes")["subtasks"]
    ]
    for part, state in (("deployed", "DEPLOYING"), ("initializing", "INITIALIZING"), ("running", "RUNNING")):
        found[part] = max(each.get(state, 0) for each in stamps) / 1000 - killed
    return found


def busy(flink: FlinkCluster, job: str) -> str:
    """Resource id of the TaskManager that runs the job's last task."""
    vertex = flink.rest.job(job)["vertices"][-1]["id"]
    return str(flink.rest.call(f"/jobs/{job}/vertices/{vertex}/taskmanagers")["taskmanagers"][0]["taskmanager-id"])


def wait_until(what: str, ready: Callable[[], object], seconds: float = START_S) -> None:
    """Polls. RuntimeError when time runs out."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            msg = f"not within {seconds:.0f} s: {what}"
            raise RuntimeError(msg)
        time.sleep(0.2)


def all_warm(flink: FlinkCluster) -> bool:
    """Whether every TaskManager that runs has said that it is warm."""
    return all(
        READY in (flink.folder / "log" / f"{name}.log").read_text(errors="replace")
        for name in flink.processes
        if name.startswith("tm-")
    )  # fmt: skip


def one_round(flink: FlinkCluster, job: str, case: Case, watch: Watch) -> dict[str, float]:
    """Kills, waits for the first new score, and puts everything back."""
    completed = flink.rest.checkpoints(job)["counts"]["completed"]
    wait_until("two checkpoints", lambda: flink.rest.checkpoints(job)["counts"]["completed"] >= completed + 2)
    if case.warm:
        wait_until("warm TaskManagers", lambda: all_warm(flink))
    name = busy(flink, job)
    number = int(name.split("-")[1])
    killed = time.time()
    if case.jobmanager:
        flink.kill_jobmanager()
        starting = threading.Thread(target=flink.start_jobmanager)
    elif case.hangs:
        os.kill(flink.processes[name], signal.SIGSTOP)
        starting = threading.Thread(target=lambda: (flink.kill_taskmanager(number), flink.start_taskmanager(number)))
    else:
        flink.kill_taskmanager(number)
        starting = threading.Thread(target=flink.start_taskmanager, args=(number,))
    if not case.standby:
        starting.start()
    watch.from_now()
    found = {"first score": watch.wait(PATIENCE_S) - killed}
    if case.standby:
        starting.start()
    starting.join()
    flink.rest.wait_running(job)
    return timeline(flink, job, killed) | found


def run(broker: Any, name: str, rounds: int, settings: dict[str, str], say: Callable[[str], None]) -> dict[str, Any]:
    """A case, on a cluster and topics of its own, with these Flink settings besides."""
    case = CASES[name]
    topic, prefix = f"recovery-{name}-in", f"recovery-{name}"
    broker.create_topics([topic, *(f"{prefix}.{channel}" for channel in CHANNELS)], partitions=PARTITIONS)
    with contextlib.ExitStack() as stack:
        zookeeper = stack.enter_context(EmbeddedZooKeeper()).connect if case.jobmanager else None
        say(f"{case.label}: starting")
        flink = stack.enter_context(
            FlinkCluster(taskmanagers=1 + case.standby, zookeeper=zookeeper, settings={**case.settings, **settings})
        )
        job = flink.submit(
            ROOT / "jobs" / "retention.py", "--bootstrap-servers", broker.bootstrap_servers, "--topics", topic, "--output-prefix", prefix,
            "--redis-url", "", "--job-name", prefix, "--emit", "every", "--checkpoint-interval", "1s",
        )  # fmt: skip
        flink.rest.wait_running(job, START_S)
        stack.enter_context(feed(broker.bootstrap_servers, topic))
        watch = Watch(broker.bootstrap_servers, f"{prefix}.scores")
        watch.from_now()
        watch.wait(PATIENCE_S)
        found = []
        for number in range(rounds):
            say(f"{case.label}: round {number + 1} of {rounds}")
            found.append(one_round(flink, job, case, watch))
        restarts = flink.rest.restarts(job)
    return {"case": name, "label": case.label, "rounds": found, "restarts": restarts}


def summary(result: dict[str, Any]) -> dict[str, tuple[float, float, float]]:
    """(min, median, max) of each part, in seconds after the kill; parts that Flink did not tell are left out."""
    parts = {}
    for part in PARTS:
        values = [each[part] for each in result["rounds"] if part in each]
        if values:
            parts[part] = min(values), statistics.median(values), max(values)
    return parts
