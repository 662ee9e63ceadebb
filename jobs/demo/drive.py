"""What the demo does, without how it looks: starts the stack and the job, sends the events, reads what comes out.

Kafka and Redis start → the history is produced while Flink starts → the job catches up → the last days come live, at a
rate → all is committed → the figures.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Self

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from keepline.jobs.cluster.rest import FlinkRest
from keepline.jobs.demo import dataset
from keepline.jobs.kafka_client import reader
from keepline.jobs.produce import Sender
from keepline.jobs.stack import process
from keepline.jobs.stack.kafka import EmbeddedKafka
from keepline.jobs.stack.ports import free_ports
from keepline.jobs.stack.process import Child, StackError
from keepline.jobs.stack.redis import EmbeddedRedis
from keepline.operators.spec import CHANNELS
from keepline.schemas.encode import Ok, encode
from keepline.schemas.records import to_record

JOB = "keepline-demo"
TOPIC = "telemetry"
PARTITIONS = 2
LIVE_SHARE = 0.2
"""The last part of the events, which comes at a rate; what is before it is history, loaded at once."""
START_SECONDS = 90
IDLE_SECONDS = 30


@dataclass
class Progress:
    """What the screen shows while the demo runs."""

    stage: str = "starting Kafka, Redis and Flink"
    total: int = 0
    sent: int = 0
    scored: int = 0
    interventions: list[dict[str, Any]] = field(default_factory=list)
    catch_up_events: int = 0
    catch_up_seconds: float = 0.0


class Drive:
    """The running stack. Use as a context manager; `run` does the work, `progress` tells how far it is."""

    def __init__(self, customers: int, seconds: float) -> None:
        """`customers` 0 = all of the held-back ones; `seconds` is how long the live part takes."""
        table = dataset.customers("held-back")
        self.table = table.head(customers) if customers else table
        # Midnight, so that windows of days hold whole days; today's, so that the wall clock is just ahead of the events.
        self.end_ms = int(time.time()) // 86_400 * 86_400_000
        self.progress = Progress()
        self._seconds = seconds
        self._stack = ExitStack()
        self._stop = threading.Event()
        self._readers: list[threading.Thread] = []
        self._admin: AdminClient | None = None
        self.events: list[Ok] = []
        self.folder = process.folder("demo")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._readers:
            thread.join(5)  # closed before the broker goes, or the clients would complain
        self._admin = None
        self._stack.close()

    def start(self) -> None:
        """Kafka, Redis, topics; then the job, which starts while the events are made and the history is produced."""
        self.kafka = self._stack.enter_context(EmbeddedKafka())
        self.redis = self._stack.enter_context(EmbeddedRedis())
        self.kafka.create_topics([TOPIC], partitions=PARTITIONS)
        self.kafka.create_topics([f"retention.{channel}" for channel in CHANNELS])
        (port,) = free_ports(1)
        self.flink = FlinkRest(f"http://127.0.0.1:{port}")
        command = [
            sys.executable, "-m", "keepline.jobs.cli.main", "run", "retention", "--bootstrap-servers", self.kafka.bootstrap_servers,
            "--topics", TOPIC, "--redis-url", self.redis.url, "--job-name", JOB, "--emit", "every", "--rest-port", str(port),
            "--checkpoint-interval", "1s", "--checkpoint-dir", (self.folder / "checkpoints").as_uri(),
        ]  # fmt: skip
        self.job = self._stack.enter_context(Child("the job", command, self.folder / "job.log", owned=self.folder))
        self._admin = AdminClient({"bootstrap.servers": self.kafka.bootstrap_servers})
        for channel, take in (("interventions", self._intervened), ("scores", self._scored)):
            self._readers.append(threading.Thread(target=self._read, args=(channel, take), daemon=True))
            self._readers[-1].start()

    def make_events(self) -> None:
        """The held-back customers' month, encoded."""
        self.progress.stage = "making the events"
        made = [encode(event) for event in dataset.events(self.table, self.end_ms)]
        self.events = [event for event in made if isinstance(event, Ok)]
        if len(self.events) != len(made):
            msg = f"{len(made) - len(self.events)} events of the data set could not be encoded; run the tests of jobs/demo/dataset.py"
            raise StackError(msg)
        self.progress.total = len(self.events)

    def send(self) -> None:
        """The history at once, as a backlog that the job finds; then the last days at a rate, each event stamped with its time."""
        history = int(len(self.events) * (1 - LIVE_SHARE))
        self.progress.stage = "loading the history into Kafka while Flink starts"
        self._produce(self.events[:history], Sender(self.kafka.bootstrap_servers, TOPIC, stamped=False))
        self.progress.stage = "Flink starts the job"
        self._until(self._running, START_SECONDS, "the job did not start")
        self.progress.stage = "catching up with the history"
        began = time.monotonic()
        before = self.progress.scored
        self._until(lambda: self._committed() >= history, START_SECONDS, "the job did not catch up")
        self.progress.catch_up_events = history - before
        self.progress.catch_up_seconds = time.monotonic() - began
        live = self.events[history:]
        rate = len(live) / max(self._seconds, 0.001)
        self.progress.stage = f"live: the last {LIVE_SHARE * dataset.DAYS:.0f} days at {rate:,.0f} events/s"
        self._produce(live, Sender(self.kafka.bootstrap_servers, TOPIC, rate=rate))
        self.progress.stage = "waiting for the last commit"
        self._until(lambda: self._committed() >= len(self.events), IDLE_SECONDS, "not all events were processed")
        self._until(lambda: self.progress.scored >= len(self.events), IDLE_SECONDS, "not all scores were committed")

    def _produce(self, events: list[Ok], sender: Sender) -> None:
        for event in events:
            sender.send(event.customer_id.encode(), event.value, event.event_time)
            self.progress.sent += 1
        sender.flush()

    def _running(self) -> bool:
        return any(self.flink.all_running(job) for job in self.flink.jobs()) if self.flink.answers() else False

    def _until(self, ready: Callable[[], bool], seconds: float, what: str) -> None:
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.job.running or time.monotonic() > deadline:
                msg = f"{what} ({'it ended' if not self.job.running else f'within {seconds:.0f} s'}). Its log ends:\n{self.job.tail(25)}"
                raise StackError(msg)
            time.sleep(0.1)

    def _committed(self) -> int:
        """Events whose effects are committed: the source commits its offsets with each checkpoint."""
        assert self._admin is not None  # noqa: S101 — made by `start`
        wanted = ConsumerGroupTopicPartitions(JOB, [TopicPartition(TOPIC, partition) for partition in range(PARTITIONS)])
        (answer,) = self._admin.list_consumer_group_offsets([wanted]).values()
        try:
            return sum(max(partition.offset, 0) for partition in answer.result().topic_partitions)
        except KafkaException:  # the coordinator of the group is still loading
            return 0

    def _read(self, channel: str, take: Callable[[bytes], None]) -> None:
        consumer = Consumer(reader(self.kafka.bootstrap_servers, {}))
        consumer.assign([TopicPartition(f"retention.{channel}", 0, 0)])
        while not self._stop.is_set():
            for message in consumer.consume(5000, 0.2):
                if message.error() is None:
                    take(message.value())
        consumer.close()

    def _intervened(self, value: bytes) -> None:
        self.progress.interventions.append(to_record(value)[1])

    def _scored(self, _value: bytes) -> None:
        self.progress.scored += 1

    def last_scores(self) -> dict[str, dict[str, str]]:
        """The live view: the score hash of each customer in Redis."""
        import redis

        view = redis.Redis.from_url(self.redis.url, decode_responses=True)
        pipe = view.pipeline(transaction=False)
        for customer in self.table.index:
            pipe.hgetall(f"keepline:score:{customer}:churn")
        return dict(zip(self.table.index, pipe.execute(), strict=True))

    def latency(self) -> dict[str, float]:
        """Created → Redis in ms, as the Redis sink measured it on the live part: count, p50_ms, p99_ms, max_ms."""
        import redis

        view = redis.Redis.from_url(self.redis.url, decode_responses=True)
        time.sleep(1.2)  # the sink writes its figures every second
        told: Any = view.hgetall(f"keepline:meter:{JOB}:0")
        return {name: float(value) for name, value in told.items()}
