"""Policies and signals for tests of the contact policy, and the ways in which one life of a customer may be run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from keepline.models.contact.course import Step, advance, on_signal
from keepline.models.contact.records import Output
from keepline.models.contact.rest import asleep
from keepline.models.contact.rules import DAY_MS, HOUR_MS, Happens, Level, Offer, Policy, Trigger
from keepline.models.contact.signal import Reason, Scored, Signal
from keepline.models.contact.state import Contact
from keepline.models.contact.stored import pack, unpack

NOON = int(datetime(2026, 3, 2, 12, tzinfo=UTC).timestamp() * 1000)
"""A Monday."""
HOUR, DAY = HOUR_MS, DAY_MS
AT_RISK = Trigger("at_risk", Level("score:churn", 0.8))
OVERDUE = Trigger("overdue", Level("feature:overdue_bills", 1.0))
COMPLAINT = Trigger("complaint", Happens("SupportContact", "topic", ("COMPLAINT", "CANCELLATION")), priority=10)
SMS = Offer("sms_discount", "10 % off", ("SMS", "EMAIL"), ("at_risk", "overdue"))
CALL_BACK = Offer("call_back", "We call you", ("CALL",), ("complaint",), service=True)
POLICY = Policy("retention", 3, (AT_RISK, OVERDUE, COMPLAINT), (CALL_BACK, SMS), marketing_required=False, landing_ms=10 * DAY)
REASONS = (Reason("bill_rise", 4.0, 0.7), Reason("calls_7d", 0.0, -0.2), Reason("overdue_bills", 1.0, 0.1))


def at(text: str) -> int:
    """Epoch ms of an RFC 3339 time with its offset."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def signal(time: int = NOON, **changes: Any) -> Signal:
    """A customer who is at risk by the score, at a call."""
    made = Signal(
        customer_id="c1",
        time=time,
        event_id=f"e{time}",
        event_type="Call",
        value=0.9,
        band=2,
        reasons=REASONS,
        features={"overdue_bills": 0.0, "data_mb_30d": 500.0},
        active=1,
        model_id="churn",
        model_version=2,
    )
    return replace(made, **changes)


def calm(time: int, **changes: Any) -> Signal:
    """The same customer, no longer at risk."""
    return signal(time, **({"value": 0.2, "band": 0, "active": 0} | changes))


def clv(value: float, band: int = 1) -> Scored:
    """A customer lifetime value."""
    return Scored(value, band, (Reason("orders", 3.0, 12.5), Reason("t_days", 40.0, -2.0)), "bgnbd", 4)


def alive(value: float, band: int = 1) -> Scored:
    """A probability to be alive."""
    return Scored(value, band, (Reason("recency_days", 3.0, 0.2),), "bgnbd", 4)


def record(kind: str, time: int, **fields: Any) -> Signal:
    """A control record, or another event with fields, of the calm customer."""
    return calm(time, event_type=kind, event_id=f"{kind}{time}{sorted(fields.items())}", fields=fields)


def consent(time: int, status: str = "GRANTED", purpose: str = "MARKETING", channel: str = "ALL", zone: str | None = None) -> Signal:
    return record("Consent", time, purpose=purpose, channel=channel, status=status, time_zone=zone)


def outcome(time: int, intervention_id: str, what: str) -> Signal:
    return record("Outcome", time, intervention_id=intervention_id, outcome=what)


def complaint(time: int, **changes: Any) -> Signal:
    return replace(record("SupportContact", time, topic="COMPLAINT"), **changes)


class Life:
    """One customer, step by step; `outputs` has all that was put out."""

    def __init__(self, policy: Policy = POLICY) -> None:
        self.policy = policy
        self.contact: Contact | None = None
        self.wake = 0
        self.outputs: list[Output] = []

    def _took(self, step: Step) -> list[Output]:
        self.contact, self.wake = step.contact, step.wake
        self.outputs += step.outputs
        return list(step.outputs)

    def send(self, *signals: Signal) -> list[Output]:
        """The outputs of the last of the signals."""
        found: list[Output] = []
        for each in signals:
            found = self._took(on_signal(self.contact, each, self.policy))
        return found

    def until(self, time: int) -> list[Output]:
        """Timers fire, as a shell's do, until a time."""
        found: list[Output] = []
        while self.contact is not None and 0 < self.wake <= time:
            due = self.wake
            found += self._took(advance(self.contact, due, self.policy))
            assert self.wake == 0 or self.wake > due
        return found

    def records(self, kind: str) -> list[dict[str, Any]]:
        return [output.record for output in self.outputs if output.kind == kind]

    @property
    def decisions(self) -> list[tuple[str, str]]:
        return [(each["result"], each["reason"]) for each in self.records("decision")]


def brief(outputs: Iterable[Output]) -> list[tuple[str, ...]]:
    """Outputs in few words: kind, then what tells most."""
    words: dict[str, Callable[[dict[str, Any]], tuple[str, ...]]] = {
        "intervention": lambda r: (r["kind"], r["channel"]),
        "decision": lambda r: (r["result"], r["reason"]),
        "labelled": lambda r: (r["status"], str(r["label"])),
        "receipt": lambda r: (r["request_id"],),
        "claim": lambda r: (r["campaign"],),
    }
    return [(output.kind, *words[output.kind](output.record)) for output in outputs]


def run(
    policy: Policy,
    signals: Iterable[Signal],
    *,
    stored: bool = False,
    fast: bool = False,
    eager: Callable[[int, int], list[int]] | None = None,
    end: int = 0,
) -> list[Output]:
    """All outputs of a life.

    `stored`: through bytes at every step. `fast`: signals may be passed over. `eager`: the watermarks between two signals.
    """
    outputs: list[Output] = []
    state: bytes | None = None
    contact: Contact | None = None
    wake = last = 0
    for each in signals:
        for watermark in eager(last, each.time) if eager else ():
            while contact is not None and 0 < wake <= watermark:
                contact, more, wake = advance(contact, wake, policy)
                outputs += more
                state = pack(contact) if contact else None
        last = each.time
        if fast and state is not None:
            moved = asleep(state, each, policy)
            if moved is not None:
                state, contact = moved, unpack(moved)
                assert contact.wake == wake
                continue
        if stored and contact is not None:
            contact = unpack(pack(contact))
        contact, more, wake = on_signal(contact, each, policy)
        outputs += more
        state = pack(contact) if contact else None
    if end and contact is not None:
        contact, more, wake = advance(contact, end, policy)
        outputs += more
    return outputs
