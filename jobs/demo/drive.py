"""What the demo does, without how it looks: starts the stack and the job, sends the events, reads what comes out.

    Kafka and Redis start → the first half of the month is produced while Flink starts → the job catches up
    → the SIMULATED CRM (crm.py) answers the interventions so far → the second half comes live, at a rate, the CRM's answers with it
    → all is committed: the scores are read, to be judged → the weeks after, in which customers leave (afterwards.py)
    → one customer is erased

The stream's time is its own: the month ends some weeks before today, so that the weeks after it lie in the past too, for the job refuses
events from the future.
"""

from __future__ import annotations

import heapq
import shutil
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from keepline.features.churn import CHURN
from keepline.jobs import customer_view
from keepline.jobs.cluster.rest import FlinkRest
from keepline.jobs.demo import dataset
from keepline.jobs.demo.afterwards import leaving
from keepline.jobs.demo.consents import consents
from keepline.jobs.demo.crm import SimulatedCrm
from keepline.jobs.demo.outputs import Outputs
from keepline.jobs.produce import Sender
from keepline.jobs.settings import PRETRAINED
from keepline.jobs.stack import process
from keepline.jobs.stack.kafka import EmbeddedKafka
from keepline.jobs.stack.ports import free_ports
from keepline.jobs.stack.process import Child, StackError
from keepline.jobs.stack.redis import EmbeddedRedis
from keepline.models.contact.document import load as load_policy
from keepline.models.contact.names import names_of
from keepline.models.contact.rules import Policy
from keepline.models.manifest import load as load_model
from keepline.operators.spec import CHANNELS
from keepline.schemas.catalog import EVENT_TYPES
from keepline.schemas.encode import Ok, encode

JOB = "keepline-demo"
TOPIC = "telemetry"
PREFIX = "retention"
POLICY = Path(__file__).with_name("policy.yaml")
PARTITIONS = 2
HISTORY_DAYS = 14
"""Loaded at once; no longer than the policy's landing window, or it would close before the CRM hears of the first decisions."""
AFTER_SECONDS = 6.0
"""How long the weeks after the month take."""
ANSWERING_ROUNDS = 3
"""At most, at the end of the history and at that of all: answers lead to tickets, tickets to answers."""
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


@dataclass(frozen=True)
class Erased:
    """The customer who was erased: the receipt, and how many keys of the customer the live view had before and has now."""

    customer_id: str
    receipt: dict[str, Any]
    keys_before: int
    keys_after: int


class Drive:
    """The running stack. Use as a context manager; `run` does the work, `progress` and `outputs` tell how far it is."""

    outputs: Outputs

    def __init__(self, customers: int, seconds: float) -> None:
        """`customers` 0 = all of the held-back ones; `seconds` is how long the live part takes."""
        table = dataset.customers("held-back")
        self.table = table.head(customers) if customers else table
        self.policy: Policy = load_policy(POLICY, names_of(load_model(PRETRAINED, CHURN)))
        # Midnight, so that windows of days hold whole days.
        self._after_ms = self.policy.landing_ms + dataset.DAY_MS
        self.end_ms = (int(time.time() * 1000) - self._after_ms) // dataset.DAY_MS * dataset.DAY_MS
        self.progress = Progress()
        self.crm = SimulatedCrm()
        self.events: list[Ok] = []
        """The month, without consents and outcomes."""
        self.month_scores: dict[str, dict[str, str]] = {}
        """The score hash of each customer in Redis at the end of the month."""
        self.latency: dict[str, float] = {}
        """Created → Redis in ms, as the Redis sink measured it on the live part: count, p50_ms, p99_ms, max_ms."""
        self.erased: Erased | None = None
        self._seconds = seconds
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
        """All of it."""
        self._start()
        self._make_events()
        first = [event for event in self._month if event.event_time < self.end_ms - (dataset.DAYS - HISTORY_DAYS) * dataset.DAY_MS]
        self._history(first)
        self._answer_rest("the simulated CRM answers what the history led to")
        self._live(self._month[len(first) :])
        self._read_month()
        self._afterwards()
        self._erase()
        self.progress.stage = "done"

    def _start(self) -> None:
        """Kafka, Redis, topics; then the job, which starts while the events are made and the history is produced."""
        self.kafka = self._stack.enter_context(EmbeddedKafka())
        self.redis = self._stack.enter_context(EmbeddedRedis())
        self.kafka.create_topics([TOPIC], partitions=PARTITIONS)
        self.kafka.create_topics([f"{PREFIX}.{channel}" for channel in CHANNELS])
        (port,) = free_ports(1)
        self.flink = FlinkRest(f"http://127.0.0.1:{port}")
        command = [
            sys.executable, "-m", "keepline.jobs.cli.main", "run", "retention", "--bootstrap-servers", self.kafka.bootstrap_servers,
            "--topics", TOPIC, "--redis-url", self.redis.url, "--job-name", JOB, "--emit", "every", "--rest-port", str(port),
            "--policy", str(POLICY), "--checkpoint-interval", "1s", "--checkpoint-dir", (self.folder / "checkpoints").as_uri(),
        ]  # fmt: skip
        self.job = self._stack.enter_context(Child("the job", command, self.folder / "job.log", owned=self.folder))
        self._admin = AdminClient({"bootstrap.servers": self.kafka.bootstrap_servers})
        self.outputs = Outputs(self.kafka.bootstrap_servers, PREFIX, self.crm.take)
        self._stack.callback(self.outputs.close)

    def _make_events(self) -> None:
        """The held-back customers' month and consents, encoded."""
        self.progress.stage = "making the events"
        self.events = _encoded(dataset.events(self.table, self.end_ms))
        said = _encoded(consents(self.table, self.end_ms))
        self._month = list(heapq.merge(self.events, said, key=lambda event: event.event_time))
        self.progress.total = len(self.events)

    def _history(self, events: list[Ok]) -> None:
        """The history at once, as a backlog that the job finds."""
        self.progress.stage = f"loading {HISTORY_DAYS} days into Kafka while Flink starts"
        self._produce(events, Sender(self.kafka.bootstrap_servers, TOPIC, stamped=False))
        self.progress.stage = "Flink starts the job"
        self._until(self._running, START_SECONDS, "the job did not start")
        self.progress.stage = f"catching up with {HISTORY_DAYS} days"
        began = time.monotonic()
        before = len(self.outputs.scored)
        self._until(lambda: self._committed() >= len(events), START_SECONDS, "the job did not catch up")
        self.progress.catch_up_events = len(events) - before
        self.progress.catch_up_seconds = time.monotonic() - began

    def _answer_rest(self, stage: str) -> None:
        """What the CRM has to say up to now and could not yet: it comes after its time, but before a landing window closes on it."""
        self.progress.stage = stage
        for _ in range(ANSWERING_ROUNDS):
            self._settle()
            answers = self.crm.due(self.progress.clock)
            if not answers:
                break
            self._produce(_encoded(answers), Sender(self.kafka.bootstrap_servers, TOPIC, stamped=False))

    def _live(self, events: list[Ok]) -> None:
        """The rest of the month at a rate, each record stamped with the time at which it is sent."""
        rate = len(events) / max(self._seconds, 0.001)
        self.progress.stage = f"live: the last {dataset.DAYS - HISTORY_DAYS} days at {rate:,.0f} events/s, answered by the simulated CRM"
        self._produce(self._answered(events), Sender(self.kafka.bootstrap_servers, TOPIC, rate=rate))
        self.progress.stage = "waiting for the last commit of the month"
        self._settle()

    def _read_month(self) -> None:
        """The scores that are judged, before anything is known of who left."""
        self.progress.stage = "reading the scores of the month"
        view = self._view()
        pipe = view.pipeline(transaction=False)
        for customer in self.table.index:
            pipe.hgetall(f"keepline:score:{customer}:churn")
        self.month_scores = dict(zip(self.table.index, pipe.execute(), strict=True))
        time.sleep(1.2)  # the sink writes its figures every second
        told: Any = view.hgetall(f"keepline:meter:{JOB}:0")
        self.latency = {name: float(value) for name, value in told.items()}

    def _afterwards(self) -> None:
        """The weeks after the month."""
        days = self._after_ms // dataset.DAY_MS
        self.progress.stage = f"the {days} days after: customers leave, as the data set's labels say; the others are silent"
        last = _encoded(leaving(self.table, dataset.labels("held-back"), self.end_ms, self._after_ms))
        self.progress.total += len(last)
        self._produce(self._answered(last), Sender(self.kafka.bootstrap_servers, TOPIC, rate=len(last) / AFTER_SECONDS, stamped=False))
        self._answer_rest("the simulated CRM answers what came last")

    def _erase(self) -> None:
        """Erases the customer of the newest intervention."""
        made = list(self.outputs.interventions)
        if not made:
            return
        customer = made[-1]["customer_id"]
        self.progress.stage = f"erasing {customer}"
        before = self._keys(customer)
        head = {"type": "Erasure", "customer_id": customer, "event_id": f"{customer}-erase", "event_time": self.progress.clock + 1}
        self._produce(_encoded([{**head, "request_id": f"request-{customer}"}]), Sender(self.kafka.bootstrap_servers, TOPIC, stamped=False))
        self._settle()
        self._until(lambda: bool(self.outputs.receipts), IDLE_SECONDS, "no receipt of the erasure came")
        self._until(lambda: not self._keys(customer), IDLE_SECONDS, "the erased customer stayed in Redis")
        self.erased = Erased(customer, self.outputs.receipts[-1], before, self._keys(customer))

    def _answered(self, events: Iterable[Ok]) -> Iterable[Ok]:
        """The events, with the CRM's answers at their times, or as soon as it knows of the intervention."""
        for event in events:
            yield from _encoded(self.crm.due(event.event_time))
            yield event

    def _produce(self, events: Iterable[Ok], sender: Sender) -> None:
        for event in events:
            sender.send(event.customer_id.encode(), event.value, event.event_time)
            self._records += 1
            self.progress.sent += not EVENT_TYPES[event.type_id].control
            self.progress.clock = max(self.progress.clock, event.event_time)
        sender.flush()

    def _settle(self) -> None:
        """Waits until all effects of what was sent are committed and read."""
        self._until(lambda: self._committed() >= self._records, IDLE_SECONDS, "not all events were processed")
        time.sleep(0.5)  # the last watermark follows the last event, and timers follow it
        assert self._admin is not None  # noqa: S101 — made by `_start`
        admin = self._admin
        self._until(lambda: self.outputs.at_end(admin), IDLE_SECONDS, "not all outputs were read")

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
        """Records whose effects are committed: the source commits its offsets with each checkpoint."""
        assert self._admin is not None  # noqa: S101 — made by `_start`
        wanted = ConsumerGroupTopicPartitions(JOB, [TopicPartition(TOPIC, partition) for partition in range(PARTITIONS)])
        (answer,) = self._admin.list_consumer_group_offsets([wanted]).values()
        try:
            return sum(max(partition.offset, 0) for partition in answer.result().topic_partitions)
        except KafkaException:  # the coordinator of the group is still loading
            return 0

    def _keys(self, customer: str) -> int:
        """How many keys of a customer the live view has; the mark of an erased one is none."""
        return sum(not each.erased for each in customer_view.read(self.redis.url, customer))

    def _view(self) -> Any:
        import redis

        return redis.Redis.from_url(self.redis.url, decode_responses=True)


def _encoded(events: Iterable[Event]) -> list[Ok]:
    made = [encode(event) for event in events]
    sound = [event for event in made if isinstance(event, Ok)]
    if len(sound) != len(made):
        msg = f"{len(made) - len(sound)} events of the demo could not be encoded; run the tests of jobs/demo"
        raise StackError(msg)
    return sound
