"""A customer's steps: one method for each thing that may happen, with a default for all that the scenario does not care about.

Every step takes `at`, the time to which the journey goes on first. A time without a zone is on the customer's own clock: the zone that a
Consent or Subscription has named, else the policy's.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Self
from zoneinfo import ZoneInfo

from keepline.jobs.journey import times
from keepline.jobs.journey.scores import DIAL
from keepline.jobs.journey.times import Duration, JourneyError, When
from keepline.models.contact.clock import zone_named
from keepline.schemas.catalog import EVENT_TYPES, event_type

if TYPE_CHECKING:
    from keepline.jobs.journey.journey import World

DUE_MS = 14 * 86_400_000
"""When a bill is due, if nothing else is said."""
GRANTED = {True: "GRANTED", False: "DENIED"}


class Customer:
    """One customer of a journey."""

    def __init__(self, world: World, customer_id: str) -> None:
        """Of whom nothing is known."""
        self.world, self.customer_id = world, customer_id
        self._named = ""
        self._contract: dict[str, Any] = {"plan": "basic", "monthly_charge": 30.0}
        self._bill: dict[str, Any] = {}

    def __repr__(self) -> str:
        return f"customer {self.customer_id}"

    @property
    def zone(self) -> ZoneInfo:
        """The customer's clock."""
        zone = zone_named(self._named) if self._named else None
        return zone or ZoneInfo(self.world.rules.time_zone)

    # ── time ──

    def at(self, when: When) -> Self:
        """Time goes on to this moment, and what is due until then happens. A time of day alone is the next one."""
        self.world.go_on(self, times.moment(when, self.zone, self.world.now), str(when))
        return self

    wait_until = at

    def after(self, duration: Duration) -> Self:
        """So much time passes: 90m, 3d, a timedelta. A day is 24 hours, also where clocks change."""
        self.world.go_on(self, self.world.begun(self) + times.duration_ms(duration), str(duration))
        return self

    def silence(self, *, days: float = 0, hours: float = 0) -> Self:
        """So much time passes, in which this customer does nothing."""
        self.world.go_on(
            self, self.world.begun(self) + round(days * 86_400_000 + hours * 3_600_000), f"silence(days={days}, hours={hours})"
        )
        return self

    # ── use ──

    def call(self, *, dropped: bool = False, seconds: float = 60.0, at: When | None = None, **fields: Any) -> Self:
        """A call, completed or dropped."""
        outcome = {"outcome": "DROPPED"} if dropped else {}
        return self.event("Call", at=at, **({"duration_s": float(seconds)} | outcome | fields))

    def data(self, megabytes: float = 100.0, *, at: When | None = None, **fields: Any) -> Self:
        """A data session."""
        return self.event("DataSession", at=at, **({"megabytes": float(megabytes)} | fields))

    def message(self, *, at: When | None = None, **fields: Any) -> Self:
        """A text message that the customer sent."""
        return self.event("Message", at=at, **fields)

    # ── service ──

    def contact(self, topic: str = "QUESTION", *, at: When | None = None, **fields: Any) -> Self:
        """The customer asks the company for something: QUESTION, COMPLAINT, CANCELLATION or OTHER."""
        return self.event("SupportContact", at=at, **({"topic": topic} | fields))

    def complaint(self, *, at: When | None = None, **fields: Any) -> Self:
        """The customer complains."""
        return self.contact("COMPLAINT", at=at, **fields)

    # ── money ──

    def bill(self, amount: float = 30.0, *, due: When | None = None, at: When | None = None, **fields: Any) -> Self:
        """A bill; it is due in 14 days, if nothing else is said."""
        self._bill = {"bill_id": f"b-{self.world.number()}", "amount": float(amount), **fields}
        return self.event("Bill", at=at, due_time=due, **self._bill)

    def pays(self, amount: float | None = None, *, at: When | None = None, **fields: Any) -> Self:
        """The newest bill is paid, or so much."""
        whole: dict[str, Any] = {
            "bill_id": self._bill.get("bill_id"),
            "amount": float(self._bill.get("amount", 30.0) if amount is None else amount),
        }
        return self.event("Payment", at=at, **(whole | fields))

    # ── contract ──

    def subscribes(self, monthly_charge: float | None = None, *, at: When | None = None, **fields: Any) -> Self:
        """A contract begins, or changes: what is not said stays as it was. It started now, unless started_time is given."""
        given = {} if monthly_charge is None else {"monthly_charge": float(monthly_charge)}
        self._gone_to(at)
        self._contract = self._contract | {"ended": False} | given | fields
        return self._subscription()

    def ends(self, *, at: When | None = None, **fields: Any) -> Self:
        """The contract ends."""
        self._gone_to(at)
        self._contract = self._contract | {"ended": True} | fields
        return self._subscription()

    def score(self, value: float, *, at: When | None = None) -> Self:
        """The churn score becomes this, until it is set again. It comes with a Subscription, whose contract_months are the model's dial.

        With `Journey.weights` it is the score before they are added.
        """
        self._gone_to(at)
        self._contract = self._contract | {DIAL: self.world.dial(value)}
        return self._subscription(f"Subscription, which sets the score to {value}")

    def _subscription(self, note: str = "") -> Self:
        self._contract.setdefault("started_time", None)
        zone = {"time_zone": self._contract.pop("time_zone")} if "time_zone" in self._contract else {}
        return self.event("Subscription", note=note, **self._contract, **zone)

    # ── what is allowed, and what became of it ──

    def consents(
        self,
        *,
        marketing: bool | None = True,
        profiling: bool | None = None,
        channel: str = "ALL",
        time_zone: str | None = None,
        at: When | None = None,
    ) -> Self:
        """What the customer allows: True grants, False denies, None says nothing of it."""
        self._gone_to(at)
        zone = {} if time_zone is None else {"time_zone": time_zone}
        for purpose, wanted in (("MARKETING", marketing), ("PROFILING", profiling)):
            if wanted is not None:
                self.event("Consent", purpose=purpose, channel=channel, status=GRANTED[wanted], **zone)
        return self

    def refuses(self, *, marketing: bool = True, profiling: bool = False, channel: str = "ALL", at: When | None = None) -> Self:
        """The customer takes back what was allowed, or denies it."""
        return self.consents(marketing=False if marketing else None, profiling=False if profiling else None, channel=channel, at=at)

    def outcome(self, outcome: str, *, of: Mapping[str, Any] | str | None = None, at: When | None = None, **fields: Any) -> Self:
        """What became of an intervention: DELIVERED, FAILED, ACCEPTED, DECLINED, COMPLAINED, CHURNED or RETAINED.

        Args:
            outcome: one of these.
            of: the intervention, a decision of the control group, or an id; the customer's newest intervention, if nothing is said.
            at: the time to which the journey goes on first.
            **fields: further fields of the event.
        """
        self._gone_to(at)
        if of is None:
            mine = [e.record for e in self.world.run.entries if e.kind == "intervention" and e.customer == self.customer_id]
            if not mine:
                msg = f"the outcome {outcome} of nothing: {self.customer_id} has had no intervention; name one with of="
                raise JourneyError(msg)
            of = mine[-1]
        known = of if isinstance(of, str) else _name(of)
        return self.event("Outcome", intervention_id=known, outcome=outcome, **fields)

    def erases(self, request_id: str = "", *, at: When | None = None) -> Self:
        """Everything about the customer is to be erased."""
        return self.event("Erasure", at=at, request_id=request_id or f"r-{self.world.number()}")

    def event(self, event: str, *, at: When | None = None, happened: When | None = None, note: str = "", **fields: Any) -> Self:
        """Any event of docs/schemas.md by its type and fields.

        Args:
            event: the type.
            at: the time to which the journey goes on first.
            happened: the event's own time, where it comes late.
            note: what a timeline shows in place of the fields.
            **fields: of the type; times as everywhere in journeys. event_id is a new one, unless it is given.
        """
        self._gone_to(at)
        self._known(event, fields)
        whole = {"type": event, "customer_id": self.customer_id, "event_id": f"e-{self.world.number()}"} | fields
        whole["event_time"] = happened
        if event == "Erasure":
            self._named = ""
        elif event in ("Consent", "Subscription") and fields.get("time_zone") and zone_named(str(fields["time_zone"])):
            self._named = str(fields["time_zone"])
        self.world.send(self, whole, note)
        return self

    def timed(self, event: Mapping[str, Any], now: int) -> dict[str, Any]:
        """The event with its times as epoch ms; where none was said, it is now, and a bill is due in 14 days."""
        found = dict(event)
        for field in event_type(str(event["type"])).fields:
            if field.time:
                found[field.name] = self._time(field.name, found.get(field.name), now)
        if "started_time" in found and event["type"] == "Subscription":
            self._contract["started_time"] = found["started_time"]
        return found

    def _time(self, name: str, when: When | int | None, now: int) -> int:
        if when is None:
            return now + DUE_MS if name == "due_time" else now
        return when if isinstance(when, int) else times.moment(when, self.zone, now, past=name == "event_time")

    def _gone_to(self, at: When | None) -> None:
        if at is not None:
            self.at(at)

    @staticmethod
    def _known(event: str, fields: Mapping[str, Any]) -> None:
        """Refuses a type or a field that there is not: the job would pass over it."""
        names = [kind.name for kind in EVENT_TYPES]
        known = [field.name for field in event_type(event).fields] if event in names else names
        for name in [event] if event not in names else fields:
            if name not in known:
                near = get_close_matches(name, known, 1)
                what = f"there is no event {name!r}" if event not in names else f"a {event} has no field {name!r}"
                msg = f"{what}: expected one of {', '.join(known)}{f'; did you mean {near[0]}?' if near else ''}"
                raise JourneyError(msg)


def _name(of: Mapping[str, Any]) -> str:
    """What an Outcome calls an intervention, or a decision of the control group, which led to none."""
    return str(of["decision_id"] if of.get("arm") == "CONTROL" else of["intervention_id"])
