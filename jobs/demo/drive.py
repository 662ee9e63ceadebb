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
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keepline.features.churn import CHURN
from keepline.jobs import customer_view
from keepline.jobs.demo import dataset
from keepline.jobs.demo.afterwards import leaving
from keepline.jobs.demo.consents import consents
from keepline.jobs.demo.crm import SimulatedCrm
from keepline.jobs.demo.outputs import Outputs
from keepline.jobs.demo.running import IDLE_SECONDS, JOB, PREFIX, START_SECONDS, Running, encoded
from keepline.jobs.settings import PRETRAINED
from keepline.models.contact.document import load as load_policy
from keepline.models.contact.names import names_of
from keepline.models.manifest import load as load_model
from keepline.schemas.encode import Ok

POLICY = Path(__file__).with_name("policy.yaml")
PARTITIONS = 2
HISTORY_DAYS = 14
"""Loaded at once; no longer than the policy's landing window, or it would close before the CRM hears of the first decisions."""
AFTER_SECONDS = 6.0
"""How long the weeks after the month take."""
ANSWERING_ROUNDS = 3
"""At most, at the end of the history and at that of all: answers lead to tickets, tickets to answers."""


@dataclass(frozen=True)
class Erased:
    """The customer who was erased: the receipt, and how many keys of the customer the live view had before and has now."""

    customer_id: str
    receipt: dict[str, Any]
    keys_before: int
    keys_after: int


class Drive(Running):
    """The running stack. Use as a context manager; `run` does the work, `progress` and `outputs` tell how far it is."""

    def __init__(self, customers: int, seconds: float) -> None:
        """`customers` 0 = all of the held-back ones; `seconds` is how long the live part takes."""
        super().__init__(PARTITIONS)
        table = dataset.customers("held-back")
        self.table = table.head(customers) if customers else table
        self.policy = load_policy(POLICY, names_of(load_model(PRETRAINED, CHURN)))
        # Midnight, so that windows of days hold whole days.
        self._after_ms = self.policy.landing_ms + dataset.DAY_MS
        self.end_ms = (int(time.time() * 1000) - self._after_ms) // dataset.DAY_MS * dataset.DAY_MS
        self.crm = SimulatedCrm()
        self.events: list[Ok] = []
        """The month, without consents and outcomes."""
        self.month_scores: dict[str, dict[str, str]] = {}
        """The score hash of each customer in Redis at the end of the month."""
        self.latency: dict[str, float] = {}
        """Created → Redis in ms, as the Redis sink measured it on the live part: count, p50_ms, p99_ms, max_ms."""
        self.erased: Erased | None = None
        self._seconds = seconds

    def run(self) -> None:
        """All of it."""
        self.start(["--policy", str(POLICY)], lambda servers: Outputs(servers, PREFIX, self.crm.take))
        self._make_events()
        first = [event for event in self._month if event.event_time < self.end_ms - (dataset.DAYS - HISTORY_DAYS) * dataset.DAY_MS]
        self._history(first)
        self._answer_rest("the simulated CRM answers what the history led to")
        self._live(self._month[len(first) :])
        self._read_month()
        self._afterwards()
        self._erase()
        self.progress.stage = "done"

    def _make_events(self) -> None:
        """The held-back customers' month and consents, encoded."""
        self.progress.stage = "making the events"
        self.events = encoded(dataset.events(self.table, self.end_ms))
        said = encoded(consents(self.table, self.end_ms))
        self._month = list(heapq.merge(self.events, said, key=lambda event: event.event_time))
        self.progress.total = len(self.events)

    def _history(self, events: list[Ok]) -> None:
        """The history at once, as a backlog that the job finds."""
        self.progress.stage = f"loading {HISTORY_DAYS} days into Kafka while Flink starts"
        self.produce(events, self.sender())
        self.progress.stage = "Flink starts the job"
        self.until(self.started, START_SECONDS, "the job did not start")
        self.progress.stage = f"catching up with {HISTORY_DAYS} days"
        began = time.monotonic()
        before = len(self.outputs.scored)
        self.until(lambda: self.committed() >= len(events), START_SECONDS, "the job did not catch up")
        self.progress.catch_up_events = len(events) - before
        self.progress.catch_up_seconds = time.monotonic() - began

    def _answer_rest(self, stage: str) -> None:
        """What the CRM has to say up to now and could not yet: it comes after its time, but before a landing window closes on it."""
        self.progress.stage = stage
        for _ in range(ANSWERING_ROUNDS):
            self.settle()
            answers = self.crm.due(self.progress.clock)
            if not answers:
                break
            self.produce(encoded(answers), self.sender())

    def _live(self, events: list[Ok]) -> None:
        """The rest of the month at a rate, each record stamped with the time at which it is sent."""
        rate = len(events) / max(self._seconds, 0.001)
        self.progress.stage = f"live: the last {dataset.DAYS - HISTORY_DAYS} days at {rate:,.0f} events/s, answered by the simulated CRM"
        self.produce(self._answered(events), self.sender(rate, stamped=True))
        self.progress.stage = "waiting for the last commit of the month"
        self.settle()

    def _read_month(self) -> None:
        """The scores that are judged, before anything is known of who left."""
        self.progress.stage = "reading the scores of the month"
        view = self.view()
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
        last = encoded(leaving(self.table, dataset.labels("held-back"), self.end_ms, self._after_ms))
        self.progress.total += len(last)
        self.produce(self._answered(last), self.sender(len(last) / AFTER_SECONDS))
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
        self.produce(encoded([{**head, "request_id": f"request-{customer}"}]), self.sender())
        self.settle()
        self.until(lambda: bool(self.outputs.receipts), IDLE_SECONDS, "no receipt of the erasure came")
        self.until(lambda: not self._keys(customer), IDLE_SECONDS, "the erased customer stayed in Redis")
        self.erased = Erased(customer, self.outputs.receipts[-1], before, self._keys(customer))

    def _answered(self, events: Iterable[Ok]) -> Iterable[Ok]:
        """The events, with the CRM's answers at their times, or as soon as it knows of the intervention."""
        for event in events:
            yield from encoded(self.crm.due(event.event_time))
            yield event

    def _keys(self, customer: str) -> int:
        """How many keys of a customer the live view has; the mark of an erased one is none."""
        return sum(not each.erased for each in customer_view.read(self.redis.url, customer))
