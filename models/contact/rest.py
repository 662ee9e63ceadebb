"""Most signals are new numbers of a customer about whom nothing can change now: these are passed over without decoding the state.

After a step it is known what the same levels would lead to: nothing at all, or a suppression that has been written. It stays so until a
time (a cool-down ends, a timer fires) or until something happens beyond the numbers (a consent, an event that a trigger waits for, …). What
the numbers can change is which offer suits, and whether one has risen or fallen; so that alone is looked at. Passing a signal over moves
the clock, lengthens the trails and changes no output ever.
"""

from __future__ import annotations

from keepline.models.contact.compiled import CONTROL_TYPES, Compiled, compiled
from keepline.models.contact.consent import Permitted, permitted
from keepline.models.contact.decide import ALREADY_HELD, COOLDOWN, ENDED, REFUSALS, choose, cooldown_until
from keepline.models.contact.ends import NEVER
from keepline.models.contact.records import Moment
from keepline.models.contact.rules import Policy, Trigger
from keepline.models.contact.signal import Signal
from keepline.models.contact.state import TOLD_MS, Contact, Rest
from keepline.models.contact.stored import ENDED_FLAG, HEAD, VERSION, trails_of, with_clock, with_trails
from keepline.models.contact.trails import has_moved, heard

AWAKE = Rest()
_LASTING = frozenset({ALREADY_HELD, ENDED, *REFUSALS[1:]})
"""Suppressions that stay until more than the numbers changes. (A cool-down ends, and room in the caps comes and goes with the hour.)"""


def informs(signal: Signal) -> bool:
    """Whether a signal says which levels hold: a control record of a customer without a score does not."""
    return signal.value is not None or bool(signal.others) or signal.event_type not in CONTROL_TYPES


def resting(contact: Contact, moment: Moment, signal: Signal, fired: list[Trigger]) -> Rest:
    """Until when signals with the same levels change nothing, after the step of such a signal; timers aside."""
    rules = moment.rules
    if not rules.sleeps or not informs(signal) or tuple(fired) != rules.active(signal.active) or signal.active >= 2**64:
        return AWAKE
    allowed = permitted(contact.consents, rules.policy)
    until, place, refusal = NEVER, -1, ""
    if fired:
        place, refusal = choose(rules, fired[0], signal, allowed)
        told = next(each for each in contact.told if each.trigger == fired[0].name)
        if told.reason == COOLDOWN:
            until = cooldown_until(contact, told.kind)
        elif told.reason not in _LASTING:
            return AWAKE
        until = min(until, *(each.at + TOLD_MS for each in contact.told))
    return Rest(until, signal.active, place, REFUSALS.index(refusal), allowed.marketing, allowed.profiling, rules.print)


def asleep(state: bytes, signal: Signal, policy: Policy) -> bytes | None:
    """The state after a signal that changes nothing but clock and trails; None for one that has to be handled. The wake stays as it is."""
    rules = compiled(policy)
    if signal.event_type in rules.matters or state[0] != VERSION:
        return None
    _, flags, offer, print_, until, mask, refusal, marketing, profiling, _, clock, _ = HEAD.unpack_from(state)
    now = max(clock, signal.time)
    if now >= until or mask != signal.active or print_ != rules.print:
        return None
    if signal.ended != bool(flags & ENDED_FLAG) or signal.quiet_until > now:
        return None
    fired = rules.active(mask)
    if fired and choose(rules, fired[0], signal, Permitted(marketing, profiling)) != (offer, REFUSALS[refusal]):
        return None
    after = _followed(state, signal, rules, now) if rules.moves else state
    return after if after is None or now == clock else with_clock(after, now)


def _followed(state: bytes, signal: Signal, rules: Compiled, now: int) -> bytes | None:
    """The state with the signal's numbers in its trails; None if one of them has risen or fallen."""
    kept, end = trails_of(state)
    found = heard(kept, signal, rules, now)
    if any(has_moved(found, move, signal, now) for _, move in rules.moves):
        return None
    return state if found is kept else with_trails(state, found, end)
