"""What became of decisions: outcomes are joined to their rows, rows close when their window does, and who is not helped goes to people.

    decided_at ──────── landing window: joined to the row ────────┬──── as long again: LATE rows ────┬──── UNKNOWN rows
               └ after_ms: did it help? else a ticket             └ the row, LANDED, once            └ forgotten

A window is [decided_at, decided_at + landing]; its row closes at the first millisecond after it.
"""

from __future__ import annotations

from dataclasses import replace

from keepline.models.contact import records
from keepline.models.contact.arms import CONTROL, TREATMENT, identifier
from keepline.models.contact.clock import free_from
from keepline.models.contact.consent import BIT, permitted
from keepline.models.contact.ends import closes_at, forgotten_at
from keepline.models.contact.proposals import deliver, hold
from keepline.models.contact.records import CHURNED, LABELLED, LANDED, LATE, RETAINED, Moment
from keepline.models.contact.rules import Escalation
from keepline.models.contact.signal import Signal
from keepline.models.contact.snapshot import named_only
from keepline.models.contact.state import MOST_OUTCOMES, Contact, Joined, Proposal, Row

FAILED, DECLINED, COMPLAINED = "FAILED", "DECLINED", "COMPLAINED"
COMPLAINT, STILL_AT_RISK = "COMPLAINT", "STILL_AT_RISK"
"""Why a ticket follows an offer, beside DECLINED and COMPLAINED."""


def land(contact: Contact, moment: Moment, row: Row) -> Contact:
    """Closes a row: it is written, and only what names it stays, for outcomes that come late."""
    written = records.labelled(contact, moment, row, LANDED, row.outcomes, _label(row))
    moment.put(LABELLED, written, contact.customer_id)
    return _with(contact, row, replace(row, landed=True, snapshot=named_only(row.snapshot)))


def join(contact: Contact, moment: Moment, signal: Signal) -> Contact:
    """An Outcome record came. Its time is its own, so it may lie before `now`, or before the decision where clocks differ.

    An offer that was kept back from the control group has no intervention; whoever knows what became of the customer names it by its
    decision_id.
    """
    offered = str(signal.fields.get("intervention_id", ""))
    outcome = Joined(str(signal.fields.get("outcome", "")), signal.time)
    if outcome.outcome == FAILED and any(each.intervention_id == offered for each in contact.contacts):
        contact = contact._replace(contacts=tuple(each for each in contact.contacts if each.intervention_id != offered))
    landing = moment.rules.policy.landing_ms
    if outcome.outcome == CHURNED:
        contact = left(contact, outcome.at)
    row = next(
        (each for each in contact.rows if offered and offered == (each.decision_id if each.arm == CONTROL else each.intervention_id)), None
    )
    if row is None or moment.now >= forgotten_at(row, landing):
        moment.put(LABELLED, records.unknown(contact, moment, offered, outcome, signal.score), contact.customer_id)
        return contact
    if row.landed:
        within = replace(row, churned=row.churned or (outcome.outcome == CHURNED and outcome.at < closes_at(row, landing)))
        moment.put(LABELLED, records.labelled(contact, moment, row, LATE, (outcome,), _label(within)), contact.customer_id)
        return contact
    if outcome in row.outcomes:
        return contact  # the same record again
    joined = row.outcomes if len(row.outcomes) >= MOST_OUTCOMES else (*row.outcomes, outcome)
    new = replace(row, outcomes=joined, churned=row.churned or outcome.outcome == CHURNED)
    contact = _with(contact, row, new)
    if outcome.outcome in (DECLINED, COMPLAINED):
        return escalate(contact, moment, new, outcome.outcome)
    return contact


def left(contact: Contact, at: int) -> Contact:
    """The customer left at `at`: that is how every row ends whose window is open and began before."""
    if all(row.landed or row.churned for row in contact.rows):
        return contact
    return contact._replace(
        rows=tuple(row if row.landed or row.churned or at < row.decided_at else replace(row, churned=True) for row in contact.rows)
    )


def look_again(contact: Contact, moment: Moment, row: Row) -> Contact:
    """The moment at which an offer should have helped."""
    looked = replace(row, escalates_at=0)
    contact = _with(contact, row, looked)
    reason = _unhelped(contact, moment, looked)
    return escalate(contact, moment, looked, reason) if reason else contact


def _unhelped(contact: Contact, moment: Moment, row: Row) -> str:
    """Why an offer did not help; "" if it did, or if it is not known that it was made."""
    if row.claimed and not row.outcomes:
        return ""
    for each in row.outcomes:
        if each.outcome in (DECLINED, COMPLAINED):
            return each.outcome
    if contact.complained_at > row.decided_at:
        return COMPLAINT
    escalation, rules = moment.rules.policy.escalation, moment.rules
    at_risk = escalation is not None and not rules.risk_levels.isdisjoint(contact.active)
    if escalation and at_risk and BIT[escalation.channel] & permitted(contact.consents, rules.policy).profiling:
        return STILL_AT_RISK
    return ""


def escalate(contact: Contact, moment: Moment, row: Row, reason: str) -> Contact:
    """A ticket for people after an offer, unless it had one, or there is a young one already, or there is nobody to keep."""
    escalation = moment.rules.policy.escalation
    marketing = row.arm == TREATMENT and not row.service  # else a ticket itself, service, or kept back from the control group
    if escalation is None or not marketing or row.escalated or contact.ended:
        return contact
    young = contact.ticket_at > 0 and moment.now - contact.ticket_at < escalation.after_ms
    if young or any(held.kind == escalation.kind for held in contact.held):
        return contact
    at = free_from(moment.rules.quiet[escalation.channel], moment.rules.zone_of(contact.zone), moment.now)
    if at is None:
        return contact
    contact = _with(contact, row, replace(row, escalated=True, escalates_at=0))
    ticket = _ticket(contact, moment, row, escalation, reason, at)
    if at > moment.now:
        return hold(contact, moment, ticket)._replace(ticket_at=at)
    return deliver(contact, moment, ticket)


def _ticket(contact: Contact, moment: Moment, row: Row, escalation: Escalation, reason: str, due: int) -> Proposal:
    return Proposal(
        intervention_id=identifier(contact.customer_id, escalation.kind, "escalation", row.intervention_id, moment.rules.policy.version),
        kind=escalation.kind,
        offer=escalation.offer,
        channel=escalation.channel,
        trigger=row.trigger,
        reason=reason,
        service=True,
        campaign="",
        cooldown_ms=0,
        valid_ms=escalation.valid_ms,
        made_at=moment.now,
        due=due,
        escalation_of=row.intervention_id,
        snapshot=row.snapshot,
    )


def _label(row: Row) -> str:
    return CHURNED if row.churned else RETAINED


def _with(contact: Contact, old: Row, new: Row) -> Contact:
    return contact._replace(rows=tuple(new if each is old else each for each in contact.rows))
