"""The course of a customer: what each signal and each due time makes of a contact. Pure: the same sequence gives the same outputs.

    on_signal:  what is due by the signal's time, each at its own ──► what the signal says ──► the triggers that fire ──► decide
    on_time:    what is due

Due times are those of held offers, of looking again at an offer that was made, of rows that close, and, where nothing else is due, of the
last thing that is to be forgotten. When timers fire makes no difference: `on_signal` runs whatever is due first. So a shell needs one timer
a customer, at `Step.wake`, and one that fires late, or not before the next signal, changes nothing.
"""

from __future__ import annotations

from typing import NamedTuple

from keepline.models.contact import consent as consents
from keepline.models.contact import ends, outcomes, proposals, records, trails
from keepline.models.contact.clock import zone_named
from keepline.models.contact.compiled import COMPLAINTS, compiled
from keepline.models.contact.consent import Consent
from keepline.models.contact.decide import ENDED, Candidate, Suppress, decide
from keepline.models.contact.proposals import OUTRANKED
from keepline.models.contact.records import Moment, Output
from keepline.models.contact.rest import AWAKE, informs, resting
from keepline.models.contact.rules import Policy, Trigger
from keepline.models.contact.signal import Signal
from keepline.models.contact.state import Contact, Rest


class Step(NamedTuple):
    """What a signal or a due time led to."""

    contact: Contact | None
    """None: nothing is left to remember."""
    outputs: tuple[Output, ...]
    wake: int
    """When to call `on_time`, epoch ms; 0 never."""


def on_signal(contact: Contact | None, signal: Signal, policy: Policy) -> Step:
    """The step of a signal; `contact` is None for a customer of whom nothing is remembered."""
    moment = Moment(compiled(policy), 0)
    contact = _run(contact, signal.time, moment) if contact else None
    if signal.event_type == "Erasure":
        moment.now = max(contact.clock if contact else 0, signal.time)
        written = records.receipt(contact, signal)
        moment.put(records.RECEIPT, written, written["request_id"])
        return Step(None, tuple(moment.outputs), 0)
    contact = contact or Contact(signal.customer_id)
    now = moment.now = max(contact.clock, signal.time)
    contact = _heard(contact, moment, signal)
    fired = _fired(contact, moment, signal)
    for place, trigger in enumerate(fired):
        if place:
            contact = proposals.suppress(contact, moment, trigger, Suppress(OUTRANKED, detail={"outranked_by": fired[0].name}), signal)
            continue
        verdict = decide(Candidate(policy, trigger, signal), contact, consents.permitted(contact.consents, policy), now)
        if isinstance(verdict, Suppress):
            contact = proposals.suppress(contact, moment, trigger, verdict, signal)
        else:
            contact = proposals.propose(contact, moment, trigger, verdict, signal)
    left = ends.forget(contact, moment)
    return _step(left if ends.lasts(left, moment.rules) else None, moment, resting(left, moment, signal, fired))


def on_time(contact: Contact, due: int, policy: Policy) -> Step:
    """The step of a timer: all that is due at `due` or before."""
    return advance(contact, due, policy)


def advance(contact: Contact, until: int, policy: Policy) -> Step:
    """All that is due at `until` (epoch ms) or before, in order, each at its own time."""
    moment = Moment(compiled(policy), 0)
    return _step(_run(contact, until, moment), moment)


def _run(contact: Contact, until: int, moment: Moment) -> Contact | None:
    """What is left after all that is due; None if nothing is."""
    while True:
        at, _, _ = ends.next_due(contact, moment.rules)
        if at > until:
            break
        moment.now = max(contact.clock, at)
        contact = ends.forget(contact._replace(clock=moment.now), moment)
        _, what, place = ends.next_due(contact, moment.rules)  # anew, for forgetting moves what is behind it
        if what == ends.HELD:
            contact = proposals.come_due(contact, moment, contact.held[place])
        elif what == ends.LOOK:
            contact = outcomes.look_again(contact, moment, contact.rows[place])
        else:
            contact = outcomes.land(contact, moment, contact.rows[place])
    moment.now = max(contact.clock, until)
    contact = ends.forget(contact, moment)
    return contact if ends.lasts(contact, moment.rules) else None


def _heard(contact: Contact, moment: Moment, signal: Signal) -> Contact:
    """What the signal says, before anything is decided on."""
    now, kind = moment.now, signal.event_type
    if informs(signal):
        active = tuple(trigger.name for trigger in moment.rules.active(signal.active))
        contact = contact._replace(clock=now, active=active, ended=signal.ended)
    else:
        contact = contact._replace(clock=now)
    contact = contact._replace(trails=trails.heard(contact.trails, signal, moment.rules, now))
    if contact.ended:
        contact = outcomes.left(contact, now)
        for held in contact.held:
            contact = proposals.cancel(contact, moment, held, ENDED)
    if kind in ("Consent", "Subscription"):
        contact = _zone(contact, signal)
    if kind == "Consent":
        said = Consent(signal.fields["purpose"], signal.fields.get("channel", consents.ALL), signal.fields["status"], signal.time)
        contact = contact._replace(consents=consents.with_consent(contact.consents, said))
    elif kind == "Outcome":
        contact = outcomes.join(contact, moment, signal)
    elif kind == "SupportContact" and signal.fields.get("topic") in COMPLAINTS:
        contact = contact._replace(complained_at=now)
    return contact


def _zone(contact: Contact, signal: Signal) -> Contact:
    """The zone that a record names, if there is such a one and no newer record named another."""
    name = signal.fields.get("time_zone") or ""
    # An event's signal has the time of the customer's `now`; its own, where it is told, says better which record is newer.
    at = signal.fields.get("event_time", signal.time)
    if not name or at < contact.zone_at or zone_named(name) is None:
        return contact
    return contact._replace(zone=name, zone_at=at)


def _fired(contact: Contact, moment: Moment, signal: Signal) -> list[Trigger]:
    """The triggers that fire, the one to decide on first."""
    rules = moment.rules
    fired = list(rules.active(signal.active)) if informs(signal) else []
    if rules.happens and signal.event_type:
        fired += rules.happened(signal)
    fired += [trigger for trigger, move in rules.moves if trails.has_moved(contact.trails, move, signal, moment.now)]
    return sorted(fired, key=lambda trigger: rules.rank[trigger.name]) if len(fired) > 1 else fired


def _step(contact: Contact | None, moment: Moment, rest: Rest = AWAKE) -> Step:
    outputs = tuple(moment.outputs)
    if contact is None:
        return Step(None, outputs, 0)
    wake = ends.wake(contact, moment.rules)
    if rest.until:
        rest = rest._replace(until=min(rest.until, wake) if wake else rest.until)
    return Step(contact._replace(wake=wake, rest=rest), outputs, wake)
