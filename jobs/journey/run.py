"""A journey's run: the job's own operators, event by event, with everything that happens written down in order.

    event ──► customer operator (its kernel) ──► contact policy ──► budgets ──► records
    time  ──► what is due, each at its own moment: ticks of silent customers, wakes of the policy

The operators are those of the job, hosted as `replay` hosts them. Time is event time: nothing waits.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keepline.features.layout import W_NEXT_WAKE
from keepline.features.sets import feature_set
from keepline.jobs.journey.times import JourneyError
from keepline.models.contact.carried import from_json, to_json
from keepline.models.contact.document import load as load_policy
from keepline.models.contact.names import names_of
from keepline.models.contact.rules import Policy
from keepline.models.manifest import from_mapping
from keepline.operators.budgets import Budgets, budgets_spec
from keepline.operators.contacts import Contacts, contacts_spec
from keepline.operators.host import HostOperator
from keepline.operators.hostpolicy import HostPolicy
from keepline.operators.rare import RareKernel, Step
from keepline.operators.spec import CHANNELS, OperatorSpec
from keepline.schemas.encode import Rejected, encode
from keepline.schemas.packed import DEAD_LETTERS, ERASURE_RECEIPTS, LATE_EVENTS, Frame, Record, pack_record
from keepline.schemas.records import to_record

BEGINNING = -(1 << 62)
NEVER = 1 << 62
EVENT, TIMER = "event", "timer"
"""Kinds of entry that are no record of a channel."""
KINDS = ("score", "intervention", "decision", "dead-letter", "late-event", "outcome", "receipt")
"""Kinds of entry that are, by channel."""


@dataclass(slots=True, eq=False)
class Entry:
    """One thing that happened."""

    at: int
    """Epoch ms."""
    customer: str
    kind: str
    """EVENT, TIMER or one of KINDS."""
    record: dict[str, Any]
    note: str = ""
    """Of an event: what to show in place of its fields."""
    met: bool = False
    """Whether it has met an expectation."""


def spec_of(policy: Policy | Path | str, manifest: Mapping[str, Any], where: str) -> OperatorSpec:
    """What the job would tell its operators: this policy (a file, or YAML text) for this model. Every score is put out.

    Raises:
        KeeplineError: one of them cannot be used; the message says why.
    """
    model = from_mapping(manifest, feature_set("churn"), where=where)
    read = policy if isinstance(policy, Policy) else load_policy(policy, names_of(model))
    return OperatorSpec(manifest=dict(manifest), emit="every", policy=to_json(read))


class _Heard(RareKernel):
    """A kernel whose due times are written down before it is woken."""

    def __init__(self, kernel: RareKernel, entries: list[Entry], named: bool) -> None:
        self.kernel, self._entries, self._named = kernel, entries, named

    def run(self, key: bytes, state: bytes | None, frame: Frame) -> Step:
        return self.kernel.run(key, state, frame)

    def fire(self, key: bytes, state: bytes | None, due: int) -> Step:
        if self._named:
            self._entries.append(Entry(due, key.decode(), TIMER, {}))
        return self.kernel.fire(key, state, due)


class Run:
    """Give it events and let time pass; `entries` has all that happened, in order."""

    def __init__(self, spec: OperatorSpec) -> None:
        """Nothing has happened yet."""
        self.spec = spec
        self.policy = from_json(spec.policy)
        self.entries: list[Entry] = []
        self.frames: list[Frame] = []
        """What went to the sinks, as it went."""
        self._operator = HostOperator(spec, 1)
        self._host = HostPolicy(spec)
        self._watermark = BEGINNING
        self._events = 0
        self.restart()

    def restart(self) -> None:
        """New kernels, as after a restart of the job: they know of customers what is in the states' bytes, and nothing else."""
        if self._host.contacts and self._host.budgets:
            self._host.contacts.kernel = _Heard(Contacts(json.loads(contacts_spec(self.spec))), self.entries, named=True)
            self._host.budgets.kernel = _Heard(Budgets(json.loads(budgets_spec(self.spec))), self.entries, named=False)

    def event(self, event: dict[str, Any], now: int, note: str = "") -> None:
        """One event, at a moment that `advance` has reached. JourneyError for one that the job would refuse."""
        made = encode(event)
        customer = str(event["customer_id"])
        self.entries.append(Entry(int(event["event_time"]), customer, EVENT, event, note))
        if isinstance(made, Rejected):
            raise JourneyError(_refused(event, made.message))
        self._events += 1
        self._take(self._operator.add(customer.encode(), pack_record(Record(customer.encode(), made.value, offset=self._events))), now)
        self._take(self._host.advance(self._watermark), now)

    def advance(self, until: int) -> None:
        """Time passes, up to and with this moment: what is due happens, the earliest first."""
        while (due := self._next_due()) <= until:
            self._moved(due)
        self._moved(until)

    def _moved(self, watermark: int) -> None:
        self._watermark = watermark
        self._take(self._operator.advance(watermark), watermark)
        self._take(self._host.advance(watermark), watermark)

    def _next_due(self) -> int:
        ticks = [
            int.from_bytes(state[8 * W_NEXT_WAKE : 8 * W_NEXT_WAKE + 8], "little", signed=True)
            for state in self._operator.states().values()
        ]
        hosts = [host.wakes.values() for host in (self._host.contacts, self._host.budgets) if host]
        return min((due for dues in (ticks, *hosts) for due in dues if due > self._watermark), default=NEVER)

    def next_wake(self, customer: str) -> int | None:
        """When the policy is to be woken for a customer; None if it is not."""
        return self._host.contacts.wakes.get(customer.encode()) if self._host.contacts else None

    def kept(self, customer: str) -> list[str]:
        """What is kept of a customer, in words."""
        key, contacts = customer.encode(), self._host.contacts
        found = ["features and score"] if key in self._operator.states() else []
        if contacts and key in contacts.states:
            found.append("consents and contacts")
        if contacts and key in contacts.wakes:
            found.append("a timer")
        return found

    def _take(self, frames: Iterable[Frame], now: int) -> None:
        for frame in self._host.take(frames):
            self.frames.append(frame)
            if not frame.value:
                continue  # what takes an erased customer from a topic or the view
            record = to_record(frame.value)[1]
            if frame.channel == DEAD_LETTERS:
                raise JourneyError(_refused(self.entries[-1].record, record["message"]))
            self.entries.append(Entry(*_of(frame, record, now, self._erased()), record))

    def _erased(self) -> str:
        """Whose receipt comes: that of the newest event."""
        return next((entry.customer for entry in reversed(self.entries) if entry.kind == EVENT), "")


def _of(frame: Frame, record: Mapping[str, Any], now: int, erased: str) -> tuple[int, str, str]:
    """When, whose and of which kind the record of a frame is."""
    if frame.channel == ERASURE_RECEIPTS:
        return now, erased, KINDS[frame.channel]
    if frame.channel == LATE_EVENTS:
        return now, record["customer_id"], KINDS[frame.channel]
    return frame.as_of, record["customer_id"], KINDS[frame.channel]


def _refused(event: Mapping[str, Any], why: str) -> str:
    return f"the job refuses this {event.get('type')}: {why}"


assert len(KINDS) == len(CHANNELS)  # noqa: S101  a channel that journeys do not know
