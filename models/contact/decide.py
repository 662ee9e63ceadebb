"""The decision: may this customer be contacted now, with what, by which channel? One plain function of what it says it is a function of.

    a trigger fired ──► choose: the first offer that suits and has a permitted channel ──► decide: Emit | Hold | Suppress

The checks, in order; the first that fails gives its code:

    NO_OFFER                no offer of the trigger suits
    ENDED                   the contract is over
    NO_PROFILING_CONSENT    the trigger rests on a score, and no channel may be used for that
    NO_MARKETING_CONSENT    no channel of an offer that suits may be used; not asked of service offers
    COOLDOWN                the kind was offered too recently, or a state of 0.1.0 still rests
    ALREADY_HELD            an offer of this kind is being held
    REPEATED                this very event has led to this offer already
    CAP                     no permitted channel has room; not asked of service offers
    QUIET_HOURS             Hold; or Suppress where a channel has no time of day that is not quiet

The control group is decided on like everyone else, or the groups could not be compared; what it does not get is kept back where an
offer is made (proposals.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from keepline.models.contact import caps
from keepline.models.contact.arms import identifier
from keepline.models.contact.clock import free_from
from keepline.models.contact.compiled import CONTROL_TYPES, Compiled, compiled
from keepline.models.contact.consent import BIT, Permitted
from keepline.models.contact.rules import Cap, Condition, Offer, Policy, Trigger
from keepline.models.contact.signal import Signal, number, seen_by
from keepline.models.contact.state import Contact

NO_OFFER, ENDED = "NO_OFFER", "ENDED"
NO_PROFILING, NO_MARKETING = "NO_PROFILING_CONSENT", "NO_MARKETING_CONSENT"
COOLDOWN, ALREADY_HELD, REPEATED, CAP, QUIET_HOURS = "COOLDOWN", "ALREADY_HELD", "REPEATED", "CAP", "QUIET_HOURS"
REFUSALS = ("", NO_OFFER, NO_PROFILING, NO_MARKETING)
"""How a choice may end. Their places are in stored states: add at the end only."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A trigger that fired, with the signal at which it did."""

    policy: Policy
    trigger: Trigger
    signal: Signal


@dataclass(frozen=True, slots=True)
class Emit:
    """Make the offer now."""

    offer: Offer
    channel: str
    intervention_id: str


@dataclass(frozen=True, slots=True)
class Hold:
    """Make the offer at `until`, when it is no longer quiet, if it still stands then."""

    offer: Offer
    channel: str
    intervention_id: str
    until: int


@dataclass(frozen=True, slots=True)
class Suppress:
    """Do not make it."""

    reason: str
    offer: Offer | None = None
    """The one that would have been made; None for NO_OFFER."""
    detail: Mapping[str, object] = field(default_factory=dict)
    """What stood against it, in the words of `made_from`."""


Verdict = Emit | Hold | Suppress


def decide(candidate: Candidate, contact: Contact, consent: Permitted, now: int) -> Verdict:
    """What becomes of a candidate at `now` (epoch ms). Reads nothing else, changes nothing."""
    rules, signal, trigger = compiled(candidate.policy), candidate.signal, candidate.trigger
    place, refusal = choose(rules, trigger, signal, consent)
    if place < 0:
        return Suppress(refusal)
    offer = candidate.policy.offers[place]
    if contact.ended:
        return Suppress(ENDED, offer)
    if refusal:
        return Suppress(refusal, offer)
    until = max(cooldown_until(contact, offer.kind), signal.quiet_until)
    if now < until:
        return Suppress(COOLDOWN, offer, detail={"cooldown_until": until})
    channels = [channel for channel in offer.channels if BIT[channel] & may(trigger, consent, service=offer.service)]
    for held in contact.held:
        if held.kind == offer.kind:
            return Suppress(ALREADY_HELD, offer, detail={"held_until": held.due})
    offered = intervention_id(candidate, offer, contact.customer_id, now)
    if any(row.intervention_id == offered for row in contact.rows):
        return Suppress(REPEATED, offer, detail={"intervention_id": offered})
    return _reach(rules, contact, offer, channels, offered, now)


def _reach(rules: Compiled, contact: Contact, offer: Offer, channels: list[str], offered: str, now: int) -> Verdict:
    """By the first of the channels that has a time of day and room."""
    zone = rules.zone_of(contact.zone)
    stopped: Cap | None = None
    for channel in channels:
        at = free_from(rules.quiet[channel], zone, now)
        if at is None:
            continue
        over = None if offer.service else room(rules, contact, at, channel)
        if over is None:
            return Emit(offer, channel, offered) if at == now else Hold(offer, channel, offered, at)
        stopped = stopped or over
    if stopped is None:
        return Suppress(QUIET_HOURS, offer)
    return Suppress(CAP, offer, detail=full_cap(stopped))


def full_cap(cap: Cap) -> dict[str, object]:
    """A cap that has no room, in the words of `made_from`."""
    return {"cap": {"most": cap.most, "per_ms": cap.per_ms, "channel": cap.channel}}


def choose(rules: Compiled, trigger: Trigger, signal: Signal, consent: Permitted) -> tuple[int, str]:
    """The place of the first offer that suits and has a permitted channel, and "".

    Where there is none: the place of the first that suits, or -1, and why.
    """
    suits, profiled = -1, False
    for place, offer, channels in rules.offers_for[trigger.name]:
        if offer.conditions and not all(_holds(condition, trigger, signal) for condition in offer.conditions):
            continue
        if channels & may(trigger, consent, service=offer.service):
            return place, ""
        suits = place if suits < 0 else suits
        profiled = profiled or bool(channels & may(trigger, consent, service=True))
    if suits < 0:
        return -1, NO_OFFER
    return suits, NO_MARKETING if profiled else NO_PROFILING


def may(trigger: Trigger, consent: Permitted, *, service: bool) -> int:
    """The channels that may be used for an offer of this trigger: for marketing, unless it is service, and for what rests on a score."""
    channels = -1 if service else consent.marketing
    return channels & consent.profiling if trigger.scored else channels


def _holds(condition: Condition, trigger: Trigger, signal: Signal) -> bool:
    """Whether the signal has what a condition asks; a number that it does not have, or that is none, is not within any limits."""
    if condition.reasons:
        reasons = seen_by(signal, trigger.score).reasons
        return any(reason.contribution > 0 and reason.feature in condition.reasons for reason in reasons)
    found = number(signal, condition.source)
    return found is not None and condition.at_least <= found < condition.below


def cooldown_until(contact: Contact, kind: str) -> int:
    """Before when no offer of this kind is made; 0 if there is no such time."""
    return next((cooldown.until for cooldown in contact.cooldowns if cooldown.kind == kind), 0)


def room(rules: Compiled, contact: Contact, at: int, channel: str, *, but: str = "") -> Cap | None:
    """The cap that a marketing contact at that moment would exceed, if any. Held offers count, but for the one with the id `but`."""
    if not rules.policy.caps:
        return None
    taken = [(each.at, each.channel) for each in contact.contacts]
    taken += [(held.due, held.channel) for held in contact.held if not held.service and held.intervention_id != but]
    return caps.full(rules.policy.caps, taken, at, channel)


def intervention_id(candidate: Candidate, offer: Offer, customer_id: str, now: int) -> str:
    """The id that the offer has if it is made: a hash of customer, kind, what led to it and the policy's version."""
    signal = candidate.signal
    # What has no event of its own is named by its moment, or two ticks would share an id; so is a control record, which may come twice.
    if not signal.event_id:
        led: tuple[object, ...] = ("tick", now)
    else:
        led = ("event", signal.event_id, now) if signal.event_type in CONTROL_TYPES else ("event", signal.event_id)
    return identifier(customer_id, offer.kind, *led, candidate.policy.version)
