"""What the demos have in common: Kafka, Redis and a job on a Flink of its own, and when all that was sent has taken effect.

start: Kafka, Redis, topics, the job in a process → produce: events → settle: their effects are committed and read (outputs.py)
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from keepline.jobs.cluster.rest import ClusterError, FlinkRest
from keepline.jobs.demo.outputs import Outputs
from keepline.jobs.produce import Sender
from keepline.jobs.stack import process
from keepline.jobs.stack.kafka import EmbeddedKafka
from keepline.jobs.stack.ports import free_ports
from keepline.jobs.stack.process import Child, StackError
from keepline.jobs.stack.redis import EmbeddedRedis
from keepline.models.contact.rules import Policy
from keepline.operators.spec import CHANNELS
from keepline.schemas.catalog import EVENT_TYPES
from keepline.schemas.encode import Ok, encode

JOB = "keepline-demo"
TOPIC = "telemetry"
PREFIX = "retention"
START_SECONDS = 180
IDLE_SECONDS = 60
Event = dict[str, Any]


@dataclass
class Progress:
    """What the screen shows of where the demo is."""

    stage: str = "starting Kafka, Redis and Flink"
    clock: int = 0
    """The stream's time: of the newest event that was sent. 0 before."""
    total: int = 0
    sent: int = 0
    """Events of customers; `total` are those of the month, and of the weeks after once these have begun."""
    catch_up_events: int = 0
    catch_up_seconds: float = 0.0


class Running:
    """The running stack. Use as a context manager."""

    command: ClassVar[Sequence[str]] = ("retention", "--emit", "every")
    """What `keepline run` is given, before the flags of all demos."""
    prefix: ClassVar[str] = PREFIX
    """Of the output topics."""
    channels: ClassVar[Sequence[str]] = CHANNELS
    newest: ClassVar[str] = f"{PREFIX}.decisions"
    """The topic to look at."""
    outputs: Outputs
    policy: Policy

    def __init__(self, partitions: int) -> None:
        """Nothing is started before `start`. `partitions`: of the input topic."""
        self.progress = Progress()
        self._partitions = partitions
        self._records = 0
        self._stack = ExitStack()
        self._admin: AdminClient | None = None
        self.folder = process.folder("demo")
        self._stack.callback(shutil.rmtree, self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._admin = None
        self._stack.close()

    def run(self) -> None:
        """All of the demo."""
        raise NotImplementedError

    def start(self, flags: Sequence[str], listen: Callable[[str], Outputs]) -> None:
        """Kafka, Redis, topics; then the job with these flags, which is still starting on return. `listen` reads the servers' outputs."""
        self.kafka = self._stack.enter_context(EmbeddedKafka())
        self.redis = self._stack.enter_context(EmbeddedRedis())
        self.kafka.create_topics([TOPIC], partitions=self._partitions)
        self.kafka.create_topics([f"{self.prefix}.{channel}" for channel in self.channels])
        (port,) = free_ports(1)
        self.flink = FlinkRest(f"http://127.0.0.1:{port}")
        command = [
            sys.executable, "-m", "keepline.jobs.cli.main", "run", *self.command, "--bootstrap-servers", self.kafka.bootstrap_servers,
            "--topics", TOPIC, "--redis-url", self.redis.url, "--job-name", JOB, "--rest-port", str(port),
            "--checkpoint-interval", "1s", "--checkpoint-dir", (self.folder / "checkpoints").as_uri(), *flags,
        ]  # fmt: skip
        self.job = self._stack.enter_context(Child("the job", command, self.folder / "job.log", owned=self.folder))
        self._admin = AdminClient({"bootstrap.servers": self.kafka.bootstrap_servers})
        self.outputs = listen(self.kafka.bootstrap_servers)
        self._stack.callback(self.outputs.close)

    def sender(self, rate: float = 0.0, *, stamped: bool = False) -> Sender:
        """A producer of the input topic, as `Sender` says."""
        return Sender(self.kafka.bootstrap_servers, TOPIC, rate=rate, stamped=stamped)

    def produce(self, events: Iterable[Ok], sender: Sender) -> None:
        """Sends the events, counts them, and notes the stream's time."""
        for event in events:
            sender.send(event.customer_id.encode(), event.value, event.event_time)
            self._records += 1
            self.progress.sent += self.counts(event)
            self.progress.clock = max(self.progress.clock, event.event_time)
        sender.flush()

    def counts(self, event: Ok) -> bool:
        """Whether an event is one of those that the screen counts: those of customers."""
        return not EVENT_TYPES[event.type_id].control

    def paced(self, events: Iterable[Ok], start_ms: int, end_ms: int, seconds: float) -> Iterator[Ok]:
        """The events at the pace of their times, from `start_ms` to `end_ms` in so many seconds."""
        began, pace = time.monotonic(), seconds / (end_ms - start_ms)
        for event in events:
            ahead = (event.event_time - start_ms) * pace - (time.monotonic() - began)
            if ahead > 0.002:
                time.sleep(ahead)
            yield event

    def settle(self) -> None:
        """Waits until all effects of what was sent are committed and read."""
        self.until(self.processed, IDLE_SECONDS, "not all events were processed")
        time.sleep(0.5)  # the last watermark follows the last event, and timers follow it
        assert self._admin is not None  # noqa: S101 — made by `start`
        admin = self._admin
        self.until(lambda: self.outputs.at_end(admin), IDLE_SECONDS, "not all outputs were read")

    def processed(self) -> bool:
        """Whether the effects of all that was sent are committed."""
        return self.committed() >= self._records

    def started(self) -> bool:
        """Whether all of the job runs."""
        return any(self.flink.all_running(job) for job in self.flink.jobs()) if self.flink.answers() else False

    def until(self, ready: Callable[[], bool], seconds: float, what: str) -> None:
        """Waits; StackError with `what` and the end of the job's log if it ends or that takes too long."""
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.job.running or time.monotonic() > deadline:
                why = f"within {seconds:.0f} s; {self.situation()}" if self.job.running else "it ended"
                msg = f"{what} ({why}). Its log ends:\n{self.job.tail(25)}"
                raise StackError(msg)
            time.sleep(0.1)

    def situation(self) -> str:
        """Where a job that goes on is, as far as Kafka and Flink answer: for an error's text."""
        told = [f"{self.committed()} of {self._records} records are committed"]
        try:
            for job in self.flink.jobs():
                told += [
                    f"restarts: {self.flink.restarts(job)}",
                    f"checkpoints: {self.flink.checkpoints(job)['counts']}",
                    self.flink.cause(job),
                ]
        except ClusterError as error:
            told.append(str(error))
        return "; ".join(each for each in told if each)

    def committed(self) -> int:
        """Records whose effects are committed: the source commits its offsets with each checkpoint."""
        assert self._admin is not None  # noqa: S101 — made by `start`
        wanted = ConsumerGroupTopicPartitions(JOB, [TopicPartition(TOPIC, partition) for partition in range(self._partitions)])
        (answer,) = self._admin.list_consumer_group_offsets([wanted]).values()
        try:
            return sum(max(partition.offset, 0) for partition in answer.result().topic_partitions)
        except KafkaException:  # the coordinator of the group is still loading
            return 0

    def view(self) -> Any:
        """A client of the live view."""
        import redis

        return redis.Redis.from_url(self.redis.url, decode_responses=True)


def encoded(events: Iterable[Event]) -> list[Ok]:
    """The events as the job takes them; StackError if one is none."""
    made = [encode(event) for event in events]
    sound = [event for event in made if isinstance(event, Ok)]
    if len(sound) != len(made):
        msg = f"{len(made) - len(sound)} events of the demo could not be encoded; run the tests of jobs/demo"
        raise StackError(msg)
    return sound
