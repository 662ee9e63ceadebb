"""What a verdict does to a customer's state: an offer is made, claimed, held, cancelled, or its suppression is written.

    Emit ──► deliver: Intervention + Decision EMITTED, or a claim where a budget has the last word; of the control group: Decision CONTROL
    Hold ──► hold: Decision HELD ── due ──► come_due: deliver | hold on, the zone having changed | cancel: Decision CANCELLED
    Suppress ──► suppress: Decision SUPPRESSED, if it is new

The control group goes the same way: it is held, cancelled, capped and followed like everyone else, and only its interventions are not
made. So what is counted of the two groups differs by nothing but the offer. Tickets for people go this way too. Each function takes the
contact and gives the next one; records go to the moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from keepline.models.contact import budget, records
from keepline.models.contact.arms import CONTROL, TREATMENT, arm_of
from keepline.models.contact.clock import free_from
from keepline.models.contact.consent import BIT, permitted
from keepline.models.contact.decide import CAP, ENDED, NO_MARKETING, NO_PROFILING, QUIET_HOURS, Emit, Hold, Suppress, full_cap, may, room
from keepline.models.contact.records import Moment
from keepline.models.contact.rules import Level, Offer, Trigger
from keepline.models.contact.signal import Signal, seen_by
from keepline.models.contact.snapshot import snapshot, unpack
from keepline.models.contact.state import Contact, Contacted, Cooldown, Proposal, Row, Told

REASON_GONE, EXPIRED, OUTRANKED = "REASON_GONE", "EXPIRED", "OUTRANKED"


def suppress(contact: Contact, moment: Moment, trigger: Trigger, verdict: Suppress, signal: Signal) -> Contact:
    """Writes a suppression that is new."""
    offer, seen = verdict.offer, seen_by(signal, trigger.score)
    kind = offer.kind if offer else ""
    if was_told(contact, trigger.name, kind, verdict.reason):
        return contact
    arm = _arm(contact, moment, service=bool(offer and offer.service))
    written = records.decision(
        contact, moment, records.SUPPRESSED, verdict.reason, trigger=trigger.name, source=seen, kind=kind, arm=arm, detail=verdict.detail
    )
    return _decided(contact, moment, written)


def was_told(contact: Contact, trigger: str, kind: str, reason: str) -> bool:
    """Whether this is what was decided last of the trigger."""
    return any(each.trigger == trigger and each.kind == kind and each.reason == reason for each in contact.told)


def propose(contact: Contact, moment: Moment, trigger: Trigger, verdict: Emit | Hold, signal: Signal) -> Contact:
    """Makes the offer that was decided on, or holds it."""
    offer: Offer = verdict.offer
    proposal = Proposal(
        intervention_id=verdict.intervention_id,
        kind=offer.kind,
        offer=offer.offer,
        channel=verdict.channel,
        trigger=trigger.name,
        reason=moment.rules.codes[trigger.name],
        service=offer.service,
        campaign=offer.campaign,
        cooldown_ms=offer.cooldown_ms,
        valid_ms=offer.valid_ms,
        made_at=moment.now,
        due=verdict.until if isinstance(verdict, Hold) else moment.now,
        escalation_of="",
        snapshot=snapshot(seen_by(signal, trigger.score)),
    )
    return hold(contact, moment, proposal) if isinstance(verdict, Hold) else deliver(contact, moment, proposal)


def hold(contact: Contact, moment: Moment, proposal: Proposal) -> Contact:
    """Keeps a proposal until its `due`."""
    written = _decision(contact, moment, records.HELD, QUIET_HOURS, proposal, hold_until=proposal.due)
    contact = _decided(contact, moment, written, ticket=bool(proposal.escalation_of))
    return contact._replace(held=(*contact.held, proposal))


def deliver(contact: Contact, moment: Moment, proposal: Proposal) -> Contact:
    """Makes a proposal now: its records, or a claim; its row, its cool-down, its place in the caps.

    Of the control group there is no intervention, and no claim; all the rest is the same.
    """
    rules, now, offered = moment.rules, moment.now, proposal.intervention_id
    control = _arm(contact, moment, service=proposal.service) == CONTROL
    made = records.intervention(contact, moment, proposal)
    if control:
        written = _decision(contact, moment, records.SUPPRESSED, CONTROL, proposal)
    else:
        written = _decision(contact, moment, records.EMITTED, proposal.reason, proposal)
    budgeted, ticket = None if control else rules.budgets.get(proposal.campaign), bool(proposal.escalation_of)
    if budgeted is None:
        if not control:
            moment.put(records.INTERVENTION, made, contact.customer_id)
        moment.put(records.DECISION, written, contact.customer_id)
    else:
        claim = budget.claim(budgeted, made, written)
        moment.put(records.CLAIM, claim, budget.claim_key(claim["campaign"], claim["day"], claim["shard"]))
    holdout, escalation = rules.policy.holdout, rules.policy.escalation
    row = _row(
        moment,
        written,
        proposal.channel,
        proposal.snapshot,
        programme=holdout.programme if holdout and not proposal.service else "",
        service=proposal.service,
        escalation=ticket,
        claimed=budgeted is not None,
        escalates_at=now + escalation.after_ms if escalation and not proposal.service and not control else 0,
    )
    if ticket:
        return contact._replace(decisions=contact.decisions + 1, rows=(*contact.rows, row), ticket_at=now)
    counts = not proposal.service and rules.cap_ms[proposal.channel] > 0
    return contact._replace(
        decisions=contact.decisions + 1,
        told=_told(contact, written),
        rows=(*contact.rows, row),
        cooldowns=_cooled(contact.cooldowns, proposal.kind, now + proposal.cooldown_ms),
        contacts=(*contact.contacts, Contacted(now, proposal.channel, offered)) if counts else contact.contacts,
    )


def come_due(contact: Contact, moment: Moment, proposal: Proposal) -> Contact:
    """What becomes of a held proposal at its `due`: it is looked at again, for much may have happened since."""
    rules = moment.rules
    reason = _gone(contact, moment, proposal)
    if reason:
        return cancel(contact, moment, proposal, reason)
    at = free_from(rules.quiet[proposal.channel], rules.zone_of(contact.zone), moment.now)
    if at is None:
        return cancel(contact, moment, proposal, QUIET_HOURS)
    over = None if proposal.service else room(rules, contact, at, proposal.channel, but=proposal.intervention_id)
    if over is not None:
        return cancel(contact, moment, proposal, CAP, full_cap(over))
    if at > moment.now:  # the customer's clock is another one since; no second HELD, the offer is still the same
        later = replace(proposal, due=at)
        contact = contact._replace(held=tuple(later if each is proposal else each for each in contact.held))
        return contact._replace(ticket_at=at) if proposal.escalation_of else contact
    return deliver(_without(contact, proposal), moment, proposal)


def _gone(contact: Contact, moment: Moment, proposal: Proposal) -> str:
    """Why a held proposal no longer stands; "" if it does."""
    rules, trigger = moment.rules, moment.rules.triggers.get(proposal.trigger)
    if contact.ended:
        return ENDED
    if proposal.escalation_of:
        return ""
    if trigger is None:
        return REASON_GONE  # the policy is another one since
    consent, channel = permitted(contact.consents, rules.policy), BIT[proposal.channel]
    if not channel & may(trigger, consent, service=True):
        return NO_PROFILING
    if not channel & may(trigger, consent, service=proposal.service):
        return NO_MARKETING
    if isinstance(trigger.when, Level):
        if trigger.name not in contact.active:
            return REASON_GONE
    elif moment.now > proposal.made_at + proposal.valid_ms:
        return EXPIRED
    return ""


def _arm(contact: Contact, moment: Moment, *, service: bool) -> str:
    """The customer's group in the policy's programme; service messages have none, and so are TREATMENT."""
    return TREATMENT if service else arm_of(contact.customer_id, moment.rules.policy.holdout)


def cancel(contact: Contact, moment: Moment, proposal: Proposal, reason: str, detail: Mapping[str, object] | None = None) -> Contact:
    """Gives a held proposal up."""
    contact = _without(contact, proposal)
    ticket = bool(proposal.escalation_of)
    contact = _decided(contact, moment, _decision(contact, moment, records.CANCELLED, reason, proposal, detail=detail), ticket=ticket)
    return contact._replace(ticket_at=0) if ticket else contact


def _without(contact: Contact, proposal: Proposal) -> Contact:
    return contact._replace(held=tuple(each for each in contact.held if each is not proposal))


def _decision(
    contact: Contact,
    moment: Moment,
    result: str,
    reason: str,
    proposal: Proposal,
    hold_until: int | None = None,
    detail: Mapping[str, object] | None = None,
) -> dict[str, Any]:
    return records.decision(
        contact,
        moment,
        result,
        reason,
        trigger=proposal.trigger,
        source=unpack(proposal.snapshot),
        kind=proposal.kind,
        arm=_arm(contact, moment, service=proposal.service),
        intervention_id=proposal.intervention_id,
        hold_until=hold_until,
        detail=detail,
    )


def _decided(contact: Contact, moment: Moment, written: dict[str, Any], *, ticket: bool = False) -> Contact:
    """Puts a decision out, and remembers it."""
    moment.put(records.DECISION, written, contact.customer_id)
    return contact._replace(decisions=contact.decisions + 1, told=contact.told if ticket else _told(contact, written))


def _told(contact: Contact, written: dict[str, Any]) -> tuple[Told, ...]:
    """A decision is the last of its trigger from now on. A ticket's is not, for it decides on no candidate."""
    result, trigger = written["result"], written["trigger"]
    reason = written["reason"] if result == records.SUPPRESSED else result
    return (*(each for each in contact.told if each.trigger != trigger), Told(trigger, written["kind"], reason, written["decided_at"]))


def _row(
    moment: Moment,
    written: dict[str, Any],
    channel: str,
    seen: bytes,
    *,
    programme: str,
    service: bool = False,
    escalation: bool = False,
    claimed: bool = False,
    escalates_at: int = 0,
) -> Row:
    """The row of a decision."""
    return Row(
        decision_id=written["decision_id"],
        intervention_id=written["intervention_id"] or "",
        kind=written["kind"],
        channel=channel,
        trigger=written["trigger"],
        programme=programme,
        policy=moment.rules.policy.name,
        policy_version=moment.rules.policy.version,
        decided_at=moment.now,
        snapshot=seen,
        arm=written["arm"],
        service=service,
        escalation=escalation,
        claimed=claimed,
        escalates_at=escalates_at,
    )


def _cooled(cooldowns: tuple[Cooldown, ...], kind: str, until: int) -> tuple[Cooldown, ...]:
    return (*(each for each in cooldowns if each.kind != kind), Cooldown(kind, until))
