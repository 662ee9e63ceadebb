"""What a journey is to have led to: expectations that find the record they speak of, or fail with the customer's timeline.

Each expectation is met by a record of its own: one that has met an expectation is not looked at again, and `no_intervention` means none
but those. So a scenario says everything once, in the order in which it happens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any, NamedTuple

from keepline.jobs.journey import times
from keepline.jobs.journey.customer import Customer
from keepline.jobs.journey.run import Entry
from keepline.jobs.journey.timeline import Mark, brief, timeline
from keepline.jobs.journey.times import JourneyError, When
from keepline.models.contact.rules import CHANNELS

Record = dict[str, Any]
RESULTS = ("EMITTED", "HELD", "SUPPRESSED", "CANCELLED")


class ExpectationError(AssertionError):
    """An expectation that was not met; the message has the timeline."""


class Wanted(NamedTuple):
    """One thing that a record is to have."""

    name: str
    written: str
    """As the scenario has it."""
    holds: Callable[[Record], bool]
    found: Callable[[Record], str]
    """What a record has in its place."""


class Expect:
    """Expectations of one customer's records so far."""

    def __init__(self, customer: Customer) -> None:
        """Of this customer; `of` gives those of another."""
        self._customer, self._world = customer, customer.world

    def of(self, customer: Customer) -> Expect:
        """Expectations of another customer."""
        return Expect(customer)

    # ── what came ──

    def intervention(
        self,
        kind: str | None = None,
        *,
        channel: str | None = None,
        at: When | None = None,
        not_before: When | None = None,
        offer: str | None = None,
        trigger: str | None = None,
        escalation: bool | None = None,
    ) -> Record:
        """An intervention like this was made; gives its record."""
        __tracebackhide__ = True
        wanted = [
            *self._text("kind", kind, self._kinds()),
            *self._text("channel", channel, CHANNELS),
            *self._time("decided_at", "at", at),
            *self._time("not_before", "not_before", not_before),
            *self._text("offer", offer),
            *self._text("trigger", trigger, self._triggers()),
        ]
        if escalation is not None:
            ticket = "a ticket" if escalation else "no ticket"
            shown = {True: "a ticket", False: "an offer"}
            wanted.append(
                Wanted(
                    "it", ticket, lambda r: (r["escalation_of"] is not None) == escalation, lambda r: shown[r["escalation_of"] is not None]
                )
            )
        return self._one("an intervention", "intervention", wanted, at)

    def ticket(self, *, at: When | None = None, of: Record | None = None, reason: str | None = None) -> Record:
        """A ticket for people came after an offer: after `of`, for this reason (STILL_AT_RISK, COMPLAINT, DECLINED, COMPLAINED)."""
        __tracebackhide__ = True
        reasons = {r["intervention_id"]: r["reason"] for r in self._records("decision") if r["result"] == "EMITTED"}
        wanted = self._time("decided_at", "at", at)
        if of is not None:
            after = of["intervention_id"]
            wanted.append(Wanted("of", brief(after), lambda r: r["escalation_of"] == after, lambda r: brief(str(r["escalation_of"]))))
        if reason is not None:
            wanted.append(
                Wanted(
                    "reason",
                    reason,
                    lambda r: reasons.get(r["intervention_id"]) == reason,
                    lambda r: str(reasons.get(r["intervention_id"])),
                )
            )
        return self._one("a ticket", "intervention", wanted, at, lambda record: record["escalation_of"] is not None)

    def decision(
        self,
        result: str | None = None,
        reason: str | None = None,
        *,
        kind: str | None = None,
        at: When | None = None,
        trigger: str | None = None,
        arm: str | None = None,
    ) -> Record:
        """A decision like this was written; gives its record."""
        __tracebackhide__ = True
        wanted = [
            *self._text("result", result, RESULTS),
            *self._text("reason", reason),
            *self._text("kind", kind, self._kinds()),
            *self._time("decided_at", "at", at),
            *self._text("trigger", trigger, self._triggers()),
            *self._text("arm", arm, ("TREATMENT", "CONTROL")),
        ]
        return self._one("a decision", "decision", wanted, at)

    def held(self, until: When | None = None, *, kind: str | None = None, at: When | None = None) -> Record:
        """An offer was held, until then; gives the decision."""
        __tracebackhide__ = True
        wanted = [*self._text("kind", kind, self._kinds()), *self._time("decided_at", "at", at)]
        wanted += self._time("hold_until", "until", until, past=False)
        return self._one("a held offer", "decision", wanted, at, lambda record: record["result"] == "HELD")

    def outcome_row(
        self,
        *,
        label: str | None = None,
        status: str | None = None,
        outcomes: Iterable[str] | None = None,
        kind: str | None = None,
        arm: str | None = None,
        of: Record | None = None,
    ) -> Record:
        """A labelled outcome was written, with these outcomes in their order; `of` is the intervention, or a control decision."""
        __tracebackhide__ = True
        wanted = [
            *self._text("label", label, ("CHURNED", "RETAINED")),
            *self._text("status", status, ("LANDED", "LATE", "UNKNOWN")),
            *self._text("kind", kind, self._kinds()),
            *self._text("arm", arm, ("TREATMENT", "CONTROL")),
        ]
        if outcomes is not None:
            names = list(outcomes)
            wanted.append(Wanted("outcomes", _listed(names), lambda r: _outcomes(r) == names, lambda r: _listed(_outcomes(r))))
        if of is not None:
            name = "intervention_id" if of.get("intervention_id") and of.get("arm") != "CONTROL" else "decision_id"
            wanted.append(Wanted("of", brief(of[name]), lambda r: r[name] == of[name], lambda r: brief(str(r[name]))))
        return self._one("a labelled outcome", "outcome", wanted, None)

    # ── what did not, and what is ──

    def no_intervention(self, kind: str | None = None, *, between: tuple[When, When] | None = None) -> None:
        """No intervention came but those that have met an expectation; of this kind, from the first time on and before the second."""
        __tracebackhide__ = True
        self._known("kind", kind, self._kinds())
        now = self._world.begun(self._customer)
        first, last = (times.moment(each, self._customer.zone, now, past=True) for each in between) if between else (0, 1 << 62)
        for entry in self._entries("intervention"):
            record = entry.record
            if not entry.met and kind in (None, record["kind"]) and first <= record["decided_at"] < last:
                what = f"no intervention{f', kind {kind}' if kind else ''}{f', between {between[0]} and {between[1]}' if between else ''}"
                raise self._failure(what, f"there was {self._said(record)}", entry.at)

    def score(self, *, at_least: float | None = None, below: float | None = None) -> Record:
        """The newest score is within these limits; gives its record."""
        __tracebackhide__ = True
        parts = [f"{word} {limit}" for word, limit in (("at least", at_least), ("below", below)) if limit is not None]
        newest = next((entry.record for entry in reversed(self._entries("score"))), None)
        what = f"a score {' and '.join(parts)}".strip()
        if newest is None:
            raise self._failure(what, "there was none", None)
        if (at_least is not None and newest["value"] < at_least) or (below is not None and newest["value"] >= below):
            raise self._failure(what, f"the newest is {newest['value']:.6g}", None)
        return newest

    def nothing_kept(self) -> Record:
        """The customer was erased: no state and no timer is left, and there is a receipt, whose record it gives."""
        __tracebackhide__ = True
        kept = self._world.run.kept(self._customer.customer_id)
        if kept:
            what = "nothing kept"
            raise self._failure(what, f"there are still {', '.join(kept)}", None)
        return self._one("a receipt of the erasure", "receipt", [], None)

    # ── how they are found ──

    def _entries(self, kind: str) -> list[Entry]:
        self._world.begun(self._customer)
        mine = self._customer.customer_id
        return [entry for entry in self._world.run.entries if entry.kind == kind and entry.customer == mine]

    def _records(self, kind: str) -> list[Record]:
        return [entry.record for entry in self._entries(kind)]

    def _one(self, noun: str, kind: str, wanted: list[Wanted], at: When | None, keep: Callable[[Record], bool] = lambda _: True) -> Record:
        __tracebackhide__ = True
        entries = [entry for entry in self._entries(kind) if keep(entry.record)]
        for entry in entries:
            if not entry.met and all(each.holds(entry.record) for each in wanted):
                entry.met = True
                return entry.record
        what = ", ".join([noun, *(f"{each.name} {each.written}" for each in wanted)])
        when = None if at is None else times.moment(at, self._customer.zone, self._world.begun(self._customer), past=True)
        raise self._failure(what, self._nearest(entries, wanted), when)

    def _nearest(self, entries: list[Entry], wanted: list[Wanted]) -> str:
        """What comes next to it, and what it lacks."""
        if not entries:
            return "there was none"
        best = min(reversed(entries), key=lambda entry: sum(not each.holds(entry.record) for each in wanted) + entry.met / 2)
        lacks = [f"{each.name} is {each.found(best.record)}" for each in wanted if not each.holds(best.record)]
        lacks += ["it has met an expectation before"] if best.met else []
        return f"the nearest is {self._said(best.record)}: {', '.join(lacks)}"

    def _said(self, record: Record) -> str:
        moment = record.get("decided_at") or record.get("closed_at")
        words = [record.get("result", ""), record.get("reason", ""), record.get("status", ""), record.get("kind", "")]
        return f"{' '.join(filter(None, words))}{f' at {times.shown(moment, self._customer.zone)}' if moment else ''}"

    def _failure(self, expected: str, found: str, at: int | None) -> ExpectationError:
        lines = timeline(self._customer, Mark(expected, at))
        return ExpectationError("\n".join((f"expected {expected}", f"but {found}", "", *lines)))

    def _text(self, name: str, value: str | None, known: Iterable[str] = ()) -> list[Wanted]:
        self._known(name, value, known)
        return [] if value is None else [Wanted(name, value, lambda r: r[name] == value, lambda r: str(r[name] or "none"))]

    def _time(self, name: str, written: str, when: When | None, *, past: bool = True) -> list[Wanted]:
        if when is None:
            return []
        zone = self._customer.zone
        moment = times.moment(when, zone, self._world.begun(self._customer), past=past)
        return [Wanted(written, str(when), lambda r: r[name] == moment, lambda r: times.shown(r[name], zone) if r[name] else "none")]

    def _known(self, name: str, value: str | None, known: Iterable[str]) -> None:
        """Refuses a name that no record can have: nothing would ever be found, or in vain be looked for."""
        options = list(known)
        if value is not None and options and value not in options:
            near = get_close_matches(value, options, 1)
            msg = f"{name} {value!r}: expected one of {', '.join(options)}{f'; did you mean {near[0]}?' if near else ''}"
            raise JourneyError(msg)

    def _kinds(self) -> list[str]:
        policy = self._world.rules
        return [*(offer.kind for offer in policy.offers), *([policy.escalation.kind] if policy.escalation else [])]

    def _triggers(self) -> list[str]:
        return [trigger.name for trigger in self._world.rules.triggers]


def _outcomes(record: Record) -> list[str]:
    return [each["outcome"] for each in record["outcomes"]]


def _listed(names: list[str]) -> str:
    return " ".join(names) or "none"
