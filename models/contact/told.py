"""A decision in plain words: what fired, what was decided, why, and what would have to change. The one place with a sentence for each code.

    explained(decision, policy) ──► Explained(fired, decided, because, change)

The numbers are those that the decision carries (facts.py). The policy adds its limits and names, where it is the very one that decided.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from keepline.models.contact import decide, outcomes, proposals
from keepline.models.contact.arms import CONTROL
from keepline.models.contact.budget import BUDGET
from keepline.models.contact.caps import full
from keepline.models.contact.clock import local_time
from keepline.models.contact.compiled import compiled
from keepline.models.contact.consent import ALL, MARKETING, PROFILING
from keepline.models.contact.facts import Facts, shown_score
from keepline.models.contact.records import CANCELLED, EMITTED, HELD, SUPPRESSED
from keepline.models.contact.rules import DAY_MS, Cap, Level, Policy
from keepline.models.contact.show import condition, when
from keepline.schemas.durations import shown

TICKETS = {
    outcomes.DECLINED: "the customer declined the offer",
    outcomes.COMPLAINED: "the customer complained about the offer",
    outcomes.COMPLAINT: "the customer has complained since the offer was made",
    outcomes.STILL_AT_RISK: "the customer is still at risk, as long after the offer as the policy waits",
}
"""Why a ticket for people follows an offer, by the code of its decision."""
OF_0_1_0 = "SCORE_ABOVE_THRESHOLD"
"""The one code of Keepline 0.1.0, in decisions that a topic may still hold."""


@dataclass(frozen=True, slots=True)
class Explained:
    """Sentences, or parts of one, without a full stop at the end."""

    fired: str
    decided: str
    because: str
    change: str
    """What would have to change for an offer, or what follows; "" where there is nothing to say."""


def explained(decision: Mapping[str, Any], policy: Policy | None = None, *, ticket: bool | None = None) -> Explained:
    """The sentences of a Decision record. `policy` must be the one that decided, which is not checked; else None.

    `ticket` says whether it is about a ticket for people (its intervention has escalation_of); None where that is not known.
    """
    facts = Facts(decision, policy, ticket=ticket)
    because, change = _sentence(facts)
    return Explained(_fired(facts), _decided(facts), because, change)


def _fired(f: Facts) -> str:
    if f.ticket:
        return f"an offer that was made because of {f.fired} was looked at again"
    if f.trigger is None:
        return f"the trigger {f.fired}" if f.fired else "the churn score"
    score = f.trigger.score
    known = isinstance(f.trigger.when, Level) and score != "" and score == f.seen.get("score_name", "churn") and "score" in f.seen
    return f"{f.fired}: {when(f.trigger.when)}" + (f" (it was {shown_score(score, f.seen['score'])})" if known else "")


def _decided(f: Facts) -> str:
    what = f"the ticket for people ({f.kind})" if f.ticket else f.kind
    if f.result == EMITTED:
        return f"{what} was opened" if f.ticket else f"{what} was offered"
    if f.result == HELD:
        return f"{what} is held until {f.at(f.decision['hold_until'])}"
    if f.result == CANCELLED:
        return f"{what} had been held, and was given up"
    return f"{what} was not offered" if what else "nothing was offered"


def _sentence(f: Facts) -> tuple[str, str]:
    if f.result == EMITTED:
        return _emitted(f)
    say = SENTENCES.get((f.result, f.reason))
    if say is None:
        return f"its code is {f.result} {f.reason}, which this version of Keepline does not know; ask the one that decided", ""
    return say(f)


def _emitted(f: Facts) -> tuple[str, str]:
    if f.ticket:
        return TICKETS.get(f.reason, f"its code is {f.reason}"), ""
    if f.reason == OF_0_1_0:
        return "the score was at or above the model's threshold; Keepline 0.1.0 decided, which looked at nothing else but its cool-down", ""
    if f.offer is None:
        return "it suited, and nothing stood against it", ""
    passed = (
        "a service message needs no consent and counts in no cap" if f.offer.service else "consent, cool-down and caps left room for it"
    )
    return f"it suited, and {passed}", f"the next {f.kind} may be made from {f.at(f.now + f.offer.cooldown_ms)} on"


def _no_offer(f: Facts) -> tuple[str, str]:
    offers = [offer for offer in f.policy.offers if f.fired in offer.triggers] if f.policy else []
    asks = "; ".join(f"{offer.kind} asks that {' and '.join(map(condition, offer.conditions))}" for offer in offers if offer.conditions)
    because = "no offer of the trigger suits the customer"
    return f"{because}: {asks}" if asks else because, "the conditions of one of the trigger's offers have to hold"


def _ended(_: Facts) -> tuple[str, str]:
    return "the customer's contract is over", "a newer Subscription event with ended = false has to come"


def _consent(f: Facts, purpose: str, why: str) -> tuple[str, str]:
    said, name = f.consents(purpose), purpose.lower()
    by = " or ".join((*f.offer.channels, ALL)) if f.offer else f"one of the offer's or {ALL}"
    told = f"the customer has said of {name}: {said}" if said else f"the customer has said nothing of {name}, and the policy asks for a yes"
    return f"{why}; {told}", f"a Consent event has to come: purpose {purpose}, status GRANTED, channel {by}"


def _no_marketing(f: Facts) -> tuple[str, str]:
    return _consent(f, MARKETING, "no channel of the offer may be used for marketing")


def _no_profiling(f: Facts) -> tuple[str, str]:
    return _consent(f, PROFILING, "the trigger rests on a score, and no channel of the offer may be used for that")


def _marketing_gone(f: Facts) -> tuple[str, str]:
    return _consent(f, MARKETING, "when its time came, its channel could no longer be used for marketing")


def _profiling_gone(f: Facts) -> tuple[str, str]:
    return _consent(f, PROFILING, "when its time came, its channel could no longer be used for offers that rest on a score")


def _cooldown(f: Facts) -> tuple[str, str]:
    until, own = f.seen.get("cooldown_until"), f.seen.get("cooldowns", {}).get(f.kind)
    if until is not None and own != until:
        because = f"Keepline 0.1.0 contacted the customer, and its cool-down lasts until {f.at(until)}"
    else:
        because = f"{f.kind} was offered too recently: not again before {f.at(until)}"
    return because, f"from {f.at(until)} on it may be made, if a trigger fires then"


def _control(f: Facts) -> tuple[str, str]:
    held_out = f.policy.holdout if f.policy else None
    programme = f" of {held_out.programme} ({held_out.share * 100:.6g}% of all customers)" if held_out else ""
    because = f"the customer is in the control group{programme}, which gets no marketing offers, so that their effect can be measured"
    return because, "nothing that the customer does: the group stays as long as its programme; service messages are not held back"


def _already_held(f: Facts) -> tuple[str, str]:
    until = f.at(f.seen.get("held_until"))
    return f"an offer of this kind is being held already, until {until}", f"nothing: that one is looked at again at {until}"


def _repeated(f: Facts) -> tuple[str, str]:
    before = f.seen.get("intervention_id", "")
    return f"this very event has led to this offer already (intervention {before})", "another event has to lead to it"


def _cap(f: Facts) -> tuple[str, str]:
    stated, contacts = f.seen.get("cap"), f.contacts()
    counted = f"; contacts that count: {contacts}" if contacts else ""
    if stated is None:
        return f"a cap on marketing contacts was full when its time came{counted}", "the cap has to have room when the trigger fires again"
    cap = Cap(stated["most"], stated["per_ms"], stated["channel"])
    limit = f"at most {cap.most} marketing contact{'' if cap.most == 1 else 's'} in any {shown(cap.per_ms)}"
    because = f"a cap is full: {limit}{f' by {cap.channel}' if cap.channel else ''}{counted}"
    free = _room_from(f, cap)
    return because, f"it has room from {f.at(free)} on, if no more is sent until then" if free else "the cap has to have room"


def _room_from(f: Facts, cap: Cap) -> int | None:
    """The first moment at which the cap has room for one more; None where what is held counts and is not known to be marketing."""
    held = f.seen.get("held", ())
    if held and f.policy is None:
        return None
    marketing = {offer.kind for offer in f.policy.offers if not offer.service} if f.policy else set()
    taken = [(each["at"], each["channel"]) for each in f.seen.get("contacts", ())]
    taken += [(each["until"], each["channel"]) for each in held if each["kind"] in marketing]
    ends = sorted(end for at, _ in taken if (end := at + cap.per_ms) > f.now)
    return next((end for end in ends if full((cap,), taken, end, cap.channel) is None), None)


def _quiet(f: Facts) -> tuple[str, str]:
    because = f"it was {f.at(f.now)} by the customer's clock ({f.zone.key}), within the quiet hours"
    if f.ticket:
        return because, "nothing: it is opened then, unless the contract is over"
    return because, "nothing: it goes out then, if what led to it still holds, the customer still permits it and the caps have room"


def _never_loud(_: Facts) -> tuple[str, str]:
    return "the quiet hours leave no time of the day to any permitted channel", "the policy's quiet hours have to be shorter"


def _outranked(f: Facts) -> tuple[str, str]:
    because = "another trigger fired at the same moment, and comes first by the policy's priorities"
    if by := f.seen.get("outranked_by"):
        because = f"{by} fired at the same moment, and comes first by the policy's priorities"
    elif f.policy and f.trigger:
        rank = compiled(f.policy).rank
        before = [name for name in f.seen.get("active", ()) if name in rank and rank[name] < rank[f.fired]]
        # What happens, such as a complaint, is not among the levels that held, so the one that came first may be another yet.
        because += f"; of what held then, {' and '.join(sorted(before, key=lambda name: rank[name]))} would" if before else ""
    return because, "what comes first has to end; what was decided of it is a decision of its own"


def _budget(f: Facts) -> tuple[str, str]:
    stood = f.seen.get("budget")
    if stood is None:
        because = "the budget of the offer's campaign is used up"
    else:
        day = local_time(ZoneInfo("UTC"), stood["day"] * DAY_MS)[:10]
        because = f"the budget of {stood['campaign']} for {day} (UTC) is used up: {stood['granted']} granted where this customer is counted"
    ends = f", and lasts until {f.at(f.now + f.offer.cooldown_ms)}" if f.offer else ""
    return because, f"a new day has a new budget; but the cool-down has begun as if the offer had been made{ends}"


def _reason_gone(f: Facts) -> tuple[str, str]:
    return f"when its time came, {f.fired} no longer held, or was no longer in the policy", "the trigger has to fire again"


def _expired(f: Facts) -> tuple[str, str]:
    valid = f" of {shown(f.offer.valid_ms)}" if f.offer else ""
    return f"when its time came, it was past its validity{valid}", "the trigger has to fire again"


Say = Callable[[Facts], tuple[str, str]]
SENTENCES: dict[tuple[str, str], Say] = {
    (HELD, decide.QUIET_HOURS): _quiet,
    (SUPPRESSED, decide.NO_OFFER): _no_offer,
    (SUPPRESSED, decide.ENDED): _ended,
    (SUPPRESSED, decide.NO_PROFILING): _no_profiling,
    (SUPPRESSED, decide.NO_MARKETING): _no_marketing,
    (SUPPRESSED, decide.COOLDOWN): _cooldown,
    (SUPPRESSED, CONTROL): _control,
    (SUPPRESSED, decide.ALREADY_HELD): _already_held,
    (SUPPRESSED, decide.REPEATED): _repeated,
    (SUPPRESSED, decide.CAP): _cap,
    (SUPPRESSED, decide.QUIET_HOURS): _never_loud,
    (SUPPRESSED, proposals.OUTRANKED): _outranked,
    (SUPPRESSED, BUDGET): _budget,
    (CANCELLED, decide.ENDED): _ended,
    (CANCELLED, decide.NO_PROFILING): _profiling_gone,
    (CANCELLED, decide.NO_MARKETING): _marketing_gone,
    (CANCELLED, decide.CAP): _cap,
    (CANCELLED, decide.QUIET_HOURS): _never_loud,
    (CANCELLED, proposals.REASON_GONE): _reason_gone,
    (CANCELLED, proposals.EXPIRED): _expired,
}
"""(because, change) by result and reason. The reason of EMITTED is the trigger's code, or one of TICKETS."""
RESERVED = {reason for _, reason in SENTENCES} | TICKETS.keys() - {outcomes.COMPLAINT}
"""Reasons that no trigger's name may be. COMPLAINT may: of a ticket it means the same."""
