"""What of a contact is due, what ends by time alone, and when to wake.

To do something is due: a held offer, looking again, closing a row. To end is not: what no longer counts is passed over wherever it is read,
so nothing can tell whether it was forgotten at once or at the next step. Only the last end of all has a timer, for then the state may go.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from keepline.models.contact.compiled import Compiled
from keepline.models.contact.records import Moment
from keepline.models.contact.state import TOLD_MS, Contact, Row, Trail

NEVER = 2**62
HELD, LOOK, CLOSE = range(3)
"""What may be due; at one moment in this order."""


def closes_at(row: Row, landing_ms: int) -> int:
    """When a row is written: at the first millisecond after its window."""
    return row.decided_at + landing_ms + 1


def forgotten_at(row: Row, landing_ms: int) -> int:
    """From when an outcome of its intervention is UNKNOWN."""
    return row.decided_at + 2 * landing_ms + 1


def next_due(contact: Contact, rules: Compiled) -> tuple[int, int, int]:
    """(when, what, its place) of what is to be done first; when is NEVER if there is nothing."""
    return min(_due(contact, rules.policy.landing_ms), default=(NEVER, 0, 0))


def _due(contact: Contact, landing_ms: int) -> Iterator[tuple[int, int, int]]:
    for place, held in enumerate(contact.held):
        yield held.due, HELD, place
    for place, row in enumerate(contact.rows):
        if row.escalates_at:
            yield row.escalates_at, LOOK, place
        if not row.landed:
            yield closes_at(row, landing_ms), CLOSE, place


def forget(contact: Contact, moment: Moment) -> Contact:
    """The contact without what has ended by `now`."""
    rules, now = moment.rules, moment.now
    if min(_ends(contact, rules), default=NEVER) > now:
        return contact
    landing = rules.policy.landing_ms
    rows = tuple(row for row in contact.rows if not row.landed or row.escalates_at or forgotten_at(row, landing) > now)
    return contact._replace(
        contacts=tuple(each for each in contact.contacts if each.at + rules.cap_ms[each.channel] > now),
        cooldowns=tuple(each for each in contact.cooldowns if each.until > now),
        told=tuple(each for each in contact.told if each.at + TOLD_MS > now),
        trails=_trails(contact, rules, now),
        rows=rows,
        ticket_at=contact.ticket_at if _grown(contact, rules) > now else 0,
        complained_at=contact.complained_at if any(row.escalates_at for row in rows) else 0,
    )


def _ends(contact: Contact, rules: Compiled) -> Iterator[int]:
    """When each thing that ends by time alone does."""
    for contacted in contact.contacts:
        yield contacted.at + rules.cap_ms[contacted.channel]
    for cooldown in contact.cooldowns:
        yield cooldown.until
    for told in contact.told:
        yield told.at + TOLD_MS
    for trail in contact.trails:
        kept = _kept_ms(trail, rules)
        for point in trail.points:
            yield point.at + kept + 1
    for row in contact.rows:
        if row.landed and not row.escalates_at:
            yield forgotten_at(row, rules.policy.landing_ms)
    if contact.ticket_at:
        yield _grown(contact, rules)


def _trails(contact: Contact, rules: Compiled, now: int) -> tuple[Trail, ...]:
    found = []
    for trail in contact.trails:
        points = tuple(point for point in trail.points if point.at + _kept_ms(trail, rules) >= now)
        if points:
            found.append(trail if len(points) == len(trail.points) else replace(trail, points=points))
    return tuple(found)


def _kept_ms(trail: Trail, rules: Compiled) -> int:
    """How long a point of the trail is looked at; 0 where the policy does not ask for it any more."""
    return rules.trail_ms.get((trail.source, trail.falls), 0)


def _grown(contact: Contact, rules: Compiled) -> int:
    """When the newest ticket is no longer young."""
    return contact.ticket_at + (rules.policy.escalation.after_ms if rules.policy.escalation else 0)


def lasts(contact: Contact, rules: Compiled) -> bool:
    """Whether anything is worth remembering: not the clock, the levels or the end of the contract, which every signal tells anew."""
    return bool(contact.consents or contact.zone or contact.held or contact.rows) or any(True for _ in _ends(contact, rules))


def wake(contact: Contact, rules: Compiled) -> int:
    """When a timer is to fire: at what is due first; where nothing is, when the last of what ends by time has ended; 0 never."""
    at, _, _ = next_due(contact, rules)
    return at if at < NEVER else max(_ends(contact, rules), default=0)
